"""The simulator's truth agrees with a plain recount of its events, and with the engine."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipeline.replay import read_history, snapshots
from pipeline.simulate.options import DAY, HOUR, Options, Scenario
from pipeline.simulate.settings import site_settings
from pipeline.simulate.stream import Simulation
from pipeline.sources import FORMATS
from schemas.kpis import COUNTERS
from schemas.settings import parse_site
from tests.simulate.recount import recount
from tests.simulate.runs import BUSY, SCENARIOS, run

NIGHT = Options(
    agents=12, queues=4, duration_ms=20 * HOUR, seed=4, time_zone="America/New_York", sites=2
)
TIGHT = Options(agents=3, queues=8, duration_ms=DAY, calls_per_hour=40, aht_s=300)
CASES = [*(replace(BUSY, scenario=scenario) for scenario in SCENARIOS), NIGHT, TIGHT]
NAMES = [*SCENARIOS, "night", "tight"]


@pytest.mark.parametrize("options", CASES, ids=NAMES)
def test_totals_equal_a_plain_recount_of_the_events(options: Options) -> None:
    done = run(options)
    for site in options.site_ids():
        counts = recount(done.simulation, done.events, site)
        for key, truth in done.simulation.totals[site].items():
            assert truth == {name: counts[key][name] for name in COUNTERS}, key


@pytest.mark.parametrize("options", CASES, ids=NAMES)
def test_the_engine_gives_the_simulator_s_totals(options: Options) -> None:
    done = run(options)
    plan = done.simulation.centres[0].plan
    lines = [record.payload for record in done.records if record.site == plan.site]
    history = read_history(lines, FORMATS["canonical"], plan.site, None, _no_bad_line)
    assert history.last is not None
    settings = parse_site(site_settings(plan), "plan")
    (view,) = snapshots(history, settings, [history.last])
    assert view["inconsistent"] == 0
    for (queue, channel), truth in done.simulation.totals[plan.site].items():
        if any(truth.values()):
            figures = view["queues"][queue][channel]["windows"]["total"]
            assert {name: figures[name] for name in COUNTERS} == truth, queue


def _no_bad_line(bad: object) -> None:
    raise AssertionError(bad)


def test_totals_grow_with_what_has_been_read() -> None:
    simulation = Simulation(replace(BUSY, scenario=Scenario.NORMAL))
    records = simulation.records()
    assert sum(c["offered"] for c in simulation.totals["sim"].values()) == 0
    for _ in range(3000):
        next(records)
    some = sum(c["offered"] for c in simulation.totals["sim"].values())
    assert 0 < some < sum(c["offered"] for c in run(BUSY).simulation.totals["sim"].values())
