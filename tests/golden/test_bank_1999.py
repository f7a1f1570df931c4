"""The Anonymous Bank's January and February 1999, counted from its files by independent scripts.

"Anonymous Bank" call-by-call data 1999, collected and documented by Ilan Guedj and Avishai
Mandelbaum, Technion; see Brown et al., JASA 100 (2005).
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pipeline.engine import Site
from pipeline.replay import read_history, snapshots
from pipeline.sources import FORMATS
from pipeline.sources.lines import LineFile
from schemas.kpis import ratio, service_level_parts
from tests import oracle
from tests.engine.figures import figures
from tests.golden.bank import (
    FEBRUARY,
    JANUARY,
    MINUTE,
    Board,
    boards,
    counters,
    events_of,
    framed,
    in_disorder,
    local,
    replayed,
    settings,
)

pytestmark = pytest.mark.timeout(600)  # a month is 150,000 events, on a busy machine a minute

MONTHS = {"january": JANUARY, "february": FEBRUARY}
AFTER = {"january": local("1999-02-01T06:00"), "february": local("1999-03-01T06:00")}
MOMENTS = {
    "january": [
        local("1999-01-04T00:00") - 1,
        local("1999-01-12T12:00"),
        AFTER["january"],
    ],
    "february": [
        local("1999-02-07T15:30"),
        local("1999-02-07T16:00"),
        local("1999-02-07T16:30"),
        AFTER["february"],
    ],
}

TOTALS = {
    "january": {
        "offered": 30161,
        "answered": 27060,
        "answered_in": 16402,
        "wait_ms": 947_857_000,
        "abandoned": 3101,
        "abandoned_in": 1006,
        "abandoned_short": 195,
        "handled": 27060,
        "talk_ms": 4_964_204_000,
        "hold_ms": 0,
        "wrap_ms": 0,
        "sl_met": 16402,
        "sl_missed": 30161 - 16402 - 1006,
        "sl_abandoned": 1006,
    },
    "february": {
        "offered": 31125,
        "answered": 27162,
        "answered_in": 16209,
        "wait_ms": 1_107_512_000,
        "abandoned": 3963,
        "abandoned_in": 1257,
        "abandoned_short": 274,
        "handled": 27162,
        "talk_ms": 4_790_100_000,
        "hold_ms": 0,
        "wrap_ms": 0,
        "sl_met": 16209,
        "sl_missed": 31125 - 16209 - 1257,
        "sl_abandoned": 1257,
    },
}
RATIOS = {
    "january": {"abandonment": 0.102815, "asa_ms": 35_028.0, "aht_ms": 183_451.7},
    "february": {"abandonment": 0.127325, "asa_ms": 40_774.3, "aht_ms": 176_353.0},
}
SERVICE_LEVELS = [
    ("january", "abandons_negative", 0.543815),
    ("january", "ignore_abandons", 0.562579),
    ("january", "abandons_positive", 0.577169),
    ("january", "answered_only", 0.606135),
    ("february", "abandons_negative", 0.520771),
    ("february", "ignore_abandons", 0.542688),
    ("february", "abandons_positive", 0.561157),
    ("february", "answered_only", 0.596753),
]


@pytest.fixture(scope="module")
def seen() -> dict[int, Board]:
    """Each month replayed once, with the boards at all moments that tests ask for."""
    return {
        moment: board
        for month, path in MONTHS.items()
        for moment, board in replayed(path, MOMENTS[month]).items()
    }


@pytest.mark.parametrize("month", MONTHS)
def test_the_totals_of_the_month_are_right_to_the_call(seen: dict[int, Board], month: str) -> None:
    found = counters(seen[AFTER[month]])
    assert {name: found[name] for name in TOTALS[month]} == TOTALS[month]
    assert found["left_callback"] == found["left_overflow"] == found["left_other"] == 0


@pytest.mark.parametrize("month", MONTHS)
def test_the_bank_tells_no_inconsistent_story_and_nothing_is_left_open(
    seen: dict[int, Board], month: str
) -> None:
    board = seen[AFTER[month]]
    assert (board["inconsistent"], board["late"], board["dead_lettered"]) == (0, 0, 0)
    assert board["all"]["queues"]["now"]["waiting"] == 0
    assert board["all"]["queues"]["now"]["in_service"] == 0


@pytest.mark.parametrize("month", MONTHS)
def test_abandonment_speed_of_answer_and_service_time_of_the_month(
    seen: dict[int, Board], month: str
) -> None:
    found, expected = counters(seen[AFTER[month]]), RATIOS[month]
    assert round(found["abandonment"], 6) == expected["abandonment"]
    assert round(found["asa_ms"], 1) == expected["asa_ms"]
    assert round(found["aht_ms"], 1) == expected["aht_ms"]


@pytest.mark.parametrize(("month", "formula", "expected"), SERVICE_LEVELS)
def test_the_service_level_of_the_month_by_four_formulas(
    seen: dict[int, Board], month: str, formula: str, expected: float
) -> None:
    totals = counters(seen[AFTER[month]])
    assert round(service_level(totals, formula), 6) == expected


def service_level(totals: dict[str, Any], formula: str) -> float:
    """By another formula than the one the board was asked for, from the same counters."""
    found = ratio(*service_level_parts(totals, formula, exclude_short=False))
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("queue", "expected"),
    [
        ("PS", (22033, 20374, 12612, 1659, 575, 32_342)),
        ("NW", (5233, 4017, 2106, 1216, 382, 47_246)),
    ],
)
def test_january_by_type_of_call(
    seen: dict[int, Board], queue: str, expected: tuple[int, ...]
) -> None:
    found = counters(seen[AFTER["january"]], queue=queue)
    names = ("offered", "answered", "answered_in", "abandoned", "abandoned_in")
    assert (*(found[name] for name in names), round(found["asa_ms"])) == expected


def test_the_day_of_3_january(seen: dict[int, Board]) -> None:
    board = seen[local("1999-01-04T00:00") - 1]
    found = counters(board, "today")
    names = ("offered", "answered", "answered_in", "abandoned", "abandoned_in")
    assert tuple(found[name] for name in names) == (2053, 1880, 1200, 173, 62)
    assert round(found["service_level"], 6) == 0.584510
    assert round(service_level(found, "ignore_abandons"), 6) == 0.602712
    assert round(service_level(found, "abandons_positive"), 6) == 0.614710


def test_a_day_without_calls_is_no_data(seen: dict[int, Board]) -> None:
    """The file has no rows of 11 and 12 January."""
    found = counters(seen[local("1999-01-12T12:00")], "today")
    assert found["offered"] == 0
    assert found["service_level"] is None
    assert found["abandonment"] is None


def interval(board: Board) -> dict[str, int]:
    """15:30 to 16:00, seen at 16:30: the last hour without its second half."""
    hour, half = counters(board, "60m"), counters(board, "30m")
    names = (*("offered", "answered", "answered_in", "abandoned", "abandoned_in"),)
    return {n: hour[n] - half[n] for n in (*names, "sl_met", "sl_missed", "sl_abandoned")}


BY_EVENT = {"sl_met": 43, "sl_missed": 8, "sl_abandoned": 1}


def test_the_interval_of_7_february_by_outcome(seen: dict[int, Board]) -> None:
    expected = {
        "offered": 52,
        "answered": 55,
        "answered_in": 43,
        "abandoned": 2,
        "abandoned_in": 1,
        **BY_EVENT,
    }
    assert interval(seen[local("1999-02-07T16:30")]) == expected
    at_its_end = counters(seen[local("1999-02-07T16:00")], "30m")
    assert {name: at_its_end[name] for name in expected} == expected


def test_the_interval_of_7_february_by_arrival() -> None:
    day = [e for e in events_of(FEBRUARY) if local("1999-02-07T06:00") <= e["ts"]]
    at = local("1999-02-07T16:30")
    board = boards([e for e in day if e["ts"] <= at], settings(anchor="arrival"), [at])[at]
    assert interval(board) == {
        "offered": 52,
        "answered": 51,
        "answered_in": 43,
        "abandoned": 1,
        "abandoned_in": 1,
        **BY_EVENT,
    }


def test_five_callers_wait_at_half_past_three_all_past_their_target(
    seen: dict[int, Board],
) -> None:
    now = seen[local("1999-02-07T15:30")]["all"]["queues"]["now"]
    assert now["waiting"] == 5
    assert now["longest_wait_ms"] == 52_000
    assert now["waiting_past_threshold"] == 5


def test_a_call_that_queues_on_the_stroke_of_midnight_waits() -> None:
    """A row of 15 February has `q_start` 0:00:00 and waits 27 s, in the next day; one without a
    wait has 0:00:00 as well."""
    with LineFile(FEBRUARY) as lines:
        header, *rows = lines
    [row] = [r for r in rows if (f := r.split(b"\t"))[9] == b"0:00:00" and f[11] != b"0"]
    history = read_history([header, row], FORMATS["bank-1999"], None)
    midnight = local("1999-02-16T00:00")
    moments = [midnight - 1, midnight + 26_999, midnight + 27_000]
    before, waiting, answered = snapshots(history, settings(), moments)
    assert before["all"]["queues"]["now"]["waiting"] == 0
    assert waiting["queues"]["PS"]["voice"]["now"]["longest_wait_ms"] == 26_999
    total = counters(answered)
    assert (total["offered"], total["answered"], total["wait_ms"]) == (1, 1, 27_000)
    assert counters(waiting, "today")["offered"] == 1
    assert counters(waiting, "today")["sl_missed"] == 1


def test_disorder_duplicates_and_restarts_leave_a_week_as_it_was() -> None:
    start, at = local("1999-02-07T00:00"), local("1999-02-14T06:00")
    week = [e for e in events_of(FEBRUARY) if start <= e["ts"] < at]
    site = Site(settings())
    frames = list(framed(in_disorder(week, seed=1999)))
    restarts = {len(frames) // 3, len(frames) // 2, len(frames) - 1}
    for offset, frame in frames:
        assert site.apply(frame, offset).late == []
        if offset in restarts:
            site = Site.restore(site.all_parts())
            assert site.apply(frame, offset).late == []
    site.advance(at)
    assert figures(site.view()) == figures(boards(week, settings(), [at])[at])


def test_a_formula_chosen_afterwards_shows_at_once_on_the_whole_month() -> None:
    at = local("1999-02-08T00:00")
    week = [e for e in events_of(FEBRUARY) if e["ts"] < at]
    site = Site(settings())
    offset = 0
    for offset, frame in framed(week):
        site.apply(frame, offset)
    last = replace(frame, now=at, raw=None, dead=[], events=[], offsets=[])
    totals = counters(site.view())
    for n, formula in enumerate(dict.fromkeys(f for _, f, _ in SERVICE_LEVELS), offset + 1):
        site.apply(replace(last, settings=settings(defaults={"formula": formula}).dump()), n)
        assert counters(site.view())["service_level"] == service_level(totals, formula)


@pytest.mark.parametrize("clock", ["09:59:59.999", "13:07:03", "15:30:00", "23:59:50"])
def test_on_a_real_day_the_engine_and_its_oracle_show_the_same(clock: str) -> None:
    at = local("1999-02-07T00:00") + clock_ms(clock)
    day = [e for e in events_of(FEBRUARY) if local("1999-02-07T00:00") <= e["ts"] <= at]
    board = boards(day, settings(), [at])[at]
    assert figures(board) == figures(oracle.snapshot(day, settings(), at))


def clock_ms(text: str) -> int:
    hours, minutes, seconds = text.split(":")
    return (int(hours) * 60 + int(minutes)) * MINUTE + round(float(seconds) * 1000)


def test_the_bundled_months_are_the_ones_the_figures_are_of() -> None:
    assert [Path(month).name for month in MONTHS.values()] == ["january.txt.gz", "february.txt.gz"]
    for month, path in MONTHS.items():
        kinds = [e["type"] for e in events_of(path)]
        assert kinds.count("contact.answered") == TOTALS[month]["answered"]
        assert kinds.count("contact.abandoned") == TOTALS[month]["abandoned"]
