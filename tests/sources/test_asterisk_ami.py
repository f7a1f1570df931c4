"""Asterisk AMI: the simulated centre comes back to the integer; its traps one by one."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from pipeline.sources import SOURCES
from pipeline.sources.source import Translator, Unread
from tests.sources.agent_legs import SimLeg, simulated_legs
from tests.sources.round_trip import BUSY, RoundTrip, round_trip

OPTIONS = {"wrap_up_reasons": ["wrap"]}
CALLER, OTHER = "1700000010.1", "1700000010.2"
LEFT = ("left_callback", "left_overflow", "left_other")
OF_LEGS = ("handled", "talk_ms", "hold_ms", "wrap_ms", "transferred")


@pytest.fixture(scope="module")
def told() -> RoundTrip:
    return round_trip("asterisk-ami", sources={"asterisk-ami": OPTIONS})


@pytest.fixture(scope="module")
def legs() -> list[SimLeg]:
    return simulated_legs(BUSY)


def begin(**options: Any) -> Translator:
    return SOURCES["asterisk-ami"].begin("s", options)


def event(name: str, at: float, contact: str = CALLER, **more: str) -> bytes:
    stamp = f"{1_700_000_000 + int(at)}.{round(at % 1 * 1000):03d}000"
    headers = {"Event": name, "Timestamp": stamp, "Uniqueid": contact, "Linkedid": contact}
    return orjson.dumps(headers | {"Queue": "support", "CallerIDNum": "5550101"} | more)


def of_agent(name: str, at: float, agent: str = "1001", **more: str) -> bytes:
    own = {"MemberName": agent, "Interface": f"PJSIP/{agent}", "DestUniqueid": f"own-{agent}"}
    return event(name, at, **(own | more))


def member(at: float, status: str, paused: str = "0", reason: str = "", **more: str) -> bytes:
    name = more.pop("Event", "QueueMemberStatus")
    state = {"Status": status, "Paused": paused, "PausedReason": reason}
    return of_agent(name, at, **(state | more))


def read(translator: Translator, *payloads: bytes) -> list[str]:
    """The events as `type@seconds reason-or-state`, without their common part."""
    said = []
    for payload in payloads:
        for made in translator.translate(payload):
            what = made["type"].removeprefix("contact.")
            more = made.get("state") or made.get("reason") or ""
            said.append(f"{what}@{(made['ts'] - 1_700_000_000_000) / 1000:g} {more}".strip())
    return said


def answered(translator: Translator, at: float = 5, **more: str) -> None:
    read(
        translator,
        event("QueueCallerJoin", at - 5),
        of_agent("AgentCalled", at - 4),
        event("QueueCallerLeave", at),
        of_agent("AgentConnect", at, **more),
    )


# Round trip. What Asterisk does not tell: legs without a queue (`direct`), the reason to have left
# (only their sum is compared), and the wrap-up of people who work on several contacts at once.


def test_waits_rings_and_outcomes_come_back_to_the_integer(told: RoundTrip) -> None:
    for queue, truth in told.truth.items():
        for name in truth.keys() - set(OF_LEGS) - set(LEFT):
            assert told.told[queue][name] == truth[name], (queue, name)
        assert sum(told.told[queue][name] for name in LEFT) == sum(truth[name] for name in LEFT)
    assert told.view["inconsistent"] == 0


def test_talk_hold_and_wrap_up_of_calls_from_queues_come_back_to_the_integer(
    told: RoundTrip, legs: list[SimLeg]
) -> None:
    assert any(leg.hold for leg in legs)
    for queue, truth in told.truth.items():
        direct = [leg for leg in legs if leg.queue == queue and leg.direct and leg.wrapped]
        got = told.told[queue]
        assert got["handled"] == truth["handled"] - len(direct)
        assert got["talk_ms"] == truth["talk_ms"] - sum(leg.talk for leg in direct)
        assert got["hold_ms"] == truth["hold_ms"] - sum(leg.hold for leg in direct)
        assert got["transferred"] == truth["transferred"] - sum(leg.transferred for leg in direct)
        wraps = truth["wrap_ms"] - sum(leg.wrapped - leg.released for leg in direct)
        if {leg.channel for leg in legs if leg.queue == queue} == {"chat"}:
            assert got["wrap_ms"] <= wraps
        else:
            assert got["wrap_ms"] == wraps


def test_a_batch_that_arrives_twice_changes_no_figure(told: RoundTrip) -> None:
    """As a door delivers again what it has answered into the void."""
    rng, translator = random.Random(5), begin(**OPTIONS)
    batches = [told.payloads[at : at + 200] for at in range(0, len(told.payloads), 200)]
    events = set()
    for batch in batches:
        for payload in batch * rng.choice((1, 2)):
            events |= {_key(made) for made in translator.translate(payload)}
    assert events == {_key(made) for made in told.events}


def _key(made: dict[str, Any]) -> bytes:
    kept = {name: value for name, value in made.items() if name != "site"}
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)


# Leaving a queue


def test_an_answer_is_not_an_exit() -> None:
    translator = begin()
    read(translator, event("QueueCallerJoin", 0), of_agent("AgentCalled", 1))
    assert read(translator, event("QueueCallerLeave", 4)) == []
    assert read(translator, of_agent("AgentConnect", 9)) == ["answered@9"]


def test_who_leaves_while_it_rings_and_is_not_connected_left_by_a_key() -> None:
    translator = begin(exits={"support": "voicemail"})
    read(translator, event("QueueCallerJoin", 0), of_agent("AgentCalled", 1))
    assert read(translator, event("QueueCallerLeave", 4)) == []
    assert read(translator, event("QueueCallerJoin", 30, OTHER)) == ["queued@30"]
    assert read(translator, event("QueueCallerJoin", 35, "x")) == ["left@4 voicemail", "queued@35"]


def test_who_leaves_while_nothing_rings_left_by_a_key_at_once() -> None:
    translator = begin()
    said = read(translator, event("QueueCallerJoin", 0), event("QueueCallerLeave", 4))
    assert said == ["queued@0", "left@4 other"]


def test_an_abandon_without_a_hangup_is_the_queue_s_own_doing() -> None:
    """Asterisk says QueueCallerAbandon for timeouts, empty queues and withdrawals as well."""
    translator = begin(timeouts={"support": 60})
    abandons = [
        event("QueueCallerAbandon", 70, c, HoldTime=h) for c, h in (("a", "60"), ("b", "9"))
    ]
    read(translator, event("Hangup", 1, "somebody"))
    assert read(translator, *abandons) == ["left@70 timeout", "left@70 other"]
    read(translator, event("HangupRequest", 79, "c"))
    assert read(translator, event("QueueCallerAbandon", 80, "c", HoldTime="60")) == ["abandoned@80"]


@pytest.mark.parametrize("options", [{}, {"abandons": "always"}])
def test_without_events_of_calls_every_abandon_is_one(options: dict[str, Any]) -> None:
    translator = begin(**options)
    if options:
        read(translator, event("Hangup", 1, "somebody"))
    assert read(translator, event("QueueCallerAbandon", 9, HoldTime="9")) == ["abandoned@9"]


def test_a_queue_that_follows_without_a_word_ends_the_first() -> None:
    translator = begin()
    said = read(
        translator, event("QueueCallerJoin", 0), event("QueueCallerJoin", 9, Queue="second")
    )
    assert said == ["queued@0", "left@9 lost", "queued@9"]


# Talking


def test_a_hold_told_by_the_channel_and_by_the_device_is_one() -> None:
    translator = begin()
    answered(translator)
    said = read(
        translator,
        event("Hold", 10, "own-1001"),
        member(10.01, "8", InCall="1"),
        event("Unhold", 20, "own-1001"),
        member(20.01, "8", InCall="1"),
        member(20.02, "2", InCall="1"),
    )
    assert [line for line in said if "state" not in line] == ["held@10", "resumed@20"]


def test_a_hold_is_told_by_the_device_where_the_channel_is_silent() -> None:
    translator = begin()
    answered(translator)
    said = read(
        translator,
        member(10, "8"),
        member(10.1, "8", Queue="second"),
        member(30, "2"),
        member(30.1, "2", Queue="second"),
    )
    assert [line for line in said if "state" not in line] == ["held@10", "resumed@30"]


def test_a_hold_behind_a_local_channel_is_the_agent_s_and_the_caller_s_own_is_not() -> None:
    translator = begin()
    answered(translator, DestChannel="Local/1001@from-queue-00000001;1")
    assert read(translator, event("Hold", 9, CALLER)) == []
    assert read(translator, event("Hold", 10, "behind", Linkedid=CALLER)) == ["held@10"]
    assert read(translator, event("Unhold", 12, "behind", Linkedid=CALLER)) == ["resumed@12"]


def test_a_talk_that_no_event_ends_is_over_when_the_channel_is_gone() -> None:
    """Transfers over Local channels that are not optimised away end without AgentComplete."""
    translator = begin()
    answered(translator)
    assert read(translator, event("Hangup", 60)) == []
    said = read(translator, event("QueueCallerJoin", 80, OTHER))
    assert said == ["released@60 completed", "wrapped@60", "queued@80"]


def test_an_agent_complete_after_the_hangup_is_the_only_end() -> None:
    translator = begin()
    answered(translator)
    read(translator, event("Hangup", 60))
    said = read(
        translator,
        of_agent("AgentComplete", 60.1, Reason="caller"),
        event("QueueCallerJoin", 80, OTHER),
    )
    assert said == ["released@60.1 completed", "wrapped@60.1", "queued@80"]


def test_wrap_up_is_the_pause_for_it_if_it_comes_soon() -> None:
    translator = begin(**OPTIONS)
    answered(translator)
    done = of_agent("AgentComplete", 60, Reason="agent")
    assert read(translator, done) == ["released@60 completed"]
    assert read(translator, member(61, "1", "1", "wrap")) == ["agent.state@61 wrap"]
    said = read(translator, member(90, "1", "0"))
    assert said == ["agent.state@90 available", "wrapped@90"]


def test_whoever_wraps_up_in_one_queue_may_be_called_by_another() -> None:
    translator = begin(**OPTIONS)
    read(translator, event("QueueCallerJoin", 0), of_agent("AgentConnect", 10))
    read(translator, member(59, "2", "1", "wrap"), of_agent("AgentComplete", 60, Reason="caller"))
    second = {"contact": OTHER, "Queue": "sales", "DestUniqueid": "own-2"}
    said = read(translator, of_agent("AgentConnect", 80, **second))
    assert said == ["answered@80", "wrapped@80"]
    assert not translator.memory().get("wrapping")


def test_no_pause_is_no_wrap_up() -> None:
    translator = begin(**OPTIONS)
    answered(translator)
    read(translator, of_agent("AgentComplete", 60, Reason="agent"))
    assert read(translator, event("QueueCallerJoin", 71, OTHER)) == ["wrapped@60", "queued@71"]
    assert read(translator, member(72, "1", "1", "wrap")) == ["agent.state@72 wrap"]


# Agents


def test_an_agent_is_away_when_paused_in_all_queues() -> None:
    translator = begin()
    first, second = {"Queue": "first"}, {"Queue": "second"}
    said = read(
        translator,
        member(1, "1", **first),
        member(2, "1", **second),
        member(3, "1", "1", "lunch", **first),
        member(4, "1", "1", "lunch", **second),
        member(5, "1", "0", **second),
    )
    assert said == [
        "agent.state@1 available",
        "agent.state@4 not_ready",
        "agent.state@5 available",
    ]


def test_states_of_devices() -> None:
    translator = begin()
    steps = zip(range(9), "015602178", strict=True)
    said = read(translator, *(member(at, status) for at, status in steps))
    assert said == [
        "agent.state@0 available",
        "agent.state@2 offline",
        "agent.state@3 available",
        "agent.state@5 busy",
        "agent.state@6 available",
        "agent.state@7 busy",
    ]


def test_old_news_of_a_member_is_none() -> None:
    translator = begin()
    assert read(translator, member(10, "1")) == ["agent.state@10 available"]
    assert read(translator, member(9, "5")) == []


# Gaps and time


def test_a_talk_whose_agent_is_in_no_call_after_a_gap_is_over() -> None:
    translator = begin()
    answered(translator)
    idle = {"Name": "1001", "Location": "PJSIP/1001", "Status": "1", "Paused": "0"}
    busy = idle | {"Status": "2", "InCall": "1"}
    connected, complete = event("CallboardConnected", 100), event("QueueStatusComplete", 101)
    assert read(translator, connected, event("QueueMember", 100, **busy), complete) == [
        "agent.state@100 busy"
    ]
    again = event("CallboardConnected", 200)
    said = read(translator, again, event("QueueMember", 200, **idle | {"InCall": "0"}), complete)
    assert said == ["agent.state@200 available", "released@200 completed", "wrapped@200"]


def test_what_happens_while_the_answer_comes_in_is_not_lost() -> None:
    translator = begin()
    read(translator, event("QueueCallerJoin", 0), event("CallboardConnected", 100))
    said = read(
        translator,
        event("QueueCallerJoin", 100.5, OTHER),
        event("QueueEntry", 101, Wait="101"),
        event("QueueStatusComplete", 101),
    )
    assert said == ["queued@100.5"]


def test_shutdown_ends_all_calls() -> None:
    translator = begin()
    answered(translator)
    read(translator, event("QueueCallerJoin", 20, OTHER))
    said = read(translator, event("Shutdown", 30))
    assert said == ["left@30 lost", "released@30 completed", "wrapped@30"]


def test_without_a_time_the_remedy_is_named() -> None:
    with pytest.raises(Unread, match=r"timestampevents = yes in manager\.conf"):
        begin().translate(b'{"Event": "QueueCallerJoin", "Uniqueid": "1", "Queue": "q"}')
    received = (
        b'{"Event": "QueueCallerJoin", "Uniqueid": "1", "Queue": "q", "CallboardReceived": 7}'
    )
    assert [made["ts"] for made in begin().translate(received)] == [7]


def test_memory_is_bounded() -> None:
    translator = begin()
    for number in range(20_100):
        translator.translate(event("QueueCallerJoin", number / 100, f"call-{number}"))
    assert len(translator.memory()["visits"]) == 20_000


def test_who_came_a_day_ago_is_forgotten() -> None:
    translator = begin()
    for at, contact in ((0, "old"), (86_000, "young"), (86_401, "new")):
        translator.translate(event("QueueCallerJoin", at, contact))
    assert list(translator.memory()["visits"]) == ["young", "new"]
