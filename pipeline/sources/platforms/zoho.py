"""Zoho: webhooks of Zoho Desk, ratings of its customers, and notifications of Zoho CRM.

A Desk event carries the whole ticket, so nothing has to be remembered. It carries no queue and no
call; what it gives is resolution, satisfaction and the customer. The door hands each element of a
posted array over as one payload.
"""

from __future__ import annotations

from typing import Any, Literal

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
    customer_or_none,
    epoch_ms_at,
    find,
    iso,
    items_at,
    load,
    name_at,
    peek,
    shown,
    text_or_none,
    word_at,
)

State = Literal["available", "busy", "wrap", "not_ready", "offline"]

_CLOSED = "closed"
_STATUS_TYPES = frozenset({"open", "on hold", "onhold", "closed"})
_SILENT = frozenset(
    f"{name}_{change}"
    for name, changes in {
        "Ticket": "Delete",
        "Ticket_Thread": "Add",
        "Ticket_Comment": "Add Update",
        "Ticket_Approval": "Add Update",
        "Ticket_Attachment": "Add Update Delete",
        "Contact": "Add Update Delete",
        "Account": "Add Update Delete",
        "Agent": "Add Update Delete",
        "Agent_Channel_Preference": "Update",
        "Department": "Add Update",
        "Task": "Add Update Delete",
        "Call": "Add Update Delete",
        "Event": "Add Update Delete",
        "TimeEntry": "Add Update Delete",
        "Article": "Add Update Delete",
        "Article_Translation": "Add Update Delete",
        "Article_Feedback": "Add",
        "KBRootCategory": "Add Update Delete",
        "KBSection": "Add Update Delete",
        "IM_Message": "Add Status",
        "IM_Session": "Status",
    }.items()
    for change in changes.split()
)
"""Events of Zoho Desk that say nothing of a contact here; docs/sources/zoho.md has the reasons."""


class ZohoOptions(NoOptions):
    """What a site knows of its Zoho.

    `contact_field` and `customer_field` are paths in a ticket, such as `cf.cf_call_id`, to the
    contact's id in the telephony platform and to the customer. `ratings` maps customers' ratings to
    csat. `presence_field` is the path in an agent's presence whose values `presence` maps to
    states. `case_status_field` and `case_closed` say which cases of Zoho CRM are closed.
    """

    contact_field: str = "id"
    customer_field: str = "contactId"
    issue_field: str = "category"
    ratings: dict[str, int] = {"good": 5, "ok": 3, "okay": 3, "bad": 1}
    presence_field: str | None = None
    presence: dict[str, State] = {"online": "available", "offline": "offline"}
    case_status_field: str = "Status"
    case_closed: list[str] = ["Closed"]

    @field_validator("ratings")
    @classmethod
    def _be_ratings(cls, ratings: dict[str, int]) -> dict[str, int]:
        for word, rating in ratings.items():
            if not 1 <= rating <= 5:
                raise ValueError(f"{word!r} should be a rating from 1 to 5, not {rating}")
        return ratings


class Zoho(Translator):
    """Remembers nothing."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        options: ZohoOptions = context.options
        self._options = options
        self._ratings = {word.casefold(): rating for word, rating in options.ratings.items()}
        self._presence = {word.casefold(): state for word, state in options.presence.items()}

    def translate(self, payload: bytes) -> list[Event]:
        """The events of one event of Desk, one rating, or one notification of the CRM."""
        found = load(payload)
        if "eventType" in found:
            return self._desk(found)
        if "channel_id" in found and "module" in found:
            return self._crm(found)
        if "rating" in found:
            return self._rating(found)
        raise Unread("eventType", "is required")

    def _desk(self, found: dict[str, Any]) -> list[Event]:
        kind = word_at(found, "eventType")
        if kind == "Ticket_Update":
            return self._updated(found)
        if kind == "Ticket_Add":
            return self._ticket(found, _time(found))
        if kind == "Agent_Presence_Update":
            return self._present(found)
        if kind not in _SILENT:
            raise Unread("eventType", f"{shown(kind)} is unknown")
        return []

    def _updated(self, found: dict[str, Any]) -> list[Event]:
        """Of a ticket whose state did not change nothing is said again."""
        before = text_or_none(found, "prevState.statusType")
        now = text_or_none(found, "payload.statusType")
        if before is not None and now is not None and before.casefold() == now.casefold():
            return []
        return self._ticket(found, _time(found))

    def _ticket(self, found: dict[str, Any], ts: int) -> list[Event]:
        """A status has any name, such as `Closed` of the type Open: the type alone counts."""
        options = self._options
        said = word_at(found, "payload.statusType")
        if said.casefold() not in _STATUS_TYPES:
            raise Unread("payload.statusType", f"{shown(said)} is none of Open, On Hold, Closed")
        resolved = said.casefold() == _CLOSED
        closed = find(found, "payload.closedTime") if resolved else None
        fields = {
            "contact": name_at(found, f"payload.{options.contact_field}"),
            "customer": customer_or_none(found, f"payload.{options.customer_field}"),
            "issue": text_or_none(found, f"payload.{options.issue_field}"),
            "resolved": resolved,
        }
        # An update of a closed ticket says again when it was closed, so that it says nothing new.
        at = ts if closed in (None, "") else iso(closed, "payload.closedTime", "UTC")
        return [self.context.event("contact.resolved", at, **fields)]

    def _present(self, found: dict[str, Any]) -> list[Event]:
        field = self._options.presence_field
        if field is None:
            return []
        path = f"payload.{field}"
        said = word_at(found, path)
        state = self._presence.get(said.casefold())
        if state is None:
            raise Unread(path, f"{shown(said)} is none of {', '.join(self._presence)}")
        ts, agent = _time(found), name_at(found, "payload.id")
        return [self.context.event("agent.state", ts, agent=agent, state=state, reason=said)]

    def _rating(self, found: dict[str, Any]) -> list[Event]:
        word = word_at(found, "rating")
        rating = self._ratings.get(word.casefold())
        if rating is None:
            raise Unread("rating", f"{shown(word)} is none of {', '.join(self._ratings)}")
        at = iso(find(found, "ratedTime"), "ratedTime", "UTC")
        contact = name_at(found, "ticketId")
        return [self.context.event("survey.answered", at, contact=contact, csat=rating)]

    def _crm(self, found: dict[str, Any]) -> list[Event]:
        """A notification without values names records and not what became of them."""
        if word_at(found, "module") != "Cases":
            return []
        ts = epoch_ms_at(found, "server_time")
        events = []
        for place, record in enumerate(items_at(found, "affected_values")):
            values = record.get("values") if isinstance(record, dict) else None
            if not isinstance(values, dict):
                raise Unread(f"affected_values.{place}.values", "is required")
            status = values.get(self._options.case_status_field)
            if status is not None:
                contact = name_at(record, "record_id")
                resolved = status in self._options.case_closed
                events.append(
                    self.context.event("contact.resolved", ts, contact=contact, resolved=resolved)
                )
        return events


def _time(found: dict[str, Any]) -> int:
    """Epoch ms of an event; documented as digits, and seen as ISO text as well."""
    said = found.get("eventTime")
    if isinstance(said, str) and "T" in said:
        return iso(said, "eventTime", "UTC")
    return epoch_ms_at(found, "eventTime")


def kind_of(payload: bytes) -> str:
    """The event of Desk, or what else it is."""
    found = peek(payload)
    kind, module = found.get("eventType"), found.get("module")
    if isinstance(kind, str):
        return kind[:60]
    if isinstance(module, str):
        return f"CRM {module[:40]}"
    return "rating" if "rating" in found else "?"


SOURCE = Source(
    name="zoho",
    title="Zoho Desk and CRM",
    translator=Zoho,
    kind=kind_of,
    options=ZohoOptions,
    payloads=elements_of,
)
