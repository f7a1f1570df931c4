"""The centre: determinism, valid events in order, and agents who keep to the rules."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import replace
from itertools import pairwise

import pytest

from pipeline.simulate.options import DAY, HOUR, MINUTE, Options, Scenario
from schemas.events import _MODELS, CLOCK, validate_event
from schemas.kpis import ratio
from tests.simulate.runs import BUSY, SCENARIOS, run


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_same_options_give_the_same_bytes(scenario: Scenario) -> None:
    options = replace(BUSY, scenario=scenario, duration_ms=HOUR, sites=2)
    first = run(options).records
    run.cache_clear()
    assert run(options).records == first


def test_another_seed_gives_another_day() -> None:
    assert run(BUSY).records != run(replace(BUSY, seed=8)).records


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_every_event_is_valid_and_says_nothing_unknown(scenario: Scenario) -> None:
    for event in run(replace(BUSY, scenario=scenario)).events:
        assert validate_event(event) == event


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_events_are_in_order_of_time(scenario: Scenario) -> None:
    moments = [event["ts"] for event in run(replace(BUSY, scenario=scenario)).events]
    assert moments == sorted(moments)
    assert moments[0] >= BUSY.start
    assert moments[-1] < BUSY.end


def test_a_busy_centre_has_every_type_of_event() -> None:
    kinds = {event["type"] for event in run(BUSY).events}
    assert kinds == set(_MODELS) - {CLOCK}


def test_a_contact_has_about_as_many_events_as_in_real_life() -> None:
    events = run(BUSY).events
    contacts = {event["contact"] for event in run(BUSY).of("contact.queued")}
    assert 7 < len(events) / len(contacts) < 14


def test_an_agent_says_one_state_a_millisecond_and_none_twice() -> None:
    """Two states of one millisecond would be ordered by their bytes, not by what happened."""
    last: dict[str, tuple[int, str, str | None]] = {}
    for event in run(replace(BUSY, scenario=Scenario.BLACKOUT)).of("agent.state"):
        said = (event["ts"], event["state"], event.get("reason"))
        if event["agent"] in last:
            assert last[event["agent"]][0] < said[0]
            assert last[event["agent"]][1:] != said[1:]
        last[event["agent"]] = said


def test_agents_serve_their_team_s_queues_and_no_more_at_once_than_they_can() -> None:
    plan = run(BUSY).simulation.centres[0].plan
    teams = {team.id: team for team in plan.teams}
    team_of = {agent.id: teams[agent.team] for agent in plan.agents}
    open_legs: Counter[str] = Counter()
    most: dict[str, int] = defaultdict(int)
    for event in run(BUSY).events:
        if event["type"] == "contact.answered":
            assert event["queue"] in team_of[event["agent"]].queues
            open_legs[event["agent"]] += 1
            most[event["agent"]] = max(most[event["agent"]], open_legs[event["agent"]])
        elif event["type"] == "contact.wrapped":
            open_legs[event["agent"]] -= 1
    assert all(count <= team_of[agent].concurrency for agent, count in most.items())
    assert max(most.values()) == 3  # chats do run side by side


def test_contacts_are_offered_only_to_agents_who_are_signed_in_and_not_away() -> None:
    states: dict[str, str] = {}
    for event in run(replace(BUSY, scenario=Scenario.RONA_STORM)).events:
        if event["type"] == "agent.state":
            states[event["agent"]] = event["state"]
        elif event["type"] == "contact.offered":
            assert states[event["agent"]] not in ("not_ready", "offline")


def test_an_agent_who_let_it_ring_is_not_ready_from_then_on() -> None:
    misses = run(BUSY).of("contact.declined")
    away = {(e["agent"], e["ts"]) for e in run(BUSY).of("agent.state", state="not_ready")}
    assert misses
    assert all((miss["agent"], miss["ts"]) in away for miss in misses)


def test_shifts_and_breaks_shape_the_day() -> None:
    day = run(Options(agents=40, queues=3, duration_ms=DAY, calls_per_hour=60, seed=3))
    signed_in = {event["agent"] for event in day.of("agent.profile")}
    assert len(signed_in) == 40
    reasons = Counter(event.get("reason") for event in day.of("agent.state", state="not_ready"))
    assert reasons["lunch"] > 25
    assert reasons["break"] > 50
    assert len(day.of("agent.state", state="offline")) >= 35
    lunches = [
        later["ts"] - earlier["ts"]
        for agent in signed_in
        for earlier, later in pairwise(day.of("agent.state", agent=agent))
        if earlier.get("reason") == "lunch"
    ]
    assert all(30 * MINUTE <= lunch <= 30 * MINUTE + 1 for lunch in lunches)


def test_most_customers_are_served_well_and_some_give_up() -> None:
    events = run(Options(agents=60, duration_ms=DAY, seed=5))
    sums: Counter[str] = Counter()
    for counters in events.simulation.totals["sim"].values():
        sums.update(counters)
    level = ratio(sums["answered_in"], sums["answered"] + sums["abandoned"])
    lost = ratio(sums["abandoned"], sums["answered"] + sums["abandoned"])
    assert level is not None
    assert lost is not None
    assert 0.6 < level < 0.97
    assert 0.005 < lost < 0.12


def test_a_callback_goes_on_as_the_same_contact_in_the_callback_queue() -> None:
    busy = run(replace(BUSY, scenario=Scenario.BURST))
    left = busy.of("contact.left", reason="callback")
    outbound = busy.of("contact.queued", channel="callback")
    assert left
    assert {(e["contact"], e["ts"]) for e in left} == {(e["contact"], e["ts"]) for e in outbound}
    assert all(event["direction"] == "outbound" for event in outbound)


def test_an_overflow_goes_on_in_another_queue_at_the_same_moment() -> None:
    busy = run(replace(BUSY, scenario=Scenario.BURST))
    queued = {(e["contact"], e["ts"]): e["queue"] for e in busy.of("contact.queued")}
    left = busy.of("contact.left", reason="overflow")
    assert left
    assert all(queued[e["contact"], e["ts"]] != e["queue"] for e in left)


def test_contacts_of_another_start_have_other_names() -> None:
    first = {e["contact"] for e in run(BUSY).of("contact.queued")}
    later = replace(BUSY, start=BUSY.start + HOUR)
    assert first.isdisjoint(e["contact"] for e in run(later).of("contact.queued"))
