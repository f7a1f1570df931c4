"""Each line of the contract's table of events: what it takes, refuses, fills and drops."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from schemas.events import (
    _MODELS,
    FEEDBACK_TYPES,
    EventError,
    event_key,
    read_event,
    readable_site,
    validate_event,
)

COMMON: dict[str, Any] = {"site": "s", "ts": 1_000}

REQUIRED: dict[str, dict[str, Any]] = {
    "contact.queued": {"contact": "c", "queue": "q"},
    "contact.offered": {"contact": "c", "agent": "a"},
    "contact.declined": {"contact": "c", "agent": "a"},
    "contact.answered": {"contact": "c", "agent": "a"},
    "contact.held": {"contact": "c", "agent": "a"},
    "contact.resumed": {"contact": "c", "agent": "a"},
    "contact.released": {"contact": "c", "agent": "a"},
    "contact.wrapped": {"contact": "c", "agent": "a"},
    "contact.abandoned": {"contact": "c"},
    "contact.left": {"contact": "c"},
    "agent.state": {"agent": "a", "state": "available"},
    "agent.profile": {"agent": "a"},
    "survey.answered": {"contact": "c"},
    "contact.resolved": {"contact": "c", "resolved": True},
    "contact.sentiment": {"contact": "c", "score": 0.5},
    "contact.evaluated": {"contact": "c", "agent": "a", "score": 80.0},
    "contact.recorded": {"contact": "c", "url": "https://recordings.example/1"},
    "clock": {},
}

DEFAULTS: dict[str, dict[str, str]] = {
    "contact.queued": {"channel": "voice", "direction": "inbound"},
    "contact.declined": {"reason": "no_answer"},
    "contact.answered": {"channel": "voice"},
    "contact.released": {"reason": "completed"},
    "contact.left": {"reason": "other"},
}

OPTIONAL: dict[str, dict[str, Any]] = {
    "contact.queued": {
        "channel": "email",
        "direction": "outbound",
        "customer": "k",
        "priority": -3,
    },
    "contact.declined": {"reason": "rejected"},
    "contact.answered": {"queue": "q", "channel": "chat"},
    "contact.released": {"reason": "transferred"},
    "contact.wrapped": {"code": ""},
    "contact.abandoned": {"queue": "q"},
    "contact.left": {"queue": "q", "reason": "voicemail"},
    "agent.state": {"reason": "lunch", "team": ""},
    "agent.profile": {"team": "t", "queues": ["q1", "q2"], "capacity": 3},
    "survey.answered": {"queue": "q", "csat": 5, "nps": 0, "ces": 7, "resolved": False},
    "contact.resolved": {"customer": "k", "issue": "billing"},
    "contact.sentiment": {"escalation_risk": 0.25},
    "contact.evaluated": {"form": "calls v2"},
}

IDS = {"site", "contact", "agent", "queue", "customer"}
INTEGERS = {"ts", "priority", "capacity", "csat", "nps", "ces"}
NUMBERS = {"score", "escalation_risk"}


def event_of(name: str, **fields: Any) -> dict[str, Any]:
    return {"type": name, **COMMON, **REQUIRED[name], **fields}


def full(name: str) -> dict[str, Any]:
    return event_of(name, source="pbx", id="e-1", **OPTIONAL.get(name, {}))


def fields_of(kind: set[str]) -> list[tuple[str, str]]:
    return [(name, field) for name in REQUIRED for field in full(name) if field in kind]


def error_of(obj: object) -> EventError:
    with pytest.raises(EventError) as caught:
        validate_event(obj)
    return caught.value


def test_the_table_is_all_types() -> None:
    assert set(_MODELS) == set(REQUIRED)
    assert set(REQUIRED) > FEEDBACK_TYPES


@pytest.mark.parametrize("name", REQUIRED)
def test_required_fields_are_enough_and_defaults_are_filled(name: str) -> None:
    assert validate_event(event_of(name)) == {**event_of(name), **DEFAULTS.get(name, {})}


@pytest.mark.parametrize("name", REQUIRED)
def test_every_field_of_the_table_is_kept(name: str) -> None:
    assert validate_event(full(name)) == full(name)


@pytest.mark.parametrize("name", REQUIRED)
def test_a_validated_event_validates_to_itself(name: str) -> None:
    once = validate_event(event_of(name))
    assert validate_event(once) == once
    assert read_event(event_key(once)) == once


@pytest.mark.parametrize("name", REQUIRED)
def test_unknown_fields_are_dropped(name: str) -> None:
    extra = {"zzz": {"deep": [1]}, "Contact": "c", "pane": None}
    assert validate_event(event_of(name) | extra) == validate_event(event_of(name))


def test_a_field_of_another_type_is_an_unknown_one() -> None:
    held = event_of("contact.held", queue=7, channel="pigeon", reason=["x"])
    assert validate_event(held) == event_of("contact.held")


@pytest.mark.parametrize(
    ("name", "field"),
    [(name, field) for name in REQUIRED for field in event_of(name)],
)
@pytest.mark.parametrize("null", [True, False], ids=["null", "absent"])
def test_a_required_field_is_required(name: str, field: str, null: bool) -> None:
    event = event_of(name)
    if null:
        event[field] = None
    else:
        del event[field]
    error = error_of(event)
    assert (error.field, error.reason) == (field, "is required")
    assert str(error) == f"{field}: is required"


@pytest.mark.parametrize(
    ("name", "field"),
    [(name, f) for name in REQUIRED for f in full(name) if f not in event_of(name)],
)
def test_a_null_of_an_optional_field_is_absence(name: str, field: str) -> None:
    without = {key: value for key, value in full(name).items() if key != field}
    assert validate_event(full(name) | {field: None}) == validate_event(without)


@pytest.mark.parametrize(("name", "field"), fields_of(IDS))
def test_ids_are_texts_of_1_to_200_characters(name: str, field: str) -> None:
    longest = "é" * 200
    assert validate_event(full(name) | {field: longest})[field] == longest
    wrongs: list[object] = ["", longest + "x", 5, True, ["c"], {"id": "c"}]
    for wrong in wrongs:
        assert error_of(full(name) | {field: wrong}).field == field


@pytest.mark.parametrize(("name", "field"), fields_of(INTEGERS))
def test_integers_are_json_integers(name: str, field: str) -> None:
    wrongs: list[object] = ["1", True, False, 1.0, 1.5, [1], {}]
    for wrong in wrongs:
        assert error_of(full(name) | {field: wrong}).field == field


@pytest.mark.parametrize(("name", "field"), fields_of({"ts", "priority", "capacity"}))
def test_open_integers_hold_64_bits_and_no_more(name: str, field: str) -> None:
    for edge in (-(2**63), -1, 0, 2**63 - 1):
        assert validate_event(full(name) | {field: edge})[field] == edge
    for beyond in (2**63, 2**64, 10**30, -(2**63) - 1):
        text = json.dumps(full(name) | {field: beyond})
        with pytest.raises(EventError, match=field):
            read_event(text)


@pytest.mark.parametrize(("field", "low", "high"), [("csat", 1, 5), ("nps", 0, 10), ("ces", 1, 7)])
def test_survey_scores_have_inclusive_ranges(field: str, low: int, high: int) -> None:
    for edge in (low, high):
        assert validate_event(event_of("survey.answered", **{field: edge}))[field] == edge
    for beyond in (low - 1, high + 1):
        assert error_of(event_of("survey.answered", **{field: beyond})).field == field


@pytest.mark.parametrize(
    ("name", "field", "low", "high"),
    [
        ("contact.sentiment", "score", -1, 1),
        ("contact.sentiment", "escalation_risk", 0, 1),
        ("contact.evaluated", "score", 0, 100),
    ],
)
def test_numbers_may_be_whole_or_not_within_inclusive_ranges(
    name: str, field: str, low: int, high: int
) -> None:
    for good in (low, float(low), high, float(high), (low + high) / 2):
        assert validate_event(event_of(name, **{field: good}))[field] == good
    for wrong in (low - 0.001, high + 0.001, low - 1, high + 1, "0.5", True, [0]):
        assert error_of(event_of(name, **{field: wrong})).field == field


def test_equal_numbers_are_equal_events_to_the_byte() -> None:
    whole, real = (validate_event(event_of("contact.sentiment", score=n)) for n in (1, 1.0))
    assert event_key(whole) == event_key(real)
    plus, minus = (validate_event(event_of("contact.sentiment", score=n)) for n in (0.0, -0.0))
    assert event_key(plus) == event_key(minus)


@pytest.mark.parametrize(
    ("name", "field", "values"),
    [
        (
            "contact.queued",
            "channel",
            "voice chat email message social callback task",
        ),
        ("contact.queued", "direction", "inbound outbound"),
        ("contact.declined", "reason", "no_answer rejected"),
        ("contact.answered", "channel", "voice chat email message social callback task"),
        ("contact.released", "reason", "completed transferred"),
        (
            "contact.left",
            "reason",
            "callback overflow timeout transfer voicemail answered_elsewhere lost other",
        ),
        ("agent.state", "state", "available busy wrap not_ready offline"),
    ],
)
def test_lists_of_values_are_closed(name: str, field: str, values: str) -> None:
    for value in values.split():
        assert validate_event(event_of(name, **{field: value}))[field] == value
    wrongs: list[object] = ["", "Voice", "ringing", 1, True, ["voice"], {}]
    for wrong in wrongs:
        assert error_of(event_of(name, **{field: wrong})).field == field


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("contact.queued", "source"),
        ("clock", "id"),
        ("contact.wrapped", "code"),
        ("agent.state", "reason"),
        ("agent.state", "team"),
        ("agent.profile", "team"),
        ("contact.resolved", "issue"),
        ("contact.evaluated", "form"),
        ("contact.recorded", "url"),
    ],
)
def test_other_texts_may_be_empty_or_long_but_are_texts(name: str, field: str) -> None:
    for good in ("", "x" * 1000):
        assert validate_event(event_of(name, **{field: good}))[field] == good
    for wrong in (1, False, ["x"]):
        assert error_of(event_of(name, **{field: wrong})).field == field


@pytest.mark.parametrize("wrong", [1, 0, "true", "yes", 1.0])
@pytest.mark.parametrize("name", ["survey.answered", "contact.resolved"])
def test_resolved_is_true_or_false(name: str, wrong: object) -> None:
    assert error_of(event_of(name, resolved=wrong)).field == "resolved"


def test_queues_is_a_list_of_ids_and_the_wrong_one_is_named() -> None:
    assert validate_event(event_of("agent.profile", queues=[]))["queues"] == []
    assert error_of(event_of("agent.profile", queues="q")).field == "queues"
    assert error_of(event_of("agent.profile", queues={"q": 1})).field == "queues"
    assert error_of(event_of("agent.profile", queues=["q", 7])).field == "queues.1"
    assert error_of(event_of("agent.profile", queues=["q", "", "r"])).field == "queues.1"
    assert error_of(event_of("agent.profile", queues=[None])).field == "queues.0"


@pytest.mark.parametrize("name", ["", "contact.queue", "Clock", "contact.queued ", 1, ["clock"]])
def test_an_unknown_type_is_refused(name: object) -> None:
    error = error_of({"type": name, **COMMON, "contact": "c", "queue": "q"})
    assert error.field == "type"
    assert "unknown" in error.reason


@pytest.mark.parametrize("obj", [None, 1, "clock", [], [{"type": "clock"}], True])
def test_only_an_object_is_an_event(obj: object) -> None:
    assert error_of(obj).field == "payload"
    with pytest.raises(EventError, match="^payload: "):
        read_event(orjson.dumps(obj))


def test_null_is_called_null() -> None:
    assert error_of(None).reason == "not a JSON object but null"
    with pytest.raises(EventError, match="not a JSON object but null"):
        read_event("null")
    assert error_of(event_of("agent.profile", queues=[None])).reason.endswith("not null")


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"type": "clock", "site": "\xff", "ts": 1}',
        b'{"type": "clock", "site": "s", "ts": NaN}',
        b"{'type': 'clock'}",
        b"[" * 5000,
        b'{"a":' * 5000,
        b"\x00" * 100,
    ],
)
def test_what_is_not_json_is_refused_and_nothing_else_happens(payload: bytes) -> None:
    with pytest.raises(EventError, match="^payload: not JSON: "):
        read_event(payload)


def test_a_lone_surrogate_of_a_python_producer_is_refused() -> None:
    assert error_of(event_of("contact.held", contact="\ud800")).field == "contact"


def test_of_a_key_that_stands_twice_the_last_counts() -> None:
    event = read_event('{"type":"clock","site":"s","ts":1,"ts":2}')
    assert event["ts"] == 2


def test_a_reason_is_short_whatever_the_payload() -> None:
    assert len(str(error_of(event_of("clock", ts="9" * 100_000)))) < 200
    assert len(str(error_of({"type": "x" * 100_000}))) < 200


def test_the_event_given_is_not_changed() -> None:
    given = event_of("contact.queued", customer=None, extra=1)
    before = dict(given)
    validate_event(given)
    assert given == before


def test_the_key_of_an_event_is_compact_sorted_utf8() -> None:
    event = validate_event(event_of("contact.held", contact="é/\u2028"))
    assert event_key(event) == (
        '{"agent":"a","contact":"é/\u2028","site":"s","ts":1000,"type":"contact.held"}'.encode()
    )


@pytest.mark.parametrize(
    ("obj", "site"),
    [
        ({"site": "s", "type": 5}, "s"),
        ({"site": ""}, None),
        ({"site": "x" * 201}, None),
        ({"site": 5}, None),
        ({}, None),
        ("s", None),
    ],
)
def test_a_site_is_readable_even_where_the_event_is_not(obj: object, site: str | None) -> None:
    assert readable_site(obj) == site


QUEUED = '{"type":"contact.queued","site":"s","ts":1,"contact":"c","queue":"q"'


@pytest.mark.parametrize(
    "value", ['"\\ud800"', "1e999", "-1e999", "123456789012345678901234567890"]
)
def test_a_field_that_is_ignored_may_hold_what_no_field_can(value: str) -> None:
    assert read_event(f'{QUEUED},"extra":[{value}]}}') == read_event(QUEUED + "}")


@pytest.mark.parametrize(
    ("fields", "wrong"),
    [
        ('"contact":"\\ud800"', "contact"),
        ('"site":"\\ud800"', "site"),
        ('"source":"cut \\ud83d"', "source"),
        ('"id":"\\udc00"', "id"),
        ('"ts":1e999', "ts"),
        ('"priority":123456789012345678901234567890', "priority"),
        ('"extra":NaN', "payload"),
        ('"extra":Infinity', "payload"),
        ('"extra":' + "[" * 100_000, "payload"),
    ],
)
def test_a_field_that_is_read_may_not(fields: str, wrong: str) -> None:
    with pytest.raises(EventError) as caught:
        read_event(f"{QUEUED},{fields}}}")
    assert caught.value.field == wrong


def test_bytes_that_are_not_utf8_are_no_json() -> None:
    with pytest.raises(EventError, match="not JSON"):
        read_event(QUEUED.encode() + b',"extra":"\xff"}')


@pytest.mark.parametrize(
    ("name", "fields", "wrong"),
    [
        ("agent.state", '"agent":"a","state":"busy","reason":"\\ud83d"', "reason"),
        ("agent.profile", '"agent":"a","team":"\\ud83d"', "team"),
        ("agent.profile", '"agent":"a","queues":["\\ud83d"]', "queues"),
        ("contact.wrapped", '"contact":"c","agent":"a","code":"\\ud83d"', "code"),
        ("contact.recorded", '"contact":"c","url":"\\ud83d"', "url"),
    ],
)
def test_half_of_a_surrogate_pair_is_refused_in_any_text(
    name: str, fields: str, wrong: str
) -> None:
    with pytest.raises(EventError) as caught:
        read_event(f'{{"type":"{name}","site":"s","ts":1,{fields}}}')
    assert caught.value.field == wrong
