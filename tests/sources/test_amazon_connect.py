"""Amazon Connect: a centre told by three streams at once, whichever of them is believed."""

from __future__ import annotations

import random
import re
from datetime import datetime, timedelta

import orjson
import pytest

from pipeline.sources.source import Translator, Unread
from schemas.events import event_key
from tests.sources.amazon_payloads import begin, brief, contact_event, snapshots, talk
from tests.sources.fixtures import fixture_of
from tests.sources.retelling import Telling, counter_of, disordered, telling

BY_WAITS = {
    *("offered", "answered", "answered_in", "wait_ms", "abandoned", "abandoned_in"),
    *("abandoned_short", "abandoned_wait_ms", "left_callback", "left_overflow", "left_other"),
    *("sl_met", "sl_missed", "sl_abandoned"),
}


@pytest.fixture(scope="module")
def told() -> Telling:
    return telling("amazon-connect")


# The whole centre


def test_a_centre_comes_back_as_it_was(told: Telling) -> None:
    figures = told.figures(told.payloads)
    assert {figure: figures[figure] for figure in told.truth} == told.truth
    assert figures["inconsistent"] == 0
    happened = {"abandoned", "left_callback", "left_overflow", "declined", "transferred", "hold_ms"}
    assert all(told.truth[counter] for counter in happened)


def test_agents_spend_their_time_as_they_did(told: Telling) -> None:
    canonical = telling("canonical")
    truth = canonical.agents_time(canonical.payloads)
    assert told.agents_time(told.payloads) == truth
    assert sum(truth.values()) > 0


def test_contact_events_alone_tell_all_but_rings_and_the_moments_of_holds(told: Telling) -> None:
    alone = [payload for payload in told.payloads if b'"detail"' in payload]
    figures = told.figures(alone, legs="contact-events")
    for figure, value in told.truth.items():
        if counter_of(figure) not in {"declined", "hold_ms", "talk_ms"}:
            assert figures[figure] == value, figure
    # Holds are told in whole seconds, rounded down, one sum a leg.
    short = told.truth["hold_ms"] - figures["hold_ms"]
    assert 0 <= short < 1000 * told.truth["handled"]
    assert figures["talk_ms"] == told.truth["talk_ms"] + short
    assert figures["declined"] == figures["inconsistent"] == 0


def test_records_alone_tell_the_contacts_that_ended_in_whole_seconds(told: Telling) -> None:
    alone = [payload for payload in told.payloads if b'"AWSContactTraceRecord' in payload]
    figures = told.figures(alone, waits="records", legs="records")
    for counter in ("abandoned", "left_callback", "left_overflow", "left_other", "handled"):
        assert figures[counter] == told.truth[counter], counter
    # A contact is told once its wrap-up is over.
    assert figures["answered"] <= told.truth["answered"]
    ended = told.truth["handled"]
    for counter in ("talk_ms", "hold_ms", "wrap_ms"):
        # Each of the two ends of a span is off by less than a second, and so is a hold.
        assert abs(figures[counter] - told.truth[counter]) < 2000 * ended, counter
    assert (
        abs(figures["abandoned_wait_ms"] - told.truth["abandoned_wait_ms"])
        < 1000 * (told.truth["abandoned"])
    )


@pytest.mark.parametrize("legs", ["agent-events", "contact-events", "records"])
def test_who_tells_of_legs_changes_nothing_of_waits(told: Telling, legs: str) -> None:
    """One contact is told by all three streams, and each of its facts counts once."""
    figures = told.figures(told.payloads, legs=legs)
    assert figures["handled"] == told.truth["handled"]
    assert figures["offered"] == told.truth["offered"]
    if legs != "records":
        for counter in BY_WAITS:
            assert figures[counter] == told.truth[counter], counter


def test_any_order_and_repeats_change_no_figure(told: Telling) -> None:
    payloads = _ended_after_the_next_began(told.payloads)
    straight = told.figures(payloads)
    for seed in (1, 2):
        figures = told.figures(disordered(payloads, seed))
        for figure, value in straight.items():
            # Why a leg ended is known only if the next contact of the chain came first.
            if counter_of(figure) not in {"transferred", "inconsistent"}:
                assert figures[figure] == value, figure
        assert figures["transferred"] <= straight["transferred"]


def _ended_after_the_next_began(payloads: list[bytes]) -> list[bytes]:
    """The simulator moves a contact on in one millisecond, where the platform takes its time."""
    moved = set()
    for payload in payloads:
        detail = orjson.loads(payload).get("detail", {})
        if detail.get("eventType") == "INITIATED" and "previousContactId" in detail:
            moved.add(detail["previousContactId"])
    return [_later(payload) if _ends(payload, moved) else payload for payload in payloads]


def _ends(payload: bytes, moved: set[str]) -> bool:
    detail = orjson.loads(payload).get("detail", {})
    return (
        detail.get("eventType") == "DISCONNECTED"
        and "agentInfo" not in detail
        and detail["contactId"] in moved
    )


def _later(payload: bytes) -> bytes:
    event = orjson.loads(payload)
    moment = event["detail"]["disconnectTimestamp"]
    later = datetime.fromisoformat(moment) + timedelta(milliseconds=40)
    event["detail"]["disconnectTimestamp"] = later.isoformat(timespec="milliseconds")
    return orjson.dumps(event)


def test_contact_events_in_whole_seconds_move_a_wait_by_less_than_one(told: Telling) -> None:
    """The page's samples show no milliseconds."""
    whole = [
        re.sub(rb"\.\d{3}Z", b".000Z", payload) if b'"detail"' in payload else payload
        for payload in told.payloads
    ]
    figures = told.figures(whole)
    for counter in (
        "offered",
        "answered",
        "abandoned",
        "left_callback",
        "left_overflow",
        "handled",
    ):
        assert figures[counter] == told.truth[counter], counter
    assert 0 <= figures["wait_ms"] - told.truth["wait_ms"] < 1000 * told.truth["answered"]


def test_the_captured_contacts_are_the_same_in_any_order() -> None:
    """All that the three streams say of a contact, shuffled: the same events but for one reason."""
    fixture = fixture_of("amazon-connect")
    payloads = [p for line, p in fixture.payloads if "events" in fixture.expected[line]]
    straight = _said(begin(), payloads)
    for seed in range(20):
        mixed = payloads * 2
        random.Random(seed).shuffle(mixed)
        said = _said(begin(), mixed)
        assert {key for key in straight if b"transferred" not in key} <= said
        assert {key for key in said - straight if b"contact.released" not in key} <= {
            # The callback was there before the caller hung up: ignored, the visit has gone by then.
            key
            for key in said
            if b"contact.abandoned" in key or b"contact.left" in key
        }


def _said(translator: Translator, payloads: list[bytes]) -> set[bytes]:
    return {event_key(event) for payload in payloads for event in translator.translate(payload)}


# What is easily misread


def test_a_colleague_who_leaves_before_makes_a_conference_and_no_transfer() -> None:
    agent = {"agentArn": "x/agent/a2", "connectedToAgentTimestamp": "2026-03-02T09:00:40Z"}
    second = {"contactId": "c-2", "initialContactId": "c-1", "previousContactId": "c-1"}
    begun = contact_event("INITIATED", initiationMethod="TRANSFER", **second)
    gone = contact_event(
        "DISCONNECTED",
        initiationMethod="TRANSFER",
        agentInfo=agent,
        disconnectTimestamp="2026-03-02T09:01:10Z",
        **second,
    )
    release = snapshots([talk("CONNECTED")], [talk("ENDED", 30)])
    for payloads, reason in (([begun], "transferred"), ([begun, gone], "completed")):
        translator = begin()
        for payload in payloads:
            assert translator.translate(payload) == []
        (event,) = translator.translate(release)
        assert event["reason"] == reason


def test_a_heart_beat_says_nothing_whatever_is_in_it() -> None:
    assert begin().translate(snapshots([], [talk("CONNECTED")], EventType="HEART_BEAT")) == []


def test_wrap_up_ends_with_the_first_change_without_the_contact() -> None:
    ended = talk("ENDED", 40)
    translator = begin()
    # A change of something else meanwhile: the contact is still there.
    assert translator.translate(snapshots([ended], [ended])) == []
    assert brief(translator.translate(snapshots([ended], []))) == [("wrapped", 300)]


def test_several_contacts_at_once_are_told_apart() -> None:
    chat = talk("CONNECTED", 0, ContactId="c-2", Channel="CHAT")
    events = begin().translate(snapshots([chat, talk("CONNECTED")], [chat, talk("ENDED", 30)]))
    assert [(event["type"], event["contact"]) for event in events] == [("contact.released", "c-1")]


def test_an_answer_and_a_hold_of_one_snapshot_are_both_told() -> None:
    ringing = talk("CONNECTING", 0, ConnectedToAgentTimestamp=None)
    events = begin().translate(snapshots([ringing], [talk("CONNECTED_ONHOLD", 20)]))
    assert brief(events) == [("held", 80), ("answered", 60)]


def test_a_contact_that_vanishes_while_talking_is_released_and_wrapped_up() -> None:
    events = begin().translate(snapshots([talk("CONNECTED")], []))
    assert brief(events) == [("released", 300), ("wrapped", 300)]


def test_a_ring_that_vanishes_is_no_refusal() -> None:
    """The caller gave up, which the contact events tell."""
    ringing = talk("CONNECTING", 0, ConnectedToAgentTimestamp=None)
    assert begin().translate(snapshots([ringing], [])) == []


def test_a_supervisor_who_listens_has_no_leg() -> None:
    listening = talk("CONNECTED", 0, InitiationMethod="MONITOR")
    assert begin().translate(snapshots([], [listening])) == []
    assert begin().translate(snapshots([listening], [])) == []


def test_both_spellings_of_a_name_are_read() -> None:
    small = {"queueInfo": {"queueArn": "x/queue/q1", "enqueueTimestamp": "2026-03-02T09:00:00Z"}}
    large = {"QueueInfo": {"QueueArn": "x/queue/q1", "EnqueueTimestamp": "2026-03-02T09:00:00Z"}}
    (event,) = begin().translate(contact_event("QUEUED", **small))
    assert begin().translate(contact_event("QUEUED", **large, channel="Voice")) == [event]
    assert event["queue"] == "q1"


@pytest.mark.parametrize(
    ("reason", "options", "name", "why"),
    [
        ("CUSTOMER_DISCONNECT", {}, "abandoned", None),
        ("IDLE_DISCONNECT", {}, "abandoned", None),
        ("EXPIRED", {}, "left", "timeout"),
        ("CONTACT_FLOW_DISCONNECT", {}, "left", "other"),
        ("TELECOM_PROBLEM", {}, "left", "lost"),
        (None, {}, "abandoned", None),
        ("A_NEW_REASON", {}, "left", "other"),
        (None, {"none": "transfer"}, "left", "transfer"),
        ("CONTACT_FLOW_DISCONNECT", {"CONTACT_FLOW_DISCONNECT": "voicemail"}, "left", "voicemail"),
    ],
)
def test_how_a_wait_ends(
    reason: str | None, options: dict[str, str], name: str, why: str | None
) -> None:
    queue = {"queueArn": "x/queue/q1", "enqueueTimestamp": "2026-03-02T09:00:00Z"}
    ended = {"disconnectTimestamp": "2026-03-02T09:02:00.000Z", "disconnectReason": reason}
    payload = contact_event("DISCONNECTED", queueInfo=queue, **ended)
    (event,) = begin(disconnect_reasons=options).translate(payload)
    assert (event["type"], event.get("reason")) == (f"contact.{name}", why)


def test_a_record_that_comes_again_with_other_values_doubles_nothing(told: Telling) -> None:
    """The story stays as it was told first; the newer copy adds what was lacking."""
    records = [payload for payload in told.payloads if b'"AWSContactTraceRecord' in payload]
    options = {"waits": "records", "legs": "records"}
    once = told.figures(records, **options)
    changed = []
    for payload in records:
        record = orjson.loads(payload)
        record["LastUpdateTimestamp"] = "2030-01-01T00:00:00Z"
        record["Attributes"] = {"case": "4711"}
        if record["Agent"]:
            record["Agent"]["Username"] = "renamed"
            record["Agent"]["CustomerHoldDuration"] += 5
        changed.append(orjson.dumps(record))
    again = told.figures(records + changed, **options)
    held = {"hold_ms", "talk_ms", "inconsistent"}
    for figure, value in once.items():
        if counter_of(figure) not in held:
            assert again[figure] == value, figure
    assert again["talk_ms"] + again["hold_ms"] == once["talk_ms"] + once["hold_ms"]


def test_the_story_of_a_record_is_told_newest_first() -> None:
    fixture = fixture_of("amazon-connect")
    records = [p for _, p in fixture.payloads if fixture.source.kind(p) == "contact record"]
    translator = begin(waits="records", legs="records")
    for payload in records:
        events = translator.translate(payload)
        moments = [event["ts"] for event in events]
        assert len(events) >= 5
        assert moments == sorted(moments, reverse=True)


def test_a_task_that_is_paused_is_held_at_the_time_of_the_envelope() -> None:
    agent = {"agentArn": "x/agent/a1", "connectedToAgentTimestamp": "2026-03-02T09:00:00Z"}
    paused = orjson.loads(contact_event("PAUSED", channel="TASK", agentInfo=agent))
    translator = begin(legs="contact-events")
    told = translator.translate(orjson.dumps(paused | {"time": "2026-03-02T09:03:00Z"}))
    assert brief(told) == [("held", 180)]
    with pytest.raises(Unread, match="time"):
        translator.translate(orjson.dumps(paused))


def test_a_status_may_mean_what_the_site_says() -> None:
    status = {"Name": "Paperwork", "StartTimestamp": "2026-03-02T09:04:00Z", "Type": "CUSTOM"}
    payload = orjson.loads(snapshots([], []))
    payload["CurrentAgentSnapshot"]["AgentStatus"] = status
    (event,) = begin(statuses={"Paperwork": "wrap"}).translate(orjson.dumps(payload))
    assert (event["state"], event["reason"]) == ("wrap", "Paperwork")


def test_the_team_may_be_a_level_of_the_hierarchy() -> None:
    payload = orjson.loads(snapshots([], [], EventType="LOGIN"))
    groups = {"Level2": {"ARN": "x", "Name": "Berlin"}}
    payload["CurrentAgentSnapshot"]["Configuration"] = {"AgentHierarchyGroups": groups}
    events = begin(team="level-2").translate(orjson.dumps(payload))
    assert {event["team"] for event in events} == {"Berlin"}


def test_the_simulator_tells_the_recording_in_a_record_that_comes_again(told: Telling) -> None:
    translator = begin()
    urls = {
        event["url"]
        for payload in told.payloads
        for event in translator.translate(payload)
        if event["type"] == "contact.recorded"
    }
    assert urls
    assert all(url.startswith("https://recordings.invalid/") for url in urls)
