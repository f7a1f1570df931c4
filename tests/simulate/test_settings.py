"""Settings of a simulated site fit its plan and are accepted as they are."""

from __future__ import annotations

from pathlib import Path

from pipeline.simulate.options import HOUR, Options
from pipeline.simulate.planning import plan_site
from pipeline.simulate.settings import write_site_settings
from schemas.settings import load_site_file


def test_the_file_names_every_queue_and_team_with_the_limits_of_the_plan(tmp_path: Path) -> None:
    plan = plan_site(Options(queues=12, sites=2, time_zone="Europe/Berlin"), 1)
    path = write_site_settings(plan, tmp_path / "new" / "folder")
    assert path.name == "sim-2.yml"
    settings = load_site_file(path)
    assert (settings.site, settings.name, settings.time_zone) == (
        "sim-2",
        "Harbour",
        "Europe/Berlin",
    )
    for queue in plan.queues:
        own = settings.queue(queue.id)
        assert own.name == queue.name
        assert own.threshold_ms == queue.threshold_ms
        assert own.short_abandon_ms == queue.short_abandon_ms
        assert own.stuck_after_ms == queue.stuck_after_ms
    assert {team.id: team.name for team in plan.teams} == {
        team: given.name for team, given in settings.teams.items()
    }


def test_mail_may_wait_for_days(tmp_path: Path) -> None:
    settings = load_site_file(write_site_settings(plan_site(Options(), 0), tmp_path))
    assert settings.queue("email").stuck_after_ms > 24 * HOUR
    assert settings.queue("support").stuck_after_ms == 4 * HOUR


def test_writing_again_replaces_the_file_and_leaves_nothing_else(tmp_path: Path) -> None:
    write_site_settings(plan_site(Options(queues=2), 0), tmp_path)
    write_site_settings(plan_site(Options(queues=3), 0), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["sim.yml"]
    assert set(load_site_file(tmp_path / "sim.yml").queues) == {"support", "sales", "chat"}
