"""The simulated centre as a Zendesk account with omnichannel routing would tell it.

Tickets are created in a group, assigned, solved. Zendesk knows no abandonment: a ticket whose
customer went away is solved by an automation. It knows no hold, no wrap-up and no conference; a
colleague who helps is nowhere in the ticket. Calls have work items of their own, so rings of
voice are not those of a ticket.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import orjson

from pipeline.simulate.happenings import Happening, Kind, Status
from pipeline.simulate.people import Contact

_ACCOUNT = 22129848
_VERSION = "2022-11-06"
_VIA = {"voice": "phone_call_inbound", "chat": "chat", "email": "mail", "callback": "web_service"}
_VIA_ELSE = "native_messaging"
_WORK_CHANNEL = {"voice": "talk", "callback": "talk", "email": "support"}
_STATUSES = {
    Status.READY: (2, "online"),
    Status.AWAY: (3, "away"),
    Status.SIGNED_OUT: (1, "offline"),
}
_NAMESPACE = uuid.UUID("6f9619ff-8b86-d011-b42d-00c04fc964ff")


class _Ticket:
    """A ticket as it stands in the account."""

    def __init__(self, number: int, at: int, group: str, channel: str, requester: str) -> None:
        self.id = str(number)
        self.created_at = at
        self.group = group
        self.channel = channel
        self.requester = requester
        self.assignee = ""
        self.status = "NEW"
        self.known_group = group
        self.known_assignee = ""
        self.known_status = "NEW"


class ZendeskWriter:
    """One event a payload; several for one action."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._tickets: dict[str, _Ticket] = {}
        self._unified: dict[str, tuple[int, str]] = {}
        self._versions: dict[str, int] = {}
        self._serial = 0

    def payloads(self, happening: Happening) -> Iterable[bytes]:
        """See `Writer`."""
        kind = happening.kind
        if kind is Kind.STATUS:
            return self._status(happening)
        contact = happening.contact
        if contact is None:
            return ()
        if kind is Kind.ENQUEUED:
            return self._enqueued(happening, contact)
        ticket = self._tickets.get(contact.id)
        if ticket is None:
            return ()
        if kind in (Kind.RINGING, Kind.MISSED, Kind.REFUSED):
            return self._rung(happening, ticket)
        if kind is Kind.CONNECTED:
            return self._connected(happening, ticket)
        if kind is Kind.HUNG_UP:
            return self._hung_up(happening, ticket)
        if kind is Kind.GAVE_UP or (kind is Kind.LEFT and not _goes_on(happening)):
            ticket.status = "SOLVED"
            return self._action(ticket, happening.at)
        if kind is Kind.SURVEYED:
            return self._surveyed(happening, ticket)
        return ()

    def _enqueued(self, happening: Happening, contact: Contact) -> list[bytes]:
        ticket = self._tickets.get(contact.id)
        if ticket is None:
            number, queue = 4_800_000 + len(self._tickets), happening.queue
            requester = contact.customer or f"anonymous-{number}"
            ticket = _Ticket(number, happening.at, queue, happening.note, requester)
            self._tickets[contact.id] = ticket
            return [self._event("created", ticket, happening.at, 1, {})]
        ticket.group, ticket.assignee = happening.queue, ""
        return self._action(ticket, happening.at)

    def _rung(self, happening: Happening, ticket: _Ticket) -> list[bytes]:
        if happening.kind is Kind.RINGING:
            return [self._work_item("work_item_added", happening, ticket, "OFFERED")]
        return [self._work_item("work_item_removed", happening, ticket, "OFFER_MISSED")]

    def _connected(self, happening: Happening, ticket: _Ticket) -> list[bytes]:
        if ticket.assignee:
            return []  # a colleague helps: the ticket stays with its assignee
        assert happening.agent is not None
        ticket.assignee, ticket.status = happening.agent.id, "OPEN"
        ticket.group = happening.queue
        work = [self._work_item("work_item_updated", happening, ticket, "ACCEPTED")]
        return work + self._action(ticket, happening.at)

    def _hung_up(self, happening: Happening, ticket: _Ticket) -> list[bytes]:
        assert happening.agent is not None
        if ticket.assignee != happening.agent.id:
            return []
        if happening.note == "transferred":
            # One action with what follows in the same moment: the other group, or the other agent.
            ticket.assignee = ""
            return []
        ticket.status = "SOLVED"
        reply = {"comment": self._comment(happening)}
        return [
            *self._action(ticket, happening.at, reply),
            self._work_item("work_item_removed", happening, ticket, "WORK_ITEM_SOLVED"),
        ]

    def _comment(self, happening: Happening) -> dict[str, Any]:
        assert happening.agent is not None
        self._serial += 1
        author = {"id": happening.agent.id, "is_staff": True, "name": happening.agent.id}
        body = "Done."
        return {"id": str(self._serial), "body": body, "is_public": True, "author": author}

    def _surveyed(self, happening: Happening, ticket: _Ticket) -> list[bytes]:
        csat = (happening.facts or {}).get("csat")
        if csat is None:
            return []
        score = {"score": "GOOD" if csat > 3 else "BAD", "comment": "", "reason": ""}
        event = {"satisfaction_score": score}
        return [self._event("csat_received", ticket, happening.at, 1, event)]

    def _action(
        self, ticket: _Ticket, at: int, comment: dict[str, Any] | None = None
    ) -> list[bytes]:
        """One submit: an event for each field that it changed, each with the ticket after it."""
        changes: list[tuple[str, dict[str, Any]]] = []
        if comment is not None:
            changes.append(("comment_added", comment))
        if ticket.group != ticket.known_group:
            moved = {"previous": ticket.known_group, "current": ticket.group}
            changes.append(("group_assignment_changed", moved))
        if ticket.assignee != ticket.known_assignee:
            moved = {"previous": ticket.known_assignee, "current": ticket.assignee}
            changes.append(("agent_assignment_changed", moved))
        if ticket.status != ticket.known_status:
            moved = {"previous": ticket.known_status, "current": ticket.status}
            changes.append(("status_changed", moved))
        ticket.known_group, ticket.known_assignee = ticket.group, ticket.assignee
        ticket.known_status = ticket.status
        return [
            self._event(kind, ticket, at, position, event)
            for position, (kind, event) in enumerate(changes, 1)
        ]

    def _event(
        self, kind: str, ticket: _Ticket, at: int, position: int, event: dict[str, Any]
    ) -> bytes:
        sequence = {"id": f"{ticket.id}{at:X}", "position": position}
        return self._envelope(
            f"ticket.{kind}",
            f"zen:ticket:{ticket.id}",
            # The events of one action leave a little after one another.
            _nanoseconds(at, position),
            {
                "actor_id": ticket.assignee or ticket.requester,
                "assignee_id": ticket.assignee,
                "brand_id": "8447346621310",
                "created_at": _seconds(ticket.created_at),
                "custom_status": "8447320465790",
                "description": "A question",
                "external_id": None,
                "form_id": "8646151517822",
                "group_id": ticket.group,
                "id": ticket.id,
                "is_public": True,
                "organization_id": "",
                "priority": "NORMAL",
                "requester_id": ticket.requester,
                "status": ticket.status,
                "subject": "A question",
                "submitter_id": ticket.requester,
                "tags": [],
                "type": "QUESTION",
                "updated_at": _seconds(at),
                "via": {"channel": _VIA.get(ticket.channel, _VIA_ELSE)},
            },
            {"meta": {"sequence": sequence}, **event},
        )

    def _work_item(self, kind: str, happening: Happening, ticket: _Ticket, reason: str) -> bytes:
        assert happening.agent is not None
        channel = _WORK_CHANNEL.get(ticket.channel, "messaging")
        event = {
            "agent_id": happening.agent.id,
            "channel": channel,
            "reason": reason,
            "updated_at": _nanoseconds(happening.at, 7),
            "work_item_id": f"CA{ticket.id}" if channel == "talk" else ticket.id,
        }
        return self._agent_event(kind, happening.agent.id, happening.at, event)

    def _status(self, happening: Happening) -> list[bytes]:
        agent, named = happening.agent, _STATUSES.get(Status(happening.note))
        assert agent is not None
        before = self._unified.get(agent.id, (1, "offline"))
        if named is None:
            # Work does not change the status that the agent has chosen.
            named = _STATUSES[Status.READY]
        if named == before:
            return []
        self._unified[agent.id] = named
        event = {
            "new_unified_state": _unified(named, "AGENT_STATUS_SWITCHER"),
            "previous_unified_state": _unified(before, "UNKNOWN"),
            "updated_at": _nanoseconds(happening.at, 1),
        }
        return [self._agent_event("unified_state_changed", agent.id, happening.at, event)]

    def _agent_event(self, kind: str, agent: str, at: int, event: dict[str, Any]) -> bytes:
        version = self._versions[agent] = self._versions.get(agent, 0) + 1
        detail = {"account_id": str(_ACCOUNT), "agent_id": agent, "version": str(version)}
        when = _nanoseconds(at + 250, 9)
        return self._envelope(f"agent.{kind}", f"zen:agent:{agent}", when, detail, event)

    def _envelope(
        self, kind: str, subject: str, time: str, detail: dict[str, Any], event: dict[str, Any]
    ) -> bytes:
        self._serial += 1
        return orjson.dumps(
            {
                "account_id": _ACCOUNT,
                "detail": detail,
                "event": event,
                "id": str(uuid.uuid5(_NAMESPACE, f"{self._site}/{self._serial}")),
                "subject": subject,
                "time": time,
                "type": f"zen:event-type:{kind}",
                "zendesk_event_version": _VERSION,
            }
        )


def _goes_on(happening: Happening) -> bool:
    """It waits elsewhere next, in the same moment."""
    return happening.note in ("overflow", "callback")


def _unified(named: tuple[int, str], reason: str) -> dict[str, Any]:
    return {"id": str(named[0]), "name": named[1], "reason": reason}


def _seconds(at: int) -> str:
    return datetime.fromtimestamp(at // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _nanoseconds(at: int, more: int) -> str:
    return f"{_seconds(at)[:-1]}.{at % 1000:03d}{more:06d}Z"


WRITER = ZendeskWriter
