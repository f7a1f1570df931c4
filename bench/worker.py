"""Kafka to results by one worker, beside a plain loop that makes the same results."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.contest import Contest, hold
from bench.report import spread_cells, table
from bench.stats import Spread
from bench.workload import Workload, read_frames

CONTENDERS = ("plain", "worker")
AIM = 0.6


def run(workloads: list[Workload], repetitions: int, console: Console) -> list[dict[str, Any]]:
    """Run both in turns on every workload."""
    results = []
    for workload in workloads:
        frames = read_frames(workload.path)
        held: list[Contest] = []
        for number in range(repetitions):
            for contender in CONTENDERS:
                with console.status(f"{contender}, run {number + 1}"):
                    held.append(hold(contender, frames, workload.events))
        console.print(_table(workload, held))
        _say_whether_equal(held, console)
        results.append({"frames": workload.words, "runs": [asdict(one) for one in held]})
    console.print(
        "Thousand events a second from preloaded frames until the board of the last one is sent: "
        "by CPU seconds of the process, and by the clock, least / median / greatest. One process "
        "on one core, the broker on another. Included: fetch, decode, engine, rows made and sent, "
        "the board's last state; for the worker also Faust, checkpoints, its page. Ratio: of the "
        f"two runs next to each other, aim {AIM}.",
        style="dim",
    )
    return results


def _table(workload: Workload, held: list[Contest]) -> Table:
    shown = table(f"worker, {workload.words}", ["", "k/s by CPU", "k/s by the clock"])
    rates = {name: [one for one in held if one.contender == name] for name in CONTENDERS}
    for name, runs in rates.items():
        cpu = Spread.of(one.events / one.cpu_s / 1000 for one in runs)
        wall = Spread.of(one.events / one.wall_s / 1000 for one in runs)
        shown.add_row(name, spread_cells(cpu, 1), spread_cells(wall, 1))
    pairs = list(zip(rates["plain"], rates["worker"], strict=True))
    by_cpu = Spread.of(plain.cpu_s / worker.cpu_s for plain, worker in pairs)
    by_clock = Spread.of(plain.wall_s / worker.wall_s for plain, worker in pairs)
    shown.add_row("ratio", spread_cells(by_cpu, 2), spread_cells(by_clock, 2), style="bold")
    return shown


def _say_whether_equal(held: list[Contest], console: Console) -> None:
    for name in ("rows", "board"):
        if len({getattr(one, name) for one in held}) > 1:
            console.print(f"the {name} of these runs are NOT the same", style="bold red")
