"""Topics: what a payload is about, and the body that says it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from pipeline.sources.source import Unread
from pipeline.sources.values import find, load, peek, shown, word_at

_CONVERSATION = "v2.detail.events.conversation."
_LONGEST = 500
_WITH_ID = (
    _CONVERSATION,
    "v2.users.",
    "v2.routing.queues.",
    "v2.analytics.queues.",
    "v2.analytics.conversation.",
    "v2.conversations.",
    "v2.operations.events.",
)

SILENT = frozenset(
    {
        # Conversations: the customer's own session, flows, voicemail, data, the dialler.
        f"{_CONVERSATION}{{id}}.customer.start",
        f"{_CONVERSATION}{{id}}.customer.end",
        f"{_CONVERSATION}{{id}}.flow.start",
        f"{_CONVERSATION}{{id}}.flow.end",
        f"{_CONVERSATION}{{id}}.flow.outcome",
        f"{_CONVERSATION}{{id}}.voicemail.start",
        f"{_CONVERSATION}{{id}}.voicemail.end",
        f"{_CONVERSATION}{{id}}.attributes",
        f"{_CONVERSATION}{{id}}.contact",
        f"{_CONVERSATION}{{id}}.outbound",
        f"{_CONVERSATION}{{id}}.wrapup",
        # The same facts once more, as counters or as whole conversations.
        "v2.analytics.conversation.{id}.metrics",
        "v2.analytics.queues.{id}.observations",
        "v2.routing.queues.{id}.conversations",
        "v2.users.{id}.aggregates",
        # Neither contacts nor states.
        "v2.users.{id}.outofoffice",
        "v2.users.{id}.geolocation",
        "v2.users.{id}.persistentconnection",
        "v2.conversations.{id}.transcription",
        "v2.operations.events.{id}",
        # The notification service about itself.
        "channel.metadata",
        "v2.system.socket_closing",
    }
)
"""Topics that say nothing here; the docs page names the reason of each."""


def template(topic: str) -> str:
    """The topic with its id replaced by `{id}`, as the vendor's list of topics has it."""
    # Of any length it may come, but not stay.
    return _template(topic) if len(topic) <= _LONGEST else topic


@lru_cache(maxsize=4096)
def _template(topic: str) -> str:
    for start in _WITH_ID:
        if topic.startswith(start):
            _, dot, rest = topic[len(start) :].partition(".")
            return f"{start}{{id}}{dot}{rest}"
    return topic


class Message(NamedTuple):
    """A payload opened: its topic with `{id}` and the field that names it, the id of a user if the
    topic has one, where the body stands, and the body."""

    topic: str
    named_in: str
    user: str | None
    place: str
    body: Mapping[str, Any]


def open_message(payload: bytes) -> Message:
    """Take the envelope off. Raises `Unread`.

    EventBridge names the topic in `detail-type`, either with its id or with `{id}`, and once more
    in `detail.topicName`; a message of the notification service in `topicName`.
    """
    obj = load(payload)
    if "detail-type" in obj:
        told, named_in, place = word_at(obj, "detail-type"), "detail-type", "detail.eventBody"
        full = find(obj, "detail.topicName")
    else:
        told, named_in, place = word_at(obj, "topicName"), "topicName", "eventBody"
        full = told
    topic = template(told)
    body = find(obj, place)
    if not isinstance(body, Mapping):
        if topic not in SILENT:
            raise Unread(place, "is required" if body is None else f"no object: {shown(body)}")
        body = {}
    return Message(topic, named_in, _user_of(full), place, body)


def _user_of(topic: Any) -> str | None:
    """The user in a topic of users, None if there is none."""
    if not isinstance(topic, str) or not topic.startswith("v2.users."):
        return None
    found = topic.split(".", 3)[2]
    return found if found not in ("", "{id}") else None


def kind(payload: bytes) -> str:
    """The topic of a payload, with `{id}` in the place of its id."""
    obj = peek(payload)
    topic = obj.get("detail-type", obj.get("topicName"))
    return template(topic) if isinstance(topic, str) and topic else "no topic"
