"""FreeSWITCH mod_callcenter: the simulated centre comes back; its traps one by one."""

from __future__ import annotations

import random
from typing import Any

import orjson
import pytest

from pipeline.sources import SOURCES
from pipeline.sources.source import Translator
from tests.sources.agent_legs import SimLeg, simulated_legs
from tests.sources.round_trip import BUSY, RoundTrip, round_trip

OPTIONS = {"exit_keys": {"1": "callback", "2": "voicemail"}}
CALL, AGENT, QUEUE = "call-1", "1001@default", "support@default"
OF_LEGS = ("handled", "talk_ms", "hold_ms", "wrap_ms", "transferred")
AROUND = 20
"""How far events of several threads overtake each other here, in events."""


@pytest.fixture(scope="module")
def told() -> RoundTrip:
    return round_trip("freeswitch", sources={"freeswitch": OPTIONS})


@pytest.fixture(scope="module")
def legs() -> list[SimLeg]:
    return simulated_legs(BUSY)


def begin(**options: Any) -> Translator:
    return SOURCES["freeswitch"].begin("s", options)


def event(action: str, at: float, **more: Any) -> bytes:
    headers = {
        "Event-Name": "CUSTOM",
        "Event-Subclass": "callcenter::info",
        "Event-Date-Timestamp": str(round((1_700_000_000 + at) * 1_000_000)),
        "CC-Action": action,
        "CC-Queue": QUEUE,
        "CC-Agent": AGENT,
        "CC-Agent-UUID": "own-1",
        "CC-Member-UUID": "m-1",
        "CC-Member-Session-UUID": CALL,
    }
    return orjson.dumps(headers | more)


def state(at: float, name: str) -> bytes:
    return event("agent-state-change", at, **{"CC-Agent-State": name})


def status(at: float, name: str) -> bytes:
    return event("agent-status-change", at, **{"CC-Agent-Status": name})


def bridge_end(at: float, bridged: str = "true", how: str = "ANSWER") -> bytes:
    more = {"CC-Agent-Bridged": bridged, "variable_endpoint_disposition": how}
    return event("bridge-agent-end", at, **more)


def cancel(at: float, reason: str, **more: str) -> bytes:
    return event(
        "member-queue-end", at, **{"CC-Cause": "Cancel", "CC-Cancel-Reason": reason} | more
    )


def row(action: str, at: float, **more: str) -> bytes:
    received = round((1_700_000_000 + at) * 1000)
    return orjson.dumps({"Callboard-Action": action, "CallboardReceived": received} | more)


def listed(at: float, is_now: str, joined: int, **more: str) -> bytes:
    member = {"queue": QUEUE, "session_uuid": CALL, "state": is_now, "serving_agent": AGENT}
    return row("member", at, joined_epoch=str(1_700_000_000 + joined), **member | more)


def read(translator: Translator, *payloads: bytes) -> list[str]:
    """The events as `type@seconds reason-or-state`, without their common part."""
    said = []
    for payload in payloads:
        for made in translator.translate(payload):
            what = made["type"].removeprefix("contact.")
            more = made.get("state") or made.get("reason") or ""
            said.append(f"{what}@{(made['ts'] - 1_700_000_000_000) / 1000:g} {more}".strip())
    return said


# Round trip. What mod_callcenter does not tell: legs without a queue (`direct`) and wrap-up, so a
# leg is handled when it is released.


def test_waits_rings_and_outcomes_come_back_to_the_integer(told: RoundTrip) -> None:
    for queue, truth in told.truth.items():
        for name in truth.keys() - set(OF_LEGS):
            assert told.told[queue][name] == truth[name], (queue, name)
    assert told.view["inconsistent"] == 0


def test_talk_and_hold_of_calls_from_queues_come_back_to_the_integer(
    told: RoundTrip, legs: list[SimLeg]
) -> None:
    for queue in told.truth:
        over = [leg for leg in legs if leg.queue == queue and leg.released and not leg.direct]
        got = told.told[queue]
        assert got["handled"] == len(over)
        assert got["talk_ms"] == sum(leg.talk for leg in over)
        assert got["hold_ms"] == sum(leg.hold for leg in over)
        assert got["transferred"] == sum(leg.transferred for leg in over)
        assert got["wrap_ms"] == 0


def test_a_batch_that_arrives_twice_changes_no_figure(told: RoundTrip) -> None:
    rng, translator = random.Random(5), begin(**OPTIONS)
    events = set()
    for at in range(0, len(told.payloads), 200):
        for payload in told.payloads[at : at + 200] * rng.choice((1, 2)):
            events |= {_key(made) for made in translator.translate(payload)}
    assert {key for key in events if b"contact." in key} == {
        _key(made) for made in told.events if "contact" in made
    }


def test_events_that_overtake_each_other_change_no_figure_of_contacts(told: RoundTrip) -> None:
    """Busy FreeSWITCHes dispatch events from several threads."""
    rng, translator = random.Random(6), begin(**OPTIONS)
    places = [(at + rng.randrange(AROUND), at) for at in range(len(told.payloads))]
    shuffled = [told.payloads[at] for _, at in sorted(places)]
    events = [made for payload in shuffled for made in translator.translate(payload)]
    moved = {"contact.held", "contact.resumed"}
    got = {_key(made) for made in events if "contact" in made and made["type"] not in moved}
    want = {_key(made) for made in told.events if "contact" in made and made["type"] not in moved}
    assert got == want


def _key(made: dict[str, Any]) -> bytes:
    kept = {name: value for name, value in made.items() if name != "site"}
    return orjson.dumps(kept, option=orjson.OPT_SORT_KEYS)


# Traps


def test_a_caller_who_is_moved_out_of_the_queue_has_not_abandoned() -> None:
    moved, gone = {"Answer-State": "answered"}, {"Answer-State": "hangup"}
    assert read(begin(), cancel(9, "BREAK_OUT", **moved)) == ["left@9 transfer"]
    assert read(begin(), cancel(9, "BREAK_OUT", **gone)) == ["abandoned@9"]
    caused = moved | {"Hangup-Cause": "ORIGINATOR_CANCEL"}
    assert read(begin(), cancel(9, "BREAK_OUT", **caused)) == ["abandoned@9"]
    assert read(begin(), cancel(9, "BREAK_OUT")) == ["abandoned@9"]


def test_an_answer_counts_from_the_pick_up_once_the_bridge_stands() -> None:
    translator = begin()
    assert read(translator, event("bridge-agent-start", 5)) == []
    assert read(translator, state(5.2, "In a queue call")) == ["answered@5"]
    assert read(translator, state(5.3, "In a queue call")) == []


def test_a_bridge_that_fails_is_no_answer() -> None:
    translator = begin()
    read(translator, event("member-queue-start", 0), event("bridge-agent-start", 5))
    assert read(translator, bridge_end(8, "false")) == ["declined@8 no_answer"]
    assert read(translator, state(9, "In a queue call")) == []


def test_a_caller_who_hangs_up_in_the_moment_of_the_answer_has_abandoned() -> None:
    translator = begin()
    read(translator, event("member-queue-start", 0), event("bridge-agent-start", 5))
    assert read(translator, cancel(5.5, "NONE")) == ["abandoned@5.5"]
    assert read(translator, bridge_end(8, "false")) == []


def test_a_cancel_after_the_bridge_stands_is_none() -> None:
    translator = begin()
    read(translator, event("bridge-agent-start", 5), state(5.1, "In a queue call"))
    assert read(translator, cancel(5.5, "NONE")) == []


def test_an_answer_whose_state_was_not_told_is_told_at_the_end() -> None:
    translator = begin()
    read(translator, event("bridge-agent-start", 5))
    assert read(translator, bridge_end(60)) == ["answered@5", "released@60 completed", "wrapped@60"]


def test_a_state_that_overtakes_the_pick_up_confirms_it() -> None:
    translator = begin()
    said = read(translator, state(5.2, "In a queue call"), event("bridge-agent-start", 5))
    assert said == ["answered@5"]


def test_a_transfer_is_told_by_the_channel() -> None:
    translator = begin()
    read(translator, event("bridge-agent-start", 5), state(5.1, "In a queue call"))
    assert read(translator, bridge_end(60, how="ATTENDED_TRANSFER"))[0] == "released@60 transferred"


def test_a_ring_that_somebody_else_ended_is_not_declined() -> None:
    causes = ("LOSE_RACE", "ORIGINATOR_CANCEL", "CALL_REJECTED", "USER_BUSY", "NO_USER_RESPONSE")
    fails = (event("bridge-agent-fail", 9, **{"CC-Hangup-Cause": cause}) for cause in causes)
    assert read(begin(), *fails) == [
        "declined@9 rejected",
        "declined@9 rejected",
        "declined@9 no_answer",
    ]


@pytest.mark.parametrize(
    ("option", "said"),
    [("not_ready", ["not_ready"]), ("wrap", ["wrap"]), ("available", [])],
)
def test_on_demand_an_agent_is_idle_after_a_call(option: str, said: list[str]) -> None:
    translator = begin(idle=option)
    read(translator, status(1, "Available (On Demand)"))
    back = ["agent.state@9 available"] if said else []
    assert read(translator, state(5, "Idle"), state(9, "Waiting")) == [
        *(f"agent.state@5 {name}" for name in said),
        *back,
    ]


def test_states_alone_say_nothing_of_an_agent_on_break() -> None:
    translator = begin()
    said = read(translator, status(1, "On Break"), state(2, "Idle"), state(3, "Waiting"))
    assert said == ["agent.state@1 not_ready"]
    assert read(translator, status(0.5, "Available")) == []


def test_who_was_answered_in_a_gap_talks_after_it() -> None:
    translator = begin()
    read(translator, event("member-queue-start", 0.75), row("connected", 100))
    bridged = str(1_700_000_000)
    said = read(translator, listed(100, "Answered", 0, bridge_epoch=bridged), row("complete", 101))
    assert said == ["answered@0.75"]
    said = read(translator, row("connected", 200), row("complete", 201))
    assert said == ["released@200 completed", "wrapped@200"]


def test_a_list_that_repeats_an_event_adds_nothing() -> None:
    """A row has whole seconds, the event before it had milliseconds."""
    translator = begin()
    read(translator, event("member-queue-start", 0.75), row("connected", 10))
    assert read(translator, listed(10, "Waiting", 0), row("complete", 10)) == []
    read(translator, cancel(11, "TIMEOUT"))
    assert read(translator, listed(12, "Waiting", 0)) == []


def test_memory_is_bounded() -> None:
    translator = begin()
    for number in range(20_100):
        call = {"CC-Member-Session-UUID": f"call-{number}"}
        translator.translate(event("member-queue-start", number / 100, **call))
    assert len(translator.memory()["visits"]) == 20_000


def test_who_came_a_day_ago_is_forgotten() -> None:
    translator = begin()
    for at, contact in ((0, "old"), (86_000, "young"), (86_401, "new")):
        translator.translate(event("member-queue-start", at, **{"CC-Member-Session-UUID": contact}))
    assert list(translator.memory()["visits"]) == ["young", "new"]
