"""Formulas of the contract's section 4, against worked examples and the bank's published totals."""

from __future__ import annotations

import pytest

from schemas.kpis import (
    AGENT_STATES,
    COUNTERS,
    FORMULA_TEXT,
    FORMULAS,
    TEAM_TIMES,
    WINDOW_MS,
    WINDOWS,
    abandonment_parts,
    aht_parts,
    asa_parts,
    occupancy_parts,
    ratio,
    service_level_parts,
)

JANUARY = dict.fromkeys(COUNTERS, 0) | {
    "offered": 30161,
    "answered": 27060,
    "answered_in": 16402,
    "wait_ms": 947857000,
    "abandoned": 3101,
    "abandoned_in": 1006,
    "abandoned_short": 195,
    "handled": 27060,
    "talk_ms": 4964204000,
}


def counters(**given: int) -> dict[str, int]:
    return dict.fromkeys(COUNTERS, 0) | given


def test_names_are_as_many_as_the_contract_says() -> None:
    assert len(set(COUNTERS)) == 20
    assert len(set(TEAM_TIMES)) == 7
    assert len(set(FORMULAS)) == 7
    assert len(set(AGENT_STATES)) == 8
    assert set(WINDOW_MS) == set(WINDOWS) - {"today", "total"}


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("abandons_negative", 0.543815),
        ("ignore_abandons", 0.562579),
        ("abandons_positive", 0.577169),
        ("answered_only", 0.606135),
    ],
)
def test_the_banks_january_by_four_formulas(formula: str, expected: float) -> None:
    level = ratio(*service_level_parts(JANUARY, formula, exclude_short=False))
    assert level == pytest.approx(expected, abs=5e-7)


def test_the_banks_january_waits_and_services() -> None:
    assert ratio(*abandonment_parts(JANUARY)) == pytest.approx(0.102815, abs=5e-7)
    assert ratio(*asa_parts(JANUARY)) == pytest.approx(35028.0, abs=0.05)
    assert ratio(*aht_parts(JANUARY)) == pytest.approx(183451.7, abs=0.05)


@pytest.mark.parametrize(
    ("formula", "parts"),
    [
        ("answered_only", (60, 80)),
        ("ignore_abandons", (60, 92)),
        ("abandons_negative", (60, 95)),
        ("abandons_positive", (63, 95)),
        ("sl_event_negative", (7, 15)),
        ("sl_event_ignore", (7, 12)),
        ("sl_event_positive", (10, 15)),
    ],
)
def test_short_abandons_leave_the_outcome_formulas_only(
    formula: str, parts: tuple[int, int]
) -> None:
    c = counters(
        answered=80,
        answered_in=60,
        abandoned=20,
        abandoned_in=8,
        abandoned_short=5,
        sl_met=7,
        sl_missed=5,
        sl_abandoned=3,
    )
    assert service_level_parts(c, formula, exclude_short=True) == parts


def test_a_short_limit_above_the_threshold_takes_no_more_than_there_are() -> None:
    c = counters(answered=10, answered_in=5, abandoned=6, abandoned_in=1, abandoned_short=4)
    assert service_level_parts(c, "abandons_positive", exclude_short=True) == (5, 12)
    assert service_level_parts(c, "ignore_abandons", exclude_short=True) == (5, 12)


@pytest.mark.parametrize("formula", FORMULAS)
def test_no_traffic_is_no_data(formula: str) -> None:
    assert ratio(*service_level_parts(counters(), formula, exclude_short=False)) is None


@pytest.mark.parametrize("formula", ["", "negative", "sl_event_"])
def test_an_unknown_formula_is_refused(formula: str) -> None:
    with pytest.raises(ValueError, match="unknown service-level formula"):
        service_level_parts(counters(), formula, exclude_short=False)


def test_occupancy_leaves_ringing_and_not_ready_out() -> None:
    times = dict(zip(TEAM_TIMES, (10, 2, 3, 5, 100, 20, 1000), strict=True))
    assert occupancy_parts(times) == (20, 40)


def test_every_formula_and_kpi_has_words() -> None:
    kpis = {"service_level", "abandonment", "asa_ms", "aht_ms", "occupancy", "waiting"}
    assert set(FORMULAS) | kpis <= set(FORMULA_TEXT)
    assert all(text.strip() for text in FORMULA_TEXT.values())
