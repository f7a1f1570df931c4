"""Where an agent's time goes: its own events with the legs and rings of contacts laid over them."""

from collections.abc import Iterable
from typing import NamedTuple

from tests.oracle.story import Event, Leg, Ring, distinct, table_order

TIMES = {
    "talk": "talk_ms",
    "hold": "hold_ms",
    "wrap": "wrap_ms",
    "busy": "busy_state_ms",
    "ringing": "ringing_ms",
    "available": "available_ms",
    "not_ready": "not_ready_ms",
}
"""The states that have time, and its name; offline has none."""


class Spell(NamedTuple):
    """The agent was in `state`, in `team`, from `start` to `end`."""

    start: int
    end: int
    team: str
    state: str


class Agent:
    """One agent as known at the site's time `at`."""

    def __init__(
        self, events: Iterable[Event], legs: list[Leg], rings: list[Ring], at: int
    ) -> None:
        known = [e for e in distinct(events) if e["ts"] <= at]
        self.events = sorted(known, key=lambda e: (e["ts"], table_order(e)))
        self.legs = legs
        self.rings = rings
        self.at = at

    def spells(self) -> list[Spell]:
        moments = sorted({*self.changes(), self.at})
        found = []
        for start, end in zip(moments, moments[1:], strict=False):
            state = self.state(start)
            if state is not None:
                found.append(Spell(start, end, self.team(start), state))
        return found

    def changes(self) -> list[int]:
        """Every moment up to `at` at which the state or the team may change."""
        moments: list[int | None] = [e["ts"] for e in self.events]
        for leg in self.legs:
            moments += [leg.answered_at, leg.released_at, leg.wrapped_at, leg.held_since]
            moments += [moment for hold in leg.holds for moment in hold]
        for ring in self.rings:
            moments += [ring.began, ring.ended]
        return [m for m in moments if m is not None and m <= self.at]

    def team(self, moment: int) -> str:
        teams = [e["team"] for e in self.events if e["ts"] <= moment and "team" in e]
        return str(teams[-1]) if teams else ""

    def state(self, moment: int) -> str | None:
        """None while the agent does not count: no word from the platform and no leg."""
        legs = [leg for leg in self.legs if is_on(leg.answered_at, leg.wrapped_at, moment)]
        talking = [g for g in legs if is_on(g.answered_at, g.released_at, moment)]
        if any(not is_held(leg, moment) for leg in talking):
            return "talk"
        if talking:
            return "hold"
        if legs:
            return "wrap"
        said = [e["state"] for e in self.events if e["type"] == "agent.state" and e["ts"] <= moment]
        if not said:
            return None
        if said[-1] == "available" and any(is_on(r.began, r.ended, moment) for r in self.rings):
            return "ringing"
        return str(said[-1])


def is_on(start: int, end: int | None, moment: int) -> bool:
    return start <= moment and (end is None or moment < end)


def is_held(leg: Leg, moment: int) -> bool:
    if leg.held_since is not None and leg.held_since <= moment:
        return True
    return any(start <= moment < end for start, end in leg.holds)
