"""Snapshots as tables for a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from schemas.kpis import AGENT_STATES
from schemas.moments import iso

NO_DATA = "–"  # noqa: RUF001  # what every board of the project shows for no data


def print_snapshot(console: Console, view: dict[str, Any], zone: str, window: str) -> None:
    """Print one snapshot: a line on the site, the queues and the teams in the window named."""
    console.print(Group(*_blocks(view, zone, window)))


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


def _blocks(view: dict[str, Any], zone: str, window: str) -> Iterator[RenderableType]:
    yield Text.assemble(
        (view["site"], "bold"),
        f"  {iso(view['at'], zone)}  ",
        (f"late {view['late']}, ", "dim"),
        (f"inconsistent {view['inconsistent']}, ", "dim"),
        (f"dead-lettered {view['dead_lettered']}", "red" if view["dead_lettered"] else "dim"),
    )
    yield _queues(view, window)
    yield _teams(view, window)


def _queues(view: dict[str, Any], window: str) -> Table:
    entries = [
        (_queue_name(queue, channel, entry), entry)
        for queue, channels in sorted(view["queues"].items())
        for channel, entry in sorted(channels.items())
    ]
    table = _table(f"Queues, {_words(window)}", "queue", _QUEUE_HEADS)
    for name, entry in entries:
        table.add_row(name, *_figures(entry, window))
    table.add_section()
    table.add_row("all", *_figures(view["all"]["queues"], window), style="bold")
    return table


_QUEUE_HEADS = (
    *("wait", "longest", "in\nserv.", "offered", "answered", "aban-\ndoned", "left"),
    *("service\nlevel", "aband.\nrate", "ASA", "AHT"),
)


def _queue_name(queue: str, channel: str, entry: dict[str, Any]) -> str:
    name = entry.get("name") or queue
    return str(name) if channel == "voice" else f"{name} ({channel})"


def _figures(entry: dict[str, Any], window: str) -> Iterator[str]:
    now, c = entry["now"], entry["windows"][window]
    yield str(now["waiting"])
    yield duration(now["longest_wait_ms"])
    yield str(now["in_service"])
    for name in ("offered", "answered", "abandoned"):
        yield str(c[name])
    yield str(c["left_callback"] + c["left_overflow"] + c["left_other"])
    yield percent(c["service_level"])
    yield percent(c["abandonment"])
    yield duration(c["asa_ms"])
    yield duration(c["aht_ms"])


def _teams(view: dict[str, Any], window: str) -> Table:
    shown = [state for state in AGENT_STATES if view["all"]["agents"].get(state)]
    heads = (*(state.replace("_", "\n") for state in shown), "busy\ntime", "free\ntime", "occup.")
    table = _table(f"Agents now, and their time {_words(window)}", "team", heads)
    for team, entry in sorted(view["teams"].items()):
        table.add_row(entry.get("name") or team or "(no team)", *_times(entry, shown, window))
    table.add_section()
    table.add_row("all", *_times(view["all"], shown, window), style="bold")
    return table


def _times(entry: dict[str, Any], states: list[str], window: str) -> Iterator[str]:
    for state in states:
        yield str(entry["agents"].get(state, 0))
    t = entry["windows"][window]
    yield duration(t["talk_ms"] + t["hold_ms"] + t["wrap_ms"] + t["busy_state_ms"])
    yield duration(t["available_ms"])
    yield percent(t["occupancy"])


def _table(title: str, first: str, heads: Iterable[str]) -> Table:
    """A table that fits 80 columns: where it is narrow, the names wrap, not the figures."""
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0, pad_edge=False)
    table.add_column(first, overflow="fold")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    return table


def _words(window: str) -> str:
    return window if window in ("today", "total") else f"last {window}"
