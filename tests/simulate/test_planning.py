"""Plans: every queue has a team, staff follows the load, sizes are as asked for."""

from __future__ import annotations

from random import Random

import pytest

from pipeline.simulate.arrivals import HALF_HOURS, OFFICE_SHAPE
from pipeline.simulate.names import agent_names, site_name
from pipeline.simulate.options import HOUR, MINUTE, Options, OptionsError, Scenario
from pipeline.simulate.planning import plan_site
from pipeline.simulate.roster import SHIFT_HALF_HOURS, shift_starts, staff_at


def crest(options: Options) -> float:
    queues = plan_site(options, 0).queues
    return max(sum(q.per_hour * q.shape[at] for q in queues) for at in range(HALF_HOURS))


@pytest.mark.parametrize("agents", [1, 2, 7, 60, 501])
@pytest.mark.parametrize("queues", [1, 2, 6, 10, 43])
def test_any_size_gives_a_whole_centre(agents: int, queues: int) -> None:
    plan = plan_site(Options(agents=agents, queues=queues), 0)
    assert len(plan.agents) == agents
    assert len({agent.id for agent in plan.agents}) == agents
    assert len({queue.id for queue in plan.queues}) == queues
    served = {queue for team in plan.teams for queue in team.queues}
    assert served == {queue.id for queue in plan.queues}
    assert {agent.team for agent in plan.agents} == {team.id for team in plan.teams}
    for queue in plan.queues:
        goals = {*queue.transfer_to, queue.overflow_to, queue.callback_to} - {""}
        assert goals <= served
        assert queue.id not in goals


def test_the_same_options_give_the_same_plan_and_another_seed_another() -> None:
    options = Options(agents=30)
    assert plan_site(options, 0) == plan_site(options, 0)
    assert plan_site(options, 0).agents != plan_site(Options(agents=30, seed=2), 0).agents


def test_sites_differ_and_have_names_of_their_own() -> None:
    options = Options(sites=3, agents=30)
    first, second, third = (plan_site(options, number) for number in range(3))
    assert [plan.site for plan in (first, second, third)] == ["sim", "sim-2", "sim-3"]
    assert len({plan.name for plan in (first, second, third)}) == 3
    assert first.agents != second.agents


def test_calls_per_hour_are_those_of_the_busiest_hour() -> None:
    assert crest(Options(calls_per_hour=1234)) == pytest.approx(1234)
    assert crest(Options(calls_per_hour=60_000, agents=2000, queues=200)) == pytest.approx(60_000)


def test_without_a_rate_more_agents_get_more_calls() -> None:
    assert crest(Options(agents=300)) > 4 * crest(Options(agents=60))


def test_the_handling_time_asked_for_is_the_mean_of_the_voice_queues() -> None:
    queues = plan_site(Options(aht_s=150, queues=10), 0).queues
    voice = [queue for queue in queues if queue.channel == "voice"]
    mean = sum(queue.talk.mean + (queue.wrap.mean if queue.wrap else 0) for queue in voice)
    assert 135_000 < mean / len(voice) <= 150_000  # the rest is hold


def test_many_calls_for_few_agents_are_made_short_unless_their_length_is_given() -> None:
    def talk(options: Options) -> float:
        return plan_site(options, 0).queues[0].talk.mean

    assert talk(Options(agents=100, calls_per_hour=3000)) < talk(Options(agents=100))
    fixed = Options(agents=100, calls_per_hour=3000, aht_s=300)
    assert talk(fixed) == talk(Options(agents=100, calls_per_hour=300, aht_s=300))


def test_shifts_follow_the_load() -> None:
    starts = shift_starts(OFFICE_SHAPE, 1000)
    assert len(starts) == 1000
    total = sum(OFFICE_SHAPE)
    for half_hour, share in enumerate(OFFICE_SHAPE):
        wanted = share * 1000 * SHIFT_HALF_HOURS / total
        assert abs(staff_at(starts, half_hour) - wanted) < 0.12 * 1000
    assert staff_at(starts, 20) > 5 * staff_at(starts, 4)


def test_one_agent_works_where_there_is_most_to_do() -> None:
    (start,) = shift_starts(OFFICE_SHAPE, 1)
    assert staff_at([start], 20) == 1


def test_breaks_lie_within_the_shift_and_apart() -> None:
    for agent in plan_site(Options(agents=200), 0).agents:
        shift, moment = agent.shift, agent.shift.starts
        for begins, length in shift.breaks:
            assert begins > moment
            moment = begins + length
        assert moment < shift.ends


def test_names_run_on_with_a_number() -> None:
    names = agent_names(10_000, Random(1))
    assert len(set(names)) == 10_000
    assert len({site_name(site) for site in Options(sites=40).site_ids()}) == 40


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"agents": 0}, "agents"),
        ({"sites": 0}, "sites"),
        ({"queues": -1}, "queues"),
        ({"duration_ms": 0}, "duration_ms"),
        ({"calls_per_hour": 0.0}, "calls_per_hour"),
        ({"aht_s": -1.0}, "aht_s"),
        ({"time_zone": "Mars/Base"}, "time_zone"),
    ],
)
def test_impossible_options_are_refused_by_name(wrong: dict[str, object], named: str) -> None:
    with pytest.raises(OptionsError, match=named):
        Options(**wrong)  # type: ignore[arg-type]


def test_the_incident_lies_within_the_simulation() -> None:
    short = Options(scenario=Scenario.BURST, duration_ms=20 * MINUTE)
    assert short.start < short.incident.start < short.incident.end < short.end
    day = Options(scenario=Scenario.BURST, duration_ms=24 * HOUR)
    assert day.incident.start == day.start + HOUR
    assert day.incident.end == day.incident.start + 10 * MINUTE
    chosen = Options(scenario=Scenario.BURST, incident_after_ms=0, incident_ms=5)
    assert (chosen.incident.start, chosen.incident.end) == (chosen.start, chosen.start + 5)
    calm = Options().incident
    assert calm.start == calm.end
