"""Windows and their edges, to the millisecond (contract, section 5).

P = 10 s          e - 5m                                  t   e
------|-----------[===================================....)---|--
                   a moment here counts             not known yet
"""

from datetime import datetime, timedelta

import pytest

from tests.engine.stories import (
    HOUR,
    MINUTE,
    SECOND,
    abandoned,
    answered,
    queued,
    site,
    state,
)
from tests.engine.subjects import Subject, frame, tick

ROLLING = {"5m": 5 * MINUTE, "15m": 15 * MINUTE, "30m": 30 * MINUTE, "60m": HOUR}
BASE = 1_000_000 * 10 * SECOND


@pytest.mark.parametrize("window", ROLLING)
@pytest.mark.parametrize("into_pane", [1, 4_999, 9_999, 10_000])
def test_a_window_begins_at_the_pane_edge_w_before_its_end(
    subject: Subject, window: str, into_pane: int
) -> None:
    """t is up to 10 s after BASE, so e is BASE + 10 s and the window begins at e - W."""
    start = BASE + 10_000 - ROLLING[window]
    events = [queued(start - 1, "before"), queued(start, "first")]
    seen = subject.replay(events, at=BASE + into_pane)
    assert seen.counted(window=window)["offered"] == 1
    assert seen.counted(window="total")["offered"] == 2


def test_a_moment_at_the_sites_time_is_in_the_windows_within_a_pane(subject: Subject) -> None:
    seen = subject.replay([queued(BASE + 3_000)], at=BASE + 3_000)
    for window in (*ROLLING, "today", "total"):
        assert seen.counted(window=window) == {"offered": 1}


def test_at_a_pane_edge_a_moment_equal_to_the_time_is_in_now_and_total_only(
    subject: Subject,
) -> None:
    seen = subject.replay([queued(BASE)], at=BASE)
    for window in (*ROLLING, "today"):
        assert seen.counted(window=window) == {}
    assert seen.counted(window="total") == {"offered": 1}
    assert seen.now()["waiting"] == 1


def test_it_is_in_the_windows_a_millisecond_later(subject: Subject) -> None:
    seen = subject.replay([queued(BASE)], at=BASE + 1)
    for window in (*ROLLING, "today", "total"):
        assert seen.counted(window=window) == {"offered": 1}


def test_at_a_pane_edge_the_oldest_pane_is_still_in_until_a_millisecond_later(
    subject: Subject,
) -> None:
    events = [queued(BASE - 5 * MINUTE)]
    assert subject.replay(events, at=BASE).counted(window="5m") == {"offered": 1, "sl_missed": 1}
    assert subject.replay(events, at=BASE + 1).counted(window="5m") == {"sl_missed": 1}


@pytest.mark.parametrize("pane", [1_000, 15_000, 60_000])
def test_the_edge_is_that_of_the_sites_panes(subject: Subject, pane: int) -> None:
    edge = 28_000_000 * MINUTE
    settings = site(pane_ms=pane)
    events = [
        queued(edge - 5 * MINUTE + pane - 1, "before"),
        queued(edge + pane - 5 * MINUTE, "in"),
    ]
    seen = subject.replay(events, at=edge + 1, settings=settings)
    assert seen.counted(window="5m")["offered"] == 1


def test_state_time_is_known_up_to_the_sites_time_only(subject: Subject) -> None:
    events = [state(BASE - HOUR, "available")]
    seen = subject.replay(events, at=BASE + 3_000)
    assert seen.time(window="5m") == {"available_ms": 5 * MINUTE - 7_000}
    assert seen.time(window="60m") == {"available_ms": HOUR - 7_000}
    assert seen.time(window="total") == {"available_ms": HOUR + 3_000}
    assert subject.replay(events, at=BASE).time(window="5m") == {"available_ms": 5 * MINUTE}


def test_windows_go_empty_while_nothing_happens_and_total_stays(subject: Subject) -> None:
    events = [queued(BASE), abandoned(BASE + 1_000)]
    seen = subject.replay(events, at=BASE + 20 * MINUTE)
    assert seen.counted(window="15m") == {}
    assert seen.counted(window="30m")["abandoned"] == 1
    assert seen.window(window="15m")["abandonment"] is None
    seen = subject.replay(events, at=BASE + 50 * 24 * HOUR)
    assert seen.counted(window="60m") == {}
    assert seen.counted(window="today") == {}
    assert seen.counted(window="total")["abandoned"] == 1


def test_a_silence_of_very_short_panes_is_no_way_back(subject: Subject) -> None:
    """More of them than are stepped over one by one, and yet less than the longest window."""
    frames = [frame([queued(0), state(0, "available")], 0), tick(20 * MINUTE)]
    seen = subject.live(frames, site(pane_ms=10))[0]
    assert seen.counted(window="60m") == {"offered": 1, "sl_missed": 1}
    assert seen.counted(window="15m") == {}
    assert seen.time(window="60m") == {"available_ms": 20 * MINUTE}


def test_a_wait_across_windows_counts_each_figure_where_it_happened(subject: Subject) -> None:
    """Queued 0:00, missed 0:20, answered 6:00, seen at 7:00."""
    seen = subject.replay([queued(0), answered(6 * MINUTE)], at=7 * MINUTE)
    assert seen.counted(window="5m") == {"answered": 1, "wait_ms": 6 * MINUTE}
    assert seen.counted(window="15m")["sl_missed"] == 1


# Today.


def ms(text: str) -> int:
    """Epoch milliseconds of an ISO time with zone."""
    return (datetime.fromisoformat(text) - datetime.fromisoformat("1970-01-01T00:00Z")) // (
        timedelta(milliseconds=1)
    )


DAYS = [
    ("UTC", "2024-05-05T00:00Z", "2024-05-06T00:00Z"),
    ("Asia/Kolkata", "2024-05-04T18:30Z", "2024-05-05T18:30Z"),
    ("Europe/Berlin", "2024-03-30T23:00Z", "2024-03-31T22:00Z"),
    ("Europe/Berlin", "2024-10-26T22:00Z", "2024-10-27T23:00Z"),
    ("America/Sao_Paulo", "2017-10-15T03:00Z", "2017-10-16T02:00Z"),
    ("America/Sao_Paulo", "2018-02-17T02:00Z", "2018-02-18T03:00Z"),
    ("Asia/Jerusalem", "2024-03-28T22:00Z", "2024-03-29T21:00Z"),
    ("Asia/Jerusalem", "2024-10-26T21:00Z", "2024-10-27T22:00Z"),
    ("America/St_Johns", "2010-03-14T03:30Z", "2010-03-15T02:30Z"),
    ("Pacific/Apia", "2011-12-31T10:00Z", "2012-01-01T10:00Z"),
    ("Australia/Lord_Howe", "2024-04-06T13:00Z", "2024-04-07T13:30Z"),
]
"""Days with their first moment and that of the next: 24, 23, 25 hours, skipped midnights."""


@pytest.mark.parametrize(("zone", "first", "following"), DAYS)
def test_today_begins_at_the_first_moment_of_the_local_date(
    subject: Subject, zone: str, first: str, following: str
) -> None:
    start, end = ms(first), ms(following)
    moments = [start - 1, start, (start + end) // 2, end - 1, end]
    events = [queued(moment, f"c{n}", f"q{n}") for n, moment in enumerate(moments)]
    settings = site(time_zone=zone, stuck_after_ms=100 * HOUR)

    def today(at: int) -> list[str]:
        seen = subject.replay(events, at, settings)
        return [q for q in seen.data["queues"] if "offered" in seen.counted(q, window="today")]

    assert today(start - 1) == ["q0"]
    assert today(start + 1) == ["q1"]
    assert today(end - 1) == ["q1", "q2", "q3"]
    assert today(end + 1) == ["q4"]


def test_at_midnight_itself_today_is_empty(subject: Subject) -> None:
    midnight = ms("2024-05-05T00:00Z")
    events = [queued(midnight - 1, "a"), queued(midnight, "b"), state(midnight - HOUR, "busy")]
    seen = subject.replay(events, at=midnight)
    assert seen.counted(window="today") == {}
    assert seen.time(window="today") == {}
    assert seen.counted(window="total") == {"offered": 2}


def test_a_date_that_comes_back_is_the_same_today(subject: Subject) -> None:
    """St John's put its clocks back at 0:01 of 7 November 2010, to 23:01 of the 6th."""
    settings = site(time_zone="America/St_Johns")
    moments = {
        "sixth": ms("2010-11-06T12:00Z"),
        "seventh": ms("2010-11-07T02:30:30Z"),
        "sixth again": ms("2010-11-07T03:00Z"),
        "seventh again": ms("2010-11-07T03:40Z"),
    }
    events = [queued(moment, name, name) for name, moment in moments.items()]

    def today(at: int) -> set[str]:
        seen = subject.replay(events, at, settings)
        return {q for q in seen.data["queues"] if "offered" in seen.counted(q, window="today")}

    assert today(ms("2010-11-07T02:30:31Z")) == {"seventh"}
    assert today(ms("2010-11-07T03:00:01Z")) == {"sixth", "seventh", "sixth again"}
    assert today(ms("2010-11-07T03:40:01Z")) == {"seventh", "sixth again", "seventh again"}


def test_state_time_of_a_day_with_25_hours(subject: Subject) -> None:
    settings = site(time_zone="Europe/Berlin")
    events = [state(ms("2024-10-20T00:00Z"), "available")]
    last = ms("2024-10-27T23:00Z") - 1
    assert subject.replay(events, last, settings).time(window="today") == {
        "available_ms": 25 * HOUR - 1
    }


def test_state_time_is_divided_at_a_midnight_that_does_not_exist(subject: Subject) -> None:
    settings = site(time_zone="America/Sao_Paulo")
    events = [state(ms("2017-10-15T02:00Z"), "busy")]
    seen = subject.replay(events, ms("2017-10-15T04:00Z"), settings)
    assert seen.time(window="today") == {"busy_state_ms": HOUR}
    assert seen.time(window="total") == {"busy_state_ms": 2 * HOUR}
