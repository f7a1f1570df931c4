"""What only the site knows of its Finesse."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.sources.source import NoOptions

Channel = Literal["voice", "chat", "email", "message", "social", "callback", "task"]


class FinesseOptions(NoOptions):
    """Options of `cisco-finesse`."""

    calls: bool = True
    """Whether dialogs are read; not where the calls come as rows (`cisco-tcd`)."""
    queue: Literal["number", "name"] = "number"
    """What names a queue: its queueNumber or its queueName; the other where the one is absent."""
    team: Literal["id", "name"] = "id"
    """What names a team: teamId or teamName."""
    wait_variable: str = ""
    """The call variable into which the routing script writes the seconds waited, if any."""
    after_no_answer: Literal["left", "waits"] = "left"
    """What becomes of a contact that rang unanswered and is out of Finesse's sight."""
    caller_gone: Literal["abandoned", "declined"] = "abandoned"
    """What it means that a ring ends with the caller dropped too."""
    agent_media: str = "voice"
    """Id or name of the Media Routing Domain that gives the agents' states, where not voice."""
    fresh_s: int = Field(default=600, ge=0)
    """A state that began longer ago is told at the moment a collector received it: an event of its
    beginning would be late."""
    channels: dict[str, Channel] = Field(default_factory=dict)
    """The channel of each mediaType; others go by their name."""
