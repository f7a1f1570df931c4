"""The job by callboard's own engine, as `callboard replay` runs it: frames of decoded events.

The figures are read from the engine's rolling sums where the board's publication reads them. The
engine does far more than the job: stories that may be told anew, today and total, twenty counters
for each queue and channel, who waits and for how long, what each agent does. Of its four rolling
windows only the one that is looked at is moved on.
"""

from __future__ import annotations

import sys
from bisect import bisect_left
from collections.abc import Iterator
from operator import add, itemgetter
from typing import Any, BinaryIO, TextIO

import orjson

from agents_stream.engines import spare_collector
from bench.peers.job import (
    FIGURES,
    PANE_MS,
    SHORT_MS,
    SITE_ROW,
    THRESHOLD_MS,
    edge_after,
    line_of,
)
from bench.peers.process import main
from bench.workload import SITE
from pipeline.engine import Site
from pipeline.engine.cells import QueueCell
from schemas.frames import Frame
from schemas.kpis import COUNTERS, TEAM_TIMES
from schemas.settings import SiteSettings, parse_site

Event = dict[str, Any]

FRAME_EVENTS = 500
BLOCK_BYTES = 65_536
_DAYS_MS = 7 * 86_400_000
_FIVE_MINUTES = 0


def _places(names: tuple[str, ...], *wanted: str) -> itemgetter[Any]:
    return itemgetter(*(names.index(name) for name in wanted))


_COUNTED = _places(COUNTERS, *FIGURES[:-1], "talk_ms", "hold_ms", "wrap_ms")
_BUSY = _places(TEAM_TIMES, "talk_ms", "hold_ms", "wrap_ms", "busy_state_ms")
_IDLE = _places(TEAM_TIMES, "available_ms", "ringing_ms")


class Callboard:
    """The engine, and its results at every edge; with `rows` the rows of the store too."""

    def __init__(self, out: TextIO, rows: bool = False) -> None:
        self.site = Site(job_settings(), rows=rows)
        self.out = out
        self.rows = rows
        self.offset = self.taken = 0

    def run(self, lines: BinaryIO) -> int:
        """Take a day, write the results; how many events it had."""
        edge = 0
        for event_edge, events in _panes(lines):
            while edge and edge < event_edge:
                self._look(edge)
                edge += PANE_MS
            edge = event_edge
            for low in range(0, len(events), FRAME_EVENTS):
                self._apply(events[low : low + FRAME_EVENTS])
        self._look(edge)
        return self.taken

    def _apply(self, events: list[Event]) -> None:
        offsets = list(range(self.taken, self.taken + len(events)))
        raw = (0, offsets[0], offsets[-1])
        frame = Frame(SITE, 0, events[0]["ts"], raw, events=events, offsets=offsets)
        changes = self.site.apply(frame, self.offset)
        if self.rows:
            orjson.dumps(changes.rows)
        self.offset += 1
        self.taken += len(events)

    def _look(self, edge: int) -> None:
        self.site.advance(edge)
        self.site.settle()
        self._write_queues(edge)
        self._write_site(edge)

    def _write_queues(self, edge: int) -> None:
        queues: dict[str, tuple[int, ...]] = {}
        for cell in self.site.ledger.books.cells.values():
            figures = _figures(cell, edge)
            known = queues.get(cell.queue)  # the same queue in another channel
            queues[cell.queue] = figures if known is None else tuple(map(add, known, figures))
        for queue, figures in queues.items():
            if any(figures):
                self.out.write(line_of(edge, queue, figures))

    def _write_site(self, edge: int) -> None:
        times = [0, 0]
        for team in self.site.ledger.books.teams.values():
            for vector in (team.window(_FIVE_MINUTES, edge, PANE_MS), team.open):
                times[0] += sum(_BUSY(vector))
                times[1] += sum(_IDLE(vector))
        if any(times):
            self.out.write(line_of(edge, SITE_ROW, times))


def job_settings() -> SiteSettings:
    """The settings under which callboard's figures are those of the job."""
    limits = {"threshold_ms": THRESHOLD_MS, "short_abandon_ms": SHORT_MS}
    return parse_site({"site": SITE, "stuck_after_ms": _DAYS_MS, "defaults": limits}, "peers")


def _figures(cell: QueueCell, edge: int) -> tuple[int, ...]:
    """The job's counters in five minutes."""
    counted = _COUNTED(cell.so_far(_FIVE_MINUTES, edge, PANE_MS))
    offered, answered, in_time, abandoned, short, handled, talk, hold, wrap = counted
    return offered, answered, in_time, abandoned, short, handled, talk + hold + wrap


def _panes(lines: BinaryIO) -> Iterator[tuple[int, list[Event]]]:
    """The decoded events of each pane that has any, with the edge that closes it.

    Lines are in the order of time.
    """
    rest: list[Event] = []
    for block in _blocks(lines):
        rest += block
        last = edge_after(rest[-1]["ts"])
        while (edge := edge_after(rest[0]["ts"])) < last:
            place = bisect_left(rest, edge, key=itemgetter("ts"))
            yield edge, rest[:place]
            del rest[:place]
    if rest:
        yield edge_after(rest[0]["ts"]), rest


def _blocks(lines: BinaryIO) -> Iterator[list[Event]]:
    """Events decoded many at a time, as those of a frame are."""
    while block := lines.read(BLOCK_BYTES) + lines.readline():
        yield orjson.loads(b"[%b]" % block.rstrip().replace(b"\n", b","))


def run(events: str, results: str) -> int:
    """Read a day, write the results; how many events it had."""
    with open(events, "rb") as lines, open(results, "w") as out:
        return Callboard(out, rows="--rows" in sys.argv).run(lines)


if __name__ == "__main__":
    spare_collector()  # as the worker does
    main(run)
