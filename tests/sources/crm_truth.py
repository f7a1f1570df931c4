"""What happened in the simulated centre, visit by visit and leg by leg, and what was said of it.

Counted from the happenings themselves, for platforms that tell less than the centre's totals hold.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from pipeline.simulate.happenings import Happening, Kind
from pipeline.simulate.options import Options
from pipeline.simulate.stream import Simulation


@dataclass(frozen=True, slots=True)
class Visit:
    """One wait: its queue, its length in ms, how it ended."""

    queue: str
    wait: int
    end: Kind


@dataclass(frozen=True, slots=True)
class Leg:
    """One agent's finished part; times in ms. `direct`: it came without a wait."""

    queue: str
    direct: bool
    busy: int
    wrap: int
    transferred: bool


@dataclass(slots=True)
class Truth:
    """Ended visits, finished legs, and every happening."""

    visits: list[Visit] = field(default_factory=list)
    legs: list[Leg] = field(default_factory=list)
    happenings: list[Happening] = field(default_factory=list)

    def of(self, kind: Kind) -> list[Happening]:
        """The happenings of a kind."""
        return [one for one in self.happenings if one.kind is kind]

    def resolutions(self) -> Counter[tuple[str, bool]]:
        """What the CRM was told: contact and whether it is resolved."""
        return Counter(
            (one.contact.id, bool(one.facts["resolved"]))
            for one in self.of(Kind.RESOLVED)
            if one.contact is not None and one.facts is not None
        )

    def answers(self, score: str) -> list[int]:
        """The answers that customers gave to one question, sorted."""
        given = [one.facts or {} for one in self.of(Kind.SURVEYED)]
        return sorted(facts[score] for facts in given if score in facts)


def truth_of(options: Options) -> Truth:
    """Simulate the first site again and watch."""
    truth = Truth()
    waiting: dict[str, Happening] = {}
    talking: dict[tuple[str, str], tuple[Happening, Happening | None]] = {}
    for one in Simulation(options).centres[0].happenings():
        truth.happenings.append(one)
        contact = one.contact.id if one.contact else ""
        key = (contact, one.agent.id if one.agent else "")
        if one.kind is Kind.ENQUEUED:
            waiting[contact] = one
        elif one.kind in (Kind.GAVE_UP, Kind.LEFT) or (
            one.kind is Kind.CONNECTED and not one.facts
        ):
            begun = waiting.pop(contact)
            truth.visits.append(Visit(begun.queue, one.at - begun.at, one.kind))
        if one.kind is Kind.CONNECTED:
            talking[key] = (one, None)
        elif one.kind is Kind.HUNG_UP:
            talking[key] = (talking[key][0], one)
        elif one.kind is Kind.WRAPPED_UP:
            answered, ended = talking.pop(key)
            assert ended is not None
            truth.legs.append(
                Leg(
                    answered.queue,
                    bool(answered.facts),
                    ended.at - answered.at,
                    one.at - ended.at,
                    ended.note == "transferred",
                )
            )
    return truth
