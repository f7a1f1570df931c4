"""Counts the events of a simulation anew, from the events alone and as plainly as can be.

It knows only well-formed stories: a contact waits in one queue at a time, legs and rings end in
order. Whatever else it meets is an assertion error, so it checks the simulator's manners as well.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pipeline.simulate.stream import Simulation

Event = dict[str, Any]
Counts = dict[tuple[str, str], Counter[str]]


@dataclass
class Leg:
    """A leg that is talked or wrapped up."""

    key: tuple[str, str]
    answered: int
    held_since: int | None = None
    hold: int = 0
    released: int | None = None


@dataclass
class Recount:
    """The counters of one site. `limits` holds (threshold, short abandon) of each queue, ms."""

    limits: dict[str, tuple[int, int]]
    counts: Counts = field(default_factory=lambda: defaultdict(Counter))
    waiting: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    rings: set[tuple[str, str]] = field(default_factory=set)
    legs: dict[tuple[str, str], Leg] = field(default_factory=dict)

    def read(self, events: Iterable[Event]) -> Counts:
        """Count all events; waits still going on at the last one count as missed if too long."""
        now = 0
        for event in events:
            now = event["ts"]
            handler = getattr(self, "on_" + event["type"].partition(".")[2], None)
            if event["type"].startswith("contact.") and handler:
                handler(event, now)
        for queue, channel, since in self.waiting.values():
            if now - since > self.limits[queue][0]:
                self.counts[queue, channel]["sl_missed"] += 1
        return self.counts

    def on_queued(self, event: Event, now: int) -> None:
        assert event["contact"] not in self.waiting
        self.waiting[event["contact"]] = (event["queue"], event["channel"], now)
        self.counts[event["queue"], event["channel"]]["offered"] += 1

    def on_offered(self, event: Event, now: int) -> None:
        assert event["contact"] in self.waiting
        ring = (event["contact"], event["agent"])
        assert ring not in self.rings
        self.rings.add(ring)

    def on_declined(self, event: Event, now: int) -> None:
        self.rings.remove((event["contact"], event["agent"]))
        queue, channel, _ = self.waiting[event["contact"]]
        self.counts[queue, channel]["declined"] += 1

    def on_answered(self, event: Event, now: int) -> None:
        contact = event["contact"]
        key = (event["queue"], event["channel"])
        self.rings.discard((contact, event["agent"]))
        if contact in self.waiting:
            queue, channel, since = self.waiting.pop(contact)
            assert (queue, channel) == key
            wait = now - since
            self.counts[key].update(answered=1, wait_ms=wait)
            self._outcome(key, wait, "answered_in", "sl_met")
        assert (contact, event["agent"]) not in self.legs
        self.legs[contact, event["agent"]] = Leg(key, now)

    def on_abandoned(self, event: Event, now: int) -> None:
        queue, channel, wait = self._end_wait(event, now)
        self.counts[queue, channel].update(abandoned=1, abandoned_wait_ms=wait)
        self.counts[queue, channel]["abandoned_short"] += wait <= self.limits[queue][1]
        self._outcome((queue, channel), wait, "abandoned_in", "sl_abandoned")

    def on_left(self, event: Event, now: int) -> None:
        queue, channel, wait = self._end_wait(event, now)
        kind = {
            "callback": "left_callback",
            "overflow": "left_overflow",
            "timeout": "left_overflow",
        }
        self.counts[queue, channel][kind.get(event["reason"], "left_other")] += 1
        if wait > self.limits[queue][0]:
            self.counts[queue, channel]["sl_missed"] += 1

    def on_held(self, event: Event, now: int) -> None:
        leg = self._leg(event)
        assert leg.held_since is None
        assert leg.released is None
        leg.held_since = now

    def on_resumed(self, event: Event, now: int) -> None:
        leg = self._leg(event)
        assert leg.held_since is not None
        leg.hold, leg.held_since = leg.hold + now - leg.held_since, None

    def on_released(self, event: Event, now: int) -> None:
        leg = self._leg(event)
        assert leg.released is None
        if leg.held_since is not None:
            leg.hold += now - leg.held_since
        leg.released = now
        self.counts[leg.key]["transferred"] += event["reason"] == "transferred"

    def on_wrapped(self, event: Event, now: int) -> None:
        leg = self.legs.pop((event["contact"], event["agent"]))
        assert leg.released is not None
        talk = leg.released - leg.answered - leg.hold
        self.counts[leg.key].update(
            handled=1, talk_ms=talk, hold_ms=leg.hold, wrap_ms=now - leg.released
        )

    def _leg(self, event: Event) -> Leg:
        return self.legs[event["contact"], event["agent"]]

    def _end_wait(self, event: Event, now: int) -> tuple[str, str, int]:
        queue, channel, since = self.waiting.pop(event["contact"])
        assert queue == event["queue"]
        self.rings = {ring for ring in self.rings if ring[0] != event["contact"]}
        return queue, channel, now - since

    def _outcome(self, key: tuple[str, str], wait: int, inside: str, level: str) -> None:
        if wait <= self.limits[key[0]][0]:
            self.counts[key].update({inside: 1, level: 1})
        else:
            self.counts[key]["sl_missed"] += 1


def recount(simulation: Simulation, events: Iterable[Event], site: str) -> Counts:
    """Count the events of one site by the thresholds of its plan."""
    plan = next(c.plan for c in simulation.centres if c.plan.site == site)
    limits = {queue.id: (queue.threshold_ms, queue.short_abandon_ms) for queue in plan.queues}
    return Recount(limits).read(event for event in events if event["site"] == site)
