"""The counters: their limits, their moments, the two anchors (contract, section 3)."""

import pytest

from tests.engine.stories import (
    MINUTE,
    abandoned,
    answered,
    declined,
    left,
    queued,
    released,
    site,
    wrapped,
)
from tests.engine.subjects import Subject


@pytest.mark.parametrize(("wait", "within"), [(19_999, 1), (20_000, 1), (20_001, 0)])
def test_the_threshold_is_inclusive_for_answers(subject: Subject, wait: int, within: int) -> None:
    seen = subject.replay([queued(0), answered(wait)], at=MINUTE).counted()
    assert seen.get("answered_in", 0) == within
    assert seen.get("sl_met", 0) == within
    assert seen.get("sl_missed", 0) == 1 - within


@pytest.mark.parametrize(("wait", "within"), [(19_999, 1), (20_000, 1), (20_001, 0)])
def test_the_threshold_is_inclusive_for_abandons(subject: Subject, wait: int, within: int) -> None:
    seen = subject.replay([queued(0), abandoned(wait)], at=MINUTE).counted()
    assert seen.get("abandoned_in", 0) == within
    assert seen.get("sl_abandoned", 0) == within
    assert seen.get("sl_missed", 0) == 1 - within


@pytest.mark.parametrize(("wait", "short"), [(4_999, 1), (5_000, 1), (5_001, 0)])
def test_the_short_limit_is_inclusive(subject: Subject, wait: int, short: int) -> None:
    seen = subject.replay([queued(0), abandoned(wait)], at=MINUTE).counted()
    assert seen.get("abandoned_short", 0) == short
    assert seen["abandoned"] == 1


def test_a_visit_left_by_its_threshold_is_neither_met_nor_missed(subject: Subject) -> None:
    seen = subject.replay([queued(0), left(20_000)], at=MINUTE)
    assert seen.counted() == {"offered": 1, "left_other": 1}
    seen = subject.replay([queued(0), left(20_001)], at=MINUTE)
    assert seen.counted() == {"offered": 1, "left_other": 1, "sl_missed": 1}


def test_a_call_is_missed_once_the_sites_time_is_greater_than_its_threshold(
    subject: Subject,
) -> None:
    assert subject.replay([queued(0)], at=20_000).counted() == {"offered": 1}
    assert subject.replay([queued(0)], at=20_001).counted() == {"offered": 1, "sl_missed": 1}


def test_a_miss_is_booked_at_queued_plus_threshold(subject: Subject) -> None:
    """Queued 4:50, missed 5:10; in the five minutes up to 10:10 the miss is the first pane."""
    seen = subject.replay([queued(290_000), answered(320_000)], at=610_000)
    assert seen.counted(window="5m") == {"sl_missed": 1, "answered": 1, "wait_ms": 30_000}


def test_threshold_and_short_limit_are_the_queues_own(subject: Subject) -> None:
    settings = site(
        defaults={"threshold_ms": 10_000},
        queues={"help": {"threshold_ms": 30_000, "short_abandon_ms": 0}},
    )
    events = [
        *(queued(0, "a", "sales"), answered(15_000, "a")),
        *(queued(0, "b", "help"), answered(15_000, "b")),
        *(queued(0, "d", "help"), abandoned(1, "d")),
        *(queued(0, "e", "help"), abandoned(0, "e")),
    ]
    seen = subject.replay(events, at=MINUTE, settings=settings)
    assert "answered_in" not in seen.counted("sales")
    assert seen.counted("help")["answered_in"] == 1
    assert seen.counted("help")["abandoned_short"] == 1


def test_a_threshold_of_nothing_is_met_only_at_once(subject: Subject) -> None:
    settings = site(defaults={"threshold_ms": 0})
    events = [queued(0, "a"), answered(0, "a"), queued(0, "b"), answered(1, "b", "bob")]
    assert subject.replay(events, at=0, settings=settings).counted() == {
        "offered": 2,
        "answered": 1,
        "answered_in": 1,
        "sl_met": 1,
    }
    seen = subject.replay(events, at=1, settings=settings).counted()
    assert (seen["sl_met"], seen["sl_missed"]) == (1, 1)


def five_minutes_later(subject: Subject, anchor: str) -> dict[str, int]:
    """Three calls queued at 0:00 that end at 5:00, seen in the window [0:10, 5:10)."""
    events = [
        *(queued(0, "a"), answered(300_000, "a"), wrapped(300_000, "a")),
        *(queued(0, "b"), abandoned(300_000, "b")),
        *(queued(0, "c"), left(300_000, "c", reason="timeout")),
        *(queued(0, "d"), declined(300_000, "d"), answered(1_000, "d"), released(300_000, "d")),
    ]
    seen = subject.replay(events, at=305_000, settings=site(anchor=anchor))
    return seen.counted(window="5m")


def test_by_outcome_each_counter_is_stamped_at_its_moment(subject: Subject) -> None:
    assert five_minutes_later(subject, "outcome") == {
        "answered": 1,
        "wait_ms": 300_000,
        "abandoned": 1,
        "abandoned_wait_ms": 300_000,
        "left_overflow": 1,
        "sl_missed": 3,
        "handled": 1,
    }


def test_by_arrival_outcomes_are_stamped_at_queued_and_the_rest_is_not_moved(
    subject: Subject,
) -> None:
    assert five_minutes_later(subject, "arrival") == {"sl_missed": 3, "handled": 1}


def test_by_arrival_the_total_is_the_same(subject: Subject) -> None:
    events = [queued(0), answered(9_000), released(20_000), wrapped(30_000)]
    by_outcome = subject.replay(events, at=MINUTE).counted()
    assert (
        subject.replay(events, at=MINUTE, settings=site(anchor="arrival")).counted() == by_outcome
    )


def test_by_arrival_met_and_abandoned_in_time_stay_at_their_outcome(subject: Subject) -> None:
    """Queued 0:05, outcome 0:15; the window is [0:10, 5:10)."""
    events = [queued(5_000, "a"), answered(15_000, "a"), queued(5_000, "b"), abandoned(15_000, "b")]
    seen = subject.replay(events, at=310_000, settings=site(anchor="arrival"))
    assert seen.counted(window="5m") == {"sl_met": 1, "sl_abandoned": 1}


def test_counters_are_kept_by_channel(subject: Subject) -> None:
    events = [queued(0, "a"), queued(0, "b", channel="chat"), abandoned(1_000, "b")]
    seen = subject.replay(events, at=2_000)
    assert seen.counted(channel="voice") == {"offered": 1}
    assert seen.counted(channel="chat")["abandoned"] == 1
    assert seen.in_all()["offered"] == 2
