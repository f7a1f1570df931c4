"""Fields of Amazon Connect's payloads, which spell one name in two ways (agentInfo, AgentInfo)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from pipeline.sources.source import Unread
from pipeline.sources.values import iso, shown, whole
from schemas.events import MAX_ID

_CHANNELS = {
    "VOICE": "voice",
    "CHAT": "chat",
    "TASK": "task",
    # The agent event stream's page has the plural, the others have not.
    "TASKS": "task",
    "EMAIL": "email",
}
_MESSAGES = frozenset({"connect:SMS", "connect:WhatsApp"})
CALLBACK = "CALLBACK"
MONITOR = "MONITOR"
_OUTWARD = frozenset({"OUTBOUND", "EXTERNAL_OUTBOUND", "AGENT_REPLY", "CAMPAIGN_PREVIEW"})


class Part:
    """An object of a payload and its path; every field is checked where it is taken out."""

    __slots__ = ("_fields", "_path")

    def __init__(self, fields: dict[str, Any], path: str = "") -> None:
        self._fields = fields
        self._path = path

    def refuse(self, name: str, reason: str) -> Unread:
        """The error for a field of this object."""
        return Unread(f"{self._path}{name}", reason)

    def get(self, name: str) -> Any:
        """A field as it is, under its name in either case of the first letter; None if absent."""
        value = self._fields.get(name)
        return self._fields.get(_other_case(name)) if value is None else value

    def has(self, name: str) -> bool:
        """Whether a field is there, if only as null."""
        return name in self._fields or _other_case(name) in self._fields

    def part(self, name: str) -> Part:
        """An object within this one, empty where it is absent or null."""
        value = self._fields.get(name)
        if not isinstance(value, dict):
            value = self.get(name)
            if value is None:
                value = {}
            elif not isinstance(value, dict):
                raise self.refuse(name, f"should be an object, not {shown(value)}")
        return Part(value, f"{self._path}{name}.")

    def parts(self, name: str) -> Iterator[Part]:
        """The objects of a list, none where it is absent or null."""
        value = self.get(name)
        if value is None:
            return
        if not isinstance(value, list):
            raise self.refuse(name, f"should be a list, not {shown(value)}")
        for number, item in enumerate(value):
            if not isinstance(item, dict):
                raise self.refuse(f"{name}.{number}", f"should be an object, not {shown(item)}")
            yield Part(item, f"{self._path}{name}.{number}.")

    def text(self, name: str) -> str | None:
        """Text, None where it is absent, null or empty."""
        value = self._fields.get(name)
        if value is None:
            value = self.get(name)
            if value is None:
                return None
        if not isinstance(value, str):
            raise self.refuse(name, f"should be text, not {shown(value)}")
        return value or None

    def word(self, name: str) -> str:
        """Text that must be there."""
        value = self.text(name)
        if value is None:
            raise self.refuse(name, "is required")
        return value

    def id(self, name: str) -> str:
        """An id that must be there."""
        found = self.id_or_none(name)
        if found is None:
            raise self.refuse(name, "is required")
        return found

    def id_or_none(self, name: str) -> str | None:
        """An id, None where it is absent, null or empty."""
        found = self.text(name)
        if found is not None and len(found) > MAX_ID:
            raise self.refuse(name, f"has {len(found)} characters, more than {MAX_ID}")
        return found

    def moment(self, name: str) -> int | None:
        """Epoch ms of a time in ISO 8601, None where it is absent, null or empty."""
        value = self._fields.get(name)
        if value is None:
            value = self.get(name)
        if value is None or value == "":
            return None
        return iso(value, f"{self._path}{name}")

    def at(self, name: str) -> int:
        """Epoch ms of a time that must be there."""
        moment = self.moment(name)
        if moment is None:
            raise self.refuse(name, "is required")
        return moment

    def seconds(self, name: str) -> int:
        """A duration of whole seconds in ms, 0 where it is absent."""
        value = self.get(name)
        if value is None:
            return 0
        seconds = whole(value, f"{self._path}{name}")
        if not 0 <= seconds <= 10**9:
            raise self.refuse(name, f"{seconds} is no duration in seconds")
        return 1000 * seconds


@lru_cache(maxsize=256)
def _other_case(name: str) -> str:
    return name[0].swapcase() + name[1:]


def agent_of(arn: str) -> str:
    """The agent's id: what stands behind `agent/` in the ARN."""
    return _behind(arn, "agent/")


def queue_of(arn: str) -> str:
    """The queue's id behind `queue/` in the ARN; an agent's own queue is `agent/<id>`."""
    return _behind(arn, "queue/")


def _behind(arn: str, kind: str) -> str:
    """The end of an ARN behind a kind of resource; all of what is no such ARN."""
    before, _, found = arn.rpartition(kind)
    return found if before[-1:] in ("/", ":") else arn


def queue_in(part: Part, name: str) -> str | None:
    """The id of the queue whose ARN stands in a field, None where there is none."""
    arn = part.text(name)
    return None if arn is None else queue_of(arn)


def initiation_of(part: Part) -> str:
    """How the contact began, in capitals; empty where it is not told."""
    return (part.text("initiationMethod") or "").upper()


def contact_of(part: Part, initiation: str) -> str:
    """The id that stays over transfers: the first of the chain.

    A queued callback is a contact of its own: it may wait in the very queue that the caller is only
    now leaving.
    """
    own = part.id("contactId")
    return own if initiation == CALLBACK else part.text("initialContactId") or own


def channel_of(part: Part, initiation: str) -> str:
    """The canonical channel."""
    told = part.word("channel")
    channel = _CHANNELS.get(told.upper())
    if channel is None:
        raise part.refuse("channel", f"unknown channel {shown(told)}")
    if initiation == CALLBACK:
        return "callback"
    if channel == "chat" and subtype_of(part) in _MESSAGES:
        return "message"
    return channel


def subtype_of(part: Part) -> str | None:
    """The segment attribute `connect:Subtype`."""
    return part.part("segmentAttributes").part("connect:Subtype").text("valueString")


def is_outward(initiation: str) -> bool:
    """Whether an agent reached out, so that nobody waited and nothing rings at the agent."""
    return initiation in _OUTWARD


def direction_of(channel: str, initiation: str) -> str:
    """The canonical direction; a voice contact begun by API is a call to the customer."""
    outbound = (
        is_outward(initiation)
        or initiation == CALLBACK
        or (initiation == "API" and channel == "voice")
    )
    return "outbound" if outbound else "inbound"
