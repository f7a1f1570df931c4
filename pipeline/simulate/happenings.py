"""What happens in the simulated centre, in words of its own.

A happening says what took place, not how a platform would put it: writers turn the same stream
into canonical events or into any vendor's format. The contact and the agent are the simulator's
live objects; a writer may rely on their identity fields and keeps the rest itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from pipeline.simulate.people import Agent, Contact


class Kind(StrEnum):
    """Kinds of happening, with what `queue`, `note` and `facts` say."""

    HIRED = "hired"
    """The agent is known: `facts` queues, capacity."""
    STATUS = "status"
    """The agent's status is now `note` (a `Status`); `facts` reason, if any; team at sign-in."""
    ENQUEUED = "enqueued"
    """The contact waits in `queue`; `note` is its channel there."""
    RINGING = "ringing"
    """It is offered to the agent."""
    MISSED = "missed"
    """The ring ran out."""
    REFUSED = "refused"
    """The agent pressed reject."""
    CONNECTED = "connected"
    """The agent talks: from `queue`; `note` is the channel; `facts` present if nobody waited."""
    HELD = "held"
    RETRIEVED = "retrieved"
    HUNG_UP = "hung_up"
    """The agent's talk ends; `note` is `completed` or `transferred`."""
    WRAPPED_UP = "wrapped_up"
    """Paperwork done; `note` is the wrap-up code."""
    GAVE_UP = "gave_up"
    """The customer hung up while waiting in `queue`."""
    LEFT = "left"
    """The contact left `queue` by the system's doing; `note` says which."""
    SURVEYED = "surveyed"
    RESOLVED = "resolved"
    JUDGED = "judged"
    """An AI service's view: `facts` score, escalation_risk."""
    EVALUATED = "evaluated"
    """Quality assessment of the agent: `facts` score, form."""
    RECORDED = "recorded"
    """`note` is the recording's address."""


class Status(StrEnum):
    """What a platform would show of an agent."""

    READY = "ready"
    ENGAGED = "engaged"
    AFTER_CALL = "after_call"
    AWAY = "away"
    SIGNED_OUT = "signed_out"


class Happening(NamedTuple):
    """One thing that took place at `at`, epoch ms."""

    at: int
    kind: Kind
    contact: Contact | None = None
    agent: Agent | None = None
    queue: str = ""
    note: str = ""
    facts: Mapping[str, Any] | None = None
