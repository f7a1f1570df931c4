"""What only the site knows of its Unified CCE database."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from pipeline.sources.source import NoOptions

Channel = Literal["voice", "chat", "email", "message", "social", "callback", "task"]
QueueColumn = Literal[
    "SkillGroupSkillTargetID",
    "PrecisionQueueID",
    "RoutedSkillGroupSkillTargetID",
    "ServiceSkillTargetID",
    "RoutedServiceSkillTargetID",
    "CallTypeID",
]

QUEUE_COLUMNS: tuple[QueueColumn, ...] = (
    "PrecisionQueueID",
    "SkillGroupSkillTargetID",
    "RoutedSkillGroupSkillTargetID",
    "ServiceSkillTargetID",
    "CallTypeID",
)


class TcdOptions(NoOptions):
    """Options of `cisco-tcd`."""

    queue: list[QueueColumn] = Field(default_factory=lambda: list(QUEUE_COLUMNS))
    """The columns that name a queue: the first of them that a row fills."""
    agent: Literal["AgentSkillTargetID", "AgentPeripheralNumber"] = "AgentSkillTargetID"
    """The column that names an agent; Agent_State_Trace knows only the former's ids."""
    time_zone: Literal["minutes_west", "minutes_east", "site"] = "minutes_west"
    """How column TimeZone counts, or that times are in the site's zone whatever it says."""
    after_no_answer: Literal["waits", "left"] = "waits"
    """Whether a contact waits on in its queue when an agent has not answered."""
    media: list[str] = Field(default_factory=lambda: ["1"])
    """The MRDomainIDs whose rows of Agent_State_Trace are the agents' states; 1 is voice."""
    channels: dict[str, Channel] = Field(default_factory=dict)
    """The channel of each MRDomainID; 1 and none are voice, others are tasks."""
