"""What the AMI translator remembers: who waits, who talks, who is a member, what is yet to be told.

All of it is JSON, so that it can be kept as it is. Every part is bounded by count; what ends is
kept a while, so that an event delivered again does not begin it anew.
"""

from __future__ import annotations

from typing import Any, TypedDict

import orjson

from pipeline.sources.fitting import fit

MOST = 20_000
"""Entries of each part; the oldest is forgotten."""
KEPT_MS = 900_000
"""How long an end is remembered."""
LONGEST_MS = 86_400_000
"""Waits and talks that began longer ago have ended unseen."""
SIGN_MS = 60_000
"""How long a sign of what is about to be told is remembered."""


class Visit(TypedDict):
    """A caller in a queue. `left` is when he left it without a word of why, 0 while he has not."""

    queue: str
    at: int
    rings: list[str]
    left: int


class Leg(TypedDict):
    """An agent's talk. `own_holds`: its holds are told by the channel, not by the device.

    `link` is the linked id if the agent's own channel is behind the one that is known, else empty.
    """

    queue: str
    at: int
    channel: str
    link: str
    held: bool
    own_holds: bool


class Resync(TypedDict):
    """An answer to QueueStatus that is coming in, for the gap that ended at `at`.

    `waiting` are its contacts, `in_call` by agent the queues of a call it is in.
    """

    at: int
    waiting: list[str]
    in_call: dict[str, list[str]]


Parts = dict[str, Any]

_PARTS = (
    "busy",
    "hangups",
    "ended",
    "said",
    "members",
    "legs",
    "visits",
    "leaving",
    "gone",
    "pending",
    "wrapping",
)
"""What is kept, that first which is missed least; the rest is told by the legs."""


class Memory:
    """The parts by name, each a dict whose oldest entry comes first."""

    def __init__(self) -> None:
        self.visits: dict[str, Visit] = {}
        self.leaving: dict[str, int] = {}
        """Callers who left while somebody rang for them."""
        self.legs: dict[str, dict[str, Leg]] = {}
        """By contact and agent."""
        self.talks: dict[str, list[str]] = {}
        """By agent: the contacts of its legs."""
        self.channels: dict[str, list[str]] = {}
        """The agent's channel: contact and agent."""
        self.links: dict[str, list[str]] = {}
        """The linked id of a call, if the agent was reached over a Local channel: the same."""
        self.members: dict[str, dict[str, list[Any]]] = {}
        """By agent and queue: when last told (microseconds), Status, whether paused, why."""
        self.said: dict[str, str] = {}
        """The state last said of each agent."""
        self.hangups: dict[str, int] = {}
        """Channels whose party hung up."""
        self.gone: dict[str, int] = {}
        """Channels that are no more, with something still open."""
        self.busy: dict[str, int] = {}
        """Agents' channels that were busy."""
        self.ended: dict[str, int] = {}
        """Waits and talks that are over, by `wait_key` and `leg_key`."""
        self.pending: dict[str, list[Any]] = {}
        """Legs whose wrap-up may yet begin: release, contact, agent."""
        self.wrapping: dict[str, dict[str, int]] = {}
        """By agent: contacts in wrap-up."""
        self.resync: Resync | None = None
        self.calls = False
        """Whether events of the class `call` come in."""

    def begin_visit(self, contact: str, visit: Visit) -> None:
        """Somebody waits."""
        self.leaving.pop(contact, None)
        keep(self.visits, contact, visit)
        while self.visits[oldest := next(iter(self.visits))]["at"] < visit["at"] - LONGEST_MS:
            del self.visits[oldest]
        while self.leaving and (first := next(iter(self.leaving))) not in self.visits:
            del self.leaving[first]

    def end_visit(self, contact: str, queue: str, ts: int) -> None:
        """A wait is over, unless it began later than `ts`."""
        visit = self.visits.get(contact)
        if visit is not None and visit["queue"] == queue and visit["at"] <= ts:
            del self.visits[contact]
            self.leaving.pop(contact, None)
        keep_moment(self.ended, wait_key(contact, queue), ts, KEPT_MS)

    def begin_leg(self, contact: str, agent: str, leg: Leg) -> None:
        """Somebody talks."""
        self.legs.setdefault(contact, {})[agent] = leg
        self._index_leg(contact, agent, leg)
        oldest = next(iter(self.legs))
        since = max(one["at"] for one in self.legs[oldest].values())
        if len(self.legs) > MOST or since < leg["at"] - LONGEST_MS:
            for who in list(self.legs[oldest]):
                self._forget_leg(oldest, who)

    def _index_leg(self, contact: str, agent: str, leg: Leg) -> None:
        self.talks.setdefault(agent, []).append(contact)
        if leg["channel"]:
            self.channels[leg["channel"]] = [contact, agent]
        if leg["link"]:
            self.links[leg["link"]] = [contact, agent]

    def end_leg(self, contact: str, agent: str, ts: int) -> None:
        """A talk is over, unless it began later than `ts`."""
        leg = self.legs.get(contact, {}).get(agent)
        if leg is not None and leg["at"] <= ts:
            self._forget_leg(contact, agent)
        keep_moment(self.ended, leg_key(contact, agent), ts, KEPT_MS)

    def _forget_leg(self, contact: str, agent: str) -> None:
        leg = self.legs[contact].pop(agent)
        if not self.legs[contact]:
            del self.legs[contact]
        self.talks[agent].remove(contact)
        if not self.talks[agent]:
            del self.talks[agent]
        for part, name in ((self.channels, leg["channel"]), (self.links, leg["link"])):
            if part.get(name) == [contact, agent]:
                del part[name]

    def dump(self) -> Parts:
        """The parts that hold something."""
        parts: Parts = {name: dict(getattr(self, name)) for name in _PARTS if getattr(self, name)}
        within = list(parts.values())
        if self.resync is not None:
            parts["resync"] = self.resync
        if self.calls:
            parts["calls"] = True
        return fit(parts, [*within, parts])

    def load(self, parts: Parts) -> None:
        """Take over what `dump` gave."""
        for name, part in orjson.loads(orjson.dumps(parts)).items():
            setattr(self, name, part)
        for contact, legs in self.legs.items():
            for agent, leg in legs.items():
                self._index_leg(contact, agent, leg)


def keep(part: dict[str, Any], key: str, value: Any) -> None:
    """Put an entry last; the oldest goes if there are too many."""
    part.pop(key, None)
    part[key] = value
    if len(part) > MOST:
        del part[next(iter(part))]


def keep_moment(part: dict[str, int], key: str, ts: int, age: int) -> None:
    """Put a moment last, and forget those that are older by `age`."""
    keep(part, key, ts)
    while part:
        oldest = next(iter(part))
        if part[oldest] > ts - age:
            return
        del part[oldest]


def leg_key(contact: str, agent: str) -> str:
    """The name of a leg in `ended` and `pending`."""
    return f"{contact}\n{agent}"


def wait_key(contact: str, queue: str) -> str:
    """The name of a wait in `ended`."""
    return f"{contact}\n\n{queue}"
