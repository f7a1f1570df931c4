"""Genesys Cloud: the simulator's own totals come back, in whatever order EventBridge delivers."""

from __future__ import annotations

import random
import zlib
from collections import Counter
from dataclasses import replace
from functools import cache
from typing import Any

import orjson
import pytest

from pipeline.ingest.memory import MAX_MEMORY_BYTES
from pipeline.replay import read_history, snapshots
from pipeline.simulate.canonical import CanonicalWriter
from pipeline.simulate.centre import Centre
from pipeline.simulate.happenings import Kind
from pipeline.simulate.options import Options
from pipeline.simulate.plan import CentrePlan
from pipeline.simulate.planning import plan_site
from pipeline.simulate.settings import site_settings
from pipeline.simulate.stream import Simulation
from pipeline.sources import FORMATS, SOURCES
from pipeline.sources.platforms.genesys_cloud.memory import MOST_CONVERSATIONS
from pipeline.sources.source import Event, Translator, Unread
from schemas.settings import parse_site
from tests.engine.subjects import EngineSubject, frame, tick
from tests.sources.round_trip import BUSY, RoundTrip, round_trip

NAME = "genesys-cloud"
START = "v2.detail.events.conversation.{id}."
NOT_CARRIED = {"left_callback", "left_overflow", "left_other"}
"""The platform says that a contact flowed out, not how: together they are carried."""


@cache
def plan() -> CentrePlan:
    return plan_site(replace(BUSY, platform=NAME), 0)


def options() -> dict[str, Any]:
    without = [queue.id for queue in plan().queues if queue.channel == "email"]
    return {"queues_without_wrap_up": without}


@cache
def told() -> RoundTrip:
    return round_trip(NAME, BUSY, {NAME: options()})


@cache
def simulated() -> tuple[list[bytes], int, int]:
    """The simulator's events without legs that the platform has not told yet; joins; the end.

    A colleague who joins a conversation is told of when that leg ends.
    """
    writer = CanonicalWriter(plan().site, "simulator")
    happenings = list(Centre(plan()).happenings())
    joined = Counter[tuple[str, str]]()
    for what in happenings:
        if what.contact and what.agent and what.kind in (Kind.CONNECTED, Kind.HUNG_UP):
            key = (what.contact.id, what.agent.id)
            joined[key] += bool(what.facts) - (what.kind is Kind.HUNG_UP and joined[key] > 0)
    untold = {key for key, count in joined.items() if count}
    events = []
    for what in happenings:
        for payload in writer.payloads(what):
            key = (what.contact.id, what.agent.id) if what.contact and what.agent else ("", "")
            if key not in untold:
                events.append(payload)
    joins = sum(what.kind is Kind.CONNECTED and bool(what.facts) for what in happenings)
    return events, joins, happenings[-1].at


def view(payloads: list[bytes], name: str, at: int) -> dict[str, Any]:
    """The snapshot of a capture at a moment."""
    sources = {NAME: options()} if name == NAME else {}
    settings = parse_site(site_settings(plan()) | {"sources": sources}, "plan")
    history = read_history(payloads, FORMATS[name], plan().site, settings=settings)
    (snapshot,) = snapshots(history, settings, [at])
    return snapshot


def figures(snapshot: dict[str, Any]) -> Any:
    """What must not hang on order: queues and teams, but for the oddities."""
    queues = {
        (queue, channel): found["windows"]["total"]
        for queue, channels in snapshot["queues"].items()
        for channel, found in channels.items()
    }
    return queues, {team: found["windows"]["total"] for team, found in snapshot["teams"].items()}


def event_time(payload: bytes) -> int:
    body = orjson.loads(payload)["detail"]["eventBody"]
    return int(body.get("eventTime", 0))


def begin(**more: Any) -> Translator:
    return SOURCES[NAME].begin("s", more)


def body(**more: Any) -> dict[str, Any]:
    return {
        "eventTime": 100_000,
        "conversationId": "c",
        "participantId": "p",
        "sessionId": "s1",
        "mediaType": "VOICE",
        "direction": "INBOUND",
        "queueId": "q",
        **more,
    }


def say(translator: Translator, topic: str, **more: Any) -> list[Event]:
    """The events of a detail event, as `(type, ts)` and what else is told."""
    detail = {"topicName": "", "eventBody": body(**more)}
    return translator.translate(orjson.dumps({"detail-type": START + topic, "detail": detail}))


def short(events: list[Event]) -> list[tuple[Any, ...]]:
    return [
        (e["type"].removeprefix("contact."), e["ts"], *([e["reason"]] if "reason" in e else []))
        for e in events
    ]


def test_what_the_simulator_counted_comes_back_to_the_integer() -> None:
    truth, found = told().truth, told().told
    assert {queue for queue, counters in truth.items() if counters["offered"]} == set(found)
    for queue, counters in truth.items():
        got = found.get(queue, dict.fromkeys(counters, 0))
        for name in counters.keys() - NOT_CARRIED:
            assert got[name] == counters[name], (queue, name)
        left = sum(counters[name] for name in NOT_CARRIED)
        assert (got["left_overflow"], got["left_callback"], got["left_other"]) == (left, 0, 0)
    assert told().view["dead_lettered"] == 0
    # A colleague who is called into a conversation rings for nobody who waits: an oddity each.
    assert told().view["inconsistent"] == simulated()[1]
    sums = Counter[str]()
    for counters in truth.values():
        sums.update(counters)
    for name in ("abandoned", "declined", "transferred", "hold_ms", "wrap_ms", "left_callback"):
        assert sums[name], f"the simulation has no {name}, so nothing is proved of it"


def test_agents_time_comes_back_but_for_their_teams() -> None:
    events, _, at = simulated()
    true = view(events, "canonical", at)["teams"]
    teams = view(told().payloads, NAME, at)["teams"]
    assert set(teams) == {""}
    totals = Counter[str]()
    for team in true.values():
        totals.update({k: n for k, n in team["windows"]["total"].items() if k.endswith("_ms")})
    got = teams[""]["windows"]["total"]
    # An agent holds one of several chats while the sums lay all hold at the end: together exact.
    assert got["talk_ms"] + got["hold_ms"] == totals["talk_ms"] + totals["hold_ms"]
    for name in ("wrap_ms", "busy_state_ms", "available_ms", "not_ready_ms", "ringing_ms"):
        assert got[name] == totals[name], name


@pytest.mark.parametrize("seed", [1, 2])
def test_order_and_repetition_change_no_figure(seed: int) -> None:
    """EventBridge keeps no order and delivers at least once."""
    rng = random.Random(seed)
    payloads = told().payloads
    at = orjson.loads(payloads[-1])["detail"]["eventBody"]["eventTime"] + 60_000
    delayed = [
        (place + rng.uniform(0, 60), payload)
        for place, payload in enumerate(payloads)
        for _ in range(1 + (rng.random() < 0.1))
    ]
    shuffled = [payload for _, payload in sorted(delayed)]
    assert shuffled[: len(payloads)] != payloads
    assert figures(view(shuffled, NAME, at)) == figures(view(payloads, NAME, at))


def test_no_figure_hangs_on_what_is_remembered() -> None:
    payloads = told().payloads
    at = max(map(event_time, payloads)) + 60_000
    events: list[bytes] = []
    for payload in payloads:
        events += map(orjson.dumps, SOURCES[NAME].begin("sim", options()).translate(payload))
    assert figures(view(events, "canonical", at)) == figures(view(payloads, NAME, at))


def test_all_hold_of_a_leg_lies_at_its_end() -> None:
    one = begin()
    say(one, "acd.end", acdOutcome="ANSWERED", answeredUserId="u", eventTime=100_000)
    end = {"userId": "u", "eventTime": 160_000, "interactingDurationMs": 45_000}
    events = say(one, "user.end", sessionId="s2", heldDurationMs=15_000, **end)
    assert short(events) == [("released", 160_000, "completed"), ("held", 145_000)]
    # A clock of the session that runs a little behind that of the queue takes no hold away.
    events = say(one, "user.end", sessionId="s2", heldDurationMs=90_000, **end)
    assert short(events)[-1] == ("held", 100_000)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("NO_ANSWER_TRANSFER", "no_answer"),
        ("TIMEOUT", "no_answer"),
        ("CLIENT", "rejected"),
        ("DND_ENDPOINT", "rejected"),
        ("PEER", None),
        ("TRANSFER", None),
    ],
)
def test_a_ring_without_an_answer_tells_by_its_end_who_ended_it(
    how: str, reason: str | None
) -> None:
    events = say(begin(), "user.end", userId="u", alertingDurationMs=8_000, disconnectType=how)
    assert short(events) == ([("declined", 100_000, reason)] if reason else [])


def test_a_dialled_number_that_nobody_answers_is_no_ring() -> None:
    made = {"userId": "u", "direction": "OUTBOUND", "dialingDurationMs": 9_000}
    assert say(begin(), "user.end", disconnectType="UNCALLABLE", **made) == []


@pytest.mark.parametrize("how", ["TRANSFER", "CONSULT_TRANSFER", "CONFERENCE_TRANSFER"])
def test_blind_and_consult_transfers_are_transfers(how: str) -> None:
    one = begin()
    say(one, "acd.end", acdOutcome="ANSWERED", answeredUserId="u")
    ended = {"userId": "u", "eventTime": 130_000, "interactingDurationMs": 30_000}
    assert short(say(one, "user.end", disconnectType=how, **ended)) == [
        ("released", 130_000, "transferred")
    ]


def test_a_leg_without_a_queue_is_told_at_its_end_newest_first() -> None:
    made = {"userId": "u", "queueId": None, "direction": "OUTBOUND", "dialingDurationMs": 9_000}
    events = say(begin(), "user.end", interactingDurationMs=30_000, heldDurationMs=5_000, **made)
    assert short(events) == [
        ("wrapped", 100_000),
        ("released", 100_000, "completed"),
        ("held", 95_000),
        ("answered", 65_000),
    ]
    assert say(begin(), "user.start", userId="u", queueId=None) == []


def test_a_long_leg_that_is_told_at_its_end_is_not_late() -> None:
    hour, end = 3_600_000, 10 * 3_600_000
    made = {"userId": "u", "eventTime": end, "direction": "OUTBOUND", "heldDurationMs": 60_000}
    events = say(begin(), "user.end", interactingDurationMs=hour, **made)
    events += say(begin(), "acw", userId="u", eventTime=end + 5_000)
    board, late = EngineSubject().live([tick(end), frame(events, end + 6_000)])
    assert late == []
    assert board.counted("q") == {
        "handled": 1,
        "talk_ms": hour,
        "hold_ms": 60_000,
        "wrap_ms": 5_000,
    }


def test_a_callback_and_its_call_are_one_leg() -> None:
    one = begin()
    media = {"mediaType": "CALLBACK"}
    say(one, "acd.end", acdOutcome="ANSWERED", answeredUserId="u", **media)
    call = {"userId": "u", "sessionId": "s3"}
    talked = {"eventTime": 150_000, "interactingDurationMs": 30_000, "heldDurationMs": 10_000}
    assert short(say(one, "user.end", **call, **talked)) == [
        ("resumed", 150_000),
        ("held", 140_000),
    ]
    over = {"eventTime": 155_000, "callbackDurationMs": 55_000, "userId": "u"}
    assert short(say(one, "user.end", **media, **over)) == [("released", 155_000, "completed")]


def test_a_queue_without_wrap_up_wraps_with_the_talk() -> None:
    one = begin(queues_without_wrap_up=["q"])
    say(one, "acd.end", acdOutcome="ANSWERED", answeredUserId="u")
    ended = {"userId": "u", "eventTime": 130_000, "interactingDurationMs": 30_000}
    assert short(say(one, "user.end", **ended)) == [
        ("wrapped", 130_000),
        ("released", 130_000, "completed"),
    ]
    assert say(one, "acw", userId="u", eventTime=140_000) == []


def test_how_contacts_flow_out_is_the_site_s_to_say() -> None:
    assert short(say(begin(), "acd.end", acdOutcome="FLOW_OUT")) == [("left", 100_000, "overflow")]
    assert short(say(begin(flow_out={"q": "callback"}), "acd.end", acdOutcome="FLOW_OUT")) == [
        ("left", 100_000, "callback")
    ]


def activity(**more: Any) -> dict[str, Any]:
    return {
        "id": "u",
        "routingStatus": {"status": "IDLE", "startTime": "2026-01-16T09:00:05.000Z"},
        "presence": {
            "presenceDefinition": {"id": "d", "systemPresence": "ON_QUEUE"},
            "modifiedDate": "2026-01-16T09:00:00.000Z",
        },
        **more,
    }


def notify(name: str, content: dict[str, Any]) -> Event:
    payload = {"topicName": f"v2.users.u.{name}", "eventBody": content, "metadata": {}}
    (event,) = begin().translate(orjson.dumps(payload))
    return event


def test_an_old_state_said_again_carries_the_moment_of_what_changed() -> None:
    """Else it would be late: a message also comes when an agent's queues change."""
    first = notify("activity", activity())
    again = notify("activity", activity(dateActiveQueuesChanged="2026-01-16T11:30:00.000Z"))
    assert first["state"] == again["state"] == "available"
    assert again["ts"] - first["ts"] == 2 * 3_600_000 + 30 * 60_000 - 5_000


def test_the_topics_of_a_user_agree() -> None:
    """A site may subscribe to more than one of them."""
    idle = activity()
    assert notify("activity", idle) == notify("routingStatus", idle)
    moment = "2026-01-16T09:10:00.000Z"
    gone = {
        "presenceDefinition": {"id": "d", "systemPresence": "OFFLINE"},
        "modifiedDate": moment,
    }
    off = {"status": "OFF_QUEUE", "startTime": "2026-01-16T09:09:59.990Z"}
    whole = notify("activity", activity(routingStatus=off, presence=gone))
    assert whole == notify("presence", gone)
    assert notify("routingStatus", {"id": "u", "routingStatus": off})["ts"] < whole["ts"]


def test_memory_is_bounded() -> None:
    one = begin()
    answered = {"acdOutcome": "ANSWERED", "answeredUserId": "u"}
    for number in range(MOST_CONVERSATIONS + 10):
        say(one, "acd.end", conversationId=f"c{number}", **answered)
    for number in range(200):
        say(one, "acd.end", conversationId="busy", eventTime=number, **answered)
    memory = one.memory()
    assert len(memory) == MOST_CONVERSATIONS
    assert memory[-1][0] == "busy"
    assert len(memory[-1][1]) < 20


def test_memory_fits_into_what_is_kept_whatever_the_ids_are() -> None:
    rng, one = random.Random(1), begin()
    for number in range(3_000):
        conversation, user = ("".join(map(chr, rng.choices(range(1, 0xD800), k=200))) for _ in "ab")
        for later in range(1 + number % 3):
            answered = {"answeredUserId": user, "conversationId": conversation}
            say(one, "acd.end", acdOutcome="ANSWERED", eventTime=number + later, **answered)
    assert len(zlib.compress(orjson.dumps(one.memory()), 1)) < MAX_MEMORY_BYTES
    again = begin()
    again.recall(one.memory())
    say(again, "acd.end", acdOutcome="ANSWERED", answeredUserId="u", conversationId="last")
    assert again.memory()[-1][0] == "last"
    assert len(again.memory()) <= len(one.memory()) + 1


def test_all_of_the_conversations_are_kept_whose_ids_are_usual() -> None:
    one = begin()
    for number in range(MOST_CONVERSATIONS):
        answered = {"answeredUserId": f"{number % 300:036d}", "conversationId": f"{number:036d}"}
        say(one, "acd.end", acdOutcome="ANSWERED", **answered)
    assert len(one.memory()) == MOST_CONVERSATIONS


def test_what_was_answered_two_days_ago_is_forgotten() -> None:
    one, answered = begin(), {"acdOutcome": "ANSWERED", "answeredUserId": "u"}
    hour = 3_600_000
    say(one, "acd.end", conversationId="old", eventTime=0, **answered)
    say(one, "acd.end", conversationId="new", eventTime=48 * hour, **answered)
    assert [name for name, _ in one.memory()] == ["old", "new"]
    say(one, "acd.end", conversationId="newer", eventTime=49 * hour, **answered)
    assert [name for name, _ in one.memory()] == ["new", "newer"]


def test_a_ring_that_ends_in_an_unknown_way_is_no_refusal_of_the_agent_s() -> None:
    rang = {"userId": "u", "alertingDurationMs": 5_000}
    with pytest.raises(Unread, match="disconnectType"):
        say(begin(), "user.end", disconnectType="EVAPORATED", **rang)
    talked = rang | {"interactingDurationMs": 5_000}
    events = say(begin(), "user.end", disconnectType="EVAPORATED", **talked)
    assert short(events)[0] == ("released", 100_000, "completed")


def test_a_small_centre_is_the_same_from_one_run_to_the_next() -> None:
    small = Options(agents=8, queues=2, duration_ms=600_000, seed=3, platform=NAME)
    once = [record.payload for record in Simulation(small).records()]
    assert once == [record.payload for record in Simulation(small).records()]
