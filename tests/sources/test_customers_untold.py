"""Customers are hashed behind the translator, so nothing that it refuses may name one."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from pipeline.sources import SOURCES
from pipeline.sources.source import Unread

T = 1_772_442_000_000
NUMBER = "4930123456789"


def zoho(customer: object) -> Any:
    ticket = {"id": "1", "statusType": "Open", "phone": customer}
    return {"eventType": "Ticket_Add", "eventTime": str(T), "payload": ticket}


def zendesk(customer: object) -> Any:
    detail = {"id": "1", "status": "NEW", "requester_id": customer}
    time = "2026-01-01T00:00:00Z"
    return {"type": "zen:event-type:ticket.created", "detail": detail, "time": time}


def salesforce(customer: object) -> Any:
    case = {"Id": "500", "IsClosed": True, "ClosedDate": "2026-01-01T00:00:00Z"}
    return {"attributes": {"type": "Case"}, **case, "SuppliedPhone": customer}


def liveperson(customer: object) -> Any:
    people = [{"role": "CONSUMER", "id": customer}]
    details = {"state": "OPEN", "startTs": T, "participants": people}
    result = {"convId": "c", "conversationDetails": details}
    changes = [{"type": "UPSERT", "result": result}]
    return {"type": "cqm.ExConversationChangeNotification", "body": {"changes": changes}}


def feedback(customer: object) -> Any:
    row = {"kind": "resolution", "contact": "c", "ts": T, "resolved": True}
    return {**row, "customer": customer}


OPTIONS = {
    "zoho": {"customer_field": "phone"},
    "salesforce": {"case_customer_field": "SuppliedPhone"},
}


@pytest.mark.parametrize("made", [zoho, zendesk, salesforce, liveperson, feedback])
@pytest.mark.parametrize("customer", [[NUMBER], {"tel": NUMBER}, float(NUMBER), NUMBER * 30])
def test_a_customer_that_cannot_be_read_is_not_told(made: Any, customer: object) -> None:
    translator = SOURCES[made.__name__].begin("here", OPTIONS.get(made.__name__, {}))
    with pytest.raises(Unread) as refused:
        translator.translate(orjson.dumps(made(customer)))
    assert NUMBER not in str(refused.value)
    (event,) = translator.translate(orjson.dumps(made(NUMBER)))
    assert event["customer"] == NUMBER
