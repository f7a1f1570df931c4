"""Writes happenings as HubSpot's webhook events, one element of its arrays a payload.

HubSpot hears of a contact when a ticket is written or a survey answered; of the call it knows the
id that the telephony integration leaves in a property, here `call_id`. A ticket is written a minute
before anything else happens to it, and HubSpot tells all of it in one batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from pipeline.simulate.happenings import Happening, Kind

_FEEDBACK_TYPE = "0-19"
_CLOSED_STAGE = "4"
_MINUTE = 60_000


class HubSpotWriter:
    """One account."""

    def __init__(self) -> None:
        self._event_id = 0
        self._object_id = 512

    def payloads(self, happening: Happening) -> list[bytes]:
        """The events that tell of it; none for most happenings."""
        if happening.contact is None or happening.facts is None:
            return []
        contact, facts = happening.contact.id, happening.facts
        if happening.kind is Kind.RESOLVED:
            events = self._ticket(happening.at, contact, facts)
        elif happening.kind is Kind.SURVEYED:
            events = self._submission(happening.at, contact, facts)
        else:
            return []
        return [orjson.dumps(event) for event in events]

    def _ticket(self, at: int, contact: str, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
        self._object_id += 1
        ticket = {"objectId": self._object_id}
        written = at - _MINUTE
        events = [
            self._event("ticket.creation", written, ticket | {"changeFlag": "CREATED"}),
            self._change("ticket", written, ticket, "call_id", contact),
        ]
        if facts["customer"]:
            link = {
                "associationType": "TICKET_TO_CONTACT",
                "fromObjectId": self._object_id,
                "toObjectId": int(facts["customer"].removeprefix("cust-")),
                "associationRemoved": False,
                "isPrimaryAssociation": False,
            }
            events.append(self._event("ticket.associationChange", written, link))
        if facts["resolved"]:
            events.append(self._change("ticket", at, ticket, "hs_pipeline_stage", _CLOSED_STAGE))
        return events

    def _submission(self, at: int, contact: str, facts: Mapping[str, Any]) -> list[dict[str, Any]]:
        self._object_id += 1
        about = {"objectId": self._object_id, "objectTypeId": _FEEDBACK_TYPE}
        events = [self._event("object.creation", at, about | {"changeFlag": "CREATED"})]
        for score in ("csat", "nps", "ces"):
            if score in facts:
                change = self._change("object", at, about, f"{score}_score", str(facts[score]))
                events.append(change)
        events.append(self._change("object", at, about, "call_id", contact))
        return events

    def _change(
        self, prefix: str, at: int, about: dict[str, Any], name: str, value: str
    ) -> dict[str, Any]:
        change = {"propertyName": name, "propertyValue": value}
        return self._event(f"{prefix}.propertyChange", at, about | change)

    def _event(self, kind: str, at: int, facts: dict[str, Any]) -> dict[str, Any]:
        self._event_id += 1
        return {
            "eventId": self._event_id,
            "subscriptionId": 7_662_269,
            "portalId": 247_279_312,
            "appId": 51_879_189,
            "occurredAt": at,
            "subscriptionType": kind,
            "attemptNumber": 0,
            "changeSource": "CRM_UI",
            **facts,
        }


def WRITER(site: str) -> HubSpotWriter:  # noqa: N802  # the name that writers are found by
    """A writer; an account names no site."""
    return HubSpotWriter()
