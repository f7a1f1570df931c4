"""Zendesk: what each event of a ticket or an agent means by itself, in whatever order it comes."""

from __future__ import annotations

import random
import zlib
from collections import Counter
from functools import cache
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from pipeline.replay import read_history, snapshots
from pipeline.simulate.happenings import Kind
from pipeline.simulate.settings import site_settings
from pipeline.simulate.stream import Simulation
from pipeline.sources import FORMATS, SOURCES
from pipeline.sources.source import Translator, Unread
from schemas.settings import parse_site
from tests.sources.round_trip import BUSY, RoundTrip, no_bad_line, round_trip

CARRIED = ("offered", "answered", "transferred")
"""To the integer. Waits and talk are those of whole seconds; nobody abandons (unless the site says
who does), nobody holds, wraps up or helps; rings of calls are not those of tickets."""
EVERYWHERE = ["voice", "chat", "email", "message", "social", "callback", "task"]
AT = "2025-01-08T10:00:00Z"
TS = 1_736_330_400_000


def begin(**options: Any) -> Translator:
    return SOURCES["zendesk"].begin("here", options)


def ticket(kind: str, event: dict[str, Any] | None = None, **detail: Any) -> bytes:
    told: dict[str, Any] = {
        "id": "1",
        "group_id": "g",
        "assignee_id": "",
        "status": "OPEN",
        "updated_at": AT,
    }
    told |= {"via": {"channel": "mail"}, "requester_id": "r", **detail}
    type_ = f"zen:event-type:ticket.{kind}"
    return orjson.dumps({"type": type_, "detail": told, "event": event or {}, "time": AT})


def moved(before: str | None, now: str | None) -> dict[str, Any]:
    return {"previous": before, "current": now}


def tell(translator: Translator, *payloads: bytes) -> list[tuple[str, str]]:
    """Type, and agent or queue, of what the payloads mean."""
    return [
        (event["type"].partition(".")[2], event.get("agent") or event.get("queue", ""))
        for payload in payloads
        for event in translator.translate(payload)
    ]


@cache
def busy(given_up: bool = False) -> RoundTrip:
    sources = {"zendesk": {"given_up": EVERYWHERE}} if given_up else None
    return round_trip("zendesk", sources=sources)


class Told:
    """What the simulator's centre would be in whole seconds and without helpers, by queue."""

    def __init__(self) -> None:
        self.counters: dict[str, Counter[str]] = {}
        centre = Simulation(BUSY).centres[0]
        self.plan = centre.plan
        self._queued: dict[str, tuple[str, int]] = {}
        self._assigned: dict[str, tuple[str, str, int]] = {}
        for happening in centre.happenings():
            if happening.contact is not None:
                self._see(happening)

    def _see(self, happening: Any) -> None:
        kind, contact, second = happening.kind, happening.contact.id, happening.at // 1000 * 1000
        found = self.counters.setdefault(happening.queue, Counter())
        if kind is Kind.ENQUEUED:
            self._queued[contact] = (happening.queue, second)
        elif kind is Kind.CONNECTED and contact not in self._assigned:
            self._assigned[contact] = (happening.agent.id, happening.queue, second)
            if not happening.facts:
                wait = second - self._queued.pop(contact)[1]
                found["wait_ms"] += wait
                found["answered_in"] += wait <= self.plan.queue(happening.queue).threshold_ms
        elif kind is Kind.HUNG_UP and self._assigned.get(contact, "?")[0] == happening.agent.id:
            since = self._assigned.pop(contact)[2]
            found["handled"] += 1
            found["talk_ms"] += second - since
        elif kind in (Kind.GAVE_UP, Kind.LEFT):
            again = happening.note in ("overflow", "callback")
            found["left_overflow" if again else "left_other"] += 1
        elif kind in (Kind.MISSED, Kind.REFUSED):
            found["declined"] += self.plan.queue(happening.queue).channel in ("chat", "email")


told = cache(Told)


def test_what_tickets_carry_comes_back_to_the_integer() -> None:
    trip = busy()
    assert trip.truth.keys() == trip.told.keys()
    for queue, counters in trip.truth.items():
        kept = {name: counters[name] for name in CARRIED}
        assert {name: trip.told[queue][name] for name in kept} == kept, queue
    assert sum(counters["answered"] for counters in trip.truth.values()) > 500
    assert (trip.view["late"], trip.view["dead_lettered"]) == (0, 0)


def test_waits_and_talk_are_those_of_whole_seconds() -> None:
    names = ("wait_ms", "answered_in", "handled", "talk_ms", "left_overflow", "left_other")
    trip = busy()
    for queue, counters in told().counters.items():
        found = trip.told[queue]
        assert {name: found[name] for name in names} == {name: counters[name] for name in names}
        # Each end of a wait is less than a second early, so each wait less than a second wrong.
        answered = found["answered"]
        assert abs(found["wait_ms"] - trip.truth[queue]["wait_ms"]) <= 1000 * answered


def test_rings_of_tickets_come_back_and_those_of_calls_do_not() -> None:
    found = {queue: counters["declined"] for queue, counters in busy().told.items()}
    assert found == {queue: told().counters[queue]["declined"] for queue in found}
    assert sum(found.values()) > 0


def test_who_gave_up_is_told_where_the_site_says_which_tickets_those_are() -> None:
    for queue, counters in busy(given_up=True).truth.items():
        assert busy(given_up=True).told[queue]["abandoned"] == counters["abandoned"]
        assert busy().told[queue]["abandoned"] == 0


def test_neither_order_nor_repetition_changes_the_figures() -> None:
    trip = busy()
    payloads = trip.payloads + random.Random(5).sample(trip.payloads, 1_000)
    random.Random(6).shuffle(payloads)
    settings = parse_site(site_settings(told().plan), "plan")
    history = read_history(payloads, FORMATS["zendesk"], "sim", None, no_bad_line, settings)
    (view,) = snapshots(history, settings, [trip.view["at"]])
    assert view["queues"] == trip.view["queues"]
    assert view["inconsistent"] == trip.view["inconsistent"]


def test_only_tickets_that_change_group_and_agent_at_once_are_inconsistent() -> None:
    """The event of the group cannot know that the ticket did not wait there."""
    moves = Counter(
        event["meta"]["sequence"]["id"]
        for event in (orjson.loads(payload)["event"] for payload in busy().payloads)
        if "meta" in event and isinstance(event.get("current"), str)
    )
    assert 0 < busy().view["inconsistent"] <= sum(1 for changes in moves.values() if changes > 1)


def test_the_moment_is_the_tickets_own_and_not_that_of_the_envelope() -> None:
    payload = orjson.loads(ticket("created", status="NEW"))
    payload["time"] = "2025-01-08T11:00:00.5Z"
    [event] = begin().translate(orjson.dumps(payload))
    assert event["ts"] == TS


def test_a_ticket_taken_answered_and_solved_in_one_submit_was_answered_and_handled() -> None:
    action = {"assignee_id": "a", "status": "SOLVED"}
    translator = begin()
    assert tell(
        translator,
        ticket("created", status="NEW"),
        ticket("agent_assignment_changed", moved("", "a"), **action),
        ticket("status_changed", moved("NEW", "SOLVED"), **action),
    ) == [
        ("queued", "g"),
        ("answered", "a"),
        ("released", "a"),
        ("wrapped", "a"),
        ("released", "a"),
        ("wrapped", "a"),
        ("resolved", ""),
    ]


def test_a_ticket_of_a_colleague_that_is_solved_in_one_submit_has_one_leg() -> None:
    action = {"assignee_id": "b", "status": "SOLVED"}
    payload = ticket("agent_assignment_changed", moved("a", "b"), **action)
    assert tell(begin(), payload) == [("released", "a"), ("wrapped", "a")]


def test_pending_ends_the_work_or_is_a_hold_as_the_site_says() -> None:
    pending = ticket("status_changed", moved("OPEN", "PENDING"), assignee_id="a", status="PENDING")
    again = ticket("status_changed", moved("PENDING", "OPEN"), assignee_id="a")
    assert tell(begin(), pending, again) == [("released", "a"), ("wrapped", "a"), ("answered", "a")]
    holds = begin(pending="hold")
    assert tell(holds, pending, again) == [("held", "a"), ("resumed", "a")]
    taken = ticket("agent_assignment_changed", moved("a", "b"), assignee_id="b", status="PENDING")
    assert tell(holds, taken) == [
        ("released", "a"),
        ("wrapped", "a"),
        ("answered", "b"),
        ("held", "b"),
    ]


def test_where_the_answer_is_all_that_counts_legs_have_no_length() -> None:
    translator = begin(answer_only=["email"], pending="hold")
    story = (
        ticket("created", status="NEW"),
        ticket("agent_assignment_changed", moved("", "a"), assignee_id="a"),
        ticket("status_changed", moved("OPEN", "PENDING"), assignee_id="a", status="PENDING"),
        ticket("status_changed", moved("PENDING", "OPEN"), assignee_id="a"),
        ticket("agent_assignment_changed", moved("a", ""), group_id="h"),
        ticket("agent_assignment_changed", moved("", "b"), group_id="h", assignee_id="b"),
        ticket("status_changed", moved("OPEN", "SOLVED"), assignee_id="b", status="SOLVED"),
    )
    answered_by_a = [("answered", "a"), ("released", "a"), ("wrapped", "a")]
    answered_by_b = [("answered", "b"), ("released", "b"), ("wrapped", "b")]
    assert tell(translator, *story) == [
        ("queued", "g"),
        *answered_by_a,
        ("queued", "h"),
        *answered_by_b,
        ("resolved", ""),
    ]
    again = ticket("status_changed", moved("SOLVED", "OPEN"), assignee_id="b")
    assert tell(begin(answer_only=["email"]), again) == [("resolved", "")]
    assert tell(translator, ticket("created", status="NEW", via={"channel": "chat"})) == [
        ("queued", "g")
    ]


def test_closing_a_solved_ticket_days_later_says_nothing() -> None:
    payload = ticket("status_changed", moved("SOLVED", "CLOSED"), assignee_id="a", status="CLOSED")
    assert tell(begin(), payload) == []


def test_a_reopened_ticket_is_not_resolved_and_goes_on_with_its_agent() -> None:
    payload = ticket("status_changed", moved("SOLVED", "OPEN"), assignee_id="a")
    answered, resolved = begin().translate(payload)
    assert (answered["type"], resolved["resolved"]) == ("contact.answered", False)


@pytest.mark.parametrize(
    ("via", "channel"),
    [
        ("mail", "email"),
        ("chat", "chat"),
        ("whatsapp", "message"),
        ("business_messaging_slack_connect", "message"),
        ("phone_call_inbound", "voice"),
        ("twitter", "social"),
        ("web_service", "task"),
        ("unheard_of", "task"),
        ("mine", "chat"),
    ],
)
def test_the_channel_is_how_the_ticket_came(via: str, channel: str) -> None:
    payload = ticket("created", status="NEW", via={"channel": via})
    [event] = begin(channels={"mine": "chat"}).translate(payload)
    assert event["channel"] == channel


@pytest.mark.parametrize(
    ("score", "csat"), [("GOOD", 5), ("bad", 1), ("4", 4), (3, 3), ("so-so", 2)]
)
def test_satisfaction_becomes_a_score_of_five(score: Any, csat: int) -> None:
    payload = ticket("csat_received", {"satisfaction_score": {"score": score}})
    scores = {"good": 5, "bad": 1, "So-So": 2}
    [event] = begin(csat=scores).translate(payload)
    assert event["csat"] == csat


@pytest.mark.parametrize("score", ["offered", "unoffered", "7", "0", "great"])
def test_a_score_that_is_no_rating_is_none(score: str) -> None:
    payload = ticket("csat_received", {"satisfaction_score": {"score": score}})
    if score.endswith("offered"):
        assert begin().translate(payload) == []
    else:
        with pytest.raises(Unread, match="csat"):
            begin().translate(payload)
    with pytest.raises(ValidationError):
        begin(csat={"great": 6})


def agent(kind: str, **event: Any) -> bytes:
    told = {"updated_at": "2025-01-08T10:00:00.642630335Z", **event}
    type_ = f"zen:event-type:agent.{kind}"
    detail = {"agent_id": "7", "version": "42"}
    return orjson.dumps({"type": type_, "detail": detail, "event": told, "time": AT})


def test_one_status_of_an_agent_counts_unified_or_of_a_channel() -> None:
    unified = agent("unified_state_changed", new_unified_state={"id": "2", "name": "online"})
    channel = agent("state_changed", new_state="away", channel="support")
    translator = begin()
    [state] = [event for p in (unified, channel) for event in translator.translate(p)]
    assert (state["state"], state["ts"], state["agent"]) == ("available", TS + 642, "7")
    translator = begin(status_of="support")
    [state] = [event for p in (unified, channel) for event in translator.translate(p)]
    assert state["state"] == "not_ready"


def status(channel: str, new_state: str, second: int, who: str = "7") -> bytes:
    told = {"new_state": new_state, "channel": channel, "updated_at": f"2025-01-08T10:00:{second}Z"}
    type_ = "zen:event-type:agent.state_changed"
    detail = {"agent_id": who, "version": "42"}
    return orjson.dumps({"type": type_, "detail": detail, "event": told})


def test_without_a_unified_status_an_agent_is_as_available_as_in_any_channel() -> None:
    translator, states = begin(), []
    payloads = [
        status("support", "online", 10),
        status("messaging", "away", 11),
        status("support", "offline", 12),
        status("support", "online", 10),
        status("messaging", "offline", 13),
        status("messaging", "offline", 13),
    ]
    for payload in payloads:
        states += [(e["state"], e.get("reason")) for e in translator.translate(payload)]
        again = begin()
        again.recall(orjson.loads(orjson.dumps(translator.memory())))
        translator = again
    assert states == [
        ("available", None),
        ("available", None),
        ("not_ready", None),
        ("offline", None),
    ]


def test_what_is_remembered_of_agents_is_bounded_and_can_be_kept() -> None:
    """Ingest keeps at most 900,000 bytes of it, compressed."""
    rng, translator = random.Random(1), begin()

    def made(length: int) -> str:
        return "".join(rng.choices("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJ-_", k=length))

    for _ in range(2_200):
        who = made(200)
        for second in range(10, 15):
            translator.translate(status(made(40), "online", second, who))
    memory = translator.memory()
    assert (len(memory["agents"]), len(memory["agents"][who])) == (2_000, 4)
    assert len(zlib.compress(orjson.dumps(memory), 1)) < 900_000
    with pytest.raises(Unread, match="channel"):
        translator.translate(status("x" * 41, "online", 10))


@pytest.mark.parametrize("kind", ["created", "status_changed", "agent_assignment_changed"])
def test_a_status_of_a_ticket_that_is_not_known_is_nothing_that_waits(kind: str) -> None:
    with pytest.raises(Unread, match="status"):
        begin().translate(ticket(kind, {"previous": "OPEN", "current": "PARKED"}, status="PARKED"))
    told = {"previous": "OPEN", "current": "PARKED"}
    with pytest.raises(Unread, match=r"event\.current"):
        begin().translate(ticket("status_changed", told, status="OPEN"))


def test_a_status_of_the_sites_own_is_not_ready_unless_it_says_otherwise() -> None:
    payload = agent("unified_state_changed", new_unified_state={"id": "9", "name": "Back office"})
    [state] = begin().translate(payload)
    assert (state["state"], state["reason"]) == ("not_ready", "Back office")
    [state] = begin(statuses={"back office": "busy"}).translate(payload)
    assert state["state"] == "busy"


def test_a_ring_is_told_to_the_second_so_that_it_never_follows_its_answer() -> None:
    work = {"channel": "support", "reason": "OFFERED", "work_item_id": "1"}
    [event] = begin().translate(agent("work_item_added", **work))
    assert (event["type"], event["ts"]) == ("contact.offered", TS)
