"""What only a site with Zendesk knows."""

from __future__ import annotations

from typing import Literal

from pydantic import field_validator

from pipeline.sources.source import NoOptions
from schemas.events import Channel, PlatformState


class ZendeskOptions(NoOptions):
    """Every key is optional.

    `channels` maps a `via.channel` to a channel, before the built-in table. `statuses` maps an
    agent status of the site's own (by name) to a state; those not in it are not ready. `status_of`
    says which status counts: the unified one, that of one channel, or (`auto`) the unified one
    where there is one and else the most available of all channels. `pending` says what a pending
    ticket or one on hold is: the end of the agent's work until it is open again, or a hold.
    `given_up` names the channels in which a ticket that is solved with nobody assigned means that
    the customer gave up. `answer_only` names those in which the answer is all that counts: legs
    have no length there and nothing is passed on. `csat` maps a satisfaction score to 1 to 5.
    """

    no_group: str = "no-group"
    channels: dict[str, Channel] = {}
    statuses: dict[str, PlatformState] = {}
    status_of: str = "auto"
    pending: Literal["release", "hold"] = "release"
    given_up: list[Channel] = []
    answer_only: list[Channel] = []
    csat: dict[str, int] = {"good": 5, "bad": 1}

    @field_validator("csat")
    @classmethod
    def _be_ratings(cls, scores: dict[str, int]) -> dict[str, int]:
        for score, rating in scores.items():
            if not 1 <= rating <= 5:
                raise ValueError(f"{score!r} should be a rating from 1 to 5, not {rating}")
        return scores
