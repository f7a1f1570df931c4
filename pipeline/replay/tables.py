"""Snapshots as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

from schemas.kpis import AGENT_STATES
from schemas.moments import iso

NO_DATA = "–"  # noqa: RUF001  # what every board of the project shows for no data
NAME_WIDTH = 20
"""Characters a name has before it wraps; it wraps between words and not within them."""
_ALL = "all"
_ENDLESS = 10_000


def print_snapshot(console: Console, view: dict[str, Any], zone: str, window: str) -> None:
    """Print one snapshot: a line on the site, the queues and the teams in the window named.

    Where names would be left no room, what is now and what is of the window are tables each.
    """
    console.print(_site_line(view, zone))
    for sheet in (_queues(view, window), _teams(view, window)):
        console.print(*sheet.tables(console), sep="\n")


def duration(ms: float | None) -> str:
    """Milliseconds as `m:ss` or `h:mm:ss`, rounded to the second; a dash for no data."""
    if ms is None:
        return NO_DATA
    minutes, seconds = divmod(round(ms / 1000), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def percent(share: float | None) -> str:
    """A ratio as per cent with one decimal; a dash for no data."""
    return NO_DATA if share is None else f"{share * 100:.1f} %"


@dataclass(frozen=True, slots=True)
class _Half:
    """The columns of a sheet that stand together under a title."""

    title: str
    heads: tuple[str, ...]


@dataclass(slots=True)
class _Sheet:
    """What is now and what is of the window, a row for each name; the last is the sum of all."""

    first: str
    title: str
    halves: tuple[_Half, _Half]
    rows: list[tuple[str, tuple[list[str], list[str]]]] = field(default_factory=list)

    def add(self, name: str, now: Iterable[str], of_window: Iterable[str]) -> None:
        """Add a row."""
        self.rows.append((name, (list(now), list(of_window))))

    def tables(self, console: Console) -> list[Table]:
        """One table if the console has the room, else two."""
        whole = self._table(self.title, (0, 1))
        widest = max(Text(name).cell_len for name, _ in self.rows)
        figures = Measurement.get(console, console.options.update(width=_ENDLESS), whole).maximum
        if figures - widest + min(widest, NAME_WIDTH) <= console.width:
            return [whole]
        return [self._table(half.title, (number,)) for number, half in enumerate(self.halves)]

    def _table(self, title: str, halves: tuple[int, ...]) -> Table:
        table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0, pad_edge=False)
        table.add_column(self.first, overflow="fold")
        for number in halves:
            for head in self.halves[number].heads:
                table.add_column(head, justify="right", no_wrap=True)
        for name, cells in self.rows:
            is_sum = cells is self.rows[-1][1]
            if is_sum:
                table.add_section()
            shown = (cell for number in halves for cell in cells[number])
            table.add_row(Text(name), *shown, style="bold" if is_sum else None)
        return table


def _site_line(view: dict[str, Any], zone: str) -> Text:
    return Text.assemble(
        (view["site"], "bold"),
        f"  {iso(view['at'], zone)}  ",
        (f"late {view['late']}, ", "dim"),
        (f"inconsistent {view['inconsistent']}, ", "dim"),
        (f"dead-lettered {view['dead_lettered']}", "red" if view["dead_lettered"] else "dim"),
    )


def _queues(view: dict[str, Any], window: str) -> _Sheet:
    title = f"Queues, {_words(window)}"
    sheet = _Sheet("queue", title, (_Half("Queues now", _NOW_HEADS), _Half(title, _QUEUE_HEADS)))
    for queue, channels in sorted(view["queues"].items()):
        for channel, entry in sorted(channels.items()):
            sheet.add(_queue_name(queue, channel, entry), *_of_queue(entry, window))
    sheet.add(_ALL, *_of_queue(view["all"]["queues"], window))
    return sheet


_NOW_HEADS = ("wait", "longest", "in\nserv.")
_QUEUE_HEADS = (
    *("offered", "answered", "aban-\ndoned", "left"),
    *("service\nlevel", "aband.\nrate", "ASA", "AHT"),
)


def _queue_name(queue: str, channel: str, entry: dict[str, Any]) -> str:
    name = entry.get("name") or queue
    return str(name) if channel == "voice" else f"{name} ({channel})"


def _of_queue(entry: dict[str, Any], window: str) -> tuple[list[str], list[str]]:
    now, c = entry["now"], entry["windows"][window]
    present = [str(now["waiting"]), duration(now["longest_wait_ms"]), str(now["in_service"])]
    left = c["left_callback"] + c["left_overflow"] + c["left_other"]
    counts = (c["offered"], c["answered"], c["abandoned"], left)
    ratios = [percent(c["service_level"]), percent(c["abandonment"])]
    return present, [*map(str, counts), *ratios, duration(c["asa_ms"]), duration(c["aht_ms"])]


def _teams(view: dict[str, Any], window: str) -> _Sheet:
    shown = [state for state in AGENT_STATES if view["all"]["agents"].get(state)]
    now = _Half("Agents now", tuple(state.replace("_", "\n") for state in shown))
    times = _Half(f"Agents' time {_words(window)}", ("busy\ntime", "free\ntime", "occup."))
    sheet = _Sheet("team", f"Agents now, and their time {_words(window)}", (now, times))
    for team, entry in sorted(view["teams"].items()):
        sheet.add(entry.get("name") or team or "(no team)", *_of_team(entry, shown, window))
    sheet.add(_ALL, *_of_team(view["all"], shown, window))
    return sheet


def _of_team(entry: dict[str, Any], states: list[str], window: str) -> tuple[list[str], list[str]]:
    t = entry["windows"][window]
    busy = t["talk_ms"] + t["hold_ms"] + t["wrap_ms"] + t["busy_state_ms"]
    times = [duration(busy), duration(t["available_ms"]), percent(t["occupancy"])]
    return [str(entry["agents"].get(state, 0)) for state in states], times


def _words(window: str) -> str:
    return window if window in ("today", "total") else f"last {window}"
