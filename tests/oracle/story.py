"""The story of one contact (contract, section 2), told from the set of its events."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

from tests.oracle.history import History, Limits

Event = Mapping[str, Any]

TABLE = (
    "contact.queued",
    "contact.offered",
    "contact.declined",
    "contact.answered",
    "contact.held",
    "contact.resumed",
    "contact.released",
    "contact.wrapped",
    "contact.abandoned",
    "contact.left",
    "agent.state",
    "agent.profile",
)
"""The story events in the order of the contract's table."""

ENDINGS = (
    "contact.resumed",
    "contact.released",
    "contact.wrapped",
    "contact.declined",
    "contact.abandoned",
    "contact.left",
)
"""The events that come first in their millisecond if they end something begun before it."""

STORY = frozenset(TABLE[:10])


def key(event: Event) -> bytes:
    """What makes two events one, and the last word in a tie."""
    return json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def table_order(event: Event) -> tuple[int, bytes]:
    return TABLE.index(event["type"]), key(event)


def distinct(events: Iterable[Event]) -> list[Event]:
    return list({key(event): event for event in events}.values())


@dataclass(eq=False)
class Visit:
    """A wait in a queue; `outcome` is answered, abandoned, left, or None while it waits."""

    queue: str
    channel: str
    queued_at: int
    limits: Limits
    outcome: str | None = None
    outcome_at: int | None = None
    reason: str = ""

    @property
    def deadline(self) -> int:
        return self.queued_at + self.limits.stuck

    @property
    def wait(self) -> int:
        assert self.outcome_at is not None
        return self.outcome_at - self.queued_at


@dataclass(eq=False)
class Ring:
    """A visit ringing at an agent from `began` to `ended`."""

    agent: str
    visit: Visit
    began: int
    ended: int | None = None


@dataclass(eq=False)
class Decline:
    visit: Visit
    at: int


@dataclass(eq=False)
class Leg:
    """An agent's part in a contact; talks until released, open until wrapped."""

    agent: str
    queue: str | None
    channel: str
    answered_at: int
    deadline: int
    holds: list[tuple[int, int]] = field(default_factory=list)
    held_since: int | None = None
    released_at: int | None = None
    wrapped_at: int | None = None
    transferred: bool = False
    stuck: bool = False

    @property
    def talks(self) -> bool:
        return self.released_at is None

    @property
    def open(self) -> bool:
        return self.wrapped_at is None

    def resume(self, ts: int) -> None:
        assert self.held_since is not None
        self.holds.append((self.held_since, ts))
        self.held_since = None

    def release(self, ts: int) -> None:
        if self.held_since is not None:
            self.resume(ts)
        self.released_at = ts

    def wrap(self, ts: int) -> None:
        if self.talks:
            self.release(ts)
        self.wrapped_at = ts


class Story:
    """What the events of one contact amount to, once the site's time is `at`.

    `visits`, `rings`, `legs` and `declines` are in the order of the story; `ignored` is the number
    of distinct events that changed nothing.
    """

    def __init__(self, events: Iterable[Event], history: History, at: int) -> None:
        self.history = history
        self.visits: list[Visit] = []
        self.rings: list[Ring] = []
        self.legs: list[Leg] = []
        self.declines: list[Decline] = []
        self.ignored = 0
        known = sorted((e for e in distinct(events) if e["ts"] <= at), key=lambda e: int(e["ts"]))
        self.last_event = known[-1]["ts"] if known else None
        for ts, same in groupby(known, key=lambda e: int(e["ts"])):
            self.lose_what_is_stuck(ts)
            self.millisecond(list(same))
        self.lose_what_is_stuck(at)

    def millisecond(self, events: list[Event]) -> None:
        rest = [e for e in events if e["type"] not in ENDINGS]
        endings = [e for e in events if e["type"] in ENDINGS]
        for e in sorted(endings, key=lambda e: (ENDINGS.index(e["type"]), key(e))):
            # Nothing of this millisecond has begun yet, so what `happens` ends is older.
            if self.may_go_first(e, events) and self.happens(e):
                continue
            rest.append(e)
        for e in sorted(rest, key=table_order):
            if not self.happens(e):
                self.ignored += 1

    def may_go_first(self, event: Event, same_millisecond: list[Event]) -> bool:
        if event["type"] != "contact.declined" or self.ring_of(event["agent"]):
            return True
        return not any(
            e["type"] == "contact.offered" and e["agent"] == event["agent"]
            for e in same_millisecond
        )

    def lose_what_is_stuck(self, now: int) -> None:
        for visit in self.waiting():
            if visit.deadline < now:
                self.close(visit, "left", visit.deadline, "lost")
        for leg in self.legs:
            if leg.open and leg.deadline < now:
                leg.wrap(leg.deadline)
                leg.stuck = True

    def happens(self, event: Event) -> bool:
        """Apply the event; False, and nothing done, if it changes nothing."""
        return EFFECTS[event["type"]](self, event)

    # What there is at this point of the story.

    def waiting(self) -> list[Visit]:
        return [v for v in self.visits if v.outcome is None]

    def waits_in(self, queue: str | None) -> Visit | None:
        return next((v for v in self.waiting() if v.queue == queue), None)

    def queued_last(self) -> Visit | None:
        return next(reversed(self.waiting()), None)

    def ring_of(self, agent: str) -> Ring | None:
        return next((r for r in self.rings if r.agent == agent and r.ended is None), None)

    def open_leg(self, agent: str) -> Leg | None:
        return next((g for g in self.legs if g.agent == agent and g.open), None)

    def talking_leg(self, agent: str) -> Leg | None:
        leg = self.open_leg(agent)
        return leg if leg is not None and leg.talks else None

    @property
    def over(self) -> bool:
        return not self.waiting() and not any(leg.open for leg in self.legs)

    @property
    def end(self) -> int:
        """The last event, or the end of the last visit or leg if that is later."""
        moments = [self.last_event, *(v.outcome_at for v in self.visits)]
        moments += [leg.wrapped_at for leg in self.legs]
        return max(m for m in moments if m is not None)

    # What each event does.

    def close(self, visit: Visit, outcome: str, ts: int, reason: str = "") -> None:
        visit.outcome, visit.outcome_at, visit.reason = outcome, ts, reason
        for ring in self.rings:
            if ring.visit is visit and ring.ended is None:
                ring.ended = ts

    def queued(self, e: Event) -> bool:
        if self.waits_in(e["queue"]):
            return False
        limits = self.history.limits(e["queue"], e["ts"])
        self.visits.append(Visit(e["queue"], e["channel"], e["ts"], limits))
        return True

    def offered(self, e: Event) -> bool:
        visit = self.queued_last()
        if visit is None or self.ring_of(e["agent"]):
            return False
        self.rings.append(Ring(e["agent"], visit, e["ts"]))
        return True

    def declined(self, e: Event) -> bool:
        ring = self.ring_of(e["agent"])
        visit = ring.visit if ring else self.queued_last()
        if visit is None:
            return False
        if ring:
            ring.ended = e["ts"]
        self.declines.append(Decline(visit, e["ts"]))
        return True

    def answered(self, e: Event) -> bool:
        ts, agent = e["ts"], e["agent"]
        before = self.open_leg(agent)
        if before is not None:
            if before.talks:
                return False
            before.wrap(ts)
        ring = self.ring_of(agent)
        if ring:
            ring.ended = ts
        visit = self.waits_in(e.get("queue")) or self.queued_last()
        queue, channel = e.get("queue"), e["channel"]
        if visit is not None:
            self.close(visit, "answered", ts)
            queue, channel = visit.queue, visit.channel
        deadline = ts + self.history.stuck_after(queue, ts)
        self.legs.append(Leg(agent, queue, channel, ts, deadline))
        return True

    def held(self, e: Event) -> bool:
        leg = self.talking_leg(e["agent"])
        if leg is None or leg.held_since is not None:
            return False
        leg.held_since = e["ts"]
        return True

    def resumed(self, e: Event) -> bool:
        leg = self.talking_leg(e["agent"])
        if leg is None or leg.held_since is None:
            return False
        leg.resume(e["ts"])
        return True

    def released(self, e: Event) -> bool:
        leg = self.talking_leg(e["agent"])
        if leg is None:
            return False
        leg.release(e["ts"])
        leg.transferred = e["reason"] == "transferred"
        return True

    def wrapped(self, e: Event) -> bool:
        leg = self.open_leg(e["agent"])
        if leg is None:
            return False
        leg.wrap(e["ts"])
        return True

    def abandoned(self, e: Event) -> bool:
        return self.gone(e, "abandoned")

    def left(self, e: Event) -> bool:
        return self.gone(e, "left", e["reason"])

    def gone(self, e: Event, outcome: str, reason: str = "") -> bool:
        visits = self.waiting()
        if "queue" in e:
            visits = [v for v in visits if v.queue == e["queue"]]
        for visit in visits:
            self.close(visit, outcome, e["ts"], reason)
        return bool(visits)


EFFECTS: Mapping[str, Callable[[Story, Event], bool]] = {
    "contact.queued": Story.queued,
    "contact.offered": Story.offered,
    "contact.declined": Story.declined,
    "contact.answered": Story.answered,
    "contact.held": Story.held,
    "contact.resumed": Story.resumed,
    "contact.released": Story.released,
    "contact.wrapped": Story.wrapped,
    "contact.abandoned": Story.abandoned,
    "contact.left": Story.left,
}
