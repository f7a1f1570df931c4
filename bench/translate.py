"""Translation of every platform's payloads, validation included, on one core.

The simulator writes a centre in each platform's format; one translator reads it from its first
payload to its last, as ingest does. What happens around it (the topic, framing, hashing of
customers) is left out.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from bench.report import spread_cells, table
from bench.stats import Spread
from bench.workload import Workload
from pipeline.simulate.options import MINUTE, Options
from pipeline.simulate.platforms import platform_writers
from pipeline.simulate.stream import Simulation
from pipeline.sources import SOURCES, BadLine, Source
from pipeline.sources.source import Unread

CENTRE = Options(agents=400, queues=20, calls_per_hour=9000, duration_ms=15 * MINUTE, seed=7)
AIM = 30_000
"""Payloads a second on one core, of platforms that speak JSON."""
AIMS = {"asterisk-queue-log": 100_000}
_LEAST_S = 0.2


@dataclass(frozen=True, slots=True)
class Pass:
    """Payloads of a capture read once or more, what came of them, and the CPU seconds."""

    payloads: int
    events: int
    unread: int
    seconds: float


def run(_: list[Workload], repetitions: int, console: Console) -> list[dict[str, Any]]:
    """Measure every source that has a writer."""
    writers, found = platform_writers(), []
    for name, source in sorted(SOURCES.items()):
        if name in writers:
            with console.status(f"translating {name}"):
                found.append(measure(source, CENTRE, repetitions))
    shown = table(
        f"translation: {CENTRE.agents} agents, {CENTRE.queues} queues",
        ["source", "payloads", "k payloads/s", "k events/s", "of the aim"],
    )
    for one in found:
        payloads, events = _rates(one)
        shares = Spread.of(rate * 1000 / one["aim"] for rate in payloads)
        cells = [f"{one['payloads']:,}", spread_cells(Spread.of(payloads), 1)]
        shown.add_row(
            one["source"], *cells, spread_cells(Spread.of(events), 1), spread_cells(shares, 2)
        )
    console.print(shown)
    for one in found:
        if one["unread"]:
            console.print(f"{one['source']}: {one['unread']} payloads were not read")
    console.print(
        "Per CPU second on one core: least / median / greatest of the repetitions. Aim: "
        f"{AIM:,} payloads a second, {AIMS['asterisk-queue-log']:,} for asterisk-queue-log.",
        style="dim",
    )
    return found


def measure(source: Source, centre: Options, repetitions: int) -> dict[str, Any]:
    """What a source's translator does with a simulated centre, so many times."""
    payloads = payloads_of(source.name, centre)
    passes = [translate(source, payloads) for _ in range(repetitions)]
    return {
        "source": source.name,
        "aim": AIMS.get(source.name, AIM),
        "payloads": len(payloads),
        "bytes": sum(map(len, payloads)),
        "unread": sum(one.unread for one in passes),
        "passes": [
            {"payloads": one.payloads, "events": one.events, "seconds": one.seconds}
            for one in passes
        ],
    }


def payloads_of(name: str, centre: Options) -> list[bytes]:
    """A centre's day in a platform's payloads, taken out of its capture."""
    records = Simulation(replace(centre, platform=name)).records()
    items = SOURCES[name].payloads(record.payload + b"\n" for record in records)
    return [item[1] for item in items if not isinstance(item, BadLine)]


def translate(source: Source, payloads: list[bytes], least_s: float = _LEAST_S) -> Pass:
    """Translate all payloads, again and again from the beginning for at least so long."""
    read = events = unread = 0
    seconds = 0.0
    while seconds < least_s:
        translator = source.begin("bench", {})
        begun = time.process_time()
        for payload in payloads:
            try:
                events += len(translator.translate(payload))
            except Unread:
                unread += 1
        seconds += time.process_time() - begun
        read += len(payloads)
    return Pass(read, events, unread, seconds)


def _rates(one: dict[str, Any]) -> tuple[list[float], list[float]]:
    passes = one["passes"]
    return (
        [each["payloads"] / each["seconds"] / 1000 for each in passes],
        [each["events"] / each["seconds"] / 1000 for each in passes],
    )
