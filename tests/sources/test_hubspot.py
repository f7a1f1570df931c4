"""HubSpot: resolution and scores of a simulated centre, and what its webhooks do in the world."""

from __future__ import annotations

import random
import zlib
from collections import Counter
from collections.abc import Iterable
from functools import cache
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from pipeline.simulate.happenings import Kind
from pipeline.sources import SOURCES
from pipeline.sources.platforms import hubspot
from pipeline.sources.source import Translator, Unread
from tests.sources.crm_truth import Truth, truth_of
from tests.sources.round_trip import BUSY, RoundTrip, round_trip

T = 1_772_442_000_000
OPTIONS: dict[str, Any] = {
    "contact_property": "call_id",
    "scores": {"csat_score": "csat", "nps_score": "nps", "ces_score": "ces"},
    "csat_values": {str(rating): rating for rating in range(1, 6)},
}
SCORES = ("csat", "nps", "ces")


@cache
def told() -> RoundTrip:
    return round_trip("hubspot", BUSY, {"hubspot": OPTIONS})


@cache
def truth() -> Truth:
    return truth_of(BUSY)


def begin(**options: Any) -> Translator:
    return SOURCES["hubspot"].begin("here", OPTIONS | options)


def distinct(payloads: Iterable[bytes]) -> set[bytes]:
    translator = begin()
    return {
        orjson.dumps(event, option=orjson.OPT_SORT_KEYS)
        for payload in payloads
        for event in translator.translate(payload)
    }


def last_said(events: list[dict[str, Any]]) -> Counter[tuple[str, bool]]:
    said: dict[str, tuple[int, bool]] = {}
    for event in events:
        if event["type"] == "contact.resolved":
            known = said.get(event["contact"], (event["ts"], False))
            said[event["contact"]] = max(known, (event["ts"], event["resolved"]))
    return Counter((contact, resolved) for contact, (_, resolved) in said.items())


def test_it_carries_no_counter_of_a_queue() -> None:
    """A CRM has no waits, no rings, no talks: only what is said of a contact afterwards."""
    assert told().told == {}
    assert {event["type"] for event in told().events} == {"contact.resolved", "survey.answered"}


def test_resolutions_come_back_contact_by_contact() -> None:
    once = Counter(contact for contact, _ in truth().resolutions())
    single = {contact for contact, number in once.items() if number == 1}
    got = Counter({key: n for key, n in last_said(told().events).items() if key[0] in single})
    want = Counter({key: 1 for key in truth().resolutions() if key[0] in single})
    assert (got, len(single) > 40) == (want, True)


def test_scores_come_back_answer_by_answer() -> None:
    for score in SCORES:
        answers = sorted(event[score] for event in told().events if score in event)
        assert answers == truth().answers(score)


def test_customers_are_those_of_the_tickets() -> None:
    closed = [e for e in told().events if e["type"] == "contact.resolved" and e["resolved"]]
    facts = [one.facts or {} for one in truth().of(Kind.RESOLVED)]
    want = [fact["customer"] for fact in facts if fact["resolved"] and fact["customer"]]
    got = [event["customer"] for event in closed if "customer" in event]
    assert sorted(got) == sorted(str(int(one.removeprefix("cust-"))) for one in want)


def test_retries_and_any_order_of_a_batch_say_the_same() -> None:
    """HubSpot retries for a day, with attemptNumber, and promises no order."""
    payloads, rng = told().payloads, random.Random(3)
    again = [orjson.dumps(orjson.loads(p) | {"attemptNumber": 1}) for p in payloads]
    assert distinct([*payloads, *again[100:]]) == distinct(payloads)
    mixed: list[bytes] = []
    for start in range(0, len(payloads), 10):
        batch = payloads[start : start + 10]
        rng.shuffle(batch)
        mixed += batch
    plain = [orjson.loads(event) for event in distinct(payloads)]
    other = [orjson.loads(event) for event in distinct(mixed)]
    assert last_said(other) == last_said(plain)
    for score in SCORES:
        assert sorted(e[score] for e in other if score in e) == truth().answers(score)


def change(name: str, value: object, at: int = 0, object_type: str = "0-5", **more: Any) -> bytes:
    event = {
        "subscriptionType": "object.propertyChange",
        "objectTypeId": object_type,
        "occurredAt": T + at,
        "objectId": 7,
        "propertyName": name,
        "propertyValue": value,
    }
    return orjson.dumps(event | more)


def test_without_a_property_a_contact_is_the_ticket() -> None:
    translator = begin(contact_property=None)
    (event,) = translator.translate(change("hs_pipeline_stage", "4"))
    assert (event["contact"], event["resolved"]) == ("7", True)
    assert translator.memory() == {}


def test_what_is_held_back_is_bounded() -> None:
    translator = begin()
    for at in range(100):
        assert translator.translate(change("hs_pipeline_stage", "4", at)) == []
    events = translator.translate(change("call_id", "c-1", 200))
    assert [event["ts"] - T for event in events] == list(range(99, 91, -1))


def test_objects_are_forgotten_by_number_and_by_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hubspot, "_MOST", 20)
    translator = begin()
    for number in range(100):
        translator.translate(change("call_id", "c", number, objectId=number))
    assert len(translator.memory()) == 20
    for _ in range(30):
        translator.translate(change("call_id", "c", 91 * 86_400_000, objectId=1_000))
    assert set(translator.memory()) == {"0-5/1000"}


@pytest.mark.parametrize("length", [12, 200])
def test_a_memory_full_of_what_is_held_back_can_be_kept(length: int) -> None:
    """Ingest keeps at most 900,000 bytes of it, compressed."""
    rng, translator = random.Random(1), begin()
    for _ in range(6_500 if length == 12 else 4_000):
        object_id = "".join(rng.choices("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJ", k=length))
        for _ in range(8):
            at = rng.randrange(10**9)
            translator.translate(change("hs_pipeline_stage", "4", at, objectId=object_id))
    memory = translator.memory()
    assert len(memory) > 2_000
    assert len(zlib.compress(orjson.dumps(memory), 1)) < 900_000
    again = begin()
    again.recall(orjson.loads(orjson.dumps(memory)))
    for translated in (translator, again):
        translated.translate(change("hs_pipeline_stage", "4", 5, objectId="new"))
    assert again.memory() == translator.memory()


@pytest.mark.parametrize("value", ["4.5", "x", "", " ", "1e3", "6", "0"])
def test_a_score_that_is_none_is_refused_or_left_out(value: str) -> None:
    payload = change("csat_score", value, object_type="0-19")
    translator = begin(contact_property=None)
    if value == "":
        assert translator.translate(payload) == []
    else:
        with pytest.raises(Unread):
            translator.translate(payload)


def test_names_of_object_types_are_as_good_as_their_ids() -> None:
    plain = begin(contact_property=None)
    by_name = change("hs_pipeline_stage", "4", object_type="TICKET")
    assert plain.translate(by_name) == plain.translate(change("hs_pipeline_stage", "4"))


@pytest.mark.parametrize(("value", "csat"), [("0", 1), ("1", 3), ("2", 5), ("2.0", 5)])
def test_the_three_faces_of_a_satisfaction_survey_are_never_a_rating_of_five(
    value: str, csat: int
) -> None:
    options = {"contact_property": None, "scores": {"hs_value": "csat"}}
    translator = SOURCES["hubspot"].begin("here", options)
    (event,) = translator.translate(change("hs_value", value, object_type="0-19"))
    assert event["csat"] == csat
    for wrong in ("3", "5", "4.5"):
        with pytest.raises(Unread, match="csat_values"):
            translator.translate(change("hs_value", wrong, object_type="0-19"))
    with pytest.raises(ValidationError):
        SOURCES["hubspot"].begin("here", {"csat_values": {"2": 6}})


def test_a_capture_has_the_arrays_that_hubspot_posts() -> None:
    posted = [orjson.loads(change("hs_pipeline_stage", "4", at)) for at in range(3)]
    line = orjson.dumps(posted) + b"\n"
    payloads = list(SOURCES["hubspot"].payloads([line, b"[1\n", b"{}\n"]))
    assert payloads == [*((1, orjson.dumps(one)) for one in posted), (2, b"[1"), (3, b"{}")]
