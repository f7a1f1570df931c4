"""Panes and rolling windows of one queue and channel, or of one team.

A cell keeps a vector of integers per closed pane, the sum of all closed panes, and one running sum
per rolling window: a pane that closes is added, the one that leaves is subtracted. That is done
for a window when somebody looks at it, and nobody does while history is read. The pane still open
is kept apart, so that an event in order touches one integer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from schemas.kpis import COUNTERS, TEAM_TIMES

if TYPE_CHECKING:
    from pipeline.engine.model import Visit
    from schemas.settings import ResolvedQueue

WINDOW_MS: Final[tuple[int, ...]] = (300_000, 900_000, 1_800_000, 3_600_000)
LONGEST_MS: Final = 3_600_000
STATES: Final = len(TEAM_TIMES)
# Beyond so many panes the sums are quicker made anew than moved on.
_FAR: Final = 40
_NOT_SUMMED: Final = -(1 << 60)


class Cell:
    """Closed panes, their total, the rolling sums, and what lay before the latest midnights.

    ``form`` is what rows of its panes have in common.
    """

    __slots__ = (
        "_dropped",
        "_summed",
        "_sums",
        "before",
        "form",
        "panes",
        "total",
        "touched",
        "width",
    )

    def __init__(self, width: int) -> None:
        self.width = width
        self.panes: dict[int, list[int]] = {}
        self.total: list[int] = [0] * width
        self.before: dict[int, list[int]] = {}
        self.touched: bool = False
        self.form: dict[str, Any] | None = None
        self._sums: list[list[int]] = [[] for _ in WINDOW_MS]
        self._summed: list[int] = [_NOT_SUMMED] * len(WINDOW_MS)
        # The last of the panes that are forgotten.
        self._dropped: int = _NOT_SUMMED

    def sum_up(self, start: int, vector: list[int]) -> None:
        """Adds what closes with the pane that begins at ``start`` to the total."""
        add(self.total, vector)
        # On the stroke of midnight the new day may be known before yesterday's last pane closes.
        for day, before in self.before.items():
            if start < day:
                add(before, vector)

    def edit(self, start: int, index: int, amount: int, pane: int) -> None:
        """Corrects one integer of a closed pane and every sum that holds the pane."""
        _increase(self.panes[start], index, amount)
        _increase(self.total, index, amount)
        for i, summed in enumerate(self._summed):
            if summed - WINDOW_MS[i] <= start < summed - pane:
                _increase(self._sums[i], index, amount)
        for day, before in self.before.items():
            if start < day:
                _increase(before, index, amount)

    def window(self, which: int, edge: int, pane: int) -> list[int]:
        """The sum of the closed panes of one rolling window at an edge; not to be kept."""
        summed = self._summed[which]
        if edge - summed > _FAR * pane or summed - WINDOW_MS[which] <= self._dropped:
            self._sums[which] = self._sum(WINDOW_MS[which], edge, pane)
        elif edge != summed:
            self._slide(which, summed, edge, pane)
        self._summed[which] = edge
        return self._sums[which]

    def _slide(self, which: int, at: int, edge: int, pane: int) -> None:
        sums, panes, window = self._sums[which], self.panes, WINDOW_MS[which]
        while at < edge:
            entering = panes.get(at - pane)
            if entering is not None:
                add(sums, entering)
            leaving = panes.get(at - window)
            if leaving is not None:
                take_away(sums, leaving)
            at += pane

    def _sum(self, window: int, edge: int, pane: int) -> list[int]:
        sums = [0] * self.width
        for start, vector in self.panes.items():
            if edge - window <= start < edge - pane:
                add(sums, vector)
        return sums

    def drop(self, start: int) -> None:
        """Forgets a pane that no window holds; sums that still hold it are made anew."""
        del self.panes[start]
        if start > self._dropped:
            self._dropped = start

    def begin_day(self, day: int, keep: int) -> None:
        """Notes what lay before midnight ``day``; ``keep`` is the earlier midnight still kept."""
        before = self.total.copy()
        for start, vector in self.panes.items():
            if start >= day:
                take_away(before, vector)
        kept = self.before.get(keep)
        self.before = {day: before}
        if kept is not None:
            self.before[keep] = kept

    def today(self, day: int) -> list[int]:
        """Sum of the closed panes since midnight ``day``."""
        before = self.before.get(day)
        if before is None:
            return self.total.copy()
        return [a - b for a, b in zip(self.total, before, strict=True)]


class QueueCell(Cell):
    """The twenty counters of one queue and channel, and who waits or is served there now.

    ``visit_form`` is what rows of visits with these ``limits`` have in common.
    """

    __slots__ = (
        "channel",
        "future",
        "in_service",
        "limits",
        "open",
        "queue",
        "visit_form",
        "waiting",
    )

    def __init__(self, queue: str, channel: str) -> None:
        super().__init__(len(COUNTERS))
        self.queue = queue
        self.channel = channel
        self.open: list[int] | None = None
        self.future: list[int] | None = None
        self.waiting: dict[Visit, None] = {}
        self.in_service: int = 0
        self.limits: ResolvedQueue | None = None
        self.visit_form: dict[str, Any] = {}

    def so_far(self, which: int, edge: int, pane: int) -> list[int]:
        """The counters of one rolling window, with those of the open pane; not to be kept."""
        return plus(self.window(which, edge, pane), self.open)

    def is_empty(self) -> bool:
        """Whether nothing is counted here: the cell of an event that was taken back, say."""
        if self.waiting or self.in_service or any(self.total):
            return False
        return not any(self.open or ()) and not any(self.future or ())


class TeamCell(Cell):
    """State times of one team.

    ``count`` is the number of agents in each state now; ``open`` is what the open pane will hold
    at its end if nothing changes any more.
    """

    __slots__ = ("count", "open", "team")

    def __init__(self, team: str) -> None:
        super().__init__(STATES)
        self.team = team
        self.count: list[int] = [0] * (STATES + 1)
        self.open: list[int] = [0] * STATES

    def is_empty(self) -> bool:
        """Whether no agent is or ever was in the team."""
        return not (any(self.count) or any(self.total) or any(self.open))

    def is_counting(self) -> bool:
        """Whether an agent is in a state whose time is counted."""
        return any(self.count[:STATES])

    def known(self, edge: int, at: int) -> list[int]:
        """What the open pane holds at the site's time ``at``."""
        ahead = edge - at
        return [self.open[i] - self.count[i] * ahead for i in range(STATES)]


def add(target: list[int], vector: list[int]) -> None:
    """Adds a vector to another, in place."""
    for i, amount in enumerate(vector):
        if amount:
            target[i] = target[i] + amount


def plus(a: list[int], b: list[int] | None) -> list[int]:
    """The sum of two vectors; the first itself where there is no other."""
    if b is None:
        return a
    return [a[i] + b[i] for i in range(len(a))]


def _increase(target: list[int], index: int, amount: int) -> None:
    target[index] = target[index] + amount


def take_away(target: list[int], vector: list[int]) -> None:
    """Takes a vector away from another, in place."""
    for i, amount in enumerate(vector):
        if amount:
            target[i] = target[i] - amount
