"""Amazon Connect: snapshots that hold what nobody foresaw, and long contacts told late."""

from __future__ import annotations

import itertools
import json
import sys
from contextlib import suppress
from typing import Any

import orjson
import pytest

from pipeline.sources.source import Event, Unread
from tests.engine.subjects import EngineSubject, frame, tick
from tests.sources.amazon_payloads import SAMPLE, begin, brief, contact_event, snapshots, talk


def test_a_contact_in_an_unknown_state_hides_no_other_one() -> None:
    odd = talk("BEAMED", 10, ContactId="c-2")
    told = begin().translate(snapshots([odd, talk("CONNECTED")], [odd, talk("ENDED", 30)]))
    assert brief(told) == [("released", 90)]
    fresh = talk("BEAMED", 30)
    both = [talk("CONNECTED"), talk("CONNECTED", ContactId="c-2")]
    told = begin().translate(snapshots(both, [fresh, talk("ENDED", 30, ContactId="c-2")]))
    assert [(event["contact"], event["type"]) for event in told] == [("c-2", "contact.released")]
    with pytest.raises(Unread, match=r"CurrentAgentSnapshot\.Contacts\.0\.State"):
        begin().translate(snapshots([talk("CONNECTED")], [fresh]))
    strange = talk("CONNECTED", ContactId="c-3", Channel="TELEPATHY")
    told = begin().translate(snapshots([talk("CONNECTED")], [talk("ENDED", 30), strange]))
    assert brief(told) == [("released", 90)]


def test_a_leg_that_passed_through_an_unknown_state_ends_as_others_do() -> None:
    odd = talk("BEAMED", 20)
    held = begin().translate(snapshots([odd], [talk("CONNECTED", 30)]))
    assert brief(held) == [("resumed", 90), ("answered", 60)]
    assert brief(begin().translate(snapshots([odd], []))) == [("released", 300), ("wrapped", 300)]


def test_a_status_of_an_unknown_type_hides_no_contact() -> None:
    payload = orjson.loads(snapshots([talk("CONNECTED")], [talk("ENDED", 30)]))
    payload["CurrentAgentSnapshot"]["AgentStatus"] = {
        "Name": "Dreaming",
        "StartTimestamp": "2026-03-02T09:04:00Z",
        "Type": "DREAM",
    }
    assert brief(begin().translate(orjson.dumps(payload))) == [("released", 90)]


def test_a_snapshot_without_the_moment_of_connecting_tells_the_leg() -> None:
    """As abridged ones do; a null says that the contact never came to talk."""
    bare = {state: talk(state, at) for state, at in (("CONNECTED", 0), ("ENDED", 30))}
    for contact in bare.values():
        del contact["ConnectedToAgentTimestamp"]
    steps: list[list[Any]] = [[], [bare["CONNECTED"]], [bare["ENDED"]], []]
    told = [begin().translate(snapshots(*pair)) for pair in itertools.pairwise(steps)]
    assert [brief(events) for events in told] == [
        [("answered", 60)],
        [("released", 90)],
        [("wrapped", 300)],
    ]
    never = talk("ENDED", 30, ConnectedToAgentTimestamp=None)
    assert begin().translate(snapshots([], [never])) == []
    assert begin().translate(snapshots([never], [])) == []


def test_a_long_wait_that_is_told_by_its_ring_is_not_late() -> None:
    """`waits: agent-events`: that a contact waits is known when an agent is offered it."""
    translator = begin(waits="agent-events")
    ringing = talk("CONNECTING", 0, ConnectedToAgentTimestamp=None)
    ringing["QueueTimestamp"] = "2026-03-02T08:21:00.000Z"
    events = translator.translate(snapshots([], [ringing]))
    answered = talk("CONNECTED", 5) | {"QueueTimestamp": ringing["QueueTimestamp"]}
    events += translator.translate(snapshots([ringing], [answered]))
    now = events[-1]["ts"]
    board, late = EngineSubject().live([tick(now), frame(events, now + 1_000)])
    assert late == []
    assert board.counted("q1")["answered"] == 1
    assert board.counted("q1")["wait_ms"] == 40 * 60_000


def test_a_long_talk_whose_beginning_was_missed_is_not_late() -> None:
    long = {"ConnectedToAgentTimestamp": "2026-03-02T08:20:00.000Z"}
    ended, gone = talk("ENDED", 0, **long), snapshots([talk("ENDED", 0, **long)], [])
    translator = begin()
    events = [*translator.translate(snapshots([], [ended])), *translator.translate(gone)]
    now = events[-1]["ts"]
    board, late = EngineSubject().live([tick(now), frame(events, now + 1_000)])
    assert late == []
    assert board.counted("q1")["talk_ms"] == 41 * 60_000


def test_a_record_of_a_long_call_is_not_late() -> None:
    arn = "arn:aws:connect:eu-central-1:1:instance/i"
    record = {
        "AWSContactTraceRecordFormatVersion": "2017-03-10",
        "ContactId": "c-1",
        "Channel": "VOICE",
        "InitiationMethod": "INBOUND",
        "Queue": {"ARN": f"{arn}/queue/q1", "EnqueueTimestamp": "2026-03-02T08:00:00Z"},
        "Agent": {
            "ARN": f"{arn}/agent/a1",
            "ConnectedToAgentTimestamp": "2026-03-02T08:20:00Z",
            "CustomerHoldDuration": 30,
            "AfterContactWorkStartTimestamp": "2026-03-02T09:00:00Z",
            "AfterContactWorkEndTimestamp": "2026-03-02T09:00:20Z",
        },
        "Recordings": [{"Location": "bucket/c-1.wav", "Status": "AVAILABLE"}],
        "DisconnectTimestamp": "2026-03-02T09:00:00Z",
    }
    events = begin(waits="records", legs="records").translate(orjson.dumps(record))
    now = events[0]["ts"] + 60_000
    board, late = EngineSubject().live([tick(now), frame(events, now + 1_000)])
    assert late == []
    counted = board.counted("q1")
    assert (counted["answered"], counted["wait_ms"]) == (1, 20 * 60_000)
    assert (counted["talk_ms"], counted["hold_ms"]) == (40 * 60_000 - 30_000, 30_000)
    assert counted["wrap_ms"] == 20_000


def test_ids_that_are_too_long_are_not_remembered() -> None:
    huge = "x" * 100_000
    for payload in (
        contact_event("INITIATED", initiationMethod="TRANSFER", previousContactId=huge),
        contact_event(
            "DISCONNECTED",
            contactId=huge,
            initialContactId="c-1",
            disconnectTimestamp="2026-03-02T09:01:00Z",
            queueInfo={"queueArn": "queue/q", "enqueueTimestamp": "2026-03-02T09:00:00Z"},
        ),
    ):
        translator = begin()
        with pytest.raises(Unread, match="characters"):
            translator.translate(payload)
        assert translator.memory() is None


def test_what_is_nested_beyond_comparing_raises_nothing_but_unread() -> None:
    deep: Any = 1
    for _ in range(985):
        deep = [deep]
    status = {"Name": "Available", "Other": deep}
    same = {"AgentStatus": status}

    def deeper(frames: int) -> list[Event]:
        # As deep in the stack as ingest calls it.
        if frames:
            return deeper(frames - 1)
        pair = {"PreviousAgentSnapshot": same, "CurrentAgentSnapshot": same}
        return begin().translate(payload_of(SAMPLE | pair))

    with suppress(Unread):
        assert deeper(40) == []


def payload_of(told: dict[str, Any]) -> bytes:
    """JSON of what is nested deeper than orjson writes and no deeper than it reads."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(10_000)
    try:
        return json.dumps(told).encode()
    finally:
        sys.setrecursionlimit(limit)


def test_ids_stand_behind_the_kind_in_any_arn() -> None:
    short = contact_event(
        "QUEUED",
        queueInfo={"queueArn": "arn:x:queue/1", "enqueueTimestamp": "2026-03-02T09:00:00Z"},
    )
    own = "arn:aws:connect:eu-central-1:1:instance/i/queue/agent/a1"
    long = contact_event(
        "QUEUED", queueInfo={"queueArn": own, "enqueueTimestamp": "2026-03-02T09:00:00Z"}
    )
    assert [begin().translate(payload)[0]["queue"] for payload in (short, long)] == [
        "1",
        "agent/a1",
    ]
