"""HubSpot: webhooks of tickets, feedback submissions and conversations.

An event says which object changed and, of a property that changed, its new value; never the whole
object. So it carries resolution, scores and customers, and no wait, no call and no agent. The door
hands each element of a posted array over as one payload.
"""

from __future__ import annotations

from typing import Any

from pydantic import field_validator

from pipeline.sources.source import (
    Context,
    Event,
    NoOptions,
    Source,
    Translator,
    Unread,
    elements_of,
)
from pipeline.sources.values import (
    epoch_ms_at,
    load,
    name_at,
    peek,
    shown,
    text_or_none,
    whole,
    word_at,
)

_TICKET, _FEEDBACK = "0-5", "0-19"
_OBJECTS = {
    "ticket": _TICKET,
    "TICKET": _TICKET,
    "feedback_submission": _FEEDBACK,
    "FEEDBACK_SUBMISSION": _FEEDBACK,
}
"""Object type ids by the prefix of older subscription types and by the names of newer ones."""
_CRM = frozenset({"object", "ticket", "contact", "company", "deal", "product", "line_item"})
_CHANGES = frozenset(
    {"creation", "deletion", "merge", "restore", "associationChange", "propertyChange"}
)
_SINGLE = frozenset({"contact.privacyDeletion", "event.completed"})
_CONVERSATION = frozenset({"creation", "deletion", "privacyDeletion", "newMessage"})
_STATUS = {"OPEN": False, "CLOSED": True}
_STAGE = "hs_pipeline_stage"

_MOST = 10_000
_KEPT_MS = 90 * 86_400_000
"""Tickets that are remembered; a ticket that nothing was said of for so long is forgotten."""
_MOST_HELD = 8
_MOST_BYTES = 1_000_000
"""What they may take, see `_size`: packed they fit into one message of the broker."""


class HubSpotOptions(NoOptions):
    """What a site knows of its HubSpot account.

    `closed_stages` are the ids of the ticket stages that mean closed. `scores` maps properties of
    feedback submissions to csat, nps or ces; `csat_values` maps the values of csat to 1..5; others
    are refused, since HubSpot's own three faces are 0, 1 and 2. `contact_property` is the property
    of tickets and submissions with the contact's id in the telephony platform; without it a contact
    is the id of the HubSpot object. `conversations` says that a closed conversation is a resolved
    contact.
    """

    closed_stages: list[str] = ["4"]
    scores: dict[str, str] = {}
    csat_values: dict[str, int] = {"0": 1, "1": 3, "2": 5}
    contact_property: str | None = None
    conversations: bool = False

    @field_validator("scores")
    @classmethod
    def _be_scores(cls, scores: dict[str, str]) -> dict[str, str]:
        for kind in scores.values():
            if kind not in ("csat", "nps", "ces"):
                raise ValueError(f"{kind!r} is none of csat, nps, ces")
        return scores

    @field_validator("csat_values")
    @classmethod
    def _be_ratings(cls, values: dict[str, int]) -> dict[str, int]:
        for value, rating in values.items():
            if not 1 <= rating <= 5:
                raise ValueError(f"{value!r} should be a rating from 1 to 5, not {rating}")
        return values


class HubSpot(Translator):
    """Remembers by object its customer, and the contact it is about where a property says so.

    What is said of an object before its contact is known is held back until it is.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        options: HubSpotOptions = context.options
        self._options = options
        self._closed = frozenset(options.closed_stages)
        self._objects: dict[str, dict[str, Any]] = {}
        self._bytes = 0

    def translate(self, payload: bytes) -> list[Event]:
        """The events of one webhook event, whichever attempt of its delivery it is."""
        found = load(payload)
        kind = word_at(found, "subscriptionType")
        prefix, _, change = kind.partition(".")
        if prefix == "conversation":
            return self._conversation(found, change)
        if kind in _SINGLE:
            return []
        if prefix not in _CRM or change not in _CHANGES:
            raise Unread("subscriptionType", f"{shown(kind)} is unknown")
        if change == "associationChange":
            return self._association(found)
        type_id = _OBJECTS.get(prefix) or text_or_none(found, "objectTypeId") or ""
        type_id = _OBJECTS.get(type_id, type_id)
        if type_id == _TICKET and change == "creation":
            return self._resolved(found, False)
        if type_id in (_TICKET, _FEEDBACK) and change == "propertyChange":
            return self._property(found, type_id)
        return []

    def memory(self) -> dict[str, dict[str, Any]]:
        """By object type and id: its contact, its customer, what is held back."""
        return self._objects

    def recall(self, memory: Any) -> None:
        """Go on with the objects of an earlier translator."""
        self._objects = dict(memory or {})
        self._bytes = sum(_size(key, known) for key, known in self._objects.items())

    def _property(self, found: dict[str, Any], type_id: str) -> list[Event]:
        name = word_at(found, "propertyName")
        if name == self._options.contact_property:
            return self._linked(found, type_id)
        if type_id == _TICKET and name == _STAGE:
            return self._resolved(found, name_at(found, "propertyValue") in self._closed)
        score = self._options.scores.get(name) if type_id == _FEEDBACK else None
        if score is None or text_or_none(found, "propertyValue") is None:
            return []
        value = self._score(found, score)
        return self._say(found, _FEEDBACK, "survey.answered", {score: value})

    def _score(self, found: dict[str, Any], score: str) -> int:
        value = found["propertyValue"]
        whole_part, point, fraction = value.partition(".")
        bare = whole_part if point and not fraction.strip("0") else value
        if score != "csat":
            if bare != whole_part:
                raise Unread("propertyValue", f"{shown(value)} is no whole score")
            return whole(bare, "propertyValue")
        ratings = self._options.csat_values
        rating = ratings.get(value, ratings.get(bare))
        if rating is None:
            known = ", ".join(ratings)
            raise Unread("propertyValue", f"{shown(value)} is none of csat_values: {known}")
        return rating

    def _resolved(self, found: dict[str, Any], resolved: bool) -> list[Event]:
        fields: dict[str, Any] = {"resolved": resolved}
        known = self._objects.get(f"{_TICKET}/{name_at(found, 'objectId')}", {})
        since = known.get("since")
        # Only of a customer it had before: an event that is delivered again is to say the same.
        if since is not None and since < epoch_ms_at(found, "occurredAt"):
            fields["customer"] = known["customer"]
        return self._say(found, _TICKET, "contact.resolved", fields)

    def _say(self, found: dict[str, Any], type_id: str, name: str, fields: Any) -> list[Event]:
        ts, object_id = epoch_ms_at(found, "occurredAt"), name_at(found, "objectId")
        key = f"{type_id}/{object_id}"
        if self._options.contact_property is None:
            return [self.context.event(name, ts, contact=object_id, **fields)]
        contact = self._objects.get(key, {}).get("contact")
        event = self.context.event(name, ts, contact=contact or object_id, **fields)
        if contact is not None:
            return [event]
        held = [one for one in self._objects.get(key, {}).get("held", []) if one != event]
        self._remember(key, ts, held=[*held, event][-_MOST_HELD:])
        return []

    def _linked(self, found: dict[str, Any], type_id: str) -> list[Event]:
        """The contact of an object is known: so is of whom all that was held back is said."""
        key = f"{type_id}/{name_at(found, 'objectId')}"
        ts = epoch_ms_at(found, "occurredAt")
        if text_or_none(found, "propertyValue") is None:
            return []
        contact = name_at(found, "propertyValue")
        held = self._objects.get(key, {}).get("held", [])
        self._remember(key, ts, contact=contact, held=[])
        return [{**event, "contact": contact} for event in reversed(held)]

    def _association(self, found: dict[str, Any]) -> list[Event]:
        kind = text_or_none(found, "associationType")
        if kind not in ("TICKET_TO_CONTACT", "CONTACT_TO_TICKET"):
            return []
        ts = epoch_ms_at(found, "occurredAt")
        ends = [name_at(found, "fromObjectId"), name_at(found, "toObjectId")]
        ticket, customer = ends if kind == "TICKET_TO_CONTACT" else ends[::-1]
        if found.get("associationRemoved") is not True:
            self._remember(f"{_TICKET}/{ticket}", ts, customer=customer, since=ts)
        return []

    def _remember(self, key: str, ts: int, **facts: Any) -> None:
        objects = self._objects
        known = self._forget(key) if key in objects else {"at": ts}
        objects[key] = {**known, **facts, "at": max(ts, known["at"])}
        self._bytes += _size(key, objects[key])
        while len(objects) > _MOST or self._bytes > _MOST_BYTES:
            self._forget(next(iter(objects)))
        oldest = next(iter(objects))
        if objects[oldest]["at"] < ts - _KEPT_MS:
            self._forget(oldest)

    def _forget(self, key: str) -> dict[str, Any]:
        known = self._objects.pop(key)
        self._bytes -= _size(key, known)
        return known

    def _conversation(self, found: dict[str, Any], change: str) -> list[Event]:
        if change in _CONVERSATION:
            return []
        if change != "propertyChange":
            raise Unread("subscriptionType", f"{shown(found['subscriptionType'])} is unknown")
        if word_at(found, "propertyName") != "status" or not self._options.conversations:
            return []
        resolved = _STATUS.get(word_at(found, "propertyValue"))
        if resolved is None:
            reason = f"{shown(found['propertyValue'])} is none of {', '.join(_STATUS)}"
            raise Unread("propertyValue", reason)
        ts, thread = epoch_ms_at(found, "occurredAt"), name_at(found, "objectId")
        return [self.context.event("contact.resolved", ts, contact=thread, resolved=resolved)]


def _size(key: str, known: dict[str, Any]) -> int:
    """About what an object takes once packed; what is held back repeats its names and ids."""
    said = (key, known.get("contact") or "", known.get("customer") or "")
    held = known.get("held", [])
    customers = {event.get("customer", "") for event in held}
    lengths = (len(text) if text.isascii() else 4 * len(text) for text in (*said, *customers))
    return sum(lengths) + 30 + 16 * len(held)


def kind_of(payload: bytes) -> str:
    """The subscription type, with the name of the property that changed."""
    found = peek(payload)
    kind = found.get("subscriptionType")
    if not isinstance(kind, str):
        return "?"
    name = found.get("propertyName")
    return f"{kind[:60]} {name[:60]}" if isinstance(name, str) and name else kind[:60]


SOURCE = Source(
    name="hubspot",
    title="HubSpot webhooks",
    translator=HubSpot,
    kind=kind_of,
    options=HubSpotOptions,
    payloads=elements_of,
    stateful=True,
)
