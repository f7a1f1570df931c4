"""The books of a site: every cell, and the edge between what is closed and what is open.

``edge`` is the site's time rounded up to a pane. The open pane is ``[edge - pane, edge)``; a moment
equal to the edge belongs to the pane after it, which no window holds yet. Everything that may be
later than an event's own place is an edit of a closed pane.

``floor`` is the moment before which panes may have been forgotten, ``team_floor`` the same for the
panes of teams, which a leap never lays out. An edit of such a pane is right in every sum, but the
pane itself then holds the edit alone.

``early`` holds the teams whose row of the open pane was sent at the pane's very end. What it said
may be taken back before the pane closes, so it is sent again even where nothing is left.

``minutes`` holds (minute, queue) of closed panes that have changed. The trend empties it; nothing
is noted before ``watched`` is set.
"""

from __future__ import annotations

from typing import Final

from pipeline.engine.calendar import SiteCalendar
from pipeline.engine.cells import LONGEST_MS, STATES, Cell, QueueCell, TeamCell, add
from pipeline.engine.counters import WIDTH
from pipeline.engine.model import OPEN, S_OFFLINE
from schemas.live import TREND_STEP_MS

UNSET = -(1 << 63)
# A silence longer than this is stepped over in one go: nobody looks at its panes one by one.
_LONG_SILENCE_PANES: Final = 60_480


class Books:
    """Adds amounts to panes, closes panes as time goes on, and remembers what was touched."""

    def __init__(self, pane: int, zone: str) -> None:
        self.pane = pane
        # The last hour is laid out pane by pane, however short they are.
        self.long_silence = max(_LONG_SILENCE_PANES * pane, LONGEST_MS + 3 * pane)
        self.calendar = SiteCalendar(zone)
        self.edge: int = UNSET
        self.floor: int = UNSET
        self.team_floor: int = UNSET
        self.day: int = UNSET
        self.days: dict[int, None] = {}
        self.cells: dict[tuple[str, str], QueueCell] = {}
        self.teams: dict[str, TeamCell] = {}
        self.holders: dict[int, list[Cell]] = {}
        self.active: list[QueueCell] = []
        self.later: list[QueueCell] = []
        self.silent: bool = False
        self.early: dict[str, None] = {}
        self.touched: list[QueueCell] = []
        self.edited: dict[int, None] = {}
        self.edited_rows: dict[tuple[int, str, str], None] = {}
        self.edited_teams: dict[tuple[int, str], None] = {}
        self.watched: bool = False
        self.minutes: dict[tuple[int, str], None] = {}

    def cell(self, queue: str, channel: str) -> QueueCell:
        """The cell of a queue and channel, opened at its first use."""
        key = (queue, channel)
        cell = self.cells.get(key)
        if cell is None:
            cell = self.cells[key] = QueueCell(queue, channel)
            cell.before = {day: [0] * cell.width for day in self.days}
        return cell

    def team(self, team: str) -> TeamCell:
        """The cell of a team, opened at its first use."""
        cell = self.teams.get(team)
        if cell is None:
            cell = self.teams[team] = TeamCell(team)
            cell.before = {day: [0] * cell.width for day in self.days}
        return cell

    def add(self, cell: QueueCell, moment: int, counter: int, amount: int) -> None:
        """Adds to a counter at a moment that is not after the site's time."""
        if self.silent:
            return
        if moment >= self.edge:
            future = self._future(cell)
            future[counter] = future[counter] + amount
        elif moment >= self.edge - self.pane:
            vector = cell.open
            if vector is None:
                vector = cell.open = [0] * WIDTH
                self.active.append(cell)
            vector[counter] = vector[counter] + amount
        else:
            start = moment - moment % self.pane
            self._edit(cell, start, counter, amount)
            self.edited_rows[(start, cell.queue, cell.channel)] = None
            self._note_minute(start, cell.queue)
        if not cell.touched:
            self.touch(cell)

    def _edit(self, cell: Cell, start: int, index: int, amount: int) -> None:
        if start not in cell.panes:
            self.lay_out(cell, start, [0] * cell.width)
        cell.edit(start, index, amount, self.pane)
        self.edited[start] = None

    def lay_out(self, cell: Cell, start: int, vector: list[int]) -> None:
        """Gives a cell a closed pane that it does not have yet."""
        cell.panes[start] = vector
        holders = self.holders.get(start)
        if holders is None:
            self.holders[start] = [cell]
        else:
            holders.append(cell)

    def _note_minute(self, start: int, queue: str) -> None:
        if self.watched:
            self.minutes[(start - start % TREND_STEP_MS, queue)] = None

    def touch(self, cell: QueueCell) -> None:
        """Marks a cell as changed since the board was last told."""
        if not cell.touched:
            cell.touched = True
            self.touched.append(cell)

    def _future(self, cell: QueueCell) -> list[int]:
        if cell.future is None:
            cell.future = [0] * WIDTH
            self.later.append(cell)
        return cell.future

    def occupy(self, team: str, state: int, start: int, end: int, sign: int) -> None:
        """Adds (or with ``sign`` -1 takes away) an agent's time in a state.

        ``end`` `OPEN` means up to now and still going on.
        """
        if self.silent or state < 0:
            return
        cell = self.team(team)
        cell.touched = True
        if end == OPEN:
            cell.count[state] = cell.count[state] + sign
        if state == S_OFFLINE:
            return
        stop = self.edge if end == OPEN else end
        open_start = self.edge - self.pane
        if stop > open_start:
            first = start if start > open_start else open_start
            cell.open[state] = cell.open[state] + sign * (stop - first)
        if start < open_start:
            self._occupy_closed(cell, state, start, min(stop, open_start), sign)

    def _occupy_closed(self, cell: TeamCell, state: int, start: int, stop: int, sign: int) -> None:
        pane = start - start % self.pane
        while pane < stop:
            inside = min(stop, pane + self.pane) - max(start, pane)
            self._edit(cell, pane, state, sign * inside)
            self.edited_teams[(pane, cell.team)] = None
            pane += self.pane

    def move(self, team: str, state: int, new_team: str, new_state: int, at: int) -> None:
        """An agent changes state or team at ``at`` and stays there."""
        rest = self.edge - at
        if rest > self.pane:
            self.occupy(team, state, at, OPEN, -1)
            self.occupy(new_team, new_state, at, OPEN, 1)
        elif not self.silent:
            if state >= 0:
                _turn(self.team(team), state, -1, -rest)
            if new_state >= 0:
                _turn(self.team(new_team), new_state, 1, rest)

    def begin(self, at: int) -> None:
        """Sets the edge at the site's first moment."""
        self.edge = -(-at // self.pane) * self.pane
        self.day = self.calendar.day_start(at)
        self.days = {self.day: None}

    def roll_day(self, at: int) -> None:
        """Starts a new ``today`` when the site's calendar date has changed."""
        day = self.calendar.day_start(at)
        if day == self.day:
            return
        # Where clocks go back over midnight, the earlier date returns for a while.
        if day not in self.days:
            self.days = {self.day: None, day: None}
            for cell in self.all_cells():
                if day not in cell.before:
                    cell.begin_day(day, self.day)
        self.day = day

    def all_cells(self) -> list[QueueCell | TeamCell]:
        """Every cell, queues first."""
        cells: list[QueueCell | TeamCell] = list(self.cells.values())
        cells.extend(self.teams.values())
        return cells

    def step(self, note: bool) -> None:
        """Closes the open pane; ``note`` remembers it for the rows and the checkpoint."""
        start = self.edge - self.pane
        for cell in self.active:
            if cell.open is not None:
                self._fold(cell, start, cell.open)
                cell.open = None
                self._note_minute(start, cell.queue)
                if note:
                    self.edited_rows[(start, cell.queue, cell.channel)] = None
        for team in self.teams.values():
            self._fold_team(team, start, note)
        if note:
            self.edited[start] = None
        self.edge += self.pane
        self.early = {}
        self._open_later()

    def _fold(self, cell: Cell, start: int, vector: list[int]) -> None:
        held = cell.panes.get(start)
        if held is None:
            self.lay_out(cell, start, vector)
        else:
            add(held, vector)
        cell.sum_up(start, vector)

    def _fold_team(self, team: TeamCell, start: int, note: bool) -> None:
        if any(team.open) or team.team in self.early:
            self._fold(team, start, team.open)
            if note:
                self.edited_teams[(start, team.team)] = None
        team.open = [team.count[i] * self.pane for i in range(STATES)]

    def _open_later(self) -> None:
        self.active = self.later
        self.later = []
        for cell in self.active:
            cell.open = cell.future
            cell.future = None

    def leap(self, target: int) -> None:
        """Steps over a long silence: only the last hour's panes are laid out one by one."""
        # What is leapt over has no panes by which a midnight could be told later.
        self.roll_day(target)
        self.step(note=True)
        self.step(note=True)
        start = self.edge - self.pane
        panes = (target - LONGEST_MS - self.edge) // self.pane
        for team in self.teams.values():
            self._leap_team(team, start, panes)
        self.edge += panes * self.pane
        self.team_floor = max(self.team_floor, self.edge - self.pane)

    def _leap_team(self, team: TeamCell, start: int, panes: int) -> None:
        skipped = panes * self.pane
        for i in range(STATES):
            team.total[i] += team.count[i] * skipped
        for day, before in team.before.items():
            earlier = min(max(day - start, 0), skipped)
            for i in range(STATES):
                before[i] += team.count[i] * earlier

    def forget_panes(self, horizon: int) -> list[int]:
        """Drops panes that no window holds and no story can change; returns their starts."""
        held = self.edge - LONGEST_MS - self.pane
        limit = min(horizon - horizon % self.pane, held)
        self.floor = max(self.floor, limit)
        self.team_floor = max(self.team_floor, limit)
        dropped = [start for start in self.holders if start < limit]
        for start in dropped:
            for cell in self.holders.pop(start):
                cell.drop(start)
        # Nobody may have asked for the trend for long.
        self.minutes = {noted: None for noted in self.minutes if noted[0] >= held}
        return dropped


def _turn(cell: TeamCell, state: int, step: int, rest: int) -> None:
    """An agent enters or leaves a state, ``rest`` milliseconds before the open pane's end."""
    cell.touched = True
    cell.count[state] = cell.count[state] + step
    if state != S_OFFLINE:
        cell.open[state] = cell.open[state] + rest
