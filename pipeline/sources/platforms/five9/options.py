"""What only the site knows of its Five9 domain."""

from __future__ import annotations

from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator

from pipeline.sources.source import NoOptions
from schemas.events import LeftReason, PlatformState

CallType = Literal["inbound", "outbound", "callback", "ignored"]


class Five9Options(NoOptions):
    """Options of a site.

    Frames: `agents` gives user ids the names that the Call Log uses, `reason_codes` gives ids of
    reason codes their names, `wrap_up_reason_codes` are not-ready reasons that are wrap-up,
    `states` adds states of agents, `fresh_s` is how old a state may be to keep its own time.

    Call Log: `time_zone` is that of the report (else the site's), `call_types` adds CALL TYPEs,
    `dispositions` says how calls left the queue that were neither answered nor abandoned;
    `wait_includes_ring` and `talk_includes_hold` say how the columns of times overlap.
    """

    agents: dict[str, str] = Field(default_factory=dict)
    reason_codes: dict[str, str] = Field(default_factory=dict)
    wrap_up_reason_codes: list[str] = Field(default_factory=list)
    states: dict[str, PlatformState] = Field(default_factory=dict)
    fresh_s: int = Field(600, ge=0)
    time_zone: str | None = None
    call_types: dict[str, CallType] = Field(default_factory=dict)
    dispositions: dict[str, LeftReason] = Field(default_factory=dict)
    wait_includes_ring: bool = False
    talk_includes_hold: bool = False

    @field_validator("time_zone")
    @classmethod
    def _is_a_zone(cls, value: str | None) -> str | None:
        if value is not None:
            try:
                ZoneInfo(value)
            except (KeyError, ValueError, OSError):
                raise ValueError(f"there is no time zone {value!r}") from None
        return value
