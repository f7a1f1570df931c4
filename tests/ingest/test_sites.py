"""Sites: which exist, and which settings of a running one may change."""

from __future__ import annotations

import pytest

from pipeline.ingest.site_state import Told
from pipeline.ingest.sites import Sites
from schemas.settings import SiteSettings


def settings(**values: object) -> SiteSettings:
    return SiteSettings.model_validate({"site": "north", **values})


def known(*all_settings: SiteSettings) -> Sites:
    sites = Sites()
    sites.update({one.site: one for one in all_settings})
    return sites


def running(one: SiteSettings) -> Sites:
    """Sites of which the frames have told."""
    sites = known(one)
    sites["north"].announce()
    return sites


def test_a_site_exists_while_it_has_settings() -> None:
    sites = known(settings())
    assert "north" in sites
    assert list(sites) == ["north"]
    sites.update({})
    assert "north" not in sites


def test_until_its_settings_are_told_anything_may_change() -> None:
    sites = known(settings())
    sites.update({"north": settings(pane_ms=30_000)})
    assert sites["north"].announce()["pane_ms"] == 30_000


def test_a_change_comes_with_the_next_announcement() -> None:
    sites = running(settings())
    sites.update({"north": settings(lateness_ms=7)})
    state = sites["north"]
    assert state.settings.lateness_ms == 900_000
    assert state.announce()["lateness_ms"] == 7
    assert state.settings.lateness_ms == 7


def test_a_change_that_is_taken_back_in_time_is_none() -> None:
    sites = running(settings())
    sites.update({"north": settings(lateness_ms=7)})
    sites.update({"north": settings()})
    assert sites["north"].coming is None


@pytest.mark.parametrize(
    ("key", "value"), [("pane_ms", 30_000), ("time_zone", "Asia/Tokyo"), ("anchor", "arrival")]
)
def test_what_panes_are_cut_by_stays_while_the_site_runs_and_the_rest_changes(
    key: str, value: object, caplog: pytest.LogCaptureFixture
) -> None:
    sites = running(settings())
    sites.update({"north": settings(**{key: value, "lateness_ms": 7})})
    sites["north"].announce()
    held = sites["north"].settings
    assert getattr(held, key) == getattr(settings(), key)
    assert held.lateness_ms == 7
    said = caplog.records[-1].getMessage()
    assert f"site north: {key} stays" in said
    assert "new epoch" in said
    assert sites.refused == {"north": {key: getattr(settings(), key)}}
    sites.update({"north": settings(lateness_ms=7)})
    assert sites.refused == {}


def test_a_site_that_was_removed_and_comes_back_keeps_what_is_fixed() -> None:
    sites = running(settings())
    sites["north"].now = 50
    sites.update({})
    sites.update({"north": settings(pane_ms=30_000)})
    sites["north"].announce()
    assert sites["north"].settings.pane_ms == 10_000
    assert sites["north"].now == 50


def test_after_a_restart_equal_settings_are_announced_at_once() -> None:
    sites = known(settings())
    sites.resume("north", 99, Told.of(settings()))
    state = sites["north"]
    assert (state.now, state.announced, state.coming) == (99, False, None)


def test_settings_that_changed_while_nobody_ran_wait_for_a_tick() -> None:
    sites = known(settings(lateness_ms=7))
    sites.resume("north", 99, Told.of(settings()))
    state = sites["north"]
    assert state.announced
    assert state.coming == settings(lateness_ms=7)


def test_what_is_fixed_stays_over_a_restart(caplog: pytest.LogCaptureFixture) -> None:
    sites = known(settings(pane_ms=30_000))
    sites.resume("north", 99, Told.of(settings()))
    assert sites["north"].settings.pane_ms == 10_000
    assert "pane_ms stays 10000" in caplog.text
    assert sites.refused == {"north": {"pane_ms": 10_000}}
    sites.update({})
    assert sites.refused == {}
