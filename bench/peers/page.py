"""The figures in docs/peers.md, written from the results that are kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.peers.contenders import BATCH, CALLBOARD, SIZES
from bench.stats import Spread

PAGE = Path(__file__).parents[2] / "docs" / "peers.md"
BEGIN, END = "<!-- figures: make peers writes them -->\n", "<!-- end of figures -->\n"
_HEAD = (
    "| | part | thousand events/CPU s | CPU: times callboard's rate "
    "| thousand events/s by the clock | cores used | MB | equal |\n"
    "|---|---|---|---|---|---|---|---|\n"
)

Json = dict[str, Any]


def write_figures(kept: Json) -> None:
    """Put the figures of these results into the page; raises `ValueError` without its marks."""
    before, rest = PAGE.read_text().split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(before + BEGIN + figures(kept) + END + after)


def figures(kept: Json) -> str:
    """Tables of all sizes, the longest first, each with who is faster; then the versions."""
    sizes = [size for size in reversed(SIZES) if size in kept["sizes"]]
    tables = "\n".join(_table(kept["sizes"][size]) for size in sizes)
    versions = ", ".join(f"{name} {version}" for name, version in kept["versions"].items())
    return f"\n{tables}\nVersions: {versions}.\n\n"


def rate(one: Json, seconds: str = "cpu_s") -> Spread:
    """Events a second, by `cpu_s` or `wall_s`."""
    return _spread(one, lambda run: run["events"] / run[seconds])


def is_right(one: Json) -> bool:
    """Whether every row of every run was there, none besides, and every figure equal."""
    found = [run["difference"] for run in one["runs"]]
    return not any(each["missing"] or each["extra"] or each["wrong"] for each in found)


def _spread(one: Json, figure: Callable[[Json], float]) -> Spread:
    return Spread.of(figure(run) for run in one["runs"])


def _table(measured: Json) -> str:
    contenders: Json = measured["contenders"]
    base = rate(contenders[CALLBOARD]).median
    by_rate = sorted(contenders, key=lambda name: -rate(contenders[name]).median)
    minutes, events, written = (f"{measured[name]:,}" for name in ("minutes", "events", "rows"))
    title = f"### {minutes} minutes: {events} events, {written} rows"
    repetitions = max(len(one["runs"]) for one in contenders.values())
    engine, machine = measured["engine"], measured["machine"]["words"]
    told = f"Repetitions: {repetitions}. callboard's engine: {engine}. Machine: {machine}."
    rows = "".join(_row(name, contenders[name], base) for name in by_rate)
    return f"{title}\n\n{told}\n{_faster(by_rate, contenders)}\n\n{_HEAD}{rows}"


def _faster(by_rate: list[str], contenders: Json) -> str:
    before = by_rate[: by_rate.index(CALLBOARD)]
    if not before:
        return "By CPU nobody is faster than callboard here."
    names = ", ".join(f"{name}{_batch(contenders[name])}" for name in before)
    return f"By CPU faster than callboard here: {names}."


def _batch(one: Json) -> str:
    return " (batch)" if one["mode"] == BATCH else ""


def _row(name: str, one: Json, base: float) -> str:
    shown = f"**{name}**" if name == CALLBOARD else name + _batch(one)
    cores = _spread(one, lambda run: run["cpu_s"] / run["wall_s"]).median
    memory = _spread(one, lambda run: run["rss_mb"]).median
    cells = [
        shown,
        one["part"],
        _thousands(rate(one)),
        f"{rate(one).median / base:.2f}",
        _thousands(rate(one, "wall_s")),
        f"{cores:.1f}",
        f"{memory:,.0f}",
        "yes" if is_right(one) else "**no**",
    ]
    return f"| {' | '.join(cells)} |\n"


def _thousands(spread: Spread) -> str:
    values = [value / 1000 for value in (spread.least, spread.median, spread.greatest)]
    return " / ".join(f"{value:,.0f}" if value >= 20 else f"{value:.2g}" for value in values)
