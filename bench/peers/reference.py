"""The job by hand: the bare loop that gives the results all others are held against.

It does the job and nothing else: no late or repeated events, no other windows, no state to recover.
It shares no code with the engine and none with the peers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any, TextIO

import orjson

from bench.peers.job import (
    FIGURES,
    PANE_MS,
    PANES,
    SHORT_MS,
    SITE_ROW,
    THRESHOLD_MS,
    edge_after,
    line_of,
)
from bench.peers.process import main

OFFERED, ANSWERED, ANSWERED_IN, ABANDONED, SHORT, HANDLED, HANDLE_MS = range(len(FIGURES))
_NONE, _BUSY, _IDLE = -1, 0, 1
_PLATFORM = {"busy": _BUSY, "wrap": _BUSY, "available": _IDLE}


class _Trailing:
    """The sum of the last thirty panes."""

    def __init__(self, width: int) -> None:
        self.open = [0] * width
        self.sum = [0] * width
        self.closed: deque[list[int]] = deque()

    def close(self) -> list[int]:
        self.closed.append(self.open)
        self.sum = [a + b for a, b in zip(self.sum, self.open, strict=True)]
        if len(self.closed) > PANES:
            gone = self.closed.popleft()
            self.sum = [a - b for a, b in zip(self.sum, gone, strict=True)]
        self.open = [0] * len(self.open)
        return self.sum


class _Loop:
    def __init__(self, out: TextIO) -> None:
        self.out = out
        self.edge = 0
        self.visits: dict[tuple[str, str], int] = {}
        self.legs: dict[tuple[str, str], tuple[int, str]] = {}
        self.queues: dict[str, _Trailing] = {}
        self.site = _Trailing(2)
        self.agents: dict[str, list[int]] = {}  # legs, what the platform says, what counts
        self.present = [0, 0]

    def run(self, lines: Iterable[bytes]) -> int:
        count = 0
        for line in lines:
            event = orjson.loads(line)
            while event["ts"] >= self.edge:
                self._close(event["ts"])
            self._take(event, event["type"])
            count += 1
        self._close(self.edge)
        return count

    def _close(self, ts: int) -> None:
        if not self.edge:
            self.edge = edge_after(ts)
            return
        for queue, trailing in self.queues.items():
            figures = trailing.close()
            if any(figures):
                self.out.write(line_of(self.edge, queue, figures))
        figures = self.site.close()
        if any(figures):
            self.out.write(line_of(self.edge, SITE_ROW, figures))
        self.edge += PANE_MS
        self.site.open = [n * PANE_MS for n in self.present]

    def _take(self, event: dict[str, Any], kind: str) -> None:
        ts = event["ts"]
        if kind == "contact.queued":
            key = (event["contact"], event["queue"])
            if key not in self.visits:
                self.visits[key] = ts
                self._queue(event["queue"])[OFFERED] += 1
        elif kind == "contact.answered":
            self._answered(event, ts)
        elif kind == "contact.wrapped":
            self._wrapped(event, ts)
        elif kind == "contact.abandoned":
            since = self.visits.pop((event["contact"], event["queue"]), None)
            if since is not None:
                figures = self._queue(event["queue"])
                figures[ABANDONED] += 1
                figures[SHORT] += ts - since <= SHORT_MS
        elif kind == "contact.left":
            self.visits.pop((event["contact"], event["queue"]), None)
        elif kind == "agent.state":
            agent = self.agents.setdefault(event["agent"], [0, _NONE, _NONE])
            agent[1] = _PLATFORM.get(event["state"], _NONE)
            self._settle(agent, ts)

    def _answered(self, event: dict[str, Any], ts: int) -> None:
        since = self.visits.pop((event["contact"], event["queue"]), None)
        if since is not None:
            figures = self._queue(event["queue"])
            figures[ANSWERED] += 1
            figures[ANSWERED_IN] += ts - since <= THRESHOLD_MS
        key = (event["contact"], event["agent"])
        if key not in self.legs:
            self.legs[key] = (ts, event["queue"])
            self._leg(event["agent"], 1, ts)

    def _wrapped(self, event: dict[str, Any], ts: int) -> None:
        leg = self.legs.pop((event["contact"], event["agent"]), None)
        if leg is not None:
            figures = self._queue(leg[1])
            figures[HANDLED] += 1
            figures[HANDLE_MS] += ts - leg[0]
            self._leg(event["agent"], -1, ts)

    def _leg(self, name: str, step: int, ts: int) -> None:
        agent = self.agents.setdefault(name, [0, _NONE, _NONE])
        agent[0] += step
        self._settle(agent, ts)

    def _settle(self, agent: list[int], ts: int) -> None:
        now = _BUSY if agent[0] else agent[1]
        if now == agent[2]:
            return
        for state, step in ((agent[2], -1), (now, 1)):
            if state != _NONE:
                self.present[state] += step
                self.site.open[state] += step * (self.edge - ts)
        agent[2] = now

    def _queue(self, name: str) -> list[int]:
        trailing = self.queues.get(name)
        if trailing is None:
            trailing = self.queues[name] = _Trailing(len(FIGURES))
        return trailing.open


def run(events: str, results: str) -> int:
    """Read a day, write the results; how many events it had."""
    with open(events, "rb") as lines, open(results, "w") as out:
        return _Loop(out).run(lines)


if __name__ == "__main__":
    main(run)
