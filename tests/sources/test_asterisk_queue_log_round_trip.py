"""Asterisk queue_log: a simulated centre, through the log and back."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import orjson
import pytest

from pipeline.simulate.happenings import Kind
from pipeline.simulate.options import HOUR, Options, Scenario
from pipeline.simulate.settings import site_settings
from pipeline.simulate.stream import Simulation
from schemas.settings import parse_site
from tests.sources.round_trip import BUSY, counted, round_trip

NAME = "asterisk-queue-log"
KEYS = {"exit_keys": {"1": "callback", "9": "voicemail"}}
ENDS = {"timeout": "timeout", "overflow": "timeout"}
"""Reasons that the log does not keep apart."""

Event = dict[str, Any]


class Truncated:
    """The simulator's events as a log of whole seconds can know them."""

    def __init__(self) -> None:
        self.guests: set[tuple[str, str]] = set()

    def event(self, event: Event) -> list[Event]:
        name, event = event["type"], {**event, "ts": event["ts"] // 1000 * 1000}
        who = (event.get("contact", ""), event.get("agent", ""))
        if name in ("contact.held", "contact.resumed", "contact.wrapped", "agent.profile"):
            return []
        if name.startswith(("survey", "contact.resolved", "contact.sent", "contact.eval")):
            return []
        if name in ("contact.recorded", "agent.state") or who in self.guests:
            self.guests -= {who} if name == "contact.released" else set()
            return []
        if name == "contact.released":
            return [event, {**event, "type": "contact.wrapped"}]
        if name == "contact.left":
            event["reason"] = ENDS.get(event["reason"], event["reason"])
        return [event]


def truth(options: Options) -> dict[str, Any]:
    """The counters of the simulator's events in whole seconds, legs without a queue left out."""
    simulation = Simulation(options)
    centre, known = simulation.centres[0], Truncated()
    plan, lines = centre.plan, []
    writer = simulation._writer(plan.site)
    for happening in centre.happenings():
        direct = (happening.facts or {}).get("direct")
        if happening.kind is Kind.CONNECTED and direct:
            assert happening.contact is not None
            assert happening.agent is not None
            known.guests.add((happening.contact.id, happening.agent.id))
        for payload in writer.payloads(happening):
            lines += [orjson.dumps(event) for event in known.event(orjson.loads(payload))]
    return counted(lines, "canonical", parse_site(site_settings(plan), "plan"))


@pytest.mark.parametrize("scenario", [Scenario.NORMAL, Scenario.RONA_STORM, Scenario.BLACKOUT])
def test_a_simulated_centre_comes_back_to_the_integer(scenario: Scenario) -> None:
    """Every counter of the centre as it looks in whole seconds, thresholds and sums included.

    Not carried: holds, wrap-up, legs that no queue connected (guests of a talk and attended
    transfers to a colleague), overflow as apart from timeout, agents before they act.
    """
    options = replace(BUSY, scenario=scenario, incident_ms=HOUR // 4)
    simulation = Simulation(replace(options, platform=NAME))
    site = site_settings(simulation.centres[0].plan)
    lines = [record.payload for record in simulation.records()]
    got = counted(lines, NAME, parse_site(site | {"sources": {NAME: KEYS}}, "plan"))
    want = truth(options)
    assert got.pop("inconsistent") == 0
    # Cut to whole seconds, a ring and the abandon that ends it can change places; not in the log.
    del want["inconsistent"]
    assert got == want


def test_counts_are_the_simulators_own_and_times_differ_by_less_than_a_second_each() -> None:
    trip = round_trip(NAME, sources={NAME: KEYS})
    counts = ("offered", "answered", "abandoned", "left_callback", "left_overflow", "left_other",
              "declined", "transferred")  # fmt: skip
    assert len(trip.truth) == 6
    for queue, counters in trip.truth.items():
        back = trip.told[queue]
        assert [back[name] for name in counts] == [counters[name] for name in counts], queue
        for time, number in (("wait_ms", "answered"), ("abandoned_wait_ms", "abandoned")):
            assert abs(back[time] - counters[time]) < 1000 * max(1, counters[number])
        assert back["hold_ms"] == back["wrap_ms"] == 0
    assert trip.view["inconsistent"] == 0


def test_what_is_sent_again_from_anywhere_changes_nothing() -> None:
    """A collector that lost its place sends a piece of the log twice, cut anywhere."""
    simulation = Simulation(replace(BUSY, duration_ms=HOUR, platform=NAME))
    lines = [record.payload for record in simulation.records()]
    site = parse_site(site_settings(simulation.centres[0].plan) | {"sources": {NAME: KEYS}}, "p")
    whole = counted(lines, NAME, site)
    rng, again = random.Random(3), list[bytes]()
    for line in lines:
        again.append(line)
        if rng.random() < 0.004:
            again += again[-rng.randrange(1, 300) :]
    assert len(again) > 1.2 * len(lines)
    assert counted(again, NAME, site) == whole
