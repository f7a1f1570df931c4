"""The views on rows made by hand: limits, anchors, formulas, windows, and what is known when."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
import pytest

from schemas.kpis import FORMULAS, ratio, service_level_parts
from tests.sinks.clickhouse.store import Database, record

DAY = 1_767_571_200_000  # 2026-01-05T00:00Z, a Monday
TEN = DAY + 10 * 3_600_000
SPAN = "from = '2026-01-05 00:00:00', to = '2026-01-06 00:00:00'"

Row = dict[str, Any]
Fill = Callable[..., Database]


def visit(contact: str, queued_at: int, outcome: str, wait: int | None = None, **more: Any) -> Row:
    row = {"site": "s", "contact": contact, "queued_at": queued_at, "queue": "sales"}
    row |= {"channel": "voice", "direction": "inbound", "customer": "", "priority": None}
    row |= {"outcome": outcome, "reason": "", "agent": ""}
    row |= {"outcome_at": None if wait is None else queued_at + wait}
    row |= {"threshold_ms": 20_000, "short_abandon_ms": 5_000, "stuck_after_ms": 14_400_000}
    row |= {"formula": "abandons_negative", "exclude_short": 0, "anchor": "outcome"}
    return row | {"is_deleted": 0} | more


def leg(contact: str, answered_at: int, **more: Any) -> Row:
    row = {"site": "s", "contact": contact, "answered_at": answered_at, "agent": "ann"}
    row |= {"queue": "sales", "channel": "voice", "visit_queued_at": None, "released_at": None}
    row |= {"wrapped_at": None, "release_reason": "", "code": "", "hold_ms": 0, "talk_ms": 0}
    row |= {"wrap_ms": 0, "handled": 0, "stuck": 0, "team": "", "is_deleted": 0}
    return row | more


def interval(agent: str, start: int, end: int | None, state: str, team: str = "red") -> Row:
    row = {"site": "s", "agent": agent, "started_at": start, "ended_at": end, "state": state}
    return row | {"team": team, "is_deleted": 0}


def site_settings(since: int = 0, **settings: Any) -> Row:
    row = {"site": "s", "valid_from": since, "pane_ms": 10_000, "time_zone": "UTC"}
    row |= {"anchor": "outcome", "lateness_ms": 900_000, "is_deleted": 0}
    for name in ("time_zone", "pane_ms"):
        row[name] = settings.get(name, row[name])
    return row | {"settings": orjson.dumps(settings).decode()}


@pytest.fixture
def fill(db: Database) -> Fill:
    """Fills the tables with rows known at a time of the site."""

    def write(at: int, settings: Row | None = None, **tables: list[Row]) -> Database:
        given = {"pane_settings": [settings or site_settings()], **tables}
        assert db.write(record(given, at=at)) == []
        return db

    return write


def queue(db: Database, call: str) -> Row:
    (row,) = db.rows(f"SELECT * FROM {call}")
    return row


# --- limits --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wait", "answered_in", "abandoned_in", "short"),
    [
        (0, 1, 1, 1),
        (5_000, 1, 1, 1),
        (5_001, 1, 1, 0),
        (20_000, 1, 1, 0),
        (20_001, 0, 0, 0),
    ],
)
def test_a_wait_of_exactly_the_limit_is_within_it(
    fill: Fill, wait: int, answered_in: int, abandoned_in: int, short: int
) -> None:
    rows = [visit("a", TEN, "answered", wait, agent="ann"), visit("b", TEN, "abandoned", wait)]
    db = fill(TEN + 60_000, visits=rows)
    found = queue(db, f"kpi_queue({SPAN})")
    assert (found["answered"], found["answered_in"], found["wait_ms"]) == (1, answered_in, wait)
    assert (found["abandoned"], found["abandoned_in"]) == (1, abandoned_in)
    assert (found["abandoned_short"], found["abandoned_wait_ms"]) == (short, wait)
    assert (found["sl_met"], found["sl_abandoned"]) == (answered_in, abandoned_in)
    assert found["sl_missed"] == 2 - answered_in - abandoned_in


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


@pytest.mark.parametrize("exclude_short", [False, True])
@pytest.mark.parametrize("formula", FORMULAS)
def test_the_service_level_is_that_of_the_named_formula(
    fill: Fill, formula: str, exclude_short: bool
) -> None:
    settings = site_settings(
        defaults={"formula": "abandons_negative", "exclude_short": False},
        queues={"sales": {"formula": formula, "exclude_short": exclude_short}},
    )
    db = fill(TEN + 120_000, settings, visits=mixture())
    found = queue(db, f"kpi_queue({SPAN})")
    expected = service_level_parts(found, formula, exclude_short)
    assert (found["formula"], found["exclude_short"]) == (formula, exclude_short)
    assert (found["sl_numerator"], found["sl_denominator"]) == expected
    assert found["service_level"] == ratio(*expected)
    for name in FORMULAS:
        assert found[name] == ratio(*service_level_parts(found, name, False)), name
    for name in ("ignore_abandons", "abandons_negative", "abandons_positive"):
        expected = service_level_parts(found, name, True)
        assert found[f"{name}_without_short"] == ratio(*expected), name
    site = queue(db, f"kpi_site({SPAN})")
    assert site["service_level"] == site["abandons_negative"]


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


@pytest.mark.parametrize(
    ("reason", "counter"),
    [
        ("callback", "left_callback"),
        ("overflow", "left_overflow"),
        ("timeout", "left_overflow"),
        ("transfer", "left_overflow"),
        ("voicemail", "left_other"),
        ("answered_elsewhere", "left_other"),
        ("lost", "left_other"),
        ("other", "left_other"),
    ],
)
def test_why_a_contact_left_decides_the_counter(fill: Fill, reason: str, counter: str) -> None:
    found = queue(
        fill(TEN + 60_000, visits=[visit("a", TEN, "left", 1_000, reason=reason)]),
        f"kpi_queue({SPAN})",
    )
    assert found[counter] == 1
    assert found["left_callback"] + found["left_overflow"] + found["left_other"] == 1
    assert (found["sl_met"], found["sl_missed"], found["sl_abandoned"]) == (0, 0, 0)


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


# --- teams and agents ---


def test_state_time_is_clipped_to_the_interval_and_to_the_time_of_the_site(fill: Fill) -> None:
    # The worked example of a vendor: a contact from 05:23 to 06:15 gives 7, 30 and 15 minutes.
    start = DAY + 5 * 3_600_000 + 23 * 60_000
    intervals = [
        interval("ann", start, start + 52 * 60_000, "talk"),
        interval("ann", start + 52 * 60_000, None, "available"),
        interval("bob", start, start + 60_000, "offline"),
    ]
    db = fill(start + 60 * 60_000, agent_intervals=intervals)
    steps = "from = '2026-01-05 05:00:00', to = '2026-01-05 07:00:00', step_ms = 1800000"
    found = {
        row["start"][11:16]: (row["talk_ms"] // 60_000, row["available_ms"] // 60_000)
        for row in db.rows(f"SELECT * FROM kpi_team_interval({steps})")
    }
    assert found == {"05:00": (7, 0), "05:30": (30, 0), "06:00": (15, 8)}
    (team,) = db.rows(f"SELECT * FROM kpi_team({SPAN})")
    assert team["occupancy"] == 52 / 60
    assert (team["busy_ms"], team["team"]) == (52 * 60_000, "red")


def test_ringing_and_not_ready_are_in_no_part_of_occupancy(fill: Fill) -> None:
    states = ("talk", "hold", "wrap", "busy", "ringing", "available", "not_ready", "offline")
    rows = [
        interval("ann", TEN + n * 1000, TEN + n * 1000 + 1000, state)
        for n, state in enumerate(states)
    ]
    (team,) = fill(TEN + 60_000, agent_intervals=rows).rows(f"SELECT * FROM kpi_team({SPAN})")
    assert [team[f"{s}_ms"] for s in ("talk", "hold", "wrap", "busy_state", "ringing")] == [
        1000
    ] * 5
    assert (team["busy_ms"], team["occupancy"]) == (4000, 0.8)


def test_an_agent_has_what_it_answered_handled_and_declined_beside_its_time(fill: Fill) -> None:
    db = fill(
        TEN + 600_000,
        visits=[visit("a", TEN, "answered", 4_000, agent="ann")],
        legs=[
            leg("a", TEN + 4_000, visit_queued_at=TEN, released_at=TEN + 64_000,
                wrapped_at=TEN + 94_000, release_reason="completed", talk_ms=50_000,
                hold_ms=10_000, wrap_ms=30_000, handled=1),
            leg("x", TEN + 200_000, queue="", released_at=TEN + 210_000,
                wrapped_at=TEN + 210_000, release_reason="completed", talk_ms=10_000, handled=1),
        ],
        declines=[{"site": "s", "contact": "a", "declined_at": TEN + 1, "agent": "bob",
                   "ordinal": 0, "queue": "sales", "channel": "voice", "reason": "no_answer",
                   "is_deleted": 0}],
        agent_intervals=[interval("ann", TEN, TEN + 300_000, "talk", "red"),
                         interval("ann", TEN + 300_000, None, "available", "blue")],
    )  # fmt: skip
    ann, bob = db.rows(f"SELECT * FROM kpi_agent({SPAN}) ORDER BY agent")
    assert (ann["answered"], ann["wait_ms"], ann["team"]) == (1, 4_000, "blue")
    assert (ann["handled"], ann["handled_outside_queues"]) == (2, 1)
    assert (ann["handled_talk_ms"], ann["handled_hold_ms"], ann["handled_wrap_ms"]) == (
        (60_000, 10_000, 30_000)
    )
    assert (ann["aht_ms"], ann["talk_ms"], ann["occupancy"]) == (50_000, 300_000, 0.5)
    assert (bob["declined"], bob["answered"], bob["occupancy"]) == (1, 0, None)
    sales = queue(db, f"kpi_queue({SPAN})")
    assert (sales["handled"], sales["declined"]) == (1, 1)


# --- the present, and contacts ---


def test_who_waits_and_is_served_is_counted_by_the_time_of_the_site(fill: Fill) -> None:
    rows = [visit("a", TEN, "waiting"), visit("b", TEN + 30_000, "waiting"),
            visit("c", TEN, "answered", 10_000, agent="ann")]  # fmt: skip
    legs = [
        leg("c", TEN + 10_000, visit_queued_at=TEN),
        leg("d", TEN + 1_000, queue="", agent="bob"),
        leg("e", TEN - 9_000, agent="cyd", released_at=TEN + 40_000, release_reason="completed"),
    ]
    db = fill(TEN + 40_000, visits=rows, legs=legs,
              agent_intervals=[interval("ann", TEN + 10_000, None, "talk")])  # fmt: skip
    now = queue(db, "now_queue(at = NULL)")
    assert (now["waiting"], now["longest_wait_ms"]) == (2, 40_000)
    assert (now["waiting_past_threshold"], now["in_service"]) == (1, 1)
    earlier = queue(db, "now_queue(at = '2026-01-05 10:00:05')")
    assert (earlier["waiting"], earlier["in_service"]) == (2, 1)
    serving = db.rows("SELECT contact, queue FROM serving_at(at = NULL) ORDER BY contact")
    assert serving == [{"contact": "c", "queue": "sales"}, {"contact": "d", "queue": ""}]
    (agent,) = db.rows("SELECT * FROM now_agent(at = NULL)")
    assert (agent["state"], agent["for_ms"], agent["team"]) == ("talk", 30_000, "red")


def test_a_contact_is_one_row_a_visit_with_its_legs_and_rings(fill: Fill) -> None:
    db = fill(
        TEN + 900_000,
        visits=[
            visit("c", TEN, "answered", 12_000, agent="ann", customer="k1", priority=2),
            visit("c", TEN + 100_000, "waiting", queue="help"),
        ],
        legs=[
            leg("c", TEN + 12_000, visit_queued_at=TEN, released_at=TEN + 100_000, hold_ms=8_000,
                release_reason="transferred", wrapped_at=TEN + 110_000, talk_ms=80_000,
                wrap_ms=10_000, handled=1),
            leg("c", TEN + 20_000, agent="bob"),
        ],
        declines=[{"site": "s", "contact": "c", "declined_at": TEN + 5_000, "agent": "cyd",
                   "ordinal": 0, "queue": "sales", "channel": "voice", "reason": "rejected",
                   "is_deleted": 0}],
    )  # fmt: skip
    first, second = db.rows("SELECT * FROM contacts ORDER BY queued_at")
    assert (first["wait_ms"], first["is_within_threshold"], first["outcome"]) == (
        (12_000, 1, "answered")
    )
    assert (first["leg_agents"], first["handled"], first["transferred"]) == (["ann"], 1, 1)
    assert (first["talk_ms"], first["hold_ms"], first["wrap_ms"]) == (80_000, 8_000, 10_000)
    assert (first["declined"], first["customer"], first["priority"]) == (1, "k1", 2)
    assert (second["wait_ms"], second["is_within_threshold"], second["declined"]) == (None, None, 0)


def test_queues_sum_to_their_channel_and_to_the_site(fill: Fill) -> None:
    rows = [
        visit("a", TEN, "answered", 1_000, agent="ann"),
        visit("b", TEN, "answered", 50_000, agent="ann", queue="help"),
        visit("c", TEN, "abandoned", 2_000, queue="help", channel="chat"),
    ]
    db = fill(TEN + 60_000, visits=rows)
    assert len(db.rows(f"SELECT * FROM kpi_queue({SPAN})")) == 3
    channels = {r["channel"]: r["answered"] for r in db.rows(f"SELECT * FROM kpi_channel({SPAN})")}
    assert channels == {"voice": 2, "chat": 0}
    site = queue(db, f"kpi_site({SPAN})")
    assert (site["offered"], site["answered_in"], site["service_level"]) == (3, 1, 1 / 3)


def test_feedback_keeps_what_is_absent_apart_from_zero(fill: Fill) -> None:
    survey = {"site": "s", "contact": "c", "at": TEN, "type": "survey.answered", "key": "k"}
    survey |= {"csat": 5, "resolved": True, "nps": None, "queue": None, "is_deleted": 0}
    db = fill(TEN, feedback=[survey])
    row = queue(db, "contact_feedback")
    assert (row["csat"], row["resolved"], row["nps"], row["queue"]) == (5, True, None, None)
