"""What a site may say of its FreeSWITCH."""

from __future__ import annotations

from typing import Literal

from pipeline.sources.source import NoOptions
from schemas.events import LeftReason


class FreeSwitchOptions(NoOptions):
    """Options of the source `freeswitch`.

    `exit_keys` gives what it means that a caller left by a key (`cc_exit_keys`), `idle` what an
    agent of the status Available (On Demand) does after a call until it is set to Waiting again,
    `teams` the team of an agent.
    """

    exit_keys: dict[str, LeftReason] = {}
    idle: Literal["not_ready", "wrap", "available"] = "not_ready"
    teams: dict[str, str] = {}
