"""What docs/load.md shows: `python -m tests.load.report` prints tables and draws the memory.

It reads the results that are kept beside it; nothing is measured here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from tests.load.results import FOLDER
from tests.load.system import ROOT, Json
from tests.load.trends import RSS
from tests.load.watching import MIB

DRAWING = ROOT / "docs" / "img" / "soak-memory.svg"
_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 760, 380, 46, 110, 16, 34
_COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd", "#ff7f0e", "#17becf", "#8c564b", "#7f7f7f")
_GAP = 13

Line = tuple[str, Sequence[tuple[float, float]]]


def drawing(lines: Sequence[Line], across: str, up: str) -> str:
    """An SVG of lines over one another, each named at its end; both scales begin at 0."""
    most_x = max(x for _, points in lines for x, _ in points) or 1
    most_y = _round_up(max(y for _, points in lines for _, y in points) or 1)
    wide, high = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        return round(_LEFT + x / most_x * wide, 1), round(_TOP + high - y / most_y * high, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="11" fill="#444">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
    ]
    for step in range(6):
        x, y = place(most_x * step / 5, most_y * step / 5)
        parts += [
            f'<path d="M{_LEFT} {y}H{_LEFT + wide}" stroke="#ddd"/>',
            f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{most_y * step / 5:.0f}</text>',
            f'<text x="{x}" y="{_HEIGHT - 18}" text-anchor="middle">{most_x * step / 5:.0f}</text>',
        ]
    parts += _lines(lines, place)
    parts.append(
        f'<text x="{_LEFT + wide / 2}" y="{_HEIGHT - 3}" text-anchor="middle">{across}</text>'
    )
    parts.append(f'<text x="4" y="11">{up}</text></svg>')
    return "\n".join(parts) + "\n"


def _lines(lines: Sequence[Line], place: Any) -> list[str]:
    parts = []
    ordered = sorted(lines, key=lambda line: -line[1][-1][1])
    names = _apart([place(*points[-1])[1] + 4 for _, points in ordered])
    for number, (name, points) in enumerate(ordered):
        colour = _COLOURS[number % len(_COLOURS)]
        path = " ".join("{},{}".format(*place(x, y)) for x, y in points)
        x, _ = place(*points[-1])
        parts.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        )
        parts.append(f'<text x="{x + 6}" y="{names[number]}" fill="{colour}">{name}</text>')
    return parts


def _apart(places: list[float]) -> list[float]:
    """Where names are written, from the top: none over another, none below the lowest line."""
    lowest = _HEIGHT - _BOTTOM
    for i in range(1, len(places)):
        places[i] = max(places[i], places[i - 1] + _GAP)
    for i in reversed(range(len(places))):
        places[i] = min(places[i], lowest - _GAP * (len(places) - 1 - i))
    return places


def _round_up(value: float) -> float:
    """To the next of 1, 2 or 5 times a power of ten, times five."""
    unit = 1.0
    while unit * 50 < value:
        unit *= 10
    return next(unit * step for step in (5, 10, 15, 20, 25, 30, 40, 50) if unit * step >= value)


def memory(result: Json) -> str:
    """The memory of every process over the minutes of a soak."""
    names = dict.fromkeys(name for sample in result["samples"] for name in sample["processes"])
    lines = [
        (name, [
            (sample["t"] / 60, sample["processes"][name][RSS] / MIB)
            for sample in result["samples"] if sample["processes"].get(name, [0])[RSS]
        ])
        for name in names
    ]  # fmt: skip
    return drawing(lines, "minutes", "MiB")


def soak_table(result: Json) -> list[str]:
    """Memory, slope, descriptors and CPU of each process."""
    rows = ["| | MiB first | last | most | MiB/h, warm | descriptors, warm | cores |",
            "|---|---|---|---|---|---|---|"]  # fmt: skip
    for name, found in result["summary"]["processes"].items():
        sizes = " | ".join(
            f"{found[key] / MIB:.0f}" for key in ("rss_first", "rss_last", "rss_most")
        )
        fds = f"{found['fds_first']:.0f} → {found['fds_last']:.0f}"
        rows.append(
            f"| {name} | {sizes} | {found['rss_slope_mib_h']:+.0f} | {fds} | {found['cores']:.2f} |"
        )
    return rows


def recovery_table(result: Json) -> list[str]:
    """Checkpoints, changelogs and times of each centre."""
    rows = ["| | " + " | ".join(one["centre"] for one in result["centres"]) + " |", "|---|---|---|"]
    for words, read in _RECOVERY:
        rows.append(f"| {words} | " + " | ".join(read(one) for one in result["centres"]) + " |")
    return rows


def _usual(found: Json, key: str, unit: float) -> str:
    values = [one[key] / unit for one in found["checkpoints"] if one["live"]] or [0.0]
    return f"{sum(values) / len(values):,.2f}"


def _full(found: Json) -> str:
    """An owner's first checkpoint, after the kill if one was seen there."""
    last = [one for one in found["checkpoints"] if one["full"]][-1:]
    return "".join(
        f"{one['bytes'] / MIB:.1f} MiB, {one['parts']:.0f}, {one['seconds']:.1f} s" for one in last
    )


_RECOVERY: tuple[tuple[str, Any], ...] = (
    ("events read before", lambda one: f"{one['first']['events']:,.0f}"),
    ("whole state, MiB", lambda one: f"{one['state']['bytes'] / MIB:.1f}"),
    ("state records", lambda one: f"{one['state']['records']:,}"),
    ("largest state record, KiB", lambda one: f"{one['state']['largest'] / 1024:.0f}"),
    ("largest live record, KiB", lambda one: f"{max(one['largest_live'].values()) / 1024:.0f}"),
    ("a checkpoint, MiB", lambda one: _usual(one, "bytes", MIB)),
    ("its sets", lambda one: _usual(one, "parts", 1)),
    ("its seconds", lambda one: _usual(one, "seconds", 1)),
    ("an owner's first checkpoint", _full),
    ("changelogs on disk at the kill, MiB",
     lambda one: f"{one['before_kill']['changelog_bytes'] / MIB:.1f}"),
    ("page answers after, s", lambda one: f"{one['back']['page_s']:.1f}"),
    ("state recovered after, s", lambda one: f"{one['back']['recovered_s']:.1f}"),
    ("all frames read after, s", lambda one: f"{one['back']['caught_up_s']:.1f}"),
    ("memory before the kill, MiB", lambda one: f"{one['before_kill']['rss'] / MIB:.0f}"),
    ("memory in the end, MiB", lambda one: f"{one['after']['rss'] / MIB:.0f}"),
)  # fmt: skip


def _read(name: str) -> Json | None:
    path: Path = FOLDER / f"{name}.json"
    return orjson.loads(path.read_bytes()) if path.exists() else None


def main() -> None:
    """Print the tables of all results that are there."""
    console = Console(soft_wrap=True, highlight=False)
    if soak := _read("soak-hour"):
        DRAWING.write_text(memory(soak))
        console.print("\n".join(soak_table(soak)))
        for key in ("age_ms", "lag_records", "lag_frames", "lag_rows", "parts", "checkpoints"):
            console.print(f"{key}: {soak['summary'][key]}")
        console.print(f"warm from minute {soak['summary']['warm_from_s'] / 60:.0f}")
        console.print(f"changelog bytes an event: {soak['changelog_bytes_per_event']}")
    if recovery := _read("recovery"):
        console.print("\n".join(recovery_table(recovery)))
    for name in ("soak-hour", "overload", "viewers", "recovery"):
        for verdict in (_read(name) or {"verdicts": []})["verdicts"]:
            console.print(f"{name}: {'holds' if verdict['holds'] else 'NOT'}: {verdict['what']}")


if __name__ == "__main__":
    main()
