"""Arrivals follow the rate asked for, the site's clock and the surge."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from itertools import pairwise
from random import Random
from zoneinfo import ZoneInfo

import pytest

from pipeline.simulate.arrivals import (
    EVENING_SHAPE,
    HALF_HOURS,
    OFFICE_SHAPE,
    Arrivals,
    half_hour_of,
)
from pipeline.simulate.options import DAY, HOUR, Incident, Scenario

START = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp() * 1000)
NEVER = Incident(Scenario.NORMAL, 0, 0)
FLAT = (1.0,) * HALF_HOURS


def arrivals_between(arrivals: Arrivals, start: int, end: int, seed: int = 3) -> list[int]:
    rng, moments = Random(seed), []
    moment = arrivals.after(start, rng)
    while moment is not None and moment < end:
        moments.append(moment)
        moment = arrivals.after(moment, rng)
    return moments


@pytest.mark.parametrize("shape", [OFFICE_SHAPE, EVENING_SHAPE])
def test_a_shape_covers_the_day_and_peaks_at_one(shape: tuple[float, ...]) -> None:
    assert len(shape) == HALF_HOURS
    assert max(shape) == 1.0
    assert min(shape) > 0.0


def test_a_flat_rate_is_met_within_what_chance_allows() -> None:
    moments = arrivals_between(Arrivals(1000, FLAT, ZoneInfo("UTC"), NEVER), START, START + DAY)
    assert abs(len(moments) - 24_000) < 4 * 24_000**0.5
    assert all(earlier <= later for earlier, later in pairwise(moments))


def test_gaps_of_a_flat_rate_are_exponential() -> None:
    moments = arrivals_between(Arrivals(3600, FLAT, ZoneInfo("UTC"), NEVER), START, START + DAY)
    gaps = [later - earlier for earlier, later in pairwise(moments)]
    mean = sum(gaps) / len(gaps)
    deviation = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    assert 0.97 < deviation / mean < 1.03
    assert 0.35 < sum(gap > mean for gap in gaps) / len(gaps) < 0.39  # 1/e


@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Asia/Kolkata", "Etc/GMT-14"])
def test_the_rate_follows_the_local_clock(zone: str) -> None:
    arrivals = Arrivals(4000, OFFICE_SHAPE, ZoneInfo(zone), NEVER)
    days = 4
    moments = arrivals_between(arrivals, START, START + days * DAY)
    counts = Counter(half_hour_of(moment, ZoneInfo(zone)) for moment in moments)
    for half_hour, share in enumerate(OFFICE_SHAPE):
        expected = 2000 * share * days
        assert abs(counts[half_hour] - expected) < 5 * expected**0.5


def test_the_rate_follows_a_clock_change() -> None:
    zone = ZoneInfo("Europe/Berlin")
    before = int(datetime(2026, 3, 28, 8, tzinfo=zone).timestamp() * 1000)
    after = int(datetime(2026, 3, 29, 8, tzinfo=zone).timestamp() * 1000)
    assert after - before == 23 * HOUR
    assert half_hour_of(before, zone) == half_hour_of(after, zone) == 16


def test_a_surge_multiplies_the_rate_between_its_borders_only() -> None:
    surge = Incident(Scenario.BURST, START + 2 * HOUR + 1234, START + 3 * HOUR + 567)
    arrivals = Arrivals(5000, FLAT, ZoneInfo("UTC"), surge, 4.0)
    moments = arrivals_between(arrivals, START, START + 6 * HOUR)
    inside = sum(surge.start <= moment < surge.end for moment in moments)
    expected = 20_000 * (surge.end - surge.start) / HOUR
    assert abs(inside - expected) < 5 * expected**0.5
    outside = 5000 * (6 * HOUR - (surge.end - surge.start)) / HOUR
    assert abs(len(moments) - inside - outside) < 5 * outside**0.5


def test_nothing_arrives_where_the_rate_is_zero() -> None:
    silent = (0.0,) * HALF_HOURS
    assert Arrivals(100, silent, ZoneInfo("UTC"), NEVER).after(START, Random(1)) is None


def test_quiet_hours_are_passed_over_to_the_next_busy_one() -> None:
    shape = tuple(1.0 if half_hour == 18 else 0.0 for half_hour in range(HALF_HOURS))
    arrival = Arrivals(1000, shape, ZoneInfo("UTC"), NEVER).after(START + 10 * HOUR, Random(1))
    assert arrival is not None
    assert START + DAY + 9 * HOUR <= arrival < START + DAY + 9 * HOUR + HOUR // 2
