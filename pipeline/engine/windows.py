"""The six windows of queues and teams: their counters or times, and the KPIs of these.

A window is the sum of the closed panes it holds plus what is known of the open one.
`RunningWindows` is for who asks again and again: only windows whose counters changed are made anew.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pipeline.engine.books import UNSET
from pipeline.engine.cells import WINDOW_MS, QueueCell, TeamCell, add, plus, take_away
from pipeline.engine.counters import WIDTH
from schemas import kpis
from schemas.kpis import COUNTERS, TEAM_TIMES, WINDOWS

if TYPE_CHECKING:
    from pipeline.engine.books import Books
    from pipeline.engine.site import Site
    from schemas.settings import ResolvedQueue, SiteSettings

Json = dict[str, Any]
Vectors = list[list[int]]


def queue_vectors(site: Site, cell: QueueCell) -> Vectors:
    """Counters of the six windows, in the order of their names; not to be kept."""
    books = site.ledger.books
    known = cell.open
    vectors = [cell.so_far(i, books.edge, books.pane) for i in range(len(WINDOW_MS))]
    today = cell.today(books.day)
    # On the stroke of midnight the open pane still belongs to yesterday.
    vectors.append(plus(today, known if books.edge > books.day else None))
    vectors.append(plus(plus(cell.total, known), cell.future))
    return vectors


def all_queue_vectors(site: Site) -> Vectors:
    """Counters of the six windows, summed over queues and channels."""
    vectors = _zeros(WIDTH)
    for cell in site.ledger.books.cells.values():
        vectors = _sums(vectors, queue_vectors(site, cell))
    return vectors


def team_vectors(site: Site, cell: TeamCell) -> Vectors:
    """State times of the six windows in milliseconds, in the order of their names."""
    books = site.ledger.books
    known = cell.known(books.edge, site.at)
    vectors = [plus(cell.window(i, books.edge, books.pane), known) for i in range(len(WINDOW_MS))]
    today = cell.today(books.day)
    vectors.append(plus(today, known if books.edge > books.day else None))
    vectors.append(plus(cell.total, known))
    return vectors


def all_team_vectors(site: Site) -> Vectors:
    """State times of the six windows in milliseconds, summed over teams."""
    vectors = _zeros(len(TEAM_TIMES))
    for cell in site.ledger.books.teams.values():
        vectors = _sums(vectors, team_vectors(site, cell))
    return vectors


def queue_windows(vectors: Vectors, formula: str, exclude_short: bool) -> Json:
    """The windows by name, with counters and KPIs."""
    named = zip(WINDOWS, vectors, strict=True)
    return {name: _queue_window(vector, formula, exclude_short) for name, vector in named}


def queue_form(limits: ResolvedQueue) -> Json:
    """What the settings say of a queue's windows and of how to show them."""
    return {
        "name": limits.name,
        "formula": limits.formula,
        "exclude_short": limits.exclude_short,
        "threshold_ms": limits.threshold_ms,
        "min_volume": limits.min_volume,
        "targets": limits.targets.given(),
    }


def team_windows(vectors: Vectors) -> Json:
    """The windows by name, with state times in milliseconds and the occupancy."""
    windows: Json = {}
    for name, vector in zip(WINDOWS, vectors, strict=True):
        window: Json = dict(zip(TEAM_TIMES, vector, strict=True))
        window["occupancy"] = kpis.ratio(*kpis.occupancy_parts(window))
        windows[name] = window
    return windows


def _queue_window(vector: list[int], formula: str, exclude_short: bool) -> Json:
    window: Json = dict(zip(COUNTERS, vector, strict=True))
    level = kpis.service_level_parts(window, formula, exclude_short)
    abandonment, asa = kpis.abandonment_parts(window), kpis.asa_parts(window)
    aht = kpis.aht_parts(window)
    window["service_level"] = kpis.ratio(*level)
    window["abandonment"] = kpis.ratio(*abandonment)
    window["asa_ms"] = kpis.ratio(*asa)
    window["aht_ms"] = kpis.ratio(*aht)
    return window


def _sums(a: Vectors, b: Vectors) -> Vectors:
    return [plus(a[i], b[i]) for i in range(len(a))]


def _zeros(width: int) -> Vectors:
    return [[0] * width for _ in WINDOWS]


# --- only what changed --------------------------------------------------------------------------


class _Kept:
    """What was last made of a cell."""

    __slots__ = ("form", "vectors", "windows")

    def __init__(self, form: Json) -> None:
        self.form = form
        self.vectors: Vectors = _zeros(WIDTH)
        self.windows: Json = queue_windows(self.vectors, form["formula"], form["exclude_short"])

    def take(self, i: int, vector: list[int]) -> None:
        """Makes a window anew; what was handed out of the one before stays."""
        self.vectors[i] = vector.copy()
        window = _queue_window(vector, self.form["formula"], self.form["exclude_short"])
        self.windows[WINDOWS[i]] = window


class RunningWindows:
    """The windows of one site's queues, for one who asks for them again and again.

    ``total`` are the counters of the six windows summed over all cells. Everything is made anew
    with other books or settings.
    """

    def __init__(self) -> None:
        self.total: Vectors = _zeros(WIDTH)
        self._books: Books | None = None
        self._settings: SiteSettings | None = None
        self._edge: int = UNSET
        self._day: int = UNSET
        self._kept: dict[QueueCell, _Kept] = {}

    def moved(self, books: Books) -> bool:
        """Whether other moments are in the windows than at the last call of `renew`.

        They slide at a pane's edge; midnight may be an edge that was known before.
        """
        return books.edge != self._edge or books.day != self._day

    def renew(self, site: Site, touched: Iterable[QueueCell]) -> None:
        """Brings in the cells ``touched`` since the last call, or all if the windows have moved."""
        books = site.ledger.books
        if books is not self._books or site.settings is not self._settings:
            self._books, self._settings = books, site.settings
            self.total, self._kept = _zeros(WIDTH), {}
            touched = books.cells.values()
        elif self.moved(books):
            touched = books.cells.values()
        self._edge, self._day = books.edge, books.day
        for cell in touched:
            self._renew_one(site, cell)

    def of(self, cell: QueueCell) -> Json:
        """The windows of a cell by name, and the form of its queue; only to be read."""
        kept = self._kept[cell]
        return {"windows": kept.windows.copy(), **kept.form}

    def _renew_one(self, site: Site, cell: QueueCell) -> None:
        kept = self._kept.get(cell)
        if kept is None:
            kept = self._kept[cell] = _Kept(queue_form(site.settings.queue(cell.queue)))
        vectors = queue_vectors(site, cell)
        for i in range(len(WINDOWS)):
            if vectors[i] != kept.vectors[i]:
                add(self.total[i], vectors[i])
                take_away(self.total[i], kept.vectors[i])
                kept.take(i, vectors[i])
