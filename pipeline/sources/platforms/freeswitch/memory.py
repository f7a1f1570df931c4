"""What the translator of FreeSWITCH remembers, all of it JSON, each part bounded by count."""

from __future__ import annotations

from typing import Any, TypedDict

import orjson

from pipeline.sources.fitting import fit

MOST = 20_000
"""Entries of each part; the oldest is forgotten."""
LONGEST_MS = 86_400_000
"""Waits and talks that began longer ago have ended unseen."""
KEPT_MS = 900_000
"""How long an end is remembered, so that an event delivered again does not begin anew."""


class Told(TypedDict):
    """The status and the state of an agent, each with its moment, and what was said of them."""

    status: str
    status_at: int
    state: str
    state_at: int
    said: str


class Leg(TypedDict):
    """An agent's talk; `channel` is the uuid of the agent's channel."""

    at: int
    channel: str
    held: bool


class Resync(TypedDict):
    """The lists that a collector fetches after it has connected at `at`."""

    at: int
    waiting: list[str]
    talking: list[list[str]]


_PARTS = ("ended", "agents", "bridging", "legs", "visits")
"""What is kept, that first which is missed least; the channels are told by the legs."""


class Memory:
    """The parts by name, each a dict whose oldest entry comes first."""

    def __init__(self) -> None:
        self.visits: dict[str, list[Any]] = {}
        """By contact: queue and moment."""
        self.legs: dict[str, dict[str, Leg]] = {}
        """By contact and agent."""
        self.channels: dict[str, list[str]] = {}
        """By the agent's channel: contact and agent."""
        self.bridging: dict[str, list[Any]] = {}
        """By agent: contact, queue, moment and channel of an answer that is not yet a bridge."""
        self.agents: dict[str, Told] = {}
        self.ended: dict[str, int] = {}
        self.resync: Resync | None = None

    def begin_wait(self, contact: str, queue: str, ts: int) -> None:
        """Somebody waits."""
        keep(self.visits, contact, [queue, ts])
        while self.visits[oldest := next(iter(self.visits))][1] < ts - LONGEST_MS:
            del self.visits[oldest]

    def begin_leg(self, contact: str, agent: str, at: int, channel: str) -> None:
        """Somebody talks."""
        legs = self.legs.setdefault(contact, {})
        legs[agent] = Leg(at=at, channel=channel, held=False)
        if channel:
            self.channels[channel] = [contact, agent]
        oldest = next(iter(self.legs))
        since = max(leg["at"] for leg in self.legs[oldest].values())
        if len(self.legs) > MOST or since < at - LONGEST_MS:
            for who in list(self.legs[oldest]):
                self._forget_leg(oldest, who)

    def end_leg(self, contact: str, agent: str, ts: int) -> None:
        """A talk is over, unless it began later than `ts`."""
        leg = self.legs.get(contact, {}).get(agent)
        if leg is not None and leg["at"] <= ts:
            self._forget_leg(contact, agent)
        self.end(leg_key(contact, agent), ts)

    def _forget_leg(self, contact: str, agent: str) -> None:
        leg = self.legs[contact].pop(agent)
        if not self.legs[contact]:
            del self.legs[contact]
        if self.channels.get(leg["channel"]) == [contact, agent]:
            del self.channels[leg["channel"]]

    def end_wait(self, contact: str, queue: str, ts: int) -> None:
        """A wait is over, unless it began later than `ts`."""
        visit = self.visits.get(contact)
        if visit is not None and visit[0] == queue and visit[1] <= ts:
            del self.visits[contact]
        self.end(wait_key(contact, queue), ts)

    def end(self, key: str, ts: int) -> None:
        """Remember that something is over."""
        keep(self.ended, key, ts)
        while self.ended:
            oldest = next(iter(self.ended))
            if self.ended[oldest] > ts - KEPT_MS:
                return
            del self.ended[oldest]

    def dump(self) -> dict[str, Any]:
        """The parts that hold something."""
        parts: dict[str, Any] = {
            name: dict(getattr(self, name)) for name in _PARTS if getattr(self, name)
        }
        within = list(parts.values())
        if self.resync is not None:
            parts["resync"] = self.resync
        return fit(parts, [*within, parts])

    def load(self, parts: dict[str, Any]) -> None:
        """Take over what `dump` gave."""
        for name, part in orjson.loads(orjson.dumps(parts)).items():
            setattr(self, name, part)
        for contact, legs in self.legs.items():
            for agent, leg in legs.items():
                if leg["channel"]:
                    self.channels[leg["channel"]] = [contact, agent]


def keep(part: dict[str, Any], key: str, value: Any) -> None:
    """Put an entry last; the oldest goes if there are too many."""
    part.pop(key, None)
    part[key] = value
    if len(part) > MOST:
        del part[next(iter(part))]


def wait_key(contact: str, queue: str) -> str:
    """The name of a wait in `ended`."""
    return f"{contact}\n\n{queue}"


def leg_key(contact: str, agent: str) -> str:
    """The name of a leg in `ended`."""
    return f"{contact}\n{agent}"
