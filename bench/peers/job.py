"""The job, in words and in what its results look like. Imports nothing but the standard library.

A day of one site is a file of canonical events, a line each, in the order of `ts`, with a `clock`
event at every edge of ten seconds. At every edge from the first after the first event to the
first that no event is at or after, of the five minutes before it (`[edge - 300 s, edge)`):

- for each queue: contacts offered, answered, answered within 20 s, abandoned, abandoned within 5 s,
  handled (wrapped), and the time of those handled from answer to wrapped in milliseconds. Each is
  counted at the moment it happens. A queue in which nothing happened has no row;
- for the site: milliseconds that agents were busy (a leg from answered to wrapped, or the platform
  says busy or wrap) and idle (no leg and the platform says available), clipped to the window.
  Nobody signed in gives no row.

Results are lines of CSV in any order, in one file or several of one folder:
`edge,queue,` and the seven figures, or `edge,*,` and the two of the site.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

PANE_MS = 10_000
WINDOW_MS = 300_000
PANES = WINDOW_MS // PANE_MS
THRESHOLD_MS = 20_000
SHORT_MS = 5_000
FIGURES = (
    "offered",
    "answered",
    "answered_in",
    "abandoned",
    "abandoned_short",
    "handled",
    "handle_ms",
)
TIMES = ("busy_ms", "idle_ms")
SITE_ROW = "*"

Results = dict[tuple[int, str], tuple[int, ...]]
"""Figures by edge (epoch ms) and queue, or `SITE_ROW`."""


def edge_after(moment: int) -> int:
    """The edge that closes the pane a moment lies in."""
    return moment - moment % PANE_MS + PANE_MS


def line_of(edge: int, queue: str, figures: Iterable[int]) -> str:
    """One row as CSV; the names of queues have neither commas nor quotes."""
    return f"{edge},{queue},{','.join(map(str, figures))}\n"


def read_results(path: Path, last_edge: int) -> Results:
    """All rows up to the last edge that are not all zeros. Raises `ValueError` for a row twice."""
    results: Results = {}
    for line in _lines(path):
        edge, queue, *texts = line.rstrip("\n").split(",")
        figures = tuple(map(int, texts))
        key = (int(edge), queue.strip('"'))
        if not any(figures) or key[0] > last_edge:
            continue
        if key in results:
            raise ValueError(f"{path}: two rows of {key}")
        results[key] = figures
    return results


def _lines(path: Path) -> Iterator[str]:
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    for file in files:
        with file.open() as lines:
            yield from lines


@dataclass(frozen=True, slots=True)
class Difference:
    """How results differ from those expected: counts of rows, and the first of them in words."""

    rows: int
    missing: int
    extra: int
    wrong: int
    first: str

    @property
    def equal(self) -> bool:
        """Whether every row is there, none besides, and every figure the same integer."""
        return not (self.missing or self.extra or self.wrong)


def compare(expected: Results, found: Results, site: bool = True) -> Difference:
    """Hold results against those expected; with `site` False the site's rows are left out."""
    if not site:
        expected, found = _queues_only(expected), _queues_only(found)
    missing = sorted(expected.keys() - found.keys())
    extra = sorted(found.keys() - expected.keys())
    wrong = sorted(k for k in expected.keys() & found.keys() if expected[k] != found[k])
    first = ""
    for key in (missing + extra + wrong)[:1]:
        first = f"{key}: expected {expected.get(key)}, found {found.get(key)}"
    return Difference(len(expected), len(missing), len(extra), len(wrong), first)


def _queues_only(results: Results) -> Results:
    return {key: figures for key, figures in results.items() if key[1] != SITE_ROW}
