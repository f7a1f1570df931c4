"""Bodies of posts, taken apart."""

from __future__ import annotations

import base64
from typing import Any

import orjson
import pytest

from pipeline.ingest.body import MAX_PAYLOADS, MAX_TOLD, Taken, TooManyPayloads, take_body
from pipeline.ingest.hooks.bodies import take_payloads
from pipeline.ingest.raw import KEPT_BYTES, MAX_EVENT_BYTES


def event(**fields: Any) -> dict[str, Any]:
    return {"type": "clock", "site": "north", "ts": 1, **fields}


def lines(*payloads: bytes) -> Taken:
    return take_body(b"\n".join(payloads), "north", "acd", 42)


GOOD = orjson.dumps(event())


def test_each_line_is_a_record_and_blank_ones_are_nothing() -> None:
    taken = lines(GOOD, b"", b"  \r", GOOD + b"\r", b"")
    assert taken.answer() == {"taken": 2, "refused": [], "refused_count": 0}
    assert [record.payload for record in taken.records] == [GOOD, GOOD]
    assert {(one.site, one.source, one.received) for one in taken.records} == {("north", "acd", 42)}


def test_refused_lines_are_told_by_number_and_kept_for_the_dead_letters() -> None:
    taken = lines(GOOD, b"", b"nonsense", orjson.dumps(event(ts="soon")))
    answer = taken.answer()
    assert (answer["taken"], answer["refused_count"]) == (1, 2)
    assert [(one["line"], one["field"]) for one in answer["refused"]] == [(3, "payload"), (4, "ts")]
    assert "not JSON" in answer["refused"][0]["reason"]
    assert [record.payload for record in taken.records][1] == b"nonsense"


def test_refused_lines_are_all_counted_but_only_some_are_told() -> None:
    taken = take_body(b"x\n" * 1000, "north", "", 1)
    assert taken.refused_count == 1000
    assert len(taken.refused) == MAX_TOLD
    assert len(taken.records) == 1000


def test_an_array_has_a_record_for_each_element() -> None:
    body = orjson.dumps([event(), 5, event(ts=2)], option=orjson.OPT_INDENT_2)
    taken = take_body(body, None, "", 1)
    assert [record.payload for record in taken.records] == [
        GOOD,
        b"5",
        orjson.dumps(event(ts=2)),
    ]
    assert [one["line"] for one in taken.refused] == [2]


def test_one_object_over_several_lines_is_one_event() -> None:
    taken = take_body(orjson.dumps(event(), option=orjson.OPT_INDENT_2), None, "", 1)
    assert (taken.taken, len(taken.records)) == (1, 1)


def test_an_array_that_is_no_json_is_refused_line_by_line() -> None:
    taken = take_body(b'[{"type":\nnonsense', "north", "", 1)
    assert (taken.taken, taken.refused_count, len(taken.records)) == (0, 2, 2)


@pytest.mark.parametrize("body", [b"", b"\n\n  \n", b"[]"])
def test_an_empty_body_is_nothing(body: bytes) -> None:
    assert take_body(body, "north", "", 1).answer()["taken"] == 0
    assert take_body(body, "north", "", 1).records == []


def test_without_a_site_each_event_names_its_own() -> None:
    taken = take_body(
        orjson.dumps([event(), event(site="south"), {"site": "west"}, {}]), None, "", 1
    )
    assert [record.site for record in taken.records] == ["north", "south", "west", ""]
    assert taken.taken == 2


def test_an_event_of_another_site_than_the_posts_is_refused_and_keyed_by_the_posts() -> None:
    taken = lines(orjson.dumps(event(site="south")))
    assert taken.refused == [
        {"line": 1, "field": "site", "reason": "is 'south', but the post is for 'north'"}
    ]
    assert taken.records[0].site == "north"


def test_of_a_line_that_is_too_large_the_start_is_kept_and_its_length() -> None:
    taken = lines(b"x" * (MAX_EVENT_BYTES + 1), GOOD)
    assert (taken.taken, taken.refused_count) == (1, 1)
    assert taken.records[0].truncated == MAX_EVENT_BYTES + 1
    assert len(taken.records[0].payload) == KEPT_BYTES
    assert taken.records[1].truncated == 0


def test_a_body_has_no_more_payloads_than_memory_is_meant_for() -> None:
    """Each takes half a kilobyte besides its bytes: eight megabytes of them would take two giga."""
    most = b"1\n" * MAX_PAYLOADS
    assert take_body(most, "north", "acd", 42).refused_count == MAX_PAYLOADS
    data = base64.b64encode(most).decode()
    firehose = orjson.dumps({"records": [{"data": data}, {"data": data}]})
    with pytest.raises(TooManyPayloads):
        take_body(most + b"1\n", "north", "acd", 42)
    for body, packed in ((most + b"1\n", False), (firehose, True)):
        with pytest.raises(TooManyPayloads):
            take_payloads(body, "text/plain", "north", "twilio", 42, firehose=packed)


def test_an_event_that_is_nested_deeply_is_refused_by_itself() -> None:
    deep = GOOD.replace(b'"clock"', b"[" * 1_000 + b"]" * 1_000)
    taken = lines(GOOD, deep)
    assert (taken.taken, taken.refused[0]["line"], taken.refused[0]["field"]) == (1, 2, "payload")
