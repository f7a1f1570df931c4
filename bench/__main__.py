"""`python -m bench [PART …]` measures, prints and keeps figures."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from bench import engine, latency, scaling, translate, worker
from bench.machine import describe, load
from bench.workload import Size, Workload, write_frames

RESULTS = Path(__file__).parent / "results"
LIVE_MS, BATCH_MS = 0, 3000
"""How often the source hands over its events: each at once, or what gathered in three seconds."""

_Part = Callable[[list[Workload], int, Console], Any]
PARTS: dict[str, _Part] = {
    "engine": engine.run,
    "scaling": scaling.run,
    "worker": worker.run,
    "translate": translate.run,
    "latency": latency.run,
}


def main() -> None:
    """Run the parts asked for, all by default."""
    options = _options()
    console = Console(width=120)
    result: dict[str, Any] = {"machine": describe()}
    console.print(f"callboard on {result['machine']['words']}", highlight=False)
    with tempfile.TemporaryDirectory() as name:
        size = Size(minutes=options.minutes)
        wanted = options.parts or list(PARTS)
        framed = bool({"engine", "worker"} & set(wanted))
        workloads = _workloads(size, Path(name), console) if framed else []
        result["workloads"] = [workload.words for workload in workloads]
        for part in wanted:
            result[part] = PARTS[part](workloads, options.repetitions, console)
    result["machine"]["load_after"] = load()
    path = RESULTS / f"{options.name}.json"
    path.write_bytes(orjson.dumps(result, option=orjson.OPT_INDENT_2) + b"\n")
    console.print(f"kept in {path}", highlight=False)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description="speed, as ratios of one run")
    parser.add_argument("parts", nargs="*", help=f"of {', '.join(PARTS)}; default: all")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--minutes", type=int, default=30, help="of the simulated centre's day")
    parser.add_argument("--name", default="last", help="name of the file in bench/results")
    options = parser.parse_args()
    for part in set(options.parts) - set(PARTS):
        parser.error(f"{part!r} is none of {', '.join(PARTS)}")
    return options


def _workloads(size: Size, folder: Path, console: Console) -> list[Workload]:
    made = []
    for handover_ms in (LIVE_MS, BATCH_MS):
        with console.status(f"simulating {size}"):
            made.append(write_frames(size, handover_ms, folder / f"{handover_ms}.frames"))
        console.print(made[-1].words, highlight=False)
    return made


if __name__ == "__main__":
    main()
