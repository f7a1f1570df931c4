"""Each scenario does what it says, and only then."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.simulate.canonical import CanonicalWriter
from pipeline.simulate.centre import BURST_FACTOR, Centre
from pipeline.simulate.options import HOUR, MINUTE, Incident, Options, Scenario
from pipeline.simulate.planning import plan_site
from tests.simulate.runs import BUSY, Run, in_incident, run

CALM = replace(BUSY, incident_after_ms=HOUR, incident_ms=20 * MINUTE)


def strike(scenario: Scenario) -> tuple[Options, Run]:
    options = replace(CALM, scenario=scenario)
    return options, run(options)


@pytest.mark.parametrize("scenario", list(Scenario))
def test_until_the_incident_the_day_is_the_same(scenario: Scenario) -> None:
    options, struck = strike(scenario)
    begins = CALM.start + HOUR
    calm = [e for e in run(CALM).events if e["ts"] < begins]
    assert [e for e in struck.events if e["ts"] < begins] == calm
    assert len(calm) > 1000
    if scenario is not Scenario.NORMAL:
        assert options.incident.start == begins


def test_a_burst_brings_four_times_the_voice_and_chat_but_no_more_mail() -> None:
    options, struck = strike(Scenario.BURST)

    def arrivals(source: Run, channel: str) -> int:
        queued = [
            e for e in source.of("contact.queued", channel=channel) if in_incident(options, e)
        ]
        return len({event["contact"] for event in queued})

    for channel in ("voice", "chat"):
        calm = arrivals(run(CALM), channel)
        assert calm * BURST_FACTOR * 0.7 < arrivals(struck, channel) < calm * BURST_FACTOR * 1.4
    assert arrivals(struck, "email") == arrivals(run(CALM), "email")
    assert len(struck.of("contact.abandoned")) > 2 * len(run(CALM).of("contact.abandoned"))


def test_an_outage_changes_when_events_arrive_and_not_what_happened() -> None:
    options, struck = strike(Scenario.OUTAGE)
    assert struck.events == run(CALM).events
    incident = options.incident
    assert not [r for r in struck.records if incident.start <= r.at < incident.end]
    burst = [r for r in struck.records if r.at == incident.end]
    inside = [e for e in struck.events if in_incident(options, e)]
    assert len(burst) >= len(inside) > 500
    for record, event in zip(struck.records, struck.events, strict=True):
        assert record.at == (incident.end if in_incident(options, event) else event["ts"])


def test_in_a_blackout_everyone_drops_and_comes_back() -> None:
    options, struck = strike(Scenario.BLACKOUT)
    incident = options.incident
    here = states_at(struck, incident.start)
    signed_in = {agent for agent, state in here.items() if state != "offline"}
    dark = states_at(struck, incident.start + 1)
    assert signed_in
    assert all(dark[agent] == "offline" for agent in signed_in)
    busy = ("contact.offered", "contact.answered", "contact.wrapped", "contact.held")
    inside = [e for e in struck.events if incident.start < e["ts"] < incident.end]
    assert not [e for e in inside if e["type"] in busy]
    assert [e for e in inside if e["type"] == "contact.abandoned"]
    cut = [e for e in struck.of("contact.released") if e["ts"] == incident.start]
    assert len(cut) > 5
    back = states_at(struck, incident.end + MINUTE)
    assert sum(back[agent] != "offline" for agent in signed_in) > 0.8 * len(signed_in)


def states_at(source: Run, moment: int) -> dict[str, str]:
    return {e["agent"]: e["state"] for e in source.of("agent.state") if e["ts"] < moment}


def test_in_a_rona_storm_most_rings_are_not_answered() -> None:
    options, struck = strike(Scenario.RONA_STORM)

    def share(source: Run) -> float:
        declined = [e for e in source.of("contact.declined") if in_incident(options, e)]
        offered = [e for e in source.of("contact.offered") if in_incident(options, e)]
        return len(declined) / len(offered)

    assert share(struck) > 0.5
    assert share(run(CALM)) < 0.05
    reasons = {event["reason"] for event in struck.of("contact.declined")}
    assert reasons == {"no_answer", "rejected"}


def test_after_the_incident_rings_are_answered_again() -> None:
    options, struck = strike(Scenario.RONA_STORM)
    later = options.incident.end + MINUTE
    declined = [e for e in struck.of("contact.declined") if e["ts"] > later]
    offered = [e for e in struck.of("contact.offered") if e["ts"] > later]
    assert len(declined) < 0.06 * len(offered)


def test_an_incident_is_half_open() -> None:
    incident = Incident(Scenario.BURST, 10, 20)
    covered = [incident.covers(Scenario.BURST, moment) for moment in (9, 10, 19, 20)]
    assert covered == [False, True, True, False]
    assert not incident.covers(Scenario.OUTAGE, 15)


def test_what_happens_is_apart_from_how_it_is_written() -> None:
    """Another writer can say the same happenings; the canonical one adds nothing of its own."""
    options = replace(BUSY, duration_ms=30 * MINUTE)
    writer = CanonicalWriter("sim", options.source)
    happenings = Centre(plan_site(options, 0)).happenings()
    events = [writer.event(happening) for happening in happenings]
    assert events == run(options).events
