"""Who takes part: agents, contacts, the visits they pay to queues and the legs they talk."""

from __future__ import annotations

from pipeline.simulate.plan import QueuePlan, TeamPlan


class Agent:
    """Someone who answers. `free` counts the unused units of the team's concurrency.

    `away_until` and `break_due` (ms) are 0 when the agent is not away and no break is due.
    """

    __slots__ = (
        "away_reason",
        "away_until",
        "break_due",
        "free",
        "id",
        "known",
        "legs",
        "on_shift",
        "rings",
        "said",
        "said_at",
        "signed_in",
        "talking",
        "team",
    )

    def __init__(self, agent_id: str, team: TeamPlan) -> None:
        self.id = agent_id
        self.team = team
        self.free = team.concurrency
        self.legs: list[Leg] = []
        self.rings: list[Visit] = []
        self.talking = 0
        self.on_shift = False
        self.signed_in = False
        self.away_until = 0
        self.away_reason = ""
        self.break_due = 0
        self.known = False
        self.said = ("", "")
        self.said_at = -1

    @property
    def takes_work(self) -> bool:
        """Whether a new contact may be offered, units permitting."""
        return self.signed_in and self.on_shift and not self.away_until and not self.break_due

    @property
    def unoccupied(self) -> bool:
        """Whether neither a ring nor a leg keeps the agent."""
        return self.free == self.team.concurrency

    def units_for(self, queue: QueuePlan) -> int:
        """How much of the agent a contact of that queue takes."""
        return self.team.concurrency if queue.needs_whole_agent else 1


class Contact:
    """A customer's matter, over all its visits and legs. `waited` sums its waits in ms."""

    __slots__ = ("agents", "customer", "hops", "id", "outbound", "priority", "waited")

    def __init__(self, contact_id: str, customer: str, priority: int) -> None:
        self.id = contact_id
        self.customer = customer
        self.priority = priority
        self.outbound = False
        self.agents: list[Agent] = []
        self.hops = 0
        self.waited = 0


class Visit:
    """One wait in one queue; sorts by who is to be served first."""

    __slots__ = ("agent", "contact", "open", "order", "queue", "queued_at", "rings")

    def __init__(self, contact: Contact, queue: QueuePlan, queued_at: int, serial: int) -> None:
        self.contact = contact
        self.queue = queue
        self.queued_at = queued_at
        self.order = (-contact.priority, queued_at, serial)
        self.open = True
        self.agent: Agent | None = None
        self.rings = 0

    def __lt__(self, other: Visit) -> bool:
        return self.order < other.order


class Leg:
    """One agent's part in a contact: talk, holds, wrap-up. Moments are 0 until they come."""

    __slots__ = (
        "agent",
        "answered_at",
        "contact",
        "ends_at",
        "held_since",
        "hold_ms",
        "main",
        "queue",
        "released_at",
        "wrapped",
    )

    def __init__(self, contact: Contact, agent: Agent, queue: QueuePlan, answered_at: int) -> None:
        self.contact = contact
        self.agent = agent
        self.queue = queue
        self.answered_at = answered_at
        self.ends_at = 0
        self.main = True
        self.held_since = 0
        self.hold_ms = 0
        self.released_at = 0
        self.wrapped = False
