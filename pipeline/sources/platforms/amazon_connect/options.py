"""What a site says of its Amazon Connect: which stream tells what, and its own words."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.sources.source import NoOptions
from schemas.events import LeftReason, PlatformState

CONTACT_EVENTS = "contact-events"
AGENT_EVENTS = "agent-events"
RECORDS = "records"

Teller = Literal["contact-events", "agent-events", "records"]
Outcome = Literal["abandoned"] | LeftReason


class Options(NoOptions):
    """Each fact is told by one stream, whichever others are connected."""

    waits: Teller = "contact-events"
    """Who tells when a contact waits, gives up or leaves the queue."""
    legs: Teller = "agent-events"
    """Who tells when an agent answers, holds, releases and ends the wrap-up."""
    statuses: dict[str, PlatformState] = Field(default_factory=dict)
    """State by the name of an agent status, before its type decides."""
    team: Literal[
        "routing-profile", "level-1", "level-2", "level-3", "level-4", "level-5", "none"
    ] = "routing-profile"
    """What an agent's team is: the name of the routing profile or of a hierarchy group."""
    disconnect_reasons: dict[str, Outcome] = Field(default_factory=dict)
    """Outcome of a wait by the disconnect reason, `none` where there is none."""


_OUTCOMES: dict[str, str] = {
    "CUSTOMER_DISCONNECT": "abandoned",
    "CUSTOMER_NEVER_ARRIVED": "abandoned",
    "CUSTOMER_CONNECTION_NOT_ESTABLISHED": "abandoned",
    "IDLE_DISCONNECT": "abandoned",
    "TELECOM_ORIGINATOR_CANCEL": "abandoned",
    "TELECOM_PROBLEM": "lost",
    "TELECOM_TIMEOUT": "lost",
    "SYSTEM_ERROR": "lost",
    "EXPIRED": "timeout",
    "TRANSFERRED": "transfer",
    # The vendor knows an abandoned contact by having waited and never having reached an agent.
    "none": "abandoned",
}


def outcome_of(options: Options, reason: str | None, callback: bool) -> str:
    """`abandoned`, or the reason of `contact.left`, of a wait that no agent ended.

    Nobody gives up a queued callback, since nobody is on the line.
    """
    told = options.disconnect_reasons.get(reason or "none")
    outcome = told or _OUTCOMES.get(reason or "none", "other")
    return "other" if callback and outcome == "abandoned" else outcome
