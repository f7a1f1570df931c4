"""Opening hours: by the site's clock, on holidays, through a clock change."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from schemas.hours import closed_spans, is_open, open_spans
from schemas.moments import from_datetime
from schemas.settings import SiteSettings, parse_site

ROME = ZoneInfo("Europe/Rome")


def site(**more: Any) -> SiteSettings:
    return parse_site({"site": "s", "time_zone": "Europe/Rome", **more}, "test")


def at(text: str) -> int:
    return from_datetime(datetime.fromisoformat(text).replace(tzinfo=ROME))


WEEK = {"mon": ["08:00-12:00", "13:00-20:00"], "tue": ["08:00-24:00"], "wed": ["00:00-02:00"]}


@pytest.mark.parametrize(
    ("moment", "opened"),
    [
        ("2026-11-23T07:59:59.999", False),  # a Monday
        ("2026-11-23T08:00", True),
        ("2026-11-23T11:59:59.999", True),
        ("2026-11-23T12:00", False),
        ("2026-11-23T13:00", True),
        ("2026-11-24T23:59:59.999", True),
        ("2026-11-25T01:59", True),
        ("2026-11-25T02:00", False),
        ("2026-11-26T10:00", False),  # a weekday that is not named
    ],
)
def test_open_by_the_sites_clock(moment: str, opened: bool) -> None:
    assert is_open(site(hours=WEEK), at(moment)) is opened


def test_without_hours_a_site_is_always_open_but_on_holidays() -> None:
    settings = site(holidays=["2026-12-25"])
    assert is_open(settings, at("2026-12-24T23:59:59.999"))
    assert not is_open(settings, at("2026-12-25T00:00"))
    assert not is_open(settings, at("2026-12-25T23:59:59.999"))
    assert is_open(settings, at("2026-12-26T00:00"))


def test_hours_hold_through_a_clock_change() -> None:
    settings = site(hours={"sun": ["01:00-05:00"]})
    first, last = at("2026-10-25T01:00"), at("2026-10-25T05:00")
    assert last - first == 5 * 3_600_000, "the night of the change has an hour more"
    assert all(is_open(settings, moment) for moment in range(first, last, 600_000))
    assert not is_open(settings, first - 1)
    assert not is_open(settings, last)


def test_far_beyond_the_calendar_a_site_is_open() -> None:
    assert is_open(site(hours=WEEK), 2**62)


def test_closed_is_what_is_not_open() -> None:
    settings = site(hours={"mon": ["13:00-20:00", "08:00-12:00", "11:00-12:30"], "wed": []})
    assert open_spans(settings, 0) == [(480, 750), (780, 1200)]
    assert list(closed_spans(settings, 0)) == [(0, 480), (750, 780), (1200, 1440)]
    assert list(closed_spans(settings, 2)) == [(0, 1440)]
    assert list(closed_spans(site(), 2)) == []
