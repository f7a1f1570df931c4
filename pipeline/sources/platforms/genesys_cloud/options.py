"""What only the site knows of its Genesys Cloud organisation."""

from __future__ import annotations

from pydantic import Field

from pipeline.sources.source import NoOptions
from schemas.events import LeftReason


class GenesysOptions(NoOptions):
    """Options of a site, by queue id.

    `queues_without_wrap_up` are queues whose after-call work is off or optional: their legs are
    handled when the talk ends. `flow_out` says how contacts that flow out leave a queue, since the
    platform does not; `overflow` where a queue is not named.
    """

    queues_without_wrap_up: list[str] = Field(default_factory=list)
    flow_out: dict[str, LeftReason] = Field(default_factory=dict)
