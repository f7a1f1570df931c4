"""The job's arithmetic as plain functions of a key's state, for peers that are given Python to run.

Imports nothing but the standard library: a peer's own environment has nothing of callboard's. What
a peer adds is what it is chosen for: keys, state, windows, time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bench.peers.job import (
    FIGURES,
    PANE_MS,
    PANES,
    SHORT_MS,
    THRESHOLD_MS,
    edge_after,
)

OFFERED, ANSWERED, ANSWERED_IN, ABANDONED, SHORT, HANDLED, HANDLE_MS = range(len(FIGURES))
WIDTH = len(FIGURES)
NONE, BUSY, IDLE = -1, 0, 1
PLATFORM = {"busy": BUSY, "wrap": BUSY, "available": IDLE}
CONTACT_TYPES = frozenset(
    f"contact.{kind}" for kind in ("queued", "answered", "abandoned", "left", "wrapped")
)
AGENT_TYPES = frozenset(("contact.answered", "contact.wrapped", "agent.state"))

Event = dict[str, Any]
Count = tuple[str, int, tuple[int, ...]]
"""A queue, a moment, and what is added to the queue's figures at it."""
Change = tuple[int, int, int]
"""A moment, and by how many the busy and the idle agents become more at it."""

_ADDED = {
    "offered": (1, 0, 0, 0, 0, 0, 0),
    "in": (0, 1, 1, 0, 0, 0, 0),
    "out": (0, 1, 0, 0, 0, 0, 0),
    "short": (0, 0, 0, 1, 1, 0, 0),
    "gone": (0, 0, 0, 1, 0, 0, 0),
}


class Contact:
    """Where a contact waits and who talks to it."""

    __slots__ = ("legs", "waiting")

    def __init__(self) -> None:
        self.waiting: dict[str, int] = {}
        self.legs: dict[str, tuple[int, str]] = {}

    def take(self, event: Event) -> Iterator[Count]:
        """What an event counts. Events of a contact are given in order."""
        kind, ts = event["type"], event["ts"]
        if kind == "contact.wrapped":
            leg = self.legs.pop(event["agent"], None)
            if leg is not None:
                yield leg[1], ts, (0, 0, 0, 0, 0, 1, ts - leg[0])
            return
        queue = event["queue"]
        if kind == "contact.queued":
            if queue not in self.waiting:
                self.waiting[queue] = ts
                yield queue, ts, _ADDED["offered"]
            return
        since = self.waiting.pop(queue, None)
        if kind == "contact.answered":
            self.legs.setdefault(event["agent"], (ts, queue))
            if since is not None:
                yield queue, ts, _ADDED["in" if ts - since <= THRESHOLD_MS else "out"]
        elif kind == "contact.abandoned" and since is not None:
            yield queue, ts, _ADDED["short" if ts - since <= SHORT_MS else "gone"]

    def done(self) -> bool:
        """Whether nothing waits and nobody talks."""
        return not (self.waiting or self.legs)


class Agent:
    """How many legs an agent has and what the platform says."""

    __slots__ = ("legs", "platform", "state")

    def __init__(self) -> None:
        self.legs: set[str] = set()
        self.platform = self.state = NONE

    def take(self, event: Event) -> Iterator[Change]:
        """How an event changes the number of busy and idle agents."""
        kind = event["type"]
        if kind == "agent.state":
            self.platform = PLATFORM.get(event["state"], NONE)
        elif kind == "contact.answered":
            self.legs.add(event["contact"])
        else:
            self.legs.discard(event["contact"])
        now, before = BUSY if self.legs else self.platform, self.state
        if now != before:
            self.state = now
            yield event["ts"], _step(now, before, BUSY), _step(now, before, IDLE)


def _step(now: int, before: int, state: int) -> int:
    return (now == state) - (before == state)


class Trailing:
    """Thirty panes of ten seconds: additions in any order within `slack_ms`, sums out at edges."""

    def __init__(self, width: int, slack_ms: int = 0) -> None:
        self.slack_ms = slack_ms
        self.panes: dict[int, list[int]] = {}
        self.sum = [0] * width
        self.edge = 0
        self.newest = 0

    def add(self, ts: int, amounts: tuple[int, ...]) -> None:
        """Add at a moment whose pane is not closed yet."""
        edge = edge_after(ts)
        pane = self.panes.get(edge)
        if pane is None:
            pane = self.panes[edge] = [0] * len(self.sum)
            if not self.edge or edge < self.edge:
                self.edge = edge
        for i, amount in enumerate(amounts):
            if amount:
                pane[i] += amount
        if ts > self.newest:
            self.newest = ts

    def closed(self, until: int | None = None) -> Iterator[tuple[int, list[int]]]:
        """Edges that are due with their sums; up to `until`, or what the newest moment closes."""
        limit = self.newest - self.slack_ms if until is None else until
        while self.edge and self.edge <= limit:
            self._close()
            if any(self.sum):
                yield self.edge - PANE_MS, list(self.sum)

    def _close(self) -> None:
        pane = self.panes.get(self.edge)
        if pane is not None:
            self.sum = [a + b for a, b in zip(self.sum, pane, strict=True)]
        gone = self.panes.pop(self.edge - PANES * PANE_MS, None)
        if gone is not None:
            self.sum = [a - b for a, b in zip(self.sum, gone, strict=True)]
        self.edge += PANE_MS


class Presence(Trailing):
    """Busy and idle milliseconds of a site from changes of who is there."""

    def __init__(self, slack_ms: int = 0) -> None:
        super().__init__(2, slack_ms)
        self.present = [0, 0]
        self.steps: dict[int, list[int]] = {}

    def change(self, change: Change) -> None:
        """Take one change of an agent."""
        ts, busy, idle = change
        edge = edge_after(ts)
        steps = self.steps.setdefault(edge, [0, 0])
        steps[0] += busy
        steps[1] += idle
        self.add(ts, (busy * (edge - ts), idle * (edge - ts)))

    def _close(self) -> None:
        # Who was there when the pane began is there all of it; the changes within are added.
        carried = [n * PANE_MS for n in self.present]
        pane = self.panes.setdefault(self.edge, [0, 0])
        self.panes[self.edge] = [a + b for a, b in zip(pane, carried, strict=True)]
        steps = self.steps.pop(self.edge, [0, 0])
        self.present = [a + b for a, b in zip(self.present, steps, strict=True)]
        super()._close()
