"""Five9: what its Call Log and WebSocket can carry of the simulated centre comes back.

Not carried: missed rings (`declined`), the skill of a colleague who is called in (such legs count
only in agent time), calls that are not over, and everything below a second.
"""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from functools import cache
from typing import Any

import orjson
import pytest
from pydantic import ValidationError

from pipeline.replay import read_history, snapshots
from pipeline.simulate.canonical import CanonicalWriter
from pipeline.simulate.centre import Centre
from pipeline.simulate.happenings import Happening, Kind
from pipeline.simulate.options import Scenario
from pipeline.simulate.plan import CentrePlan
from pipeline.simulate.planning import plan_site
from pipeline.simulate.settings import site_settings
from pipeline.simulate.stream import Simulation
from pipeline.sources import FORMATS, SOURCES
from pipeline.sources.source import Event, Unread
from schemas.settings import parse_site
from tests.engine.subjects import EngineSubject, tick
from tests.engine.subjects import frame as engine_frame
from tests.sources.round_trip import BUSY

NAME = "five9"
CROWDED = replace(BUSY, scenario=Scenario.BURST, incident_ms=1_800_000)
"""So many callers that some flow over and some want to be called back."""
OPTIONS = {
    "dispositions": {
        "Sent To Voicemail": "voicemail",
        "Queue Callback Requested": "callback",
        "Overflow": "overflow",
    }
}
EXACT = (
    "offered", "answered", "abandoned", "left_callback", "left_overflow", "left_other",
    "transferred", "handled",
)  # fmt: skip
SECONDS_SHORT = {
    # A wait is told as wait and ring, each cut to whole seconds; a wait without ring as one.
    "wait_ms": ("answered", 2_000),
    "abandoned_wait_ms": ("abandoned", 1_000),
    "talk_ms": ("handled", 1_000),
    "hold_ms": ("handled", 1_000),
    "wrap_ms": ("handled", 1_000),
}
GROWN = ("answered_in", "abandoned_in", "abandoned_short", "sl_met", "sl_abandoned")
"""Counters of what waited no longer than a limit: short waits only get shorter."""


@cache
def plan() -> CentrePlan:
    return plan_site(replace(CROWDED, platform=NAME), 0)


@cache
def payloads() -> tuple[bytes, ...]:
    return tuple(record.payload for record in Simulation(replace(CROWDED, platform=NAME)).records())


def view(lines: list[bytes], name: str, at: int, later_ms: int = 0) -> dict[str, Any]:
    """The snapshot of a capture; `later_ms` is added to each queue's limits."""
    settings = site_settings(plan()) | {"sources": {NAME: OPTIONS} if name == NAME else {}}
    for queue in settings["queues"].values():
        queue["threshold_ms"] += later_ms
        queue["short_abandon_ms"] += later_ms
    site = parse_site(settings, "plan")
    history = read_history(lines, FORMATS[name], plan().site, settings=site)
    (snapshot,) = snapshots(history, site, [at])
    return snapshot


def totals(snapshot: dict[str, Any]) -> dict[str, Counter[str]]:
    found: dict[str, Counter[str]] = {}
    for queue, channels in snapshot["queues"].items():
        for figures in channels.values():
            counters = {k: n for k, n in figures["windows"]["total"].items() if isinstance(n, int)}
            found.setdefault(queue, Counter()).update(counters)
    return found


@cache
def truth() -> tuple[tuple[bytes, ...], int]:
    """The simulator's events as far as rows can tell of them, and the last moment.

    Visits and legs without an end have no row yet; a leg without a visit has no skill.
    """
    writer = CanonicalWriter(plan().site, "simulator")
    happenings = list(Centre(plan()).happenings())
    ended: dict[int, bool] = {}
    visit: dict[str, int] = {}
    leg: dict[tuple[str, str], int] = {}
    part: list[int | None] = []
    for number, what in enumerate(happenings):
        part.append(_part(number, what, ended, visit, leg))
    events = []
    for what, of in zip(happenings, part, strict=True):
        if of is not None and ended[of]:
            event = writer.event(what)
            if what.kind is Kind.CONNECTED and what.facts:
                del event["queue"]
            events.append(orjson.dumps(event))
    return tuple(events), happenings[-1].at


def _part(
    number: int,
    what: Happening,
    ended: dict[int, bool],
    visit: dict[str, int],
    leg: dict[tuple[str, str], int],
) -> int | None:
    """The visit or leg, by the number of its first happening, that a happening belongs to."""
    contact = what.contact.id if what.contact else ""
    agent = what.agent.id if what.agent else ""
    kind = what.kind
    if kind is Kind.ENQUEUED:
        visit[contact], ended[number] = number, False
        return number
    if kind in (Kind.GAVE_UP, Kind.LEFT):
        ended[visit[contact]] = True
        return visit.pop(contact)
    if kind is Kind.CONNECTED:
        first = number if what.facts else visit.pop(contact)
        leg[contact, agent], ended[first] = first, False
        return first
    if kind in (Kind.HELD, Kind.RETRIEVED, Kind.HUNG_UP):
        return leg[contact, agent]
    if kind is Kind.WRAPPED_UP:
        ended[leg[contact, agent]] = True
        return leg.pop((contact, agent))
    return None


def test_what_a_report_of_whole_seconds_carries_comes_back() -> None:
    events, at = truth()
    true = totals(view(list(events), "canonical", at))
    later = totals(view(list(events), "canonical", at, later_ms=1_999))
    snapshot = view(list(payloads()), NAME, at)
    told = totals(snapshot)
    assert set(told) == set(true)
    for queue, counters in true.items():
        for name in EXACT:
            assert told[queue][name] == counters[name], (queue, name)
        for name, (of, each) in SECONDS_SHORT.items():
            short = counters[name] - told[queue][name]
            assert 0 <= short <= each * counters[of], (queue, name)
        for name in GROWN:
            assert counters[name] <= told[queue][name] <= later[queue][name], (queue, name)
        assert later[queue]["sl_missed"] <= told[queue]["sl_missed"] <= counters["sl_missed"]
        assert told[queue]["declined"] == 0
    assert snapshot["dead_lettered"] == snapshot["inconsistent"] == 0
    sums = sum(true.values(), Counter[str]())
    for name in {*EXACT, "hold_ms", "wrap_ms"} - {"left_other"}:
        assert sums[name], f"the simulation has no {name}, so nothing is proved of it"


def test_states_of_agents_come_back_to_the_millisecond() -> None:
    """From frames alone: talk is the platform's busy then, and a ring is time available."""
    happenings = list(Centre(plan()).happenings())
    at = happenings[-1].at
    writer = CanonicalWriter(plan().site, "simulator")
    said = [orjson.dumps(writer.event(h)) for h in happenings if h.kind is Kind.STATUS]
    true = Counter[str]()
    for team in view(said, "canonical", at)["teams"].values():
        true.update({k: n for k, n in team["windows"]["total"].items() if k.endswith("_ms")})
    frames = [payload for payload in payloads() if b'"context"' in payload]
    teams = view(frames, NAME, at)["teams"]
    assert set(teams) == {""}
    got = teams[""]["windows"]["total"]
    assert {k: n for k, n in got.items() if k.endswith("_ms")} == dict(true)
    assert true["busy_state_ms"]
    assert true["wrap_ms"]
    assert true["not_ready_ms"]


@pytest.mark.parametrize("seed", [1, 2])
def test_reports_that_overlap_in_any_order_change_no_figure(seed: int) -> None:
    rng = random.Random(seed)
    shuffled = [*payloads(), *rng.sample(payloads(), 300)]
    rng.shuffle(shuffled)
    _, at = truth()
    once, again = view(list(payloads()), NAME, at), view(shuffled, NAME, at)
    assert once["queues"] == again["queues"]
    assert once["teams"] == again["teams"]


def read(obj: dict[str, Any], zone: str = "UTC", **options: Any) -> list[Event]:
    return SOURCES[NAME].begin("s", options, zone).translate(orjson.dumps(obj))


def row(**more: Any) -> dict[str, Any]:
    columns = {key.replace("_", " "): value for key, value in more.items()}
    return {
        "CALL ID": "1",
        "TIMESTAMP": "Thu, 27 Oct 2016 14:51:34",
        "CALL TYPE": "Inbound",
        "SKILL": "Billing",
        "AGENT": "anna",
        **columns,
    }


def times(events: list[Event]) -> dict[str, int]:
    """Seconds after 14:51:34 UTC, by type."""
    start = 1_477_579_894_000
    return {e["type"].removeprefix("contact."): (e["ts"] - start) // 1000 for e in events}


def frame(*agents: dict[str, Any], at: int = 10_000_000, event: str = "5012") -> dict[str, Any]:
    source = {"dataSource": "AGENT_STATE", "updated": list(agents)}
    return {"context": {"eventId": event, "timeStamp": at}, "payLoad": [source]}


def test_a_row_tells_its_call_newest_first() -> None:
    events = read(row(QUEUE_WAIT_TIME="00:00:10", RING_TIME="00:00:03", TALK_TIME="00:01:00",
                      HOLD_TIME="00:00:07", AFTER_CALL_WORK_TIME="00:00:05"))  # fmt: skip
    assert [event["ts"] for event in events] == sorted((e["ts"] for e in events), reverse=True)
    assert times(events) == {
        "wrapped": 85, "released": 80, "held": 73, "answered": 13, "offered": 10, "queued": 0,
    }  # fmt: skip


def test_a_long_call_that_is_reported_in_time_is_not_late() -> None:
    events = read(row(QUEUE_WAIT_TIME="00:00:30", TALK_TIME="01:00:00"))
    now = events[0]["ts"] + 300_000
    board, late = EngineSubject().live([tick(now), engine_frame(events, now + 1_000)])
    assert late == []
    assert board.counted("Billing") == {
        "offered": 1, "answered": 1, "wait_ms": 30_000, "sl_missed": 1,
        "handled": 1, "talk_ms": 3_600_000,
    }  # fmt: skip


def test_how_the_columns_of_times_overlap_is_the_site_s_to_say() -> None:
    told = row(QUEUE_WAIT_TIME="00:00:10", RING_TIME="00:00:03", TALK_TIME="00:01:00",
               HOLD_TIME="00:00:07")  # fmt: skip
    inside = times(read(told, wait_includes_ring=True, talk_includes_hold=True))
    assert (inside["offered"], inside["answered"]) == (7, 10)
    assert (inside["held"], inside["released"]) == (63, 70)


def test_times_are_those_of_the_report_s_zone() -> None:
    hour = 3_600_000
    utc = read(row())[0]["ts"]
    assert read(row(), "America/Los_Angeles")[0]["ts"] - utc == 7 * hour
    assert read(row(), "UTC", time_zone="Europe/Berlin")[0]["ts"] - utc == -2 * hour
    with pytest.raises(ValidationError, match="no time zone"):
        read(row(), time_zone="Mars/Olympus")


@pytest.mark.parametrize("name", ["[None]", "[Deleted]", ""])
def test_what_stands_in_brackets_is_nobody(name: str) -> None:
    assert [e["type"] for e in read(row(AGENT=name, ABANDONED=1))] == [
        "contact.abandoned",
        "contact.queued",
    ]
    assert "queue" not in read(row(SKILL=name))[-1]
    assert read(row(SKILL=name, AGENT=name)) == []


def test_a_call_type_that_is_not_known_is_for_the_site_to_name() -> None:
    with pytest.raises(Unread, match="CALL TYPE"):
        read(row(CALL_TYPE="Preview"))
    (queued,) = [
        event
        for event in read(
            row(CALL_TYPE="Preview", QUEUE_WAIT_TIME=3), call_types={"Preview": "outbound"}
        )
        if event["type"] == "contact.queued"
    ]
    assert queued["direction"] == "outbound"


def test_a_state_says_since_when_it_holds_and_an_old_one_is_not_late() -> None:
    fresh = read(frame({"id": "7", "state": "READY", "stateSince": 9_500_000}))
    assert [event["ts"] for event in fresh] == [9_500_000]
    old = frame({"id": "7", "state": "READY", "stateSince": 1_000})
    assert [event["ts"] for event in read(old)] == [10_000_000]
    board, late = EngineSubject().live([engine_frame(read(old), 10_000_500)])
    assert late == []
    assert board.agents() == {"available": 1}
    assert [event["ts"] for event in read(old, fresh_s=10**6)] == [1_000]


def test_an_agent_who_is_removed_is_offline_since_the_frame() -> None:
    gone = frame()
    gone["payLoad"][0]["removed"] = ["7"]
    (event,) = read(gone, agents={"7": "anna"})
    assert (event["agent"], event["state"], event["ts"]) == ("anna", "offline", 10_000_000)


def test_counts_of_waiting_calls_are_no_calls() -> None:
    """ACD_STATUS says how many wait, not who: a call made of it would be counted twice."""
    counts = {"dataSource": "ACD_STATUS", "updated": [{"id": "q", "callsInQueue": 4}]}
    assert read(frame() | {"payLoad": [counts]}) == []


def test_a_state_that_is_new_can_be_named_by_the_site() -> None:
    new = frame({"id": "7", "state": "IN_TRAINING", "stateSince": 9_999_000})
    with pytest.raises(Unread, match="IN_TRAINING") as error:
        read(new)
    assert error.value.field == "payLoad.0.updated.0.state"
    assert read(new, states={"IN_TRAINING": "not_ready"})[0]["state"] == "not_ready"


def test_what_is_odd_in_a_full_picture_hides_no_other_agent() -> None:
    agents: list[Any] = [
        {"id": "1", "state": "READY", "stateSince": 9_999_000},
        {"id": "2", "state": "LEVITATING", "stateSince": 9_999_000},
        {"id": "3", "state": "ON_CALL", "stateSince": "yesterday"},
        {"state": "READY", "stateSince": 9_999_000},
        "not an agent",
        {"id": "5", "state": "ACW", "stateSince": 9_999_000},
    ]
    full = frame(event="5000")
    known, new = {"dataSource": "AGENT_STATE", "data": agents, "removed": [None, "6"]}, {
        "dataSource": "CHAT_STATE", "data": []
    }  # fmt: skip
    told = read(full | {"payLoad": [new, None, known]})
    assert {event["agent"]: event["state"] for event in told} == {
        "1": "available", "5": "wrap", "6": "offline",
    }  # fmt: skip
    with pytest.raises(Unread) as error:
        read(full | {"payLoad": [new]})
    assert error.value.field == "payLoad.0.dataSource"
    with pytest.raises(Unread) as error:
        read(full | {"payLoad": [{"dataSource": "AGENT_STATE", "removed": [7.5]}]})
    assert error.value.field == "payLoad.0.removed.0.id"
