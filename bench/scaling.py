"""How the engine's cost grows with queues, agents, sites and panes, each varied alone."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.engine import Times, repeat
from bench.report import spread_cells, table
from bench.stats import Spread
from bench.workload import Size, Workload, write_frames

CASES: tuple[tuple[str, Size], ...] = (
    ("20 queues", Size(queues=20, minutes=5)),
    ("200 queues", Size(minutes=5)),
    ("1,000 queues", Size(queues=1000, minutes=5)),
    ("200 agents, 6,000 calls/h", Size(agents=200, calls=6000, minutes=40)),
    ("20,000 agents, 600,000 calls/h", Size(agents=20_000, calls=600_000, minutes=1)),
    ("10 sites of 200 agents, 20 queues", Size(200, 20, 6000, minutes=5, sites=10)),
    ("100 sites of 20 agents, 2 queues", Size(20, 2, 600, minutes=5, sites=100)),
    ("panes of 1 s, 3,600 in the longest window", Size(minutes=5, pane_ms=1000)),
    ("panes of 60 s, 60 in the longest window", Size(minutes=5, pane_ms=60_000)),
)
"""What is not named is as in the second: one site, 2,000 agents, 200 queues, panes of 10 s."""


def run(_: list[Workload], repetitions: int, console: Console) -> list[dict[str, Any]]:
    """Measure every case in a process of its own."""
    found = []
    with tempfile.TemporaryDirectory() as name:
        for words, size in CASES:
            with console.status(words):
                workload = write_frames(size, 0, Path(name) / "frames")
                times = repeat(workload, "as built", "rows", repetitions)
            found.append({"case": words, "frames": workload.words, "times": times})
    console.print(_table(found))
    console.print(
        "CPU time on one core, each event handed over at once, rows made: least / median / "
        "greatest. `apply`: frames already decoded. `changes` and `everything`: one publication "
        "of all the sites, `state`: a whole checkpoint's parts, both at the end of the run.",
        style="dim",
    )
    return found


def _table(found: list[dict[str, Any]]) -> Table:
    columns = ["case", "events", "apply us", "times loads", "changes ms", "everything ms"]
    shown = table("engine: how cost grows", [*columns, "state ms"])
    for one in found:
        times: list[Times] = one["times"]
        shown.add_row(
            one["case"],
            f"{times[0]['events']:,}",
            spread_cells(Spread.of(t["apply_s"] / t["events"] * 1e6 for t in times), 1),
            spread_cells(Spread.of(t["apply_s"] / t["loads_s"] for t in times), 1),
            *(
                spread_cells(Spread.of(t[name] for t in times))
                for name in ("live_ms", "whole_ms", "state_ms")
            ),
        )
    return shown
