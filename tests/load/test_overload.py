"""Ten times too much for some seconds: the program works, nothing is lost and no age is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.load.overload import Plan, dishonest, longest_standstill, overload


@pytest.mark.stack
@pytest.mark.timeout(600)
def test_a_short_overload_loses_nothing_and_the_board_tells_its_age(tmp_path: Path) -> None:
    plan = Plan(probe_rate=2_000, probe_s=3, times=10, seconds=2)
    result = overload(plan, tmp_path, lambda _: None)
    failed = [verdict["what"] for verdict in result["verdicts"] if not verdict["holds"]]
    assert failed == []
    [flood] = [flood for flood in result["floods"] if flood["phase"] == "overload"]
    assert flood["written"] > 0
    assert flood["through_door"] > 0
    lags = [(one["lag_records"] or 0) + (one["lag_frames"] or 0) for one in result["samples"]]
    assert max(lags) > 0
    assert lags[-1] <= 1


def _sample(t: float, at: int | None, age_ms: int) -> Any:
    return {"t": t, "at": at, "age_ms": age_ms, "asked_ms": 10_000}


def test_a_board_that_makes_itself_younger_is_found() -> None:
    honest, wrong = _sample(0, 9_000, 1_000), _sample(1, 4_000, 1_000)
    assert dishonest([honest, _sample(2, None, 0), wrong]) == [wrong]


def test_a_standstill_is_how_long_the_same_moment_was_shown() -> None:
    moments = [(0, 5), (1, 6), (2, 6), (5, 6), (6, 7), (8, None), (9, 8)]
    assert longest_standstill([_sample(t, at, 0) for t, at in moments]) == 4
