"""The table of docs/faults.md, from the results that are kept."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from statistics import median
from typing import Any

RESULTS = Path(__file__).parent / "results"
DOCS = Path(__file__).resolve().parents[2] / "docs" / "faults.md"
BEGIN, END = "<!-- results -->", "<!-- end of results -->"

Run = dict[str, Any]


def write() -> None:
    """Bring the page up to the results."""
    text = DOCS.read_text()
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    DOCS.write_text(f"{head}{BEGIN}\n{results_table()}{END}{tail}")


def results_table() -> str:
    """Both tables as Markdown."""
    found = [json.loads(path.read_text()) for path in sorted(RESULTS.glob("seeds-*.json"))]
    runs = [run for file in found for run in file["runs"]]
    when = ", ".join(sorted({file["when"] for file in found}))
    parts = [_in_all(runs, when), _by_fault(runs), _by_length(runs), *_alone()]
    return "\n\n".join(parts) + "\n"


def _alone() -> list[str]:
    path = RESULTS / "alone.json"
    if not path.exists():
        return []
    lines = [
        "One process killed -9 and nothing else wrong, twice: the age of the oldest board"
        " until all are of now again.\n",
        "| killed | seconds |",
        "|---|---|",
    ]
    for who, ages in json.loads(path.read_text())["ages_s"].items():
        lines.append(f"| {who} | {', '.join(f'{age:.1f}' for age in sorted(ages))} |")
    return ["\n".join(lines)]


def _in_all(runs: list[Run], when: str) -> str:
    right = sum(run["right"] for run in runs)
    seconds = sum(run["load_seconds"] for run in runs)
    return (
        f"{len(runs)} seeds tried, {right} right; {_all(runs, 'raw_records'):,} raw records,"
        f" {_all(runs, 'poison'):,} of them poison or late, {_all(runs, 'frames'):,} frames,"
        f" {_all(runs, 'processes_started'):,} processes started, {seconds / 60:.0f} minutes under"
        f" faults ({when})."
    )


def _by_fault(runs: list[Run]) -> str:
    kinds = sorted({kind for run in runs for kind in run["faults"]})
    lines = ["| fault | times | seeds with it | of them right |", "|---|---|---|---|"]
    for kind in kinds:
        with_it = [run for run in runs if run["faults"].get(kind)]
        times = sum(run["faults"][kind] for run in with_it)
        right = sum(run["right"] for run in with_it)
        lines.append(f"| {kind} | {times} | {len(with_it)} | {right} |")
    return "\n".join(lines)


def _by_length(runs: list[Run]) -> str:
    lines = [
        "| seconds under faults | seeds | all boards of now after the last fault, seconds:"
        " median, most | oldest board meanwhile, seconds: median, most |",
        "|---|---|---|---|",
    ]
    for seconds in sorted({run["load_seconds"] for run in runs}):
        these = [run for run in runs if run["load_seconds"] == seconds]
        alive = _middle_and_most(run["alive_after_s"] for run in these)
        stale = _middle_and_most(run["stalest_board_s"] for run in these)
        lines.append(f"| {seconds:g} | {_seeds(these)} | {alive} | {stale} |")
    return "\n".join(lines)


def _seeds(runs: list[Run]) -> str:
    seeds = sorted(run["seed"] for run in runs)
    return f"{seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else str(seeds[0])


def _middle_and_most(values: Iterable[float]) -> str:
    ordered = sorted(values)
    return f"{median(ordered):.1f}, {ordered[-1]:.1f}"


def _all(runs: list[Run], key: str) -> int:
    return sum(run[key] for run in runs)
