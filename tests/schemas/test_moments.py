"""Moments and local days, on days that clock changes make odd and far beyond the calendar."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from schemas.moments import (
    MomentError,
    day_start,
    from_datetime,
    iso,
    local_date,
    parse_moment,
    to_datetime,
)

FAR = [-(2**63), -(10**15), 10**15, 2**63 - 1]


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("0", 0),
        ("915148800000", 915_148_800_000),
        ("19990101", 19_990_101),
        ("-5", -5),
        ("9223372036854775807", 2**63 - 1),
        ("1999-01-01T00:00:00Z", 915_148_800_000),
        ("1999-01-01T02:00:00+02:00", 915_148_800_000),
        ("1999-01-01 02:00:00.123+0200", 915_148_800_123),
        ("1999-01-01T00:00:00.120000Z", 915_148_800_120),
        (" 1999-01-01T00:00Z ", 915_148_800_000),
        ("1969-12-31T23:59:59.999Z", -1),
    ],
)
def test_a_moment_is_read(text: str, ms: int) -> None:
    assert parse_moment(text) == ms


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "neither"),
        ("yesterday", "neither"),
        ("1999-13-01T00:00:00Z", "neither"),
        ("1.5", "neither"),
        ("1999-01-01T00:00:00", "no zone"),
        ("1999-01-01", "no zone"),
        ("1999-01-01T00:00:00.1234Z", "finer"),
        ("1999-01-01T00:00:00.000001+02:00", "finer"),
        ("9223372036854775808", "64 bits"),
        ("9" * 5000, "64 bits"),
    ],
)
def test_what_names_no_moment_is_refused(text: str, why: str) -> None:
    with pytest.raises(MomentError, match=why):
        parse_moment(text)


@pytest.mark.parametrize("ms", FAR)
def test_moments_beyond_the_calendar_are_numbers_and_break_nothing(ms: int) -> None:
    zone = ZoneInfo("Asia/Jerusalem")
    assert to_datetime(ms) is None
    assert local_date(ms, zone) is None
    assert iso(ms, "Asia/Jerusalem") == str(ms)
    assert 0 <= ms - day_start(ms, zone) < 86_400_000


def test_iso_carries_zone_and_milliseconds() -> None:
    assert iso(915_148_800_007) == "1999-01-01T00:00:00.007Z"
    assert iso(915_148_800_000, "Asia/Jerusalem") == "1999-01-01T02:00:00.000+02:00"


def test_milliseconds_survive_a_datetime() -> None:
    for ms in (-1, 0, 1, 915_148_800_123, 253_000_000_000_001):
        moment = to_datetime(ms)
        assert moment is not None
        assert from_datetime(moment) == ms


@pytest.mark.parametrize(
    ("zone", "moment", "start"),
    [
        ("Europe/Berlin", "2026-03-29T12:00:00+02:00", "2026-03-29T00:00:00+01:00"),
        ("Europe/Berlin", "2026-10-25T12:00:00+01:00", "2026-10-25T00:00:00+02:00"),
        # Midnight is skipped: the day begins at one o'clock.
        ("America/Sao_Paulo", "2018-11-04T12:00:00-02:00", "2018-11-04T01:00:00-02:00"),
        # Midnight comes twice: the first one counts.
        ("America/Havana", "2026-11-01T12:00:00-05:00", "2026-11-01T00:00:00-04:00"),
        # Half past eleven becomes half past midnight: the day lacks its first half hour.
        ("America/Toronto", "1919-03-31T12:00:00-04:00", "1919-03-31T00:30:00-04:00"),
        # A day that never was lies before.
        ("Pacific/Apia", "2011-12-31T12:00:00+14:00", "2011-12-31T00:00:00+14:00"),
        ("Asia/Kathmandu", "2026-06-01T00:00:00+05:45", "2026-06-01T00:00:00+05:45"),
    ],
)
def test_a_day_starts_at_its_first_moment(zone: str, moment: str, start: str) -> None:
    assert iso(day_start(parse_moment(moment), ZoneInfo(zone)), zone) == iso(
        parse_moment(start), zone
    )


@pytest.mark.parametrize("zone", ["Europe/Berlin", "America/Sao_Paulo", "Australia/Lord_Howe"])
def test_the_moment_before_a_day_starts_is_of_another_date(zone: str) -> None:
    tz = ZoneInfo(zone)
    noon = datetime(2018, 1, 1, 12, tzinfo=UTC)
    for days in range(365):
        start = day_start(from_datetime(noon + timedelta(days=days)), tz)
        assert local_date(start, tz) != local_date(start - 1, tz)
        assert day_start(start, tz) == start
