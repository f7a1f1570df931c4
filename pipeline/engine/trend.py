"""The last hour in steps of a minute, for the board's trend lines.

`trend` makes it of all panes. `RunningTrend` is for who asks again and again: the books note which
minutes of which queues have changed, and only these are made anew.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from pipeline.engine import counters as c
from pipeline.engine.cells import add, take_away
from schemas import kpis
from schemas.kpis import COUNTERS
from schemas.live import TREND_STEP_MS, TREND_STEPS

if TYPE_CHECKING:
    from pipeline.engine.books import Books
    from pipeline.engine.cells import QueueCell
    from pipeline.engine.site import Site
    from schemas.settings import SiteSettings

_SHOWN = ("offered", "answered", "answered_in", "abandoned")
# Milliseconds are in no trend, and would be most of what is remembered of a minute.
_COUNTS: Final = [i for i, name in enumerate(COUNTERS) if not name.endswith("_ms")]
Vectors = list[list[int]]
Levels = list[float | None]
Json = dict[str, Any]


def trend(site: Site) -> Json:
    """Counters and service level of each of the last sixty minutes, the running one last.

    ``waiting`` is the number of contacts waiting at the end of each minute. It is worked back from
    those who wait now, which needs outcomes at their own moment: by arrival it is null.
    """
    books, defaults = site.ledger.books, site.settings.defaults
    start = _first_minute(books)
    total = _empty()
    queues: dict[str, Vectors] = {}
    for cell in books.cells.values():
        if cell.is_empty():
            continue
        vectors = _by_minute(cell, start, books.edge - books.pane)
        _add(total, vectors)
        _add(queues.setdefault(cell.queue, _empty()), vectors)
    levels = _levels(total, defaults.formula, defaults.exclude_short)
    said = {name: _queue(site, name, vectors) for name, vectors in sorted(queues.items())}
    return _told(start, _series(site, total, levels), said)


def _told(start: int, series: Json, queues: Json) -> Json:
    return {"step_ms": TREND_STEP_MS, "start": start, "all": series, "queues": queues}


def _series(site: Site, total: Vectors, levels: Levels) -> Json:
    series: Json = {name: [v[COUNTERS.index(name)] for v in total] for name in _SHOWN}
    series["service_level"] = levels
    series["waiting"] = _waiting(site, total)
    return series


def _queue(site: Site, name: str, vectors: Vectors) -> Json:
    limits = site.settings.queue(name)
    return _line(vectors, _levels(vectors, limits.formula, limits.exclude_short))


def _line(vectors: Vectors, levels: Levels) -> Json:
    return {"offered": [v[c.OFFERED] for v in vectors], "service_level": levels}


def _first_minute(books: Books) -> int:
    return (books.edge - 1) // TREND_STEP_MS * TREND_STEP_MS - (TREND_STEPS - 1) * TREND_STEP_MS


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
    for i in _COUNTS:
        target[i] = target[i] + vector[i]


def _levels(vectors: Vectors, formula: str, exclude_short: bool) -> Levels:
    return [_level(vector, formula, exclude_short) for vector in vectors]


def _level(vector: list[int], formula: str, exclude_short: bool) -> float | None:
    counts = dict(zip(COUNTERS, vector, strict=True))
    return kpis.ratio(*kpis.service_level_parts(counts, formula, exclude_short))


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


# --- only what changed --------------------------------------------------------------------------


class _Hour:
    """The minutes of a queue, or of all queues together."""

    __slots__ = ("cells", "exclude_short", "formula", "levels", "vectors")

    def __init__(self, formula: str, exclude_short: bool) -> None:
        self.formula, self.exclude_short = formula, exclude_short
        self.cells: list[QueueCell] = []
        self.vectors: Vectors = _empty()
        self.levels: Levels = [_level([0] * c.WIDTH, formula, exclude_short)] * TREND_STEPS

    def level(self, i: int) -> None:
        """Works out a minute's service level anew."""
        self.levels[i] = _level(self.vectors[i], self.formula, self.exclude_short)

    def move(self, minutes: int) -> None:
        """Forgets the first minutes and begins as many at the end."""
        fresh = [[0] * c.WIDTH for _ in range(minutes)]
        self.vectors = self.vectors[minutes:] + fresh
        self.levels = self.levels[minutes:] + _levels(fresh, self.formula, self.exclude_short)

    def count(self, minute: int, books: Books) -> list[int]:
        """What the cells hold of a minute."""
        vector = [0] * c.WIDTH
        panes = range(minute, minute + TREND_STEP_MS, books.pane)
        is_open = minute <= books.edge - books.pane < minute + TREND_STEP_MS
        for cell in self.cells:
            # Panes of a millisecond are many more than a cell has.
            few = len(cell.panes) < len(panes)
            for pane in [p for p in cell.panes if p in panes] if few else panes:
                closed = cell.panes.get(pane)
                if closed is not None:
                    _add_one(vector, closed)
            if is_open and cell.open is not None:
                _add_one(vector, cell.open)
        return vector


class RunningTrend:
    """The trend of one site, for one who asks for it again and again.

    The books note changes from the first call on. It begins anew with other books or settings and
    after a silence of an hour.
    """

    def __init__(self) -> None:
        self._books: Books | None = None
        self._settings: SiteSettings | None = None
        self._start: int = 0
        self._known: int = 0
        self._total: _Hour | None = None
        self._hours: dict[str, _Hour] = {}

    def look(self, site: Site) -> Json:
        """What `trend` says."""
        books = site.ledger.books
        start = _first_minute(books)
        total = self._total
        same = books is self._books and site.settings is self._settings
        if total is None or not same or not 0 <= start - self._start < TREND_STEPS * TREND_STEP_MS:
            total = self._begin(site, start)
        else:
            self._move(total, start)
            self._take_new_cells(site)
            self._renew(total, books)
        return self._said(site, total)

    def _begin(self, site: Site, start: int) -> _Hour:
        books, defaults = site.ledger.books, site.settings.defaults
        self._books, self._settings = books, site.settings
        self._start, self._known, self._hours = start, 0, {}
        books.watched, books.minutes = True, {}
        total = self._total = _Hour(defaults.formula, defaults.exclude_short)
        self._take_new_cells(site)
        for hour in self._hours.values():
            for cell in hour.cells:
                vectors = _by_minute(cell, start, books.edge - books.pane)
                _add(hour.vectors, vectors)
                _add(total.vectors, vectors)
            hour.levels = _levels(hour.vectors, hour.formula, hour.exclude_short)
        total.levels = _levels(total.vectors, total.formula, total.exclude_short)
        return total

    def _move(self, total: _Hour, start: int) -> None:
        passed = (start - self._start) // TREND_STEP_MS
        self._start = start
        if passed:
            total.move(passed)
            for hour in self._hours.values():
                hour.move(passed)

    def _take_new_cells(self, site: Site) -> None:
        cells = site.ledger.books.cells
        for cell in islice(cells.values(), self._known, None):
            hour = self._hours.get(cell.queue)
            if hour is None:
                limits = site.settings.queue(cell.queue)
                hour = self._hours[cell.queue] = _Hour(limits.formula, limits.exclude_short)
            hour.cells.append(cell)
        self._known = len(cells)

    def _renew(self, total: _Hour, books: Books) -> None:
        changed, books.minutes = books.minutes, {}
        running = self._start + (TREND_STEPS - 1) * TREND_STEP_MS
        for cell in books.active:
            changed[(running, cell.queue)] = None
        steps: dict[int, None] = {}
        for minute, queue in changed:
            if minute >= self._start:
                i = (minute - self._start) // TREND_STEP_MS
                self._renew_one(self._hours[queue], total, i)
                steps[i] = None
        for i in steps:
            total.level(i)

    def _renew_one(self, hour: _Hour, total: _Hour, i: int) -> None:
        assert self._books is not None
        vector = hour.count(self._start + i * TREND_STEP_MS, self._books)
        add(total.vectors[i], vector)
        take_away(total.vectors[i], hour.vectors[i])
        hour.vectors[i] = vector
        hour.level(i)

    def _said(self, site: Site, total: _Hour) -> Json:
        queues: Json = {}
        for name in sorted(self._hours):
            hour = self._hours[name]
            if not all(cell.is_empty() for cell in hour.cells):
                queues[name] = _line(hour.vectors, hour.levels.copy())
        return _told(self._start, _series(site, total.vectors, total.levels.copy()), queues)
