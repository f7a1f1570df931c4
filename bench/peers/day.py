"""The day of the job: a simulated centre's events in a file, with a clock event at every edge."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson

from bench.peers.job import PANE_MS, edge_after
from bench.workload import SITE
from pipeline.simulate.options import MINUTE, Options
from pipeline.simulate.stream import Simulation


@dataclass(frozen=True, slots=True)
class Day:
    """A file of events and the last edge at which there are results."""

    path: Path
    events: int
    minutes: int
    last_edge: int


def write_day(
    path: Path, minutes: int, agents: int = 400, queues: int = 20, calls: int | None = None
) -> Day:
    """Simulate a centre for so many minutes; the same arguments give the same file.

    `calls` is how many arrive in the busiest hour; by default what the agents can do.
    """
    options = Options(
        agents=agents,
        queues=queues,
        calls_per_hour=calls,
        duration_ms=minutes * MINUTE,
        site=SITE,
    )
    count = last = 0
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as out:
        for ts, payload in _with_clock(options):
            out.write(payload + b"\n")
            count, last = count + 1, ts
    fresh.replace(path)
    return Day(path, count, minutes, edge_after(last))


def _with_clock(options: Options) -> Iterator[tuple[int, bytes]]:
    edge = 0
    for record in Simulation(options).records():
        edge = edge or edge_after(record.at)
        while edge <= record.at:
            yield edge, orjson.dumps({"type": "clock", "site": SITE, "ts": edge})
            edge += PANE_MS
        yield record.at, record.payload
