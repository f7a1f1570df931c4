"""LivePerson: whole conversations into differences, and what repeats, comes late or is missing."""

from __future__ import annotations

import random
import zlib
from collections import Counter
from functools import cache
from typing import Any
from uuid import UUID

import orjson
import pytest

from pipeline.simulate.happenings import Kind
from pipeline.simulate.options import Options
from pipeline.simulate.stream import Simulation
from pipeline.sources import SOURCES
from pipeline.sources.platforms.liveperson import remembered
from pipeline.sources.source import Translator, Unread
from tests.sources.round_trip import BUSY, RoundTrip, round_trip

START = 1_700_000_000_000
LEFT = ("left_callback", "left_overflow", "left_other")
NOT_CARRIED = {*LEFT, "declined", "handled", "talk_ms", "hold_ms", "wrap_ms"}
"""Skill changes are all one kind of leaving; humans' rings are not told; no hold, no wrap-up, and a
colleague who helps is no leg: see the tests that follow for what comes instead."""


def begin(**options: Any) -> Translator:
    return SOURCES["liveperson"].begin("here", options)


def people(*agents: str, suggested: str = "") -> list[dict[str, str]]:
    found = [{"id": "customer", "role": "CONSUMER"}]
    found += [{"id": agent, "role": "ASSIGNED_AGENT", "state": "ACTIVE"} for agent in agents]
    if suggested:
        found.append({"id": suggested, "role": "ASSIGNED_AGENT", "state": "SUGGESTED"})
    return found


def change(
    at: int, *agents: str, conv: str = "c", skill: str = "5", suggested: str = "", **details: Any
) -> dict[str, Any]:
    told = {"startTs": START, "state": "OPEN", "metaDataLastUpdateTs": START + at, **details}
    told |= {"skillId": skill, "participants": people(*agents, suggested=suggested)}
    return {"type": "UPSERT", "result": {"convId": conv, "conversationDetails": told}}


def notification(*changes: dict[str, Any]) -> bytes:
    type_ = "cqm.ExConversationChangeNotification"
    return orjson.dumps({"type": type_, "body": {"changes": list(changes)}})


def tell(translator: Translator, *changes: dict[str, Any]) -> list[tuple[str, int, str]]:
    """What one notification after the other means: type, ms since the start, agent or queue."""
    return [
        (event["type"], event["ts"] - START, event.get("agent") or event.get("queue", ""))
        for each in changes
        for event in translator.translate(notification(each))
    ]


@cache
def busy() -> RoundTrip:
    return round_trip("liveperson")


@cache
def legs(options: Options = BUSY) -> tuple[Counter[str], Counter[str]]:
    """By queue: legs of assigned agents that ended, and their ms, from the simulator's mouth."""
    ended: Counter[str] = Counter()
    length: Counter[str] = Counter()
    assigned: dict[str, tuple[str, str, int]] = {}
    for happening in Simulation(options).centres[0].happenings():
        contact, agent = happening.contact, happening.agent
        if contact is None or agent is None:
            continue
        if happening.kind is Kind.CONNECTED and contact.id not in assigned:
            assigned[contact.id] = (agent.id, happening.queue, happening.at)
        elif happening.kind is Kind.HUNG_UP and assigned.get(contact.id, ("",))[0] == agent.id:
            _, queue, since = assigned.pop(contact.id)
            ended[queue] += 1
            length[queue] += happening.at - since
    return ended, length


def test_the_centre_comes_back_to_the_integer() -> None:
    trip = busy()
    assert trip.truth.keys() == trip.told.keys()
    for queue, counters in trip.truth.items():
        kept = {name: n for name, n in counters.items() if name not in NOT_CARRIED}
        assert {name: trip.told[queue][name] for name in kept} == kept, queue
    assert sum(counters["answered"] for counters in trip.truth.values()) > 500
    assert (trip.view["inconsistent"], trip.view["late"], trip.view["dead_lettered"]) == (0, 0, 0)


def test_who_leaves_a_skill_without_an_answer_is_counted_if_not_why() -> None:
    trip = busy()
    for queue, counters in trip.truth.items():
        assert sum(trip.told[queue][name] for name in LEFT) == sum(counters[name] for name in LEFT)


def test_talk_is_from_the_agents_coming_to_going_and_there_is_no_hold_or_wrap_up() -> None:
    ended, length = legs()
    for queue, counters in busy().told.items():
        assert (counters["handled"], counters["talk_ms"]) == (ended[queue], length[queue]), queue
        assert (counters["hold_ms"], counters["wrap_ms"], counters["declined"]) == (0, 0, 0)


def test_repeated_notifications_change_nothing() -> None:
    translator, again = begin(), begin()
    payloads = busy().payloads
    once = [event for payload in payloads for event in translator.translate(payload)]
    twice: list[dict[str, Any]] = []
    rng = random.Random(3)
    for index, payload in enumerate(payloads):
        twice += again.translate(payload)
        # A retry comes up to half a minute late, behind what has happened since.
        twice += again.translate(payloads[max(0, index - rng.randrange(12))])
    key = orjson.OPT_SORT_KEYS
    assert {orjson.dumps(e, option=key) for e in twice} == {
        orjson.dumps(e, option=key) for e in once
    }


def test_a_notification_that_is_overtaken_is_not_read() -> None:
    translator = begin()
    assert tell(translator, change(0), change(90, "ada"), change(40, skill="7")) == [
        ("contact.queued", 0, "5"),
        ("contact.answered", 90, "ada"),
    ]


def test_a_beginning_that_is_overtaken_is_told_when_it_comes() -> None:
    translator = begin()
    assert tell(translator, change(90, "ada"), change(0), change(0)) == [
        ("contact.answered", 90, "ada"),
        ("contact.queued", 0, "5"),
    ]


def test_the_same_state_again_says_nothing() -> None:
    translator = begin()
    tell(translator, change(0), change(90, "ada"))
    assert tell(translator, change(95, "ada"), change(99, "ada")) == []


def test_a_conversation_passed_to_an_agent_waits_until_it_is_taken() -> None:
    translator = begin()
    tell(translator, change(0), change(10, "ada"))
    assert tell(translator, change(50, suggested="ben"), change(70, "ben")) == [
        ("contact.released", 50, "ada"),
        ("contact.wrapped", 50, "ada"),
        ("contact.queued", 50, "5"),
        ("contact.offered", 50, "ben"),
        ("contact.answered", 70, "ben"),
    ]


def test_a_conversation_passed_to_an_agent_who_does_not_take_it_was_declined() -> None:
    translator = begin()
    tell(translator, change(0, suggested="ben"))
    assert tell(translator, change(60)) == [("contact.declined", 60, "ben")]


def test_an_agent_who_hands_over_directly_lets_nobody_wait() -> None:
    translator = begin()
    tell(translator, change(0), change(10, "ada"))
    assert tell(translator, change(50, "ben", skill="7")) == [
        ("contact.released", 50, "ada"),
        ("contact.wrapped", 50, "ada"),
        ("contact.answered", 50, "ben"),
    ]


def test_the_talk_ends_with_its_dialog_and_not_with_the_survey_after_it() -> None:
    translator = begin()
    tell(translator, change(0), change(10, "ada"))
    main = {"dialogType": "MAIN", "state": "CLOSE", "endTs": START + 300}
    survey = {"dialogType": "POST_SURVEY", "state": "OPEN"}
    assert tell(translator, change(301, "ada", dialogs=[survey, main])) == [
        ("contact.released", 300, "ada"),
        ("contact.wrapped", 300, "ada"),
    ]
    done = change(900, "ada", dialogs=[survey, main], state="CLOSE", endTs=START + 900)
    assert tell(translator, done) == []


@pytest.mark.parametrize(
    ("reason", "type_", "left"),
    [
        ("CONSUMER", "contact.abandoned", None),
        ("TIMEOUT", "contact.left", "timeout"),
        ("AGENT", "contact.left", "other"),
    ],
)
def test_who_closes_a_conversation_that_waits_says_whether_it_was_given_up(
    reason: str, type_: str, left: str | None
) -> None:
    translator = begin()
    tell(translator, change(0))
    closed = change(30, state="CLOSE", endTs=START + 30, closeReason=reason)
    [event] = translator.translate(notification(closed))
    assert (event["type"], event.get("reason"), event["ts"]) == (type_, left, START + 30)


def test_an_open_conversation_seen_late_has_no_wait() -> None:
    """After a new subscription: since when the agent talks is not told."""
    assert tell(begin(), change(5_000, "ada")) == [("contact.answered", 5_000, "ada")]
    assert tell(begin(), change(5_000, "ada", state="CLOSE", endTs=START + 5_000)) == []


def test_a_survey_is_told_once_however_often_it_is_repeated() -> None:
    translator = begin()
    csat = {"status": "FILLED", "csatRate": 5, "csatResolutionConfirmation": True}
    first = change(0)
    assert len(translator.translate(notification(first))) == 1
    [event] = translator.translate(notification(change(20, csat=csat)))
    assert (event["csat"], event["resolved"]) == (5, True)
    assert translator.translate(notification(change(40, csat=csat))) == []


def test_what_a_bot_holds_is_neither_waiting_nor_answered() -> None:
    translator = begin(bots=["bot"])
    assert tell(translator, change(0, "bot"), change(60), change(80, "ada")) == [
        ("contact.queued", 60, "5"),
        ("contact.answered", 80, "ada"),
    ]


def test_rings_are_left_out_unless_it_is_known_whose_they_are() -> None:
    ring = {"ringId": "r", "ringState": "WAITING", "ringExpiration": 20_000}
    ring |= {"ringExpirationTs": START + 30_000}
    result = {"conversationId": "c", "ringsDetails": [ring]}
    body = {"changes": [{"type": "UPSERT", "result": result}]}
    task = orjson.dumps({"type": "routing.RoutingTaskNotification", "body": body})
    assert begin().translate(task) == []
    translator = begin(ring_agent="bot")
    tell(translator, change(0))
    [event] = translator.translate(task)
    assert (event["type"], event["ts"]) == ("contact.offered", START + 10_000)
    assert tell(translator, change(40_000, "ada")) == [
        ("contact.declined", 30_000, "bot"),
        ("contact.answered", 40_000, "ada"),
    ]


def test_agents_of_both_worlds_are_one_where_the_site_says_so() -> None:
    translator = begin(agents={"pid": "1001"})
    record = {"agentId": 1001, "time": "2023-11-14T08:00:00Z", "statusType": 1, "statusSubType": 2}
    [state] = translator.translate(orjson.dumps({"stateChanges": [record]}))
    assert [agent for *_, agent in tell(translator, change(0), change(9, "pid"))][1] == "1001"
    assert (state["agent"], state["state"]) == ("1001", "available")


def test_the_memory_is_bounded_by_count_and_by_age(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(remembered, "KEPT", 3)
    translator = begin()
    tell(translator, *(change(n, conv=f"c{n}") for n in range(5)))
    assert list(translator.memory()["open"]) == ["c2", "c3", "c4"]
    ends = (change(9, conv=f"c{n}", state="CLOSE", endTs=START + 9) for n in range(5))
    tell(translator, *ends)
    assert translator.memory()["open"] == {}
    assert list(translator.memory()["ended"]) == ["c2", "c3", "c4"]
    tell(translator, change(15 * 86_400_000, conv="later"))
    assert list(translator.memory()["open"]) == ["later"]
    assert list(translator.memory()["ended"]) == ["c4"]


def test_a_wrong_clock_does_not_empty_the_memory() -> None:
    translator = begin()
    tell(translator, *(change(n, conv=f"c{n}") for n in range(9)))
    tell(translator, change(10**15, conv="wrong"))
    assert len(translator.memory()["open"]) == 9 + 1 - 2


def test_what_is_remembered_of_many_conversations_can_be_kept() -> None:
    """Ingest keeps at most 900,000 bytes of it, compressed."""
    rng, translator = random.Random(1), begin()
    agents = [str(UUID(int=rng.getrandbits(128))) for _ in range(500)]
    for _ in range(1_000):
        conv, at = str(UUID(int=rng.getrandbits(128))), rng.randrange(10**9)
        tell(translator, change(at, rng.choice(agents), conv=conv, skill="1234567"))
        over = change(at, conv=f"{conv[::-1]}", state="CLOSE", endTs=START + at)
        tell(translator, over)
    memory = translator.memory()
    assert (len(memory["open"]), len(memory["ended"])) == (1_000, 1_000)
    each = len(zlib.compress(orjson.dumps(memory), 1)) / 1_000
    assert each * remembered.KEPT < 900_000


@pytest.mark.parametrize("length", [36, 200])
def test_a_memory_full_of_the_longest_ids_can_be_kept(length: int) -> None:
    rng, translator = random.Random(1), begin()

    def made() -> str:
        return "".join(rng.choices("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJ-_", k=length))

    for _ in range(9_000 if length == 36 else 2_000):
        tell(translator, change(0, made(), conv=made(), skill=made()))
        tell(translator, change(0, conv=made(), state="CLOSE", endTs=START))
    memory = translator.memory()
    assert min(len(memory["open"]), len(memory["ended"])) > 800
    assert len(zlib.compress(orjson.dumps(memory), 1)) < 900_000
    again = begin()
    again.recall(orjson.loads(orjson.dumps(memory)))
    for translated in (translator, again):
        tell(translated, change(1, made(), conv="new"))
    assert len(again.memory()["open"]) == len(translator.memory()["open"])


def test_a_notification_with_one_change_that_is_wrong_is_refused_whole() -> None:
    translator = begin()
    with pytest.raises(Unread, match="startTs"):
        translator.translate(notification(change(0), change(1, conv="d", startTs=None)))
    assert translator.memory() == {"open": {}, "ended": {}}


def test_states_that_are_not_known_open_and_answer_nothing() -> None:
    translator = begin()
    tell(translator, change(0), change(5, "ada"), change(9, "ada", state="CLOSE", endTs=START + 9))
    with pytest.raises(Unread, match="PARKED"):
        tell(translator, change(20, "ada", state="PARKED"))
    ghost = change(20)
    person = {"id": "ada", "role": "ASSIGNED_AGENT", "state": "GHOST"}
    ghost["result"]["conversationDetails"]["participants"] = [person]
    with pytest.raises(Unread, match="GHOST"):
        tell(translator, ghost)
    assert tell(translator, change(20, "ada", state="LOCKED")) == [
        ("contact.answered", 20, "ada"),
    ]
