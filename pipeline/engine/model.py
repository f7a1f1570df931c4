"""What a story is made of: visits, legs, rings, declines and the segments they lay over an agent.

These are plain records without behaviour. Moments are integer milliseconds since the epoch;
``OPEN`` stands for a moment that has not come yet.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pipeline.engine.agents import Agent
    from pipeline.engine.cells import QueueCell
    from schemas.settings import ResolvedQueue

OPEN: Final = -(1 << 62)

QUEUED: Final = 0
OFFERED: Final = 1
DECLINED: Final = 2
ANSWERED: Final = 3
HELD: Final = 4
RESUMED: Final = 5
RELEASED: Final = 6
WRAPPED: Final = 7
ABANDONED: Final = 8
LEFT: Final = 9

CODES: Final[dict[str, int]] = {
    "contact.queued": QUEUED,
    "contact.offered": OFFERED,
    "contact.declined": DECLINED,
    "contact.answered": ANSWERED,
    "contact.held": HELD,
    "contact.resumed": RESUMED,
    "contact.released": RELEASED,
    "contact.wrapped": WRAPPED,
    "contact.abandoned": ABANDONED,
    "contact.left": LEFT,
}

# What a visit came to.
WAITING: Final = 0
WAS_ANSWERED: Final = 1
WAS_ABANDONED: Final = 2
WAS_LEFT: Final = 3
RETRACTED: Final = -1
OUTCOMES: Final[tuple[str, ...]] = ("waiting", "answered", "abandoned", "left")

# Kinds of segments, in the order in which one hides the next.
TALK: Final = 0
HOLD: Final = 1
WRAP: Final = 2
RING: Final = 3

# States of an agent: positions in schemas.kpis.AGENT_STATES.
S_NONE: Final = -1
S_TALK: Final = 0
S_HOLD: Final = 1
S_WRAP: Final = 2
S_BUSY: Final = 3
S_RINGING: Final = 4
S_AVAILABLE: Final = 5
S_NOT_READY: Final = 6
S_OFFLINE: Final = 7

PLATFORM_STATES: Final[dict[str, int]] = {
    "available": S_AVAILABLE,
    "busy": S_BUSY,
    "wrap": S_WRAP,
    "not_ready": S_NOT_READY,
    "offline": S_OFFLINE,
}


class Segment:
    """A stretch of an agent's time given to one contact: ``[start, end)`` of one kind."""

    __slots__ = ("agent", "contact", "end", "kind", "start")

    def __init__(self, agent: Agent, contact: str, kind: int, start: int) -> None:
        self.agent = agent
        self.contact = contact
        self.kind = kind
        self.start = start
        self.end: int = OPEN


class Report:
    """What a platform says of an agent: ``said`` is the event without its moment ``at``.

    ``state`` is the state it tells, `S_NONE` if it tells none.
    """

    __slots__ = ("at", "said", "state")

    def __init__(self, at: int, said: dict[str, Any], state: int) -> None:
        self.at = at
        self.said = said
        self.state = state


def said_state(event: dict[str, Any]) -> int:
    """The state of the platform that an ``agent.*`` event tells, `S_NONE` if it tells none."""
    return PLATFORM_STATES[event["state"]] if event["type"] == "agent.state" else S_NONE


class Visit:
    """One wait of a contact in one queue, with the limits in force when it was queued."""

    __slots__ = (
        "agent",
        "cell",
        "channel",
        "contact",
        "customer",
        "direction",
        "limits",
        "missed",
        "outcome",
        "outcome_at",
        "priority",
        "queue",
        "queued_at",
        "reason",
        "story",
    )

    def __init__(
        self,
        contact: str,
        queue: str,
        channel: str,
        queued_at: int,
        limits: ResolvedQueue,
        cell: QueueCell,
        story: int,
    ) -> None:
        self.contact = contact
        self.story = story
        self.queue = queue
        self.channel = channel
        self.queued_at = queued_at
        self.limits = limits
        self.cell = cell
        self.direction: str = "inbound"
        self.customer: str = ""
        self.priority: int | None = None
        self.outcome: int = WAITING
        self.outcome_at: int = OPEN
        self.reason: str = ""
        self.agent: str = ""
        self.missed: bool = False


class Leg:
    """One agent's part in a contact: talk, holds and wrap-up."""

    __slots__ = (
        "agent",
        "answered_at",
        "cell",
        "channel",
        "code",
        "contact",
        "deadline",
        "held_at",
        "hold_ms",
        "queue",
        "reason",
        "released_at",
        "segment",
        "story",
        "stuck",
        "visit_queued_at",
        "wrapped_at",
    )

    def __init__(
        self,
        contact: str,
        agent: str,
        answered_at: int,
        queue: str,
        channel: str,
        cell: QueueCell | None,
        deadline: int,
        story: int,
    ) -> None:
        self.contact = contact
        self.story = story
        self.agent = agent
        self.answered_at = answered_at
        self.queue = queue
        self.channel = channel
        self.cell = cell
        self.deadline = deadline
        self.visit_queued_at: int = OPEN
        self.released_at: int = OPEN
        self.wrapped_at: int = OPEN
        self.held_at: int = OPEN
        self.hold_ms: int = 0
        self.reason: str = ""
        self.code: str = ""
        self.stuck: bool = False
        self.segment: Segment | None = None


class Decline:
    """A ring that ended without an answer, counted for the visit it rang for."""

    __slots__ = ("agent", "at", "cell", "channel", "contact", "ordinal", "queue", "reason", "story")

    def __init__(self, contact: str, agent: str, at: int, reason: str, visit: Visit) -> None:
        self.contact = contact
        self.story = visit.story
        self.agent = agent
        self.at = at
        self.reason = reason
        self.queue = visit.queue
        self.channel = visit.channel
        self.cell = visit.cell
        self.ordinal: int = 0


class Ring:
    """An agent's phone ringing for one visit of the contact."""

    __slots__ = ("segment", "visit")

    def __init__(self, visit: Visit, segment: Segment) -> None:
        self.visit = visit
        self.segment = segment
