"""Salesforce: a simulated centre told by Omni-Channel, and what its records do in the world."""

from __future__ import annotations

import random
import zlib
from functools import cache
from typing import Any

import orjson
import pytest

from pipeline.ingest.memory import MAX_MEMORY_BYTES
from pipeline.simulate.happenings import Kind
from pipeline.simulate.stream import Simulation
from pipeline.sources import SOURCES
from pipeline.sources.platforms.salesforce import records, service, work
from pipeline.sources.source import Translator, Unread
from schemas.kpis import COUNTERS
from tests.sources.crm_truth import Truth, truth_of
from tests.sources.round_trip import BUSY, RoundTrip, round_trip

OPTIONS: dict[str, Any] = {"case_contact_field": "Work_Item__c"}
CONNECTED = Kind.CONNECTED
T = 1_772_442_000_000
"""2026-03-02T09:00:00Z."""

NOT_CARRIED = {"hold_ms", "left_callback", "left_overflow", "left_other"}
"""No hold has its moments; work that leaves a queue unanswered looks as if it was abandoned."""
OF_SECONDS = {
    "answered_in", "wait_ms", "abandoned_in", "abandoned_short", "abandoned_wait_ms", "sl_met",
    "sl_missed", "sl_abandoned", "talk_ms", "wrap_ms",
}  # fmt: skip
EXACT = {"offered", "answered", "declined"}
AS_TOLD = {"abandoned", "handled", "transferred"}
"""Exact once what Omni-Channel takes them for is counted: see the tests."""


@cache
def told() -> RoundTrip:
    return round_trip("salesforce", BUSY, {"salesforce": OPTIONS})


@cache
def truth() -> Truth:
    return truth_of(BUSY)


def begin(**options: Any) -> Translator:
    return SOURCES["salesforce"].begin("here", OPTIONS | options)


def distinct(translator: Translator, payloads: list[bytes]) -> set[bytes]:
    return {
        orjson.dumps(event, option=orjson.OPT_SORT_KEYS)
        for payload in payloads
        for event in translator.translate(payload)
    }


def test_every_counter_is_accounted_for() -> None:
    assert set(COUNTERS) == NOT_CARRIED | OF_SECONDS | EXACT | AS_TOLD


def test_counts_come_back_to_the_integer() -> None:
    for queue, counters in told().truth.items():
        assert {name: told().told[queue][name] for name in EXACT} == {
            name: counters[name] for name in EXACT
        }


def test_work_that_leaves_a_queue_unanswered_counts_as_abandoned() -> None:
    for queue, counters in told().truth.items():
        gone = sum(counters[name] for name in counters if name.startswith("left_"))
        assert told().told[queue]["abandoned"] == counters["abandoned"] + gone


def test_assignments_without_a_queue_are_handled_in_none() -> None:
    assert any(leg.direct for leg in truth().legs)
    for queue, counters in told().told.items():
        legs = [leg for leg in truth().legs if leg.queue == queue and not leg.direct]
        assert counters["handled"] == len(legs)
        assert counters["transferred"] == sum(leg.transferred for leg in legs)


def test_waits_are_right_to_the_second() -> None:
    for queue, counters in told().told.items():
        visits = [visit for visit in truth().visits if visit.queue == queue]
        answered = [visit.wait for visit in visits if visit.end is CONNECTED]
        gone = [visit.wait for visit in visits if visit.end is not CONNECTED]
        assert abs(counters["wait_ms"] - sum(answered)) < 1000 * max(1, len(answered))
        assert abs(counters["abandoned_wait_ms"] - sum(gone)) < 1000 * max(1, len(gone))


def test_talk_and_wrap_are_right_to_the_second_and_talk_includes_holds() -> None:
    for queue, counters in told().told.items():
        legs = [leg for leg in truth().legs if leg.queue == queue and not leg.direct]
        bound = 2000 * max(1, len(legs))
        assert abs(counters["talk_ms"] - sum(leg.busy for leg in legs)) < bound
        assert abs(counters["wrap_ms"] - sum(leg.wrap for leg in legs)) < bound
        assert counters["hold_ms"] == 0


def test_a_threshold_is_missed_by_none_but_waits_within_a_second_of_it() -> None:
    for queue in Simulation(BUSY).centres[0].plan.queues:
        mine, theirs = told().told[queue.id], told().truth[queue.id]
        waits = [visit.wait for visit in truth().visits if visit.queue == queue.id]
        edge = sum(abs(wait - queue.threshold_ms) < 1000 for wait in waits)
        for name in ("answered_in", "sl_met", "sl_missed"):
            assert abs(mine[name] - theirs[name]) <= edge
        gone = [v.wait for v in truth().visits if v.queue == queue.id and v.end is not CONNECTED]
        short = sum(wait <= queue.threshold_ms for wait in gone)
        assert abs(mine["abandoned_in"] - short) <= edge


def test_cases_say_what_was_resolved_and_for_whom() -> None:
    found = [event for event in told().events if event["type"] == "contact.resolved"]
    flags = sorted(flag for _, flag in truth().resolutions().elements())
    assert sorted(event["resolved"] for event in found) == flags
    customers = [one.facts["customer"] for one in truth().of(Kind.RESOLVED) if one.facts]
    assert sorted(event.get("customer", "") for event in found) == sorted(customers)


def test_agents_are_there_and_away_as_they_were() -> None:
    found = [event for event in told().events if event["type"] == "agent.state"]
    states = {event["state"] for event in found}
    assert states == {"available", "offline", "not_ready"}
    assert {event["agent"] for event in found} == {
        f"005{one.agent.id}" for one in truth().of(Kind.STATUS) if one.agent
    }


def test_a_replay_of_the_stream_says_nothing_new() -> None:
    payloads = told().payloads
    once = distinct(begin(), payloads)
    assert distinct(begin(), payloads[:3000] + payloads[1000:]) == once


def test_changes_in_any_order_say_the_same_of_assignments() -> None:
    """EventBridge keeps no order: updates come before what they update."""
    payloads, shuffled, rng = told().payloads, list[bytes](), random.Random(5)
    for start in range(0, len(payloads), 25):
        window = payloads[start : start + 25]
        rng.shuffle(window)
        shuffled += window
    in_order = distinct(begin(abandons="work_item"), payloads)
    assert distinct(begin(abandons="work_item"), shuffled) == in_order


def test_polled_rows_say_the_same_as_changes() -> None:
    """A row that is queried at the end has all that its changes told."""
    rows: dict[str, dict[str, Any]] = {}
    for payload in told().payloads:
        found = orjson.loads(payload)["payload"]
        header = found.pop("ChangeEventHeader")
        if header["entityName"] == "AgentWork":
            rows.setdefault(header["recordIds"][0], {}).update(found)
    polled = [
        orjson.dumps({"attributes": {"type": "AgentWork"}, "Id": record, **row})
        for record, row in rows.items()
    ]
    changes = [payload for payload in told().payloads if b'"entityName":"AgentWork"' in payload]
    assert distinct(begin(), polled) == distinct(begin(), changes)


def test_each_payload_gives_its_events_newest_first() -> None:
    translator = begin()
    for payload in told().payloads:
        moments = [event["ts"] for event in translator.translate(payload)]
        assert moments == sorted(moments, reverse=True)


def row(entity: str, **fields: Any) -> bytes:
    return orjson.dumps({"attributes": {"type": entity}, "Id": "0Bz1", **fields})


CLOSED: dict[str, Any] = {
    "WorkItemId": "0LQ1",
    "UserId": "0051",
    "OriginalGroupId": "00G1",
    "Status": "Closed",
    "RequestDateTime": T,
    "AssignedDateTime": T + 1_000,
    "AcceptDateTime": T + 4_000,
    "CloseDateTime": T + 64_000,
    "AfterConversationActualTime": 20,
}


@pytest.mark.parametrize(("option", "released", "wrapped"), [("inside", 44, 64), ("after", 64, 84)])
def test_work_after_a_conversation_is_inside_or_after_the_close(
    option: str, released: int, wrapped: int
) -> None:
    events = begin(acw=option).translate(row("AgentWork", **CLOSED))
    ends = {event["type"]: (event["ts"] - T) // 1000 for event in events}
    assert (ends["contact.released"], ends["contact.wrapped"]) == (released, wrapped)


def test_work_after_a_conversation_is_never_longer_than_the_assignment() -> None:
    long = CLOSED | {"AfterConversationActualTime": 3_600}
    events = begin().translate(row("AgentWork", **long))
    assert next(e["ts"] for e in events if e["type"] == "contact.released") == T + 4_000


def test_the_model_of_capacity_changes_nothing() -> None:
    """ActiveTime is of the tab-based model and counts only a tab in focus: it is no talk time."""
    based = {"CapacityModel": "TabBased", "ActiveTime": 9}
    status = {"CapacityModel": "StatusBased", "ActiveTime": None}
    assert begin().translate(row("AgentWork", **CLOSED, **based)) == begin().translate(
        row("AgentWork", **CLOSED, **status)
    )


def test_a_status_that_ends_in_the_second_in_which_the_next_begins_leaves_the_next() -> None:
    """Within one moment events of one kind are ordered by their text."""
    shared = {"UserId": "0051", "IsAway": True}
    ended = row(
        "UserServicePresence",
        **shared,
        ServicePresenceStatusId="0N5a",
        StatusStartDate=T,
        StatusEndDate=T + 9_000,
        IsCurrentState=False,
    )
    begun = row(
        "UserServicePresence", **shared, ServicePresenceStatusId="0N5b", StatusStartDate=T + 9_000
    )
    translator = begin()
    events = [*translator.translate(ended), *translator.translate(begun)]
    at_once = [event for event in events if event["ts"] == T + 9_000]
    last = max(at_once, key=lambda event: orjson.dumps(event, option=orjson.OPT_SORT_KEYS))
    assert (len(at_once), last["state"]) == (2, "not_ready")


def test_a_presence_is_said_once_however_often_it_is_polled() -> None:
    """An agent's state of an hour ago would be late, and a dead letter, each time."""
    translator = begin()
    current: dict[str, Any] = {
        "UserId": "0051",
        "ServicePresenceStatusId": "0N5a",
        "StatusStartDate": T,
        "IsAway": False,
        "IsCurrentState": True,
        "AverageCapacity": 0.0,
    }
    assert len(translator.translate(row("UserServicePresence", **current))) == 1
    busier = current | {"AverageCapacity": 80.0}
    assert translator.translate(row("UserServicePresence", **busier)) == []
    ended = busier | {"IsCurrentState": False, "StatusEndDate": T + 7_200_000}
    (gone,) = translator.translate(row("UserServicePresence", **ended))
    assert (gone["state"], gone["ts"]) == ("offline", T + 7_200_000)
    assert translator.translate(row("UserServicePresence", **ended)) == []
    assert len(begin().translate(row("UserServicePresence", **ended))) == 2


def test_an_assignment_that_is_polled_says_only_what_is_new() -> None:
    translator = begin()
    ringing = {**CLOSED, "Status": "Assigned"}
    del ringing["AcceptDateTime"], ringing["CloseDateTime"]
    assert len(translator.translate(row("AgentWork", **ringing))) == 2
    assert translator.translate(row("AgentWork", **ringing)) == []
    types = [event["type"] for event in translator.translate(row("AgentWork", **CLOSED))]
    assert types == ["contact.wrapped", "contact.released", "contact.answered"]
    assert translator.translate(row("AgentWork", **CLOSED, ActiveTime=9)) == []


def test_who_gave_up_can_be_told_by_the_work_item() -> None:
    option = begin(abandons="work_item")
    call = row("VoiceCall", CallQueuedDateTime=T, CallEndDateTime=T + 9_000)
    session = row("MessagingSession", StartTime=T, EndTime=T + 8_000, AgentType="Agent")
    chat = row("LiveChatTranscript", Status="Missed", RequestTime=T, Abandoned=7)
    for payload, at in ((call, 9_000), (session, 8_000), (chat, 7_000)):
        (event,) = option.translate(payload)
        assert (event["type"], event["ts"]) == ("contact.abandoned", T + at)
        assert begin().translate(payload) == []
    served = row("MessagingSession", StartTime=T, EndTime=T + 8_000, AgentType="Bot")
    assert option.translate(served) == []


def test_a_gap_is_told_and_not_passed_over() -> None:
    header = {
        "entityName": "AgentWork",
        "recordIds": ["0Bz1"],
        "changeType": "GAP_OVERFLOW",
        "commitTimestamp": T,
    }
    with pytest.raises(Unread, match="query the records"):
        begin().translate(orjson.dumps({"ChangeEventHeader": header}))


@pytest.mark.parametrize("entity", sorted(work.KEPT | service.KEPT))
@pytest.mark.parametrize("kind", ["CREATE", "UPDATE", "DELETE", "UNDELETE"])
def test_a_change_that_has_no_field_is_read(entity: str, kind: str) -> None:
    header = {"entityName": entity, "recordIds": ["0Bz1"], "changeType": kind}
    stamped = {"ChangeEventHeader": header | {"commitTimestamp": T}}
    assert begin().translate(orjson.dumps({"payload": stamped})) == []


def test_one_change_of_several_records_is_each_of_them() -> None:
    translator = begin()
    for number in (1, 2):
        made = {**CLOSED, "WorkItemId": f"0LQ{number}", "Status": "Assigned"}
        del made["AcceptDateTime"], made["CloseDateTime"]
        translator.translate(change(number, [f"0Bz{number}"], "CREATE", made))
    both = change(3, ["0Bz1", "0Bz2"], "UPDATE", {"Status": "Canceled", "CancelDateTime": T + 9000})
    gone = [e for e in translator.translate(both) if e["type"] == "contact.abandoned"]
    assert {event["contact"] for event in gone} == {"0LQ1", "0LQ2"}


def test_what_is_remembered_is_bounded_in_number_and_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(records.LIMITS, "open", (50, 1_000_000))
    monkeypatch.setitem(records.LIMITS, "over", (20, 1_000_000))
    translator = begin()
    for number in range(200):
        waiting = {**CLOSED, "WorkItemId": f"0LQ{number}", "Status": "Opened"}
        translator.translate(change(number, [f"0Bz{number}"], "CREATE", waiting))
        translator.translate(change(number, [f"0By{number}"], "CREATE", CLOSED))
    assert [len(rows) for rows in translator.memory().values()] == [50, 20, 0]
    for _ in range(50):
        translator.translate(change(1_001_000, ["0BzX"], "CREATE", CLOSED))
        translator.translate(change(1_001_000, ["0BzY"], "CREATE", CLOSED | {"Status": "Opened"}))
    assert [len(rows) for rows in translator.memory().values()] == [1, 1, 0]
    translator.recall(None)


def test_assignments_at_work_outlive_any_number_of_closed_ones(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(records.LIMITS, "over", (20, 1_000_000))
    translator = begin()
    talking = {**CLOSED, "Status": "Opened"}
    del talking["CloseDateTime"]
    translator.translate(change(1, ["0Bz1"], "CREATE", talking))
    for number in range(2, 200):
        translator.translate(change(number, [f"0Bz{number}"], "CREATE", CLOSED))
    closed = {"Status": "Closed", "CloseDateTime": T + 64_000}
    events = translator.translate(change(500, ["0Bz1"], "UPDATE", closed))
    assert events[0]["type"] == "contact.wrapped"


def test_a_full_memory_fits_into_a_message_of_the_broker() -> None:
    translator, rng = begin(), random.Random(1)

    def record_id(prefix: str) -> str:
        return prefix + "".join(rng.choices("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH", k=12))

    for number in range(sum(most for most, _ in records.LIMITS.values())):
        made = {
            **CLOSED,
            "WorkItemId": record_id("0LQ5e0"),
            "UserId": f"0055e0{number % 700:012d}",
            "OriginalGroupId": f"00G5e0{number % 30:012d}",
            "OriginalQueueId": f"00G5e0{number % 30:012d}",
            "PendingServiceRoutingId": record_id("0JR5e0"),
            "ServiceChannelId": "0N95e000000V001CAA",
            "Status": "Closed" if number % 5 == 0 else "Opened",
            **{name: T + number * 997 for name in CLOSED if name.endswith("DateTime")},
        }
        translator.translate(change(number, [record_id("0Bz5e0")], "CREATE", made))
    memory = translator.memory()
    assert len(memory["open"]) > 3_000
    assert len(zlib.compress(orjson.dumps(memory), 1)) < 0.75 * MAX_MEMORY_BYTES


@pytest.mark.parametrize(
    "letters", ["0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH", "äöü☎漢字かな"]
)
@pytest.mark.parametrize("length", [18, 200])
def test_a_memory_full_of_the_longest_ids_fits_as_well(letters: str, length: int) -> None:
    translator, rng = begin(), random.Random(1)
    ids = ["WorkItemId", "UserId", "OriginalGroupId", "ServiceChannelId", "PendingServiceRoutingId"]
    for number in range(6_000 if length == 18 else 1_500):
        made = CLOSED | {name: "".join(rng.choices(letters, k=length)) for name in ids}
        made |= {"Status": "Closed" if number % 5 == 0 else "Opened"}
        translator.translate(
            change(number, ["".join(rng.choices(letters, k=length))], "CREATE", made)
        )
    memory = translator.memory()
    assert len(memory["open"]) > 100
    assert len(zlib.compress(orjson.dumps(memory), 1)) < MAX_MEMORY_BYTES
    again = begin()
    again.recall(orjson.loads(orjson.dumps(memory)))
    for translated in (translator, again):
        translated.translate(change(9_000, ["0BzNEW"], "CREATE", CLOSED | {"Status": "Opened"}))
    assert again.memory() == translator.memory()


def test_work_that_lasts_for_days_is_ended_by_what_changes() -> None:
    translator = begin()
    talking = {**CLOSED, "Status": "Opened"}
    del talking["CloseDateTime"]
    translator.translate(change(1, ["0Bz1"], "CREATE", talking))
    for day in range(1, 10):
        translator.translate(change(day * 86_400_000, [f"0By{day}"], "CREATE", talking))
    closed = {"Status": "Closed", "CloseDateTime": T + 10 * 86_400_000}
    events = translator.translate(change(10 * 86_400_000, ["0Bz1"], "UPDATE", closed))
    assert events[0]["type"] == "contact.wrapped"


def change(at: int, ids: list[str], kind: str, fields: dict[str, Any]) -> bytes:
    header = {
        "entityName": "AgentWork",
        "recordIds": ids,
        "changeType": kind,
        "commitTimestamp": T + at,
        "commitNumber": at,
        "sequenceNumber": 1,
    }
    return orjson.dumps({"payload": {**fields, "ChangeEventHeader": header}})


def test_a_row_that_does_not_name_its_object_is_known_by_its_fields() -> None:
    """As exports have them, without attributes and without Id."""
    row = {
        "WorkItemId": "w-1",
        "UserId": "u-17",
        "Status": "Closed",
        "AssignedDateTime": "2024-01-15T09:00:20Z",
        "AcceptDateTime": "2024-01-15T09:00:31Z",
        "CloseDateTime": "2024-01-15T09:06:31Z",
        "HandleTime": 360,
        "SpeedToAnswer": 11,
        "AfterConversationActualTime": 20,
        "CapacityWeight": 2,
    }
    translator = begin()
    events = translator.translate(orjson.dumps(row))
    assert [event["type"] for event in events] == [
        "contact.wrapped",
        "contact.released",
        "contact.answered",
    ]
    assert {event["agent"] for event in events} == {"u-17"}
    assert translator.translate(orjson.dumps(row)) == []
    later = row | {"AssignedDateTime": "2024-01-15T10:00:00Z"}
    assert len(translator.translate(orjson.dumps(later))) == 3
    assert SOURCES["salesforce"].kind(orjson.dumps(row)) == "AgentWork row"
    for wrong in ({"UserId": "u"}, {"WorkItemId": "w"}, {"records": [row]}):
        with pytest.raises(Unread):
            translator.translate(orjson.dumps(wrong))


@pytest.mark.parametrize("away", [None, "true", 1])
def test_a_presence_of_which_nobody_says_what_it_is_makes_no_available_time(away: object) -> None:
    told = {"UserId": "0051", "ServicePresenceStatusId": "0N5a", "StatusStartDate": T}
    presence = row("UserServicePresence", **told, IsAway=away)
    with pytest.raises(Unread, match="IsAway"):
        begin().translate(presence)
    (event,) = begin(presence={"0N5a": "busy"}).translate(presence)
    assert event["state"] == "busy"
