"""A conversation as a notification describes it, and what a site may set."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pipeline.sources.source import NoOptions, Unread
from pipeline.sources.values import (
    customer_or_none,
    epoch_ms_at,
    find,
    items_at,
    name_at,
    name_or_none,
    text_or_none,
    whole_or_none,
    word_at,
)
from schemas.events import Channel

NO_SKILL = "-1"
"""What stands for no skill and for no group."""
_MOST_PEOPLE = 200
_STATES = ("OPEN", "LOCKED", "CLOSE")


class LivePersonOptions(NoOptions):
    """What only the site knows.

    `agents` maps the id that an agent has in conversations to the one in status changes. `bots`
    are ids of agents that are programs: what they hold is neither answered nor waiting.
    `ring_agent` is the agent whose socket routing tasks come from; without it they are left out.
    `no_skill` names the queue of conversations without a skill.
    """

    channel: Channel = "message"
    no_skill: str = "no-skill"
    agents: dict[str, str] = {}
    bots: list[str] = []
    ring_agent: str = ""


class Conversation(NamedTuple):
    """A conversation as a notification describes it; `ended` is None while it is open."""

    contact: str
    at: int
    started: int
    ended: int | None
    ended_by: str
    queue: str
    customer: str | None
    agents: list[str]
    suggested: list[str]
    bot: bool


class Reader:
    """Reads notifications with the options of a site."""

    def __init__(self, options: LivePersonOptions) -> None:
        self._options = options
        self._bots = frozenset(options.bots)

    def read(self, contact: str, result: Mapping[str, Any]) -> Conversation:
        """The conversation in a change's `result`. Raises `Unread`."""
        details = result["conversationDetails"]
        started = epoch_ms_at(details, "startTs")
        main = _main_dialog(details)
        ended = _ended(details, main)
        at = whole_or_none(details, "metaDataLastUpdateTs")
        if at is None:
            at = whole_or_none(result, "lastUpdateTime") or ended or started
        told = main if find(main, "participantsDetails") else None
        people = items_at(told, "participantsDetails") or items_at(details, "participants")
        agents, suggested, customer = self._people(people)
        skill = name_or_none(details, "skillId") or NO_SKILL
        return Conversation(
            contact=contact,
            at=at,
            started=started,
            ended=ended,
            ended_by=_ended_by(details, main),
            queue=self._options.no_skill if skill == NO_SKILL else skill,
            customer=customer,
            agents=[agent for agent in agents if agent not in self._bots],
            suggested=[agent for agent in suggested if agent not in self._bots],
            bot=not self._bots.isdisjoint(agents),
        )

    def _people(self, people: list[Any]) -> tuple[list[str], list[str], str | None]:
        if len(people) > _MOST_PEOPLE:
            raise Unread("participants", f"are more than {_MOST_PEOPLE}")
        agents: list[str] = []
        suggested: list[str] = []
        customer = None
        for person in people:
            role = text_or_none(person, "role")
            if role == "CONSUMER":
                customer = customer_or_none(person, "id")
            elif role == "ASSIGNED_AGENT":
                agent = self._options.agents.get(name := name_at(person, "id"), name)
                state = text_or_none(person, "state") or "ACTIVE"
                if state not in ("ACTIVE", "SUGGESTED"):
                    raise Unread("participants.state", f"unknown state {state[:60]!r}")
                # Assigned and SUGGESTED: transferred to this agent, who has not taken it yet.
                (agents if state == "ACTIVE" else suggested).append(agent)
        return agents, suggested, customer


def _main_dialog(details: Any) -> Any:
    """The dialog with the agent; the others are surveys and calls beside it."""
    dialogs = items_at(details, "dialogs")
    return next((one for one in dialogs if text_or_none(one, "dialogType") == "MAIN"), None)


def _ended(details: Any, main: Any) -> int | None:
    """When the talk with the agent ended: a survey keeps the conversation open after it."""
    if text_or_none(main, "state") == "CLOSE":
        return epoch_ms_at(main, "endTs")
    state = word_at(details, "state")
    if state not in _STATES:
        raise Unread("state", f"{state[:60]!r} is none of {', '.join(_STATES)}")
    return epoch_ms_at(details, "endTs") if state == "CLOSE" else None


def _ended_by(details: Any, main: Any) -> str:
    return text_or_none(details, "closeReason") or text_or_none(main, "closedBy") or ""
