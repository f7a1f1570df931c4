"""Panes and rolling windows of one queue and channel, or of one team.

A cell keeps a vector of integers per closed pane, the sum of all closed panes, and one running sum
per rolling window: a pane that closes is added, the one that leaves is subtracted. The pane still
open is kept apart, so that an event in order touches one integer.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from schemas.kpis import COUNTERS, TEAM_TIMES

if TYPE_CHECKING:
    from pipeline.engine.model import Visit

WINDOW_MS: Final = (300_000, 900_000, 1_800_000, 3_600_000)
LONGEST_MS: Final = WINDOW_MS[-1]
STATES: Final = len(TEAM_TIMES)
_ROLLING: Final = range(len(WINDOW_MS))


class Cell:
    """Closed panes, their total, the rolling sums, and what lay before the latest midnights."""

    __slots__ = ("before", "panes", "sums", "total", "touched", "width")

    def __init__(self, width: int) -> None:
        self.width = width
        self.panes: dict[int, list[int]] = {}
        self.total: list[int] = [0] * width
        self.sums: list[list[int]] = [[0] * width for _ in _ROLLING]
        self.before: dict[int, list[int]] = {}
        self.touched: bool = False

    def sum_up(self, start: int, vector: list[int]) -> None:
        """Adds what closes with the pane that begins at ``start`` to every sum."""
        add(self.total, vector)
        for sums in self.sums:
            add(sums, vector)
        # On the stroke of midnight the new day may be known before yesterday's last pane closes.
        for day, before in self.before.items():
            if start < day:
                add(before, vector)

    def leave(self, start: int, window: int) -> None:
        """Takes the pane that begins at ``start`` out of a rolling window."""
        _take_away(self.sums[window], self.panes[start])

    def edit(self, start: int, index: int, amount: int, edge: int) -> None:
        """Corrects one integer of a closed pane and every sum that holds the pane."""
        self.panes[start][index] += amount
        self.total[index] += amount
        for i in _ROLLING:
            if start >= edge - WINDOW_MS[i]:
                self.sums[i][index] += amount
        for day, before in self.before.items():
            if start < day:
                before[index] += amount

    def begin_day(self, day: int, keep: int) -> None:
        """Notes what lay before midnight ``day``; ``keep`` is the earlier midnight still kept."""
        before = self.total.copy()
        for start, vector in self.panes.items():
            if start >= day:
                _take_away(before, vector)
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

    def resum(self, edge: int, pane: int) -> None:
        """Computes the rolling sums from the panes, after a restore."""
        self.sums = [[0] * self.width for _ in _ROLLING]
        for start, vector in self.panes.items():
            for i in _ROLLING:
                if edge - WINDOW_MS[i] <= start < edge - pane:
                    add(self.sums[i], vector)


class QueueCell(Cell):
    """The twenty counters of one queue and channel, and who waits or is served there now."""

    __slots__ = ("channel", "future", "in_service", "open", "queue", "waiting")

    def __init__(self, queue: str, channel: str) -> None:
        super().__init__(len(COUNTERS))
        self.queue = queue
        self.channel = channel
        self.open: list[int] | None = None
        self.future: list[int] | None = None
        self.waiting: dict[Visit, None] = {}
        self.in_service: int = 0

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

    def known(self, edge: int, at: int) -> list[int]:
        """What the open pane holds at the site's time ``at``."""
        ahead = edge - at
        return [self.open[i] - self.count[i] * ahead for i in range(STATES)]


def add(target: list[int], vector: list[int]) -> None:
    """Adds a vector to another, in place."""
    for i, amount in enumerate(vector):
        if amount:
            target[i] += amount


def _take_away(target: list[int], vector: list[int]) -> None:
    for i, amount in enumerate(vector):
        if amount:
            target[i] -= amount
