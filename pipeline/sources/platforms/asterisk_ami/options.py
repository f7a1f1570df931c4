"""What a site may say of its Asterisk."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from pipeline.sources.source import NoOptions
from schemas.events import LeftReason


class AmiOptions(NoOptions):
    """Options of the source `asterisk-ami`.

    `agent` names the header that is an agent's id. A member paused for one of `wrap_up_reasons`
    wraps up; the pause must come within `wrap_up_within_ms` of the end of the call. `abandons`:
    `hangup` tells callers who hung up from those whom the queue let go, where the manager user
    reads the class `call`; `always` takes every QueueCallerAbandon as an abandon. `timeouts` gives
    the seconds after which a queue lets callers go, `exits` what it means that a caller left a
    queue without a word (by a key), `teams` the team of an agent.
    """

    agent: Literal["MemberName", "Interface"] = "MemberName"
    wrap_up_reasons: list[str] = []
    wrap_up_within_ms: Annotated[int, Field(ge=0, le=600_000)] = 10_000
    abandons: Literal["hangup", "always"] = "hangup"
    timeouts: dict[str, Annotated[int, Field(ge=1)]] = {}
    exits: dict[str, LeftReason] = {}
    teams: dict[str, str] = {}
