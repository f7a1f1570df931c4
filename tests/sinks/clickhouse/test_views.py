"""The views on rows made by hand: limits, anchors, formulas, windows, and what is known when."""

from __future__ import annotations

import pytest

from schemas.kpis import FORMULAS, ratio, service_level_parts
from tests.sinks.clickhouse.store import Database, record
from tests.sinks.clickhouse.view_rows import (
    SPAN,
    TEN,
    Fill,
    Row,
    interval,
    leg,
    queue,
    site_settings,
    visit,
)

# --- limits --------------------------------------------------------------------------------------


def test_a_wait_of_exactly_the_limit_is_within_it(fill: Fill) -> None:
    expected = {0: (1, 1), 5_000: (1, 1), 5_001: (1, 0), 20_000: (1, 0), 20_001: (0, 0)}
    rows = []
    for wait in expected:
        rows.append(visit("a", TEN, "answered", wait, agent="ann", queue=f"{wait}"))
        rows.append(visit("b", TEN, "abandoned", wait, queue=f"{wait}"))
    found = fill(TEN + 60_000, visits=rows).rows(f"SELECT * FROM kpi_queue({SPAN})")
    assert {int(row["queue"]) for row in found} == expected.keys()
    for row in found:
        wait = int(row["queue"])
        within, short = expected[wait]
        assert (row["answered"], row["answered_in"], row["wait_ms"]) == (1, within, wait)
        assert (row["abandoned"], row["abandoned_in"]) == (1, within)
        assert (row["abandoned_short"], row["abandoned_wait_ms"]) == (short, wait)
        assert (row["sl_met"], row["sl_abandoned"]) == (within, within)
        assert row["sl_missed"] == 2 - 2 * within


def test_restated_at_other_limits_the_same_calls_give_other_counters(fill: Fill) -> None:
    rows = [
        visit("a", TEN, "answered", 30_000, agent="ann"),
        visit("b", TEN, "abandoned", 8_000),
        visit("c", TEN, "waiting"),
    ]
    db = fill(TEN + 300_000, visits=rows)
    as_reported = queue(db, f"kpi_queue({SPAN})")
    assert (as_reported["answered_in"], as_reported["abandoned_short"]) == (0, 0)
    assert (as_reported["sl_missed"], as_reported["sl_abandoned"]) == (2, 1)
    restated = queue(db, f"kpi_queue_restated({SPAN}, threshold_ms = 30000, short_ms = 8000)")
    assert (restated["answered_in"], restated["abandoned_short"]) == (1, 1)
    assert (restated["sl_met"], restated["sl_missed"], restated["sl_abandoned"]) == (1, 1, 1)
    strict = queue(db, f"kpi_queue_restated({SPAN}, threshold_ms = 0, short_ms = 0)")
    assert (strict["sl_met"], strict["sl_missed"], strict["sl_abandoned"]) == (0, 3, 0)


def test_each_visit_keeps_the_limits_it_was_queued_under(fill: Fill) -> None:
    rows = [
        visit("a", TEN, "answered", 25_000, agent="ann"),
        visit("b", TEN, "answered", 25_000, agent="ann", threshold_ms=30_000),
    ]
    found = queue(fill(TEN + 60_000, visits=rows), f"kpi_queue({SPAN})")
    assert (found["answered_in"], found["sl_met"], found["sl_missed"]) == (1, 1, 1)


# --- formulas ------------------------------------------------------------------------------------


def mixture() -> list[Row]:
    """Seven answered in time, one late; abandons: one short, two within T, one late; one waits."""
    rows = [visit(f"a{n}", TEN, "answered", 1_000 * n, agent="ann") for n in range(7)]
    rows.append(visit("late", TEN, "answered", 60_000, agent="ann"))
    rows += [
        visit(f"b{n}", TEN, "abandoned", wait) for n, wait in enumerate((4_000, 9_000, 19_000))
    ]
    rows += [visit("gone", TEN, "abandoned", 45_000), visit("waits", TEN, "waiting")]
    return rows


def test_the_service_level_is_that_of_the_named_formula(db: Database) -> None:
    """A site for each formula, with and without short abandons."""
    cases = {f"{name} {short}": (name, short) for name in FORMULAS for short in (False, True)}
    for site, (formula, short) in cases.items():
        settings = site_settings(
            defaults={"formula": "abandons_negative", "exclude_short": False},
            queues={"sales": {"formula": formula, "exclude_short": short}},
        )
        visits = [row | {"site": site} for row in mixture()]
        tables = {"pane_settings": [settings | {"site": site}], "visits": visits}
        assert db.write(record(tables, site=site, at=TEN + 120_000)) == []
    queues = {row["site"]: row for row in db.rows(f"SELECT * FROM kpi_queue({SPAN})")}
    assert queues.keys() == cases.keys()
    for site, (formula, short) in cases.items():
        check_formula(queues[site], formula, short)
    for row in db.rows(f"SELECT * FROM kpi_site({SPAN})"):
        assert row["service_level"] == row["abandons_negative"]


def check_formula(found: Row, formula: str, exclude_short: bool) -> None:
    expected = service_level_parts(found, formula, exclude_short)
    assert (found["formula"], found["exclude_short"]) == (formula, exclude_short)
    assert (found["sl_numerator"], found["sl_denominator"]) == expected
    assert found["service_level"] == ratio(*expected)
    for name in FORMULAS:
        assert found[name] == ratio(*service_level_parts(found, name, False)), name
    for name in ("ignore_abandons", "abandons_negative", "abandons_positive"):
        expected = service_level_parts(found, name, True)
        assert found[f"{name}_without_short"] == ratio(*expected), name


def test_the_formula_of_a_queue_without_settings_is_that_of_the_defaults(fill: Fill) -> None:
    settings = site_settings(defaults={"formula": "answered_only"}, queues={"help": {}})
    db = fill(TEN + 120_000, settings, visits=mixture())
    assert queue(db, f"kpi_queue({SPAN})")["formula"] == "answered_only"


def test_with_a_short_limit_above_the_threshold_none_are_fewer_than_none(fill: Fill) -> None:
    rows = [visit("a", TEN, "answered", 1, agent="ann"), visit("b", TEN, "abandoned", 9_000)]
    db = fill(TEN + 60_000, visits=rows)
    limits = "threshold_ms = 5000, short_ms = 10000"
    found = queue(db, f"kpi_queue_restated({SPAN}, {limits})")
    assert found["ignore_abandons_without_short"] == 1.0
    assert found["abandons_positive_without_short"] == 1.0


def test_without_traffic_a_ratio_is_null(fill: Fill) -> None:
    found = queue(fill(TEN + 1, visits=[visit("a", TEN, "waiting")]), f"kpi_queue({SPAN})")
    ratios = ("service_level", "abandonment", "asa_ms", "aht_ms", *FORMULAS)
    assert [found[name] for name in ratios] == [None] * len(ratios)
    assert found["offered"] == 1


# --- moments and anchors ---


def test_each_counter_falls_into_the_interval_of_its_own_moment(fill: Fill) -> None:
    half = TEN + 1_800_000
    rows = [visit("c", half - 10_000, "answered", 15_000, agent="ann")]
    legs = [
        leg("c", half + 5_000, visit_queued_at=half - 10_000, released_at=half + 60_000,
            wrapped_at=half + 1_800_000, release_reason="transferred", talk_ms=40_000,
            hold_ms=15_000, wrap_ms=1_740_000, handled=1),
    ]  # fmt: skip
    db = fill(half + 3_600_000, visits=rows, legs=legs)
    steps = "from = '2026-01-05 10:00:00', to = '2026-01-05 12:00:00', step_ms = 1800000"
    names = ("offered", "answered", "sl_met", "transferred", "handled", "talk_ms", "hold_ms")
    found = {
        row["start"][11:16]: [row[name] for name in names]
        for row in db.rows(f"SELECT * FROM kpi_queue_interval({steps})")
    }
    assert found == {
        "10:00": [1, 0, 0, 0, 0, 0, 0],
        "10:30": [0, 1, 1, 1, 0, 0, 0],
        "11:00": [0, 0, 0, 0, 1, 40_000, 15_000],
    }


def test_anchored_at_arrival_the_outcome_counts_when_the_contact_was_queued(fill: Fill) -> None:
    at = {"anchor": "arrival"}
    rows = [
        visit("a", TEN, "answered", 700_000, agent="ann", **at),
        visit("b", TEN, "abandoned", 700_000, **at),
        visit("c", TEN, "left", 700_000, reason="overflow", **at),
    ]
    db = fill(TEN + 800_000, visits=rows)
    found = queue(db, "kpi_queue(from = '2026-01-05 10:00:00', to = '2026-01-05 10:00:01')")
    assert (found["answered"], found["abandoned"], found["left_overflow"]) == (1, 1, 1)
    assert (found["sl_missed"], found["sl_met"]) == (0, 0)
    before = db.rows(
        "SELECT * FROM kpi_window(site = 's', window = 'today', at = '2026-01-05 10:05:00')"
    )
    assert [(row["offered"], row["answered"]) for row in before] == [(3, 0)]


def test_why_a_contact_left_decides_the_counter(fill: Fill) -> None:
    reasons = {
        "callback": "left_callback",
        "overflow": "left_overflow",
        "timeout": "left_overflow",
        "transfer": "left_overflow",
        "voicemail": "left_other",
        "answered_elsewhere": "left_other",
        "lost": "left_other",
        "other": "left_other",
    }
    rows = [visit("a", TEN, "left", 1_000, reason=name, queue=name) for name in reasons]
    found = fill(TEN + 60_000, visits=rows).rows(f"SELECT * FROM kpi_queue({SPAN})")
    assert {row["queue"] for row in found} == reasons.keys()
    for row in found:
        counts = {name: row[name] for name in ("left_callback", "left_overflow", "left_other")}
        assert counts == dict.fromkeys(counts, 0) | {reasons[row["queue"]]: 1}
        assert (row["sl_met"], row["sl_missed"], row["sl_abandoned"]) == (0, 0, 0)


# --- what is known at a time of the site ---


def test_a_passed_threshold_is_a_miss_only_once_the_time_is_greater(fill: Fill) -> None:
    db = fill(TEN + 60_000, visits=[visit("a", TEN, "waiting")])
    for ms, missed in ((19_999, 0), (20_000, 0), (20_001, 1)):
        at = f"fromUnixTimestamp64Milli(toInt64({TEN + ms}), 'UTC')"
        found = queue(db, f"kpi_window(site = 's', window = 'total', at = {at})")
        assert found["sl_missed"] == missed, ms


def test_a_stuck_visit_leaves_only_once_the_time_is_greater(fill: Fill) -> None:
    limits = {"stuck_after_ms": 60_000, "reason": "lost"}
    db = fill(TEN + 90_000, visits=[visit("a", TEN, "left", 60_000, **limits)])
    for ms, left in ((60_000, 0), (60_001, 1)):
        at = f"fromUnixTimestamp64Milli(toInt64({TEN + ms}), 'UTC')"
        found = queue(db, f"kpi_window(site = 's', window = 'total', at = {at})")
        assert found["left_other"] == left
        assert len(db.rows(f"SELECT * FROM waiting_at(at = {at})")) == 1 - left


def test_a_time_beyond_what_is_known_tells_what_is_known(fill: Fill) -> None:
    db = fill(TEN + 20_000, visits=[visit("a", TEN, "waiting")],
              agent_intervals=[interval("ann", TEN, None, "talk")])  # fmt: skip
    at = "'2026-01-05 10:10:00'"
    found = queue(db, f"kpi_window(site = 's', window = '15m', at = {at})")
    assert (found["offered"], found["sl_missed"]) == (1, 0)
    (team,) = db.rows(f"SELECT * FROM kpi_window_team(site = 's', window = '15m', at = {at})")
    assert team["talk_ms"] == 20_000


def test_a_window_ends_with_the_open_pane_and_is_as_long_as_its_name(fill: Fill) -> None:
    db = fill(TEN + 3, settings=site_settings(time_zone="Asia/Kathmandu"))
    found = {}
    for window in ("5m", "15m", "30m", "60m", "today", "total"):
        row = queue(db, f"window_bounds(site = 's', window = '{window}', at = NULL)")
        found[window] = (row["starts_at"][11:19], row["ends_at"][11:])
    assert found == {
        "5m": ("09:55:10", "10:00:10.000"),
        "15m": ("09:45:10", "10:00:10.000"),
        "30m": ("09:30:10", "10:00:10.000"),
        "60m": ("09:00:10", "10:00:10.000"),
        "today": ("18:15:00", "10:00:10.000"),
        "total": ("00:00:00", "10:00:00.004"),
    }


@pytest.mark.parametrize(
    ("zone", "at", "midnight"),
    [
        # Clocks go forward at midnight: the day begins at 01:00. They go back: 00:30 comes twice.
        ("America/Havana", "2023-03-12 15:00:00", "2023-03-12 05:00:00"),
        ("America/Havana", "2023-11-05 05:30:00", "2023-11-05 04:00:00"),
        ("America/Havana", "2023-11-05 15:00:00", "2023-11-05 04:00:00"),
        ("Europe/Berlin", "2025-03-30 20:00:00", "2025-03-29 23:00:00"),
        ("Europe/Berlin", "2025-10-26 22:59:59", "2025-10-25 22:00:00"),
        ("Etc/GMT+5", "2025-06-01 04:59:59", "2025-05-31 05:00:00"),
    ],
)
def test_today_begins_at_the_first_moment_of_the_local_date(
    fill: Fill, zone: str, at: str, midnight: str
) -> None:
    db = fill(TEN, settings=site_settings(time_zone=zone))
    row = queue(db, f"window_bounds(site = 's', window = 'today', at = '{at}')")
    assert row["starts_at"] == f"{midnight}.000"


def test_an_unknown_window_is_an_error_that_lists_them(fill: Fill) -> None:
    db = fill(TEN)
    with pytest.raises(Exception, match="window must be 5m, 15m, 30m, 60m, today or total"):
        db.rows("SELECT * FROM kpi_window(site = 's', window = '10m', at = NULL)")


def test_an_unknown_site_has_no_rows(fill: Fill) -> None:
    db = fill(TEN, visits=[visit("a", TEN - 1, "waiting")])
    assert db.rows("SELECT * FROM kpi_window(site = 'nowhere', window = 'today', at = NULL)") == []


def test_settings_are_those_of_the_time_asked_for_and_the_first_hold_from_the_beginning(
    fill: Fill,
) -> None:
    db = fill(TEN + 60_000, site_settings(TEN, defaults={"formula": "answered_only"}),
              visits=[visit("a", TEN - 60_000, "answered", 1, agent="x")])  # fmt: skip
    later = site_settings(TEN + 30_000, defaults={"formula": "sl_event_ignore"})
    db.write(record({"pane_settings": [later]}, at=TEN + 60_000, version=2))
    asked = {
        "09:59:59": "answered_only",
        "10:00:29": "answered_only",
        "10:00:30": "sl_event_ignore",
    }
    for at, formula in asked.items():
        call = f"kpi_window(site = 's', window = 'total', at = '2026-01-05 {at}')"
        assert queue(db, call)["formula"] == formula


# --- versions ------------------------------------------------------------------------------------


def test_the_row_of_the_highest_version_counts_whatever_came_last(fill: Fill) -> None:
    db = fill(TEN + 90_000)
    newer = visit("a", TEN, "answered", 5, agent="ann")
    db.write(record({"visits": [newer]}, at=TEN + 90_000, version=(2 << 40) + 1))
    db.write(record({"visits": [visit("a", TEN, "waiting")]}, at=TEN, version=(1 << 40) + 9))
    assert queue(db, f"kpi_queue({SPAN})")["answered"] == 1
    assert queue(db, "progress")["epoch"] == 2


def test_a_withdrawn_row_is_gone(fill: Fill) -> None:
    db = fill(TEN + 90_000, visits=[visit("a", TEN, "waiting"), visit("b", TEN, "waiting")])
    withdrawn = {"site": "s", "contact": "a", "queued_at": TEN, "queue": "sales"}
    withdrawn |= {"channel": "voice", "is_deleted": 1}
    db.write(record({"visits": [withdrawn]}, at=TEN + 90_000, version=2))
    assert queue(db, f"kpi_queue({SPAN})")["offered"] == 1
    assert [row["contact"] for row in db.rows("SELECT contact FROM waiting")] == ["b"]
