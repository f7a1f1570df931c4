"""Findings as tables for a terminal."""

from __future__ import annotations

from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.check.findings import Findings, span_of
from pipeline.replay.tables import duration, percent

SHOWN_LINES = 20
"""Unreadable lines shown; JSON has more of them."""


def print_findings(console: Console, findings: Findings, name: str, zone: str = "UTC") -> None:
    """Print what a capture says, and what of it cannot be read."""
    console.print(_headline(findings, name, zone), soft_wrap=True)
    if findings.view is not None:
        console.print(_queues(findings))
    console.print(_kinds(findings))
    if findings.odd:
        console.print(_oddities(findings))
    _print_unread(console, findings, name)


def _headline(findings: Findings, name: str, zone: str) -> Text:
    bad = findings.unread_count
    return Text.assemble(
        (name, "bold"),
        f"  {findings.format}, {span_of(findings, zone)}\n",
        f"{findings.payloads} payloads, {findings.events} events: {findings.contacts} contacts, "
        f"{findings.agents} agents, {len(findings.queues())} queues, ",
        (f"{bad} not understood", "red" if bad else "green"),
    )


def _sheet(title: str, first: str, *heads: str) -> Table:
    table = _plain(title)
    table.add_column(first, overflow="fold")
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    return table


def _plain(title: str) -> Table:
    return Table(title=title, title_justify="left", box=SIMPLE_HEAD, padding=0, pad_edge=False)


def _queues(findings: Findings) -> Table:
    table = _sheet(
        "Queues, from the first to the last event",
        "queue",
        *("offered", "answ.", "aband.", "left", "open", "RONA", "done"),
        *("SL", "ASA", "AHT"),
    )
    for row in findings.queues():
        table.add_row(Text(_name(row)), *_cells(row))
    return table


def _name(row: dict[str, Any]) -> str:
    queue, channel = str(row["queue"]), str(row["channel"])
    return queue if channel == "voice" else f"{queue} ({channel})"


def _cells(row: dict[str, Any]) -> list[str]:
    counts = ("offered", "answered", "abandoned", "left")
    open_ = row["waiting"] + row["in_service"]
    return [
        *(str(row[name]) for name in counts),
        str(open_),
        str(row["declined"]),
        str(row["handled"]),
        percent(row["service_level"]),
        duration(row["asa_ms"]),
        duration(row["aht_ms"]),
    ]


def _kinds(findings: Findings) -> Table:
    table = _sheet("Payloads by kind", "kind", "payloads", "events", "not understood")
    for kind, count in sorted(findings.kinds.items()):
        bad = Text(str(count.unread), style="red" if count.unread else "dim")
        table.add_row(Text(kind), str(count.payloads), str(count.events), bad)
    return table


def _oddities(findings: Findings) -> Table:
    table = _plain("Odd")
    table.add_column("what")
    table.add_column("count", justify="right")
    table.add_column("for example", overflow="fold")
    for odd in findings.odd:
        table.add_row(Text(odd.what), str(odd.count), Text(odd.example))
    return table


def _print_unread(console: Console, findings: Findings, name: str) -> None:
    for bad in findings.unread[:SHOWN_LINES]:
        text = f"{name}:{bad.line}: {bad.field}: {bad.reason}"
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    rest = findings.unread_count - min(SHOWN_LINES, len(findings.unread))
    if rest > 0:
        console.print(f"{name}: {rest} more lines cannot be read", soft_wrap=True)
