"""Zoho: resolution and ratings of a simulated centre, and what Desk's webhooks do in the world."""

from __future__ import annotations

import random
from collections import Counter
from functools import cache
from typing import Any

import orjson
import pytest

from pipeline.simulate.happenings import Kind
from pipeline.sources import SOURCES
from pipeline.sources.source import Translator, Unread
from tests.sources.crm_truth import Truth, truth_of
from tests.sources.round_trip import BUSY, RoundTrip, round_trip

T = 1_772_442_000_000
FACES = {1: 1, 2: 1, 3: 3, 4: 5, 5: 5}
"""A rating of five in one of three, which is all that Zoho has, told as the default says."""


@cache
def told() -> RoundTrip:
    return round_trip("zoho")


@cache
def truth() -> Truth:
    return truth_of(BUSY)


def begin(**options: Any) -> Translator:
    return SOURCES["zoho"].begin("here", options)


def test_it_carries_no_counter_of_a_queue() -> None:
    assert told().told == {}
    assert {event["type"] for event in told().events} == {"contact.resolved", "survey.answered"}


def test_resolutions_come_back_with_their_customers() -> None:
    found = [event for event in told().events if event["type"] == "contact.resolved"]
    opened = [event for event in found if not event["resolved"]]
    closed = Counter(event["contact"] for event in found if event["resolved"])
    assert closed == Counter(c for c, done in truth().resolutions().elements() if done)
    facts = [one.facts or {} for one in truth().of(Kind.RESOLVED)]
    assert len(opened) == len(facts)
    customers = sorted(event.get("customer", "") for event in opened)
    assert customers == sorted(fact["customer"] for fact in facts)


def test_ratings_come_back_in_three_faces() -> None:
    ratings = sorted(event["csat"] for event in told().events if "csat" in event)
    assert ratings == sorted(FACES[csat] for csat in truth().answers("csat"))


def test_repeats_and_any_order_say_the_same() -> None:
    """Desk keeps the order within a module only, and says nothing of how often it delivers."""
    payloads, mixed = told().payloads, list(told().payloads)
    random.Random(9).shuffle(mixed)
    assert distinct([*mixed, *payloads]) == distinct(payloads)


def distinct(payloads: list[bytes]) -> set[bytes]:
    translator = begin()
    return {
        orjson.dumps(event, option=orjson.OPT_SORT_KEYS)
        for payload in payloads
        for event in translator.translate(payload)
    }


def update(status: str, kind: str, before: str | None = None, **more: Any) -> bytes:
    event: dict[str, Any] = {
        "eventType": "Ticket_Update",
        "eventTime": str(T),
        "payload": {"id": "1", "status": status, "statusType": kind, **more},
    }
    if before is not None:
        event["prevState"] = {"statusType": before}
    return orjson.dumps(event)


def test_the_type_of_a_status_counts_and_not_its_name() -> None:
    (event,) = begin().translate(update("Closed", "Open"))
    assert event["resolved"] is False
    (event,) = begin().translate(update("Shipped", "CLOSED"))
    assert event["resolved"] is True


def test_an_update_of_another_field_says_nothing() -> None:
    assert begin().translate(update("Open", "Open", "Open")) == []
    assert begin().translate(update("Open", "Open", "Closed")) != []


def test_every_update_of_a_closed_ticket_is_of_the_moment_it_was_closed() -> None:
    closed = {"closedTime": "2026-03-02T08:59:00.000Z"}
    (event,) = begin().translate(update("Closed", "Closed", **closed))
    assert event["ts"] == T - 60_000


def test_a_presence_is_read_only_where_the_site_says() -> None:
    said = orjson.dumps(
        {
            "eventType": "Agent_Presence_Update",
            "eventTime": str(T),
            "payload": {"id": "9", "presence": {"now": "Away"}},
        }
    )
    assert begin().translate(said) == []
    with pytest.raises(Unread, match="Away"):
        begin(presence_field="presence.now").translate(said)
    away = begin(presence_field="presence.now", presence={"away": "not_ready"})
    assert away.translate(said)[0]["state"] == "not_ready"


def test_a_notification_without_values_names_no_outcome() -> None:
    bare = {"module": "Cases", "ids": ["1"], "server_time": T, "channel_id": "2"}
    assert begin().translate(orjson.dumps(bare)) == []


def test_a_type_of_status_that_is_not_known_resolves_nothing() -> None:
    with pytest.raises(Unread, match="statusType"):
        begin().translate(update("Parked", "Parked"))
    (event,) = begin().translate(update("Waiting", "On Hold"))
    assert event["resolved"] is False
