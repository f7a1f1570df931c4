"""The demo's site settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.demo.settings import demo_settings, write_demo_settings
from schemas.settings import load_site_file


@pytest.mark.parametrize("zone", ["Etc/GMT-12", "Etc/GMT", "Etc/GMT+11"])
def test_the_file_is_a_whole_site_in_the_demo_s_zone(tmp_path: Path, zone: str) -> None:
    settings = load_site_file(write_demo_settings(tmp_path / "settings", zone))
    assert (settings.site, settings.name) == ("bank", "Anonymous Bank 1999")
    assert settings.time_zone == zone
    assert settings.defaults.targets.service_level == 0.8
    names = {queue: settings.queue(queue).name for queue in settings.queues}
    assert names["PS"] == "Regular"
    assert names["NE"] == "Stock exchange"
    assert names["IN"] == "Internet support"
    assert names["NW"] == "Prospects"
    assert names["PE"] == "English"
    assert all(settings.queue(queue).threshold_ms == 20_000 for queue in settings.queues)
    assert {"Agents", "Stock exchange"} <= set(settings.teams)


def test_the_bank_is_open_on_every_date_of_the_demo() -> None:
    hours = demo_settings("Etc/GMT")["hours"]
    assert hours == {
        day: ["07:00-24:00"] for day in ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    }


def test_another_site_can_bear_the_demo(tmp_path: Path) -> None:
    path = write_demo_settings(tmp_path, "Etc/GMT", "branch")
    assert path.name == "branch.yml"
    assert load_site_file(path).site == "branch"
    assert [entry.name for entry in tmp_path.iterdir()] == ["branch.yml"]
