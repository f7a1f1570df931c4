"""`python -m bench.peers`: measures, holds results against the reference, prints, keeps figures."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from bench.machine import describe, load
from bench.peers.contenders import REFERENCE, SIZES, Contender, contenders_of, words_of
from bench.peers.day import Day, write_day
from bench.peers.environments import BUILD, Unavailable
from bench.peers.job import Results, read_results
from bench.peers.measure import Failed, Run, measure
from bench.peers.page import PAGE, write_figures
from bench.peers.reference import run as run_by_hand
from bench.peers.report import table_of, versions
from pipeline.engine import COMPILED

RESULTS = Path(__file__).parents[1] / "results" / "peers.json"


def main() -> None:
    """Measure the sizes asked for, all by default; sizes measured earlier keep their figures."""
    options = _options()
    console = Console(width=130)
    kept = orjson.loads(RESULTS.read_bytes()) if RESULTS.exists() else {"sizes": {}}
    machine = describe()
    console.print(f"callboard and its peers on {machine['words']}", highlight=False)
    for size in options.sizes or list(SIZES):
        measured = _measure_size(size, options.repetitions, options.only, console)
        measured["machine"] = {**machine, "load_after": load()}
        if options.only:
            console.print(table_of(size, measured))
            continue
        kept["sizes"][size] = _added(kept["sizes"].get(size), measured) if options.add else measured
        console.print(table_of(size, kept["sizes"][size]))
    if options.only:
        return
    kept["versions"] = versions()
    RESULTS.write_bytes(orjson.dumps(kept, option=orjson.OPT_INDENT_2) + b"\n")
    write_figures(kept)
    console.print(f"kept in {RESULTS} and {PAGE}", highlight=False)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.peers", description="one job, callboard and peers")
    parser.add_argument("sizes", nargs="*", help=f"of {', '.join(SIZES)}; default: all")
    parser.add_argument("--repetitions", type=int, default=3)
    parser.add_argument("--add", action="store_true", help="to the runs that are kept already")
    parser.add_argument("--only", default="", help="a part of the names of peers; nothing is kept")
    options = parser.parse_args()
    for size in set(options.sizes) - set(SIZES):
        parser.error(f"{size!r} is none of {', '.join(SIZES)}")
    return options


def _measure_size(size: str, repetitions: int, only: str, console: Console) -> dict[str, Any]:
    day, expected = _day(size, console)
    wanted, out = _set_up(contenders_of(size, only), console)
    runs: dict[str, list[Run]] = {one.name: [] for one in wanted}
    for number in range(repetitions):
        for one in wanted:
            if one.name in out:
                continue
            with console.status(f"{size}, {number + 1} of {repetitions}: {one.name}"):
                try:
                    runs[one.name].append(measure(one, day, expected))
                except Failed as why:
                    out[one.name] = str(why)
    contenders = {
        one.name: {
            "mode": one.mode,
            "part": "all" if one.site else "queues",
            "cores": "all" if one.wide else "one",
            "kafka": one.kafka,
            "runs": [asdict(run) for run in runs[one.name]],
        }
        for one in wanted
        if one.name not in out
    }
    return {
        "minutes": day.minutes,
        "events": day.events,
        "engine": "compiled" if COMPILED else "plain Python",
        "rows": len(expected),
        "contenders": contenders,
        "left_out": out,
    }


def _added(kept: dict[str, Any] | None, measured: dict[str, Any]) -> dict[str, Any]:
    """The runs kept of a size and the new ones of the same contenders on the same day."""
    if kept is None or any(kept[name] != measured[name] for name in ("events", "engine")):
        return measured
    for name, one in measured["contenders"].items():
        if name in kept["contenders"]:
            one["runs"] = kept["contenders"][name]["runs"] + one["runs"]
    return measured


def _day(size: str, console: Console) -> tuple[Day, Results]:
    BUILD.mkdir(parents=True, exist_ok=True)
    with console.status(f"simulating {SIZES[size]} minutes"):
        day = write_day(BUILD / f"{size}.ndjson", SIZES[size])
        place = BUILD / f"{size}.{REFERENCE.replace(' ', '-')}.csv"
        run_by_hand(str(day.path), str(place))
    return day, read_results(place, day.last_edge)


def _set_up(wanted: list[Contender], console: Console) -> tuple[list[Contender], dict[str, str]]:
    """Make the environments; those that cannot be had are left out with the reason."""
    out: dict[str, str] = {}
    for one in wanted:
        with console.status(f"setting up {one.name}"):
            try:
                words_of(one, Path(), Path())
            except Unavailable as why:
                out[one.name] = str(why)
    return wanted, out


if __name__ == "__main__":
    main()
