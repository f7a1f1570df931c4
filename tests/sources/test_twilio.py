"""TaskRouter: a simulated centre told by it, its two ways of telling, what is easily misread."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import orjson
import pytest

from pipeline.sources import SOURCES
from pipeline.sources.platforms.twilio import UNTOLD, Twilio
from pipeline.sources.platforms.twilio.options import Options
from pipeline.sources.source import Context, Translator, Unread
from tests.sources.fixtures import fixture_of
from tests.sources.retelling import Telling, counter_of, disordered, telling

REASONS = {
    "the caller wants callback": "callback",
    "the caller wants voicemail": "voicemail",
}
NOT_CARRIED = {"talk_ms", "hold_ms"}
"""TaskRouter has no hold: it is within the talk."""


@pytest.fixture(scope="module")
def told() -> Telling:
    return telling("twilio")


def begin(**options: Any) -> Translator:
    return SOURCES["twilio"].begin("here", options)


def message(kind: str, **fields: Any) -> bytes:
    base = {"task_sid": "WT1", "timestamp": "2026-03-02T09:00:00.000Z"}
    data = {"payload": base | fields}
    return orjson.dumps({"type": f"com.twilio.taskrouter.{kind}", "data": data})


def as_form(payload: bytes) -> bytes:
    """The same event as an event callback: camel case, times in epoch seconds and milliseconds."""
    event = orjson.loads(payload)
    moment = round(1000 * _epoch(event["data"]["payload"]["timestamp"]))
    fields = {
        "".join(part.capitalize() for part in name.split("_")): value
        for name, value in event["data"]["payload"].items()
        if name not in ("eventtype", "timestamp")
    }
    fields = {
        name: str(value).lower() if isinstance(value, bool) else value
        for name, value in fields.items()
    }
    kind = event["type"].removeprefix("com.twilio.taskrouter.")
    times = {"Timestamp": moment // 1000, "TimestampMs": moment}
    return urlencode({"EventType": kind, **fields, **times}).encode()


def _epoch(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


# The whole centre


def test_a_centre_comes_back_as_it_was(told: Telling) -> None:
    figures = told.figures(told.payloads, canceled_reasons=REASONS)
    for figure, value in told.truth.items():
        if counter_of(figure) not in NOT_CARRIED:
            assert figures[figure] == value, figure
    assert figures["hold_ms"] == 0
    assert figures["talk_ms"] == told.truth["talk_ms"] + told.truth["hold_ms"]
    assert figures["inconsistent"] == 0
    # All that is compared did happen.
    happened = {"abandoned", "left_callback", "left_overflow", "declined", "transferred"}
    assert all(told.truth[counter] for counter in happened)


def test_agents_spend_their_time_as_they_did(told: Telling) -> None:
    canonical = telling("canonical")
    truth = canonical.agents_time(canonical.payloads)
    figures = told.agents_time(told.payloads)
    for figure, value in truth.items():
        team, state = figure.split("/")
        if state == "talk_ms":
            value += truth[f"{team}/hold_ms"]
        assert figures[figure] == (0 if state == "hold_ms" else value), figure
    assert sum(truth.values()) > 0


def test_any_order_and_repeats_change_no_figure(told: Telling) -> None:
    straight = told.figures(told.payloads, canceled_reasons=REASONS)
    for seed in (1, 2):
        mixed = disordered(told.payloads, seed)
        figures = told.figures(mixed, canceled_reasons=REASONS)
        # A wrap-up that comes before the transfer that caused it is said twice, and counts once.
        noise = figures.pop("inconsistent")
        assert 0 <= noise <= straight["transferred"]
        for figure, value in figures.items():
            # The simulator transfers and wraps up in one millisecond, TaskRouter does not.
            if counter_of(figure) != "transferred":
                assert value == straight[figure], figure
        assert figures["transferred"] <= straight["transferred"]


def test_webhooks_say_what_event_streams_say(told: Telling) -> None:
    streams, webhooks = begin(), begin()
    for payload in told.payloads:
        assert webhooks.translate(as_form(payload)) == streams.translate(payload)


def test_the_fields_of_a_form_are_also_read_as_json() -> None:
    form = as_form(message("task-queue.entered", task_queue_sid="WQ1"))
    pairs = dict(pair.split("=") for pair in form.decode().split("&"))
    pairs = {name: value.replace("%3A", ":") for name, value in pairs.items()}
    assert begin().translate(orjson.dumps(pairs)) == begin().translate(form)


# What is easily misread


def test_a_webhook_without_milliseconds_is_of_whole_seconds() -> None:
    form = b"EventType=task-queue.entered&TaskSid=WT1&TaskQueueSid=WQ1&Timestamp=1772442000"
    (event,) = begin().translate(form)
    assert event["ts"] == 1772442000000


def test_the_wait_after_a_transfer_runs_from_the_transfer() -> None:
    """The age of the task runs from its creation and is not read."""
    transfer = message(
        "task.transfer-initiated",
        task_age=600,
        timestamp="2026-03-02T09:10:00.000Z",
        transfer_mode="COLD",
        transfer_type="QUEUE",
        transfer_to="WQ2",
        transfer_initiating_worker_sid="WK1",
        transfer_initiating_reservation_sid="WR1",
    )
    released, queued = begin().translate(transfer)
    assert (released["type"], released["reason"]) == ("contact.released", "transferred")
    assert (queued["queue"], queued["ts"]) == ("WQ2", released["ts"])


def test_a_second_reservation_that_is_rescinded_is_no_refusal() -> None:
    fields = {"reservation_sid": "WR2", "worker_sid": "WK2", "task_assignment_status": "assigned"}
    assert begin().translate(message("reservation.rescinded", **fields)) == []


@pytest.mark.parametrize(
    ("status", "rings_on"), [("pending", False), ("reserved", True), ("canceled", True)]
)
def test_a_canceled_reservation_is_missed_only_if_the_task_goes_on(
    status: str, rings_on: bool
) -> None:
    fields = {"worker_sid": "WK1", "task_assignment_status": status}
    events = begin().translate(message("reservation.canceled", **fields))
    assert (events == []) == rings_on


@pytest.mark.parametrize(
    ("reason", "name", "why"),
    [
        ("hangup", "contact.abandoned", None),
        ("Task TTL Exceeded", "contact.left", "timeout"),
        ("Task canceled on Workflow timeout", "contact.left", "timeout"),
        ("who knows", "contact.left", "other"),
        ("CALL ME BACK", "contact.left", "callback"),
    ],
)
def test_why_a_task_was_canceled(reason: str, name: str, why: str | None) -> None:
    translator = begin(canceled_reasons={"Call me back": "callback"})
    (event,) = translator.translate(message("task.canceled", task_canceled_reason=reason))
    assert (event["type"], event.get("reason")) == (name, why)


@pytest.mark.parametrize(
    ("activity", "available", "state"),
    [
        ("Available", True, "available"),
        ("Taking calls", True, "available"),
        ("Taking calls", None, "not_ready"),
        ("Idle", None, "available"),
        ("Offline", False, "offline"),
        ("Available", False, "not_ready"),
        ("Break", False, "not_ready"),
        ("Paperwork", False, "wrap"),
    ],
)
def test_an_activity_is_a_state(activity: str, available: bool | None, state: str) -> None:
    fields = {"worker_activity_name": activity, "worker_sid": "WK1", "worker_available": available}
    translator = begin(activities={"Paperwork": "wrap"})
    (event,) = translator.translate(message("worker.activity.update", **fields))
    assert event["state"] == state


def test_attributes_that_are_no_json_lose_nothing_but_the_customer() -> None:
    fields = {"task_queue_sid": "WQ1", "task_attributes": "{broken"}
    (event,) = begin().translate(message("task-queue.entered", **fields))
    assert "customer" not in event


def test_tasks_of_one_conversation_can_be_one_contact() -> None:
    attributes = orjson.dumps({"conversations": {"conversation_id": "WT0"}}).decode()
    fields = {"task_queue_sid": "WQ1", "task_attributes": attributes}
    translator = begin(contact_attribute="conversations.conversation_id")
    (event,) = translator.translate(message("task-queue.entered", **fields))
    assert event["contact"] == "WT0"


def test_what_is_odd_in_a_batch_hides_nothing_else_of_it() -> None:
    transfer = message(
        "task.transfer-initiated",
        transfer_mode="COLD",
        transfer_type="WORKER",
        transfer_initiating_worker_sid="WK1",
        transfer_initiating_reservation_sid="WR1",
    )
    good, bad = orjson.loads(transfer), orjson.loads(message("reservation.accepted"))
    unheard, translator = orjson.loads(message("task.levitated")), begin()
    told = translator.translate(orjson.dumps([bad, good, unheard, None]))
    assert told == begin().translate(transfer)
    assert translator.memory() is not None
    for batch, field in (
        ([bad, unheard], "0.data.payload.worker_sid"),
        ([unheard], "0.type"),
        ([None, bad], "0"),
    ):
        refusing = begin()
        with pytest.raises(Unread) as error:
            refusing.translate(orjson.dumps(batch))
        assert error.value.field == field
        assert refusing.memory() is None


def test_the_envelope_says_when_if_the_payload_does_not() -> None:
    event = orjson.loads(message("reservation.accepted", worker_sid="WK1", timestamp=None))
    event["time"] = "2026-03-02T09:00:07.000Z"
    (late,) = begin().translate(orjson.dumps(event))
    event["data"]["timestamp"] = "2026-03-02T09:00:05.500Z"
    (answered,) = begin().translate(orjson.dumps(event))
    assert late["ts"] - answered["ts"] == 1_500
    del event["time"], event["data"]["timestamp"]
    with pytest.raises(Unread, match="timestamp: is required"):
        begin().translate(orjson.dumps(event))


def test_every_documented_kind_is_in_the_fixture() -> None:
    fixture = fixture_of("twilio")
    known = Twilio(Context("here", "twilio", Options())).kinds | UNTOLD
    shown = {fixture.source.kind(payload) for _, payload in fixture.payloads}
    assert known - shown == {"task-queue.expression-updated"}
