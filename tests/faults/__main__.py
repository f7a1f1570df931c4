"""`make faults`: seeds one after another, each on a new cluster, and a table of what came of it."""

from __future__ import annotations

import argparse
import json
import logging
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console

from tests.faults import table
from tests.faults.alone import WHO, oldest_after_kill
from tests.faults.cluster import Cluster
from tests.faults.report import failure, kept
from tests.faults.run import Result
from tests.faults.scenario import prepared, seeded
from tests.faults.table import RESULTS

console = Console()


def main() -> int:
    """Run the seeds; 1 if one of them went wrong."""
    asked = _arguments()
    # While brokers die the Kafka client of the load says so ten times a second.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("terminated"))
    if asked.seeds == "alone":
        _alone()
        return 0
    found, wrong = [], 0
    for seed in _seeds(asked.seeds):
        result, folder = _run(seed, asked.seconds)
        found.append(kept(result, seed, asked.seconds))
        wrong += bool(result.wrong)
        if asked.keep:
            _keep(found, asked.seconds)
            table.write()
        if result.wrong:
            console.print(f"[red]logs of all processes: {folder}")
    return 1 if wrong else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("seeds", help="7, or 1-20, or alone: kill each role once")
    parser.add_argument("--seconds", type=float, default=60.0, help="how long faults strike")
    parser.add_argument("--keep", action="store_true", help="write results and docs/faults.md")
    return parser.parse_args()


def _seeds(asked: str) -> Iterator[int]:
    first, _, last = asked.partition("-")
    yield from range(int(first), int(last or first) + 1)


def _run(seed: int, seconds: float) -> tuple[Result, Path]:
    workers = 2 + seed % 2
    folder = Path(tempfile.mkdtemp(prefix=f"callboard-faults-{seed}-"))
    console.rule(f"seed {seed}: {seconds:g} s of faults, {workers} workers")
    cluster = Cluster(folder, workers=workers)
    try:
        with console.status("Kafka, store and roles start"):
            cluster.start()
        run = seeded(cluster, seed, seconds)
        console.print(*map(str, run.result.faults), sep="\n", markup=False, highlight=False)
        with console.status("faults strike, then the oracle looks"):
            result = run.go(seconds, all_windows=True)
        console.print(f"[{'red' if result.wrong else 'green'}]{result.summary()}")
        if result.wrong:
            repeat = f"make faults SEED={seed} SECONDS={seconds:g}"
            console.print(failure(result, cluster, repeat), markup=False, highlight=False)
        return result, folder
    finally:
        cluster.close()


def _alone() -> None:
    """Kill each role by itself, twice, and keep how old the boards grew."""
    cluster = Cluster(Path(tempfile.mkdtemp(prefix="callboard-faults-alone-")))
    try:
        cluster.start()
        names = list(prepared(cluster, "alone", []).sites)
        ages = {}
        for who in WHO:
            ages[who] = [round(oldest_after_kill(cluster, who, names), 1) for _ in range(2)]
            console.print(who, ages[who])
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / "alone.json").write_text(json.dumps({**_about(), "ages_s": ages}) + "\n")
        table.write()
    finally:
        cluster.close()


def _keep(found: list[dict[str, Any]], seconds: float) -> None:
    """Written after each seed: a run of hours may be ended in its middle."""
    RESULTS.mkdir(exist_ok=True)
    first, last = found[0]["seed"], found[-1]["seed"]
    path = RESULTS / f"seeds-{first}-to-{last}-{seconds:g}s.json"
    for older in RESULTS.glob(f"seeds-{first}-to-*-{seconds:g}s.json"):
        older.unlink()
    path.write_text(json.dumps({**_about(), "runs": found}, indent=1) + "\n")


def _about() -> dict[str, Any]:
    return {
        "when": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "kafka": "4.4.0, one node",
    }


if __name__ == "__main__":
    sys.exit(main())
