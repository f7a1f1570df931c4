"""The engine alone, compiled and as plain Python, beside `orjson.loads` of the same frames."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from bench.report import spread_cells, table
from bench.stats import Spread
from bench.workload import Workload

Times = dict[str, Any]
BUILDS = {"as built": "", "plain Python": "python"}


def run(workloads: list[Workload], repetitions: int, console: Console) -> list[dict[str, Any]]:
    """Measure every build with and without rows on every workload."""
    results = []
    for workload in workloads:
        found = [
            _measured(workload, build, rows, repetitions, console)
            for build in BUILDS
            for rows in ("rows", "no rows")
        ]
        console.print(_table(workload, found))
        results += found
    console.print(
        "Thousand events per CPU second on one core: least / median / greatest of the repetitions. "
        "`apply`: frames already decoded. `with decode`: from bytes. `times loads`: how many times "
        "`orjson.loads` of the same bytes takes. Rows: what goes to the store is made, not sent.",
        style="dim",
    )
    return results


def _measured(
    workload: Workload, build: str, rows: str, repetitions: int, console: Console
) -> dict[str, Any]:
    with console.status(f"engine, {build}, {rows}"):
        times = repeat(workload, build, rows, repetitions)
    return {
        "frames": workload.words,
        "build": "compiled" if times[0]["compiled"] else "plain Python",
        "rows": rows,
        "times": times,
    }


def repeat(workload: Workload, build: str, rows: str, repetitions: int) -> list[Times]:
    """What `bench.engine_process` measures, so many times; `build` is one of `BUILDS`."""
    command = [sys.executable, "-m", "bench.engine_process", str(workload.path), rows]
    done = subprocess.run(
        [*command, str(repetitions)],
        env={**os.environ, "CALLBOARD_ENGINE": BUILDS[build]},
        stdout=subprocess.PIPE,
        check=True,
    )
    return [orjson.loads(line) for line in done.stdout.splitlines()]


def _table(workload: Workload, found: list[dict[str, Any]]) -> Table:
    shown = table(
        f"engine: {workload.framing}",
        ["build", "rows", "loads k/s", "apply k/s", "with decode k/s", "times loads", "changes ms"],
    )
    for one in found:
        times: list[Times] = one["times"]
        cells = [
            spread_cells(_of(times, lambda t: t["events"] / t["loads_s"] / 1000)),
            spread_cells(_of(times, lambda t: t["events"] / t["apply_s"] / 1000)),
            spread_cells(_of(times, lambda t: t["events"] / (t["apply_s"] + t["decode_s"]) / 1000)),
            spread_cells(_of(times, lambda t: t["apply_s"] / t["loads_s"]), 1),
            spread_cells(_of(times, lambda t: t["live_ms"])),
        ]
        shown.add_row(one["build"], one["rows"], *cells)
    return shown


def _of(times: list[Times], figure: Callable[[Times], float]) -> Spread:
    return Spread.of(figure(one) for one in times)
