"""The last hour in steps of a minute, for the board's trend lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.engine import counters as c
from schemas import kpis
from schemas.kpis import COUNTERS
from schemas.live import TREND_STEP_MS, TREND_STEPS

if TYPE_CHECKING:
    from pipeline.engine.cells import QueueCell
    from pipeline.engine.site import Site

_SHOWN = ("offered", "answered", "answered_in", "abandoned")
Vectors = list[list[int]]


def trend(site: Site) -> dict[str, Any]:
    """Counters and service level of each of the last sixty minutes, the running one last.

    ``waiting`` is the number of contacts waiting at the end of each minute. It is worked back from
    those who wait now, which needs outcomes at their own moment: by arrival it is null.
    """
    books = site.ledger.books
    start = (books.edge - 1) // TREND_STEP_MS * TREND_STEP_MS - (TREND_STEPS - 1) * TREND_STEP_MS
    defaults = site.settings.defaults
    total = _empty()
    queues: dict[str, Vectors] = {}
    for cell in books.cells.values():
        if cell.is_empty():
            continue
        vectors = _by_minute(cell, start, books.edge - books.pane)
        _add(total, vectors)
        _add(queues.setdefault(cell.queue, _empty()), vectors)
    series: dict[str, Any] = {name: [v[COUNTERS.index(name)] for v in total] for name in _SHOWN}
    series["service_level"] = _levels(total, defaults.formula, defaults.exclude_short)
    series["waiting"] = _waiting(site, total)
    return {
        "step_ms": TREND_STEP_MS,
        "start": start,
        "all": series,
        "queues": {name: _queue(site, name, vectors) for name, vectors in sorted(queues.items())},
    }


def _queue(site: Site, name: str, vectors: Vectors) -> dict[str, Any]:
    limits = site.settings.queue(name)
    return {
        "offered": [v[c.OFFERED] for v in vectors],
        "service_level": _levels(vectors, limits.formula, limits.exclude_short),
    }


def _empty() -> Vectors:
    return [[0] * c.WIDTH for _ in range(TREND_STEPS)]


def _by_minute(cell: QueueCell, start: int, open_start: int) -> Vectors:
    vectors = _empty()
    for pane, vector in cell.panes.items():
        if pane >= start:
            _add_one(vectors[(pane - start) // TREND_STEP_MS], vector)
    if cell.open is not None:
        _add_one(vectors[(open_start - start) // TREND_STEP_MS], cell.open)
    return vectors


def _add(target: Vectors, vectors: Vectors) -> None:
    for i in range(TREND_STEPS):
        _add_one(target[i], vectors[i])


def _add_one(target: list[int], vector: list[int]) -> None:
    for i in range(c.WIDTH):
        target[i] = target[i] + vector[i]


def _levels(vectors: Vectors, formula: str, exclude_short: bool) -> list[float | None]:
    levels: list[float | None] = []
    for vector in vectors:
        counts = dict(zip(COUNTERS, vector, strict=True))
        levels.append(kpis.ratio(*kpis.service_level_parts(counts, formula, exclude_short)))
    return levels


def _waiting(site: Site, vectors: Vectors) -> list[int | None]:
    if site.ledger.by_arrival:
        return [None] * TREND_STEPS
    waiting: list[int | None] = []
    now = sum(len(cell.waiting) for cell in site.ledger.books.cells.values())
    for vector in reversed(vectors):
        waiting.append(now)
        gone = vector[c.ANSWERED] + vector[c.ABANDONED] + vector[c.LEFT_CALLBACK]
        now += gone + vector[c.LEFT_OVERFLOW] + vector[c.LEFT_OTHER] - vector[c.OFFERED]
    return waiting[::-1]
