"""The plan of a centre: its queues, teams, agents and shifts, before anything happens."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random

from pipeline.simulate.options import HOUR, MINUTE, Options


@dataclass(frozen=True, slots=True)
class Spread:
    """A lognormal duration given by its mean (ms) and its coefficient of variation."""

    mean: float
    cv: float

    @property
    def sigma(self) -> float:
        """Standard deviation of the logarithm."""
        return math.sqrt(math.log(1.0 + self.cv * self.cv))

    @property
    def mu(self) -> float:
        """Mean of the logarithm."""
        return math.log(self.mean) - self.sigma**2 / 2.0

    def scaled(self, factor: float) -> Spread:
        """The same shape with another mean."""
        return Spread(self.mean * factor, self.cv)


class Draw:
    """Draws whole milliseconds from a `Spread`, between `least` and `most`."""

    __slots__ = ("_least", "_most", "_mu", "_sigma")

    def __init__(self, spread: Spread, least: int = 1, most: int = 3 * HOUR) -> None:
        self._mu, self._sigma = spread.mu, spread.sigma
        self._least, self._most = least, most

    def __call__(self, rng: Random) -> int:
        drawn = int(math.exp(self._mu + self._sigma * rng.gauss(0.0, 1.0)))
        return min(max(drawn, self._least), self._most)


@dataclass(frozen=True, slots=True)
class QueuePlan:
    """A queue: what waits there, for how long, and what handling it takes. Times are ms.

    `patience` None means that nobody gives up (e-mail, callbacks). `overflow_to` names the queue
    that takes over after `overflow_ms`; `callback_to` the one that callers may choose to be called
    back from; `exit_ms` is when the system ends the wait with `exit_reason`. `per_hour` is the
    rate of new contacts where `shape`, the 48 half-hours of the local day, is 1.
    """

    id: str
    name: str
    channel: str
    per_hour: float
    talk: Spread
    wrap: Spread | None
    patience: Spread | None
    patience_exponential: bool
    ring: Spread
    ring_limit_ms: int
    threshold_ms: int
    short_abandon_ms: int
    stuck_after_ms: int
    target: float
    hold_share: float
    transfer_to: tuple[str, ...]
    transfer_share: float
    conference_share: float
    overflow_to: str
    overflow_ms: int
    callback_to: str
    callback_share: float
    exit_ms: int
    exit_reason: str
    shape: tuple[float, ...]

    @property
    def needs_whole_agent(self) -> bool:
        """Chats share an agent; everything else takes all of one."""
        return self.channel != "chat"

    @property
    def handle_ms(self) -> float:
        """Mean talk, hold and wrap-up of a leg."""
        wrap = self.wrap.mean if self.wrap else 0.0
        return self.talk.mean + self.hold_share * HOLD.mean + wrap


HOLD = Spread(45_000, 0.8)


@dataclass(frozen=True, slots=True)
class TeamPlan:
    """A team with one set of skills. `concurrency` is how many chats an agent takes at once."""

    id: str
    name: str
    queues: tuple[str, ...]
    concurrency: int


@dataclass(frozen=True, slots=True)
class Shift:
    """A working day in minutes after local midnight; it may run past the next one."""

    starts: int
    ends: int
    breaks: tuple[tuple[int, int], ...]
    """Start (minutes after local midnight) and length (minutes)."""


@dataclass(frozen=True, slots=True)
class AgentPlan:
    """An agent: name, team and the shift worked every day."""

    id: str
    team: str
    shift: Shift


@dataclass(frozen=True, slots=True)
class CentrePlan:
    """A site as it is before anything happens. `seed_text` seeds its random numbers."""

    site: str
    name: str
    seed_text: str
    options: Options
    queues: tuple[QueuePlan, ...]
    teams: tuple[TeamPlan, ...]
    agents: tuple[AgentPlan, ...]

    def queue(self, queue_id: str) -> QueuePlan:
        """The queue of that name; raises `KeyError`."""
        for queue in self.queues:
            if queue.id == queue_id:
                return queue
        raise KeyError(queue_id)


RONA_PAUSE = Spread(60_000, 0.6)
"""How long an agent who missed a ring stays not ready."""
SIGN_IN_SPREAD_MS = 4 * MINUTE
"""Agents sign in and out within this time after the shift's edge."""
