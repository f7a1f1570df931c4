"""The legs of a simulated centre, from what happened in it: what a queue's platform can know of."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pipeline.simulate.happenings import Happening, Kind
from pipeline.simulate.options import Options
from pipeline.simulate.stream import Simulation


@dataclass(slots=True)
class SimLeg:
    """One agent's part. `direct`: nobody waited, so a queue knows nothing of it. Moments in ms."""

    queue: str
    channel: str
    direct: bool
    answered: int
    held_since: int = 0
    hold: int = 0
    released: int = 0
    wrapped: int = 0
    transferred: bool = False

    @property
    def talk(self) -> int:
        """Without holds."""
        return self.released - self.answered - self.hold


def simulated_legs(options: Options) -> list[SimLeg]:
    """All legs, in the order of their answers; 0 for what has not come by the end."""
    centre = Simulation(replace(options, platform="")).centres[0]
    legs: list[SimLeg] = []
    open_legs: dict[tuple[str, str], SimLeg] = {}
    for happening in centre.happenings():
        if happening.contact is None or happening.agent is None:
            continue
        key = happening.contact.id, happening.agent.id
        if happening.kind is Kind.CONNECTED:
            direct = bool(happening.facts)
            leg = SimLeg(happening.queue, happening.note, direct, happening.at)
            open_legs[key] = leg
            legs.append(leg)
        elif key in open_legs:
            _note(open_legs[key], happening)
    return legs


def _note(leg: SimLeg, happening: Happening) -> None:
    at = happening.at
    if happening.kind is Kind.HELD:
        leg.held_since = at
    elif happening.kind is Kind.RETRIEVED:
        leg.hold, leg.held_since = leg.hold + at - leg.held_since, 0
    elif happening.kind is Kind.HUNG_UP:
        leg.hold += at - leg.held_since if leg.held_since else 0
        leg.released, leg.transferred = at, happening.note == "transferred"
    elif happening.kind is Kind.WRAPPED_UP:
        leg.wrapped = at
