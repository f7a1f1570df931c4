"""Three hundred viewers, twenty of whom do not read: `python -m tests.load.viewers`.

The whole system runs at a centre's load. Windows without viewers and windows with them take turns,
so that what the machine does besides falls on both alike.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console

from bench import machine
from pipeline.stack.roles import environment
from tests.load.results import finish
from tests.load.soak import SITE, Load
from tests.load.system import ROOT, Json, System, running_system
from tests.load.watching import MIB, Peaks, usage

WARM_S = 20.0
MOST_BOARD_MIB = 300
MOST_MORE_CORES = 0.05
WORKERS = ("door", "ingest", "agents", "sink", "store")


def _window(system: System, seconds: float, crowd: tuple[int, int]) -> Json:
    """One window: cores of each role, the board's memory, and what the viewers saw."""
    words = ["127.0.0.1", str(system.config.board_port), SITE, *map(str, crowd), str(seconds)]
    before, began = _cpu(system.pids()), time.monotonic()
    with Peaks(system.pids) as peaks:
        done = subprocess.run(
            [sys.executable, "-m", "tests.load.crowd", *words],
            cwd=ROOT, env=environment(system.config), capture_output=True, check=False,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()
    took, after = time.monotonic() - began, _cpu(system.pids())
    cores = {name: round((after[name] - before[name]) / took, 4) for name in before}
    return {
        "viewers": crowd[0],
        "stalled": crowd[1],
        "cores": cores,
        "board_most": peaks.rss["board"],
        **orjson.loads(done.stdout),
    }


def _cpu(pids: Mapping[str, int]) -> dict[str, float]:
    return {name: usage(pid).cpu_s for name, pid in pids.items()}


def watched(
    load: Load, turns: int, seconds: float, crowd: tuple[int, int], folder: Path,
    report: Callable[[Json], None],
) -> Json:  # fmt: skip
    """Run it in a folder; returns the result with its verdicts."""
    before = machine.describe()
    with running_system(folder, 4) as system:
        door = f"127.0.0.1:{system.config.door_port}"
        command = load.command(door, system.settings, folder / "totals.json")
        simulator = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
        try:
            system.until(lambda: system.moment(SITE)["at"], "the site begins")
            time.sleep(WARM_S)
            windows = []
            for turn in range(2 * turns):
                windows.append(_window(system, seconds, crowd if turn % 2 else (0, 0)))
                report(windows[-1])
        finally:
            simulator.kill()
            simulator.wait()
    lines = judged(windows)
    return {
        "machine": before,
        "windows": windows,
        "verdicts": [{"what": what, "holds": holds} for what, holds in lines],
    }


def judged(windows: list[Json]) -> list[tuple[str, bool]]:
    """What must hold of the windows, in words."""
    with_, without = windows[1::2], windows[::2]
    more = workers_cores(with_) - workers_cores(without)
    board = max(window["board_most"] for window in windows) / MIB
    lost = sum(window["lost"] for window in windows)
    return [
        (f"roles but the board use {more:+.3f} cores with viewers, at most "
         f"{MOST_MORE_CORES:+.2f}", more <= MOST_MORE_CORES),
        (f"board: at most {board:.0f} MiB, bound {MOST_BOARD_MIB}", board <= MOST_BOARD_MIB),
        ("no viewer that reads was let go", not lost),
    ]  # fmt: skip


def workers_cores(windows: list[Json]) -> float:
    """Cores that the roles behind the board used, in the mean of windows."""
    each = [sum(window["cores"][name] for name in WORKERS) for window in windows]
    return float(sum(each) / len(each))


def main(
    turns: Annotated[int, typer.Option(help="Windows with viewers, and as many without.")] = 3,
    seconds: Annotated[float, typer.Option(help="Length of a window.")] = 20,
    reading: Annotated[int, typer.Option(help="Viewers that read.")] = 280,
    stalled: Annotated[int, typer.Option(help="Viewers that never read.")] = 20,
    name: Annotated[str, typer.Option(help="Name of the result's file.")] = "viewers-last",
) -> None:
    """Look at a board with many viewers; ends with 1 if anything that must hold does not."""
    console = Console()
    load = Load(minutes=60)
    with tempfile.TemporaryDirectory(prefix="viewers-") as folder:
        result = watched(load, turns, seconds, (reading, stalled), Path(folder), console.print)
    finish(console, result, name)


if __name__ == "__main__":
    typer.run(main)
