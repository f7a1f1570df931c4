"""Writes happenings as Zoho Desk's webhook events and its customers' ratings.

Desk hears of a contact when its ticket is written, a minute before it may be closed. Its ratings
have three faces, and its moments are whole milliseconds in events, whole seconds in tickets.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson

from pipeline.simulate.happenings import Happening, Kind

_MINUTE = 60_000
_FACES = {1: "BAD", 2: "BAD", 3: "OK", 4: "GOOD", 5: "GOOD"}
_ORG = "2389290"


class ZohoWriter:
    """One portal; a contact is a ticket."""

    def __init__(self) -> None:
        self._number = 100

    def payloads(self, happening: Happening) -> list[bytes]:
        """The events that tell of it; none for most happenings."""
        if happening.contact is None or happening.facts is None:
            return []
        if happening.kind is Kind.RESOLVED:
            events = self._ticket(happening)
        elif happening.kind is Kind.SURVEYED:
            events = [self._rating(happening)]
        else:
            return []
        return [orjson.dumps(event) for event in events]

    def _ticket(self, happening: Happening) -> list[dict[str, Any]]:
        assert happening.contact is not None
        assert happening.facts is not None
        self._number += 1
        at, written = happening.at, happening.at - _MINUTE
        ticket: dict[str, Any] = {
            "id": happening.contact.id, "ticketNumber": str(self._number), "subject": "A call",
            "status": "Open", "statusType": "Open", "priority": None, "channel": "Phone",
            "contactId": happening.facts["customer"] or None, "departmentId": happening.queue,
            "createdTime": _iso(written), "modifiedTime": _iso(written), "closedTime": None,
            "onholdTime": None, "isSpam": False, "cf": {},
        }  # fmt: skip
        events = [_event("Ticket_Add", written, ticket)]
        if happening.facts["resolved"]:
            closed = ticket | {"status": "Solved", "statusType": "Closed", "closedTime": _iso(at)}
            update = _event("Ticket_Update", at, closed | {"modifiedTime": _iso(at)})
            events.append(update | {"prevState": ticket})
        return events

    def _rating(self, happening: Happening) -> dict[str, Any]:
        assert happening.contact is not None
        assert happening.facts is not None
        self._number += 1
        return {
            "id": str(self._number), "ticketId": happening.contact.id, "threadId": None,
            "rating": _FACES[happening.facts["csat"]], "feedback": "", "agentId": None,
            "ratedTime": _iso(happening.at),
        }  # fmt: skip


def _event(kind: str, at: int, payload: dict[str, Any]) -> dict[str, Any]:
    return {"eventType": kind, "payload": payload, "eventTime": str(at), "orgId": _ORG}


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def WRITER(site: str) -> ZohoWriter:  # noqa: N802  # the name that writers are found by
    """A writer; a portal names no site."""
    return ZohoWriter()
