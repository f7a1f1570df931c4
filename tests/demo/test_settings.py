"""The demo's site settings."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.demo.settings import demo_settings, renew_demo_settings, write_demo_settings
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


def test_edited_settings_move_into_the_zone_of_a_new_demo(tmp_path: Path) -> None:
    assert renew_demo_settings(tmp_path, "Etc/GMT+1") == tmp_path / "bank.yml"
    whole = (tmp_path / "bank.yml").read_text()
    assert load_site_file(tmp_path / "bank.yml").time_zone == "Etc/GMT+1"
    for edited in (f"# mine\n{whole}", "site: bank # mine"):
        (tmp_path / "bank.yml").write_text(edited)
        path = renew_demo_settings(tmp_path, "Etc/GMT-4")
        assert "# mine" in path.read_text()
        assert load_site_file(path).time_zone == "Etc/GMT-4"


def test_settings_that_cannot_be_used_are_set_aside_for_a_new_demo(tmp_path: Path) -> None:
    (tmp_path / "bank.yml").write_text("site: bank\nqueus: {}\n")
    path = renew_demo_settings(tmp_path, "Etc/GMT-4")
    assert load_site_file(path).name == "Anonymous Bank 1999"
    assert "queus" in (tmp_path / "bank.yml.old").read_text()
