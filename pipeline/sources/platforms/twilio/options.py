"""What only a site knows of its TaskRouter: its activities, channels, attributes and reasons."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.sources.source import NoOptions
from schemas.events import Channel, LeftReason, PlatformState


class Options(NoOptions):
    """Settings of a site's `twilio`."""

    activities: dict[str, PlatformState] = Field(default_factory=dict)
    """State by the name of an activity, before its availability decides."""
    channels: dict[str, Channel] = Field(default_factory=dict)
    """Channel by the unique name of a task channel."""
    canceled_reasons: dict[str, Literal["abandoned"] | LeftReason] = Field(default_factory=dict)
    """Outcome of a wait by the reason with which the task was canceled, in any case of letters."""
    customer_attributes: list[str] = Field(
        default_factory=lambda: ["from", "caller", "customerAddress"]
    )
    """Where the customer stands in the attributes of a task, the first that is there."""
    outbound_attributes: list[str] = Field(default_factory=lambda: ["outbound_to", "to"])
    """The same where the attribute `direction` is outbound."""
    contact_attribute: str = ""
    """Where the id of the contact stands in the attributes; empty: the task is the contact."""
    team_attribute: str = "team_name"
    """Where the team stands in the attributes of a worker; empty: agents have no team."""


CHANNELS: dict[str, str] = {
    "voice": "voice",
    "video": "voice",
    "chat": "chat",
    "sms": "message",
    "whatsapp": "message",
    "messenger": "social",
    "email": "email",
    "callback": "callback",
}

ACTIVITIES: dict[str, str] = {
    "available": "available",
    "idle": "available",
    "offline": "offline",
    "busy": "busy",
    "reserved": "busy",
    "wrapup": "wrap",
    "wrap-up": "wrap",
}
"""By the names that the vendor's consoles set up; any other one is not_ready."""

REASONS: dict[str, str] = {
    "hangup": "abandoned",
    "task ttl exceeded": "timeout",
    "task ttl exceeded or max assignment count exceeded": "timeout",
    "task canceled on workflow timeout": "timeout",
}
