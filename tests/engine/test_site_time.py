"""What the order of the frames decides: time, late, forgotten, dead (contract, section 6)."""

import pytest

from schemas.frames import Frame
from tests.engine.stories import (
    MINUTE,
    abandoned,
    answered,
    clock,
    left,
    profile,
    queued,
    released,
    site,
    state,
    survey,
    wrapped,
)
from tests.engine.subjects import Subject, frame, tick

HASTY = site(lateness_ms=10_000, stuck_after_ms=100_000)


def test_the_sites_time_is_the_greatest_now_or_ts_so_far(subject: Subject) -> None:
    assert subject.live([tick(5_000)])[0].data["at"] == 5_000
    frames = [frame([queued(7_000)], now=5_000), tick(6_000)]
    assert subject.live(frames)[0].data["at"] == 7_000
    frames = [frame([clock(9_000)], now=5_000), frame([survey(8_000)], 5_000, 10)]
    assert subject.live(frames)[0].data["at"] == 9_000


def test_a_tick_lets_a_silent_site_move_on(subject: Subject) -> None:
    first = frame([queued(0), state(0, "available")], now=0)
    seen, _ = subject.live([first, tick(20_001)])
    assert seen.counted() == {"offered": 1, "sl_missed": 1}
    assert seen.now()["longest_wait_ms"] == 20_001
    assert seen.time() == {"available_ms": 20_001}


def test_an_event_of_an_unknown_contact_older_than_the_lateness_is_late(
    subject: Subject,
) -> None:
    seen, late = subject.live([tick(50_000), frame([queued(39_999)], 50_000, 7)], HASTY)
    assert late == [7]
    assert (seen.late, seen.dead_lettered) == (1, 1)
    assert seen.in_all() == {}


def test_at_the_lateness_itself_it_is_in_time(subject: Subject) -> None:
    seen, late = subject.live([tick(50_000), frame([queued(40_000)], 50_000)], HASTY)
    assert late == []
    assert seen.counted() == {"offered": 1}


def test_now_comes_before_the_events_of_its_frame(subject: Subject) -> None:
    _, late = subject.live([frame([queued(0)], now=10_001)], HASTY)
    assert late == [0]
    _, late = subject.live([frame([queued(0)], now=10_000)], HASTY)
    assert late == []


def test_events_of_a_frame_are_judged_one_by_one(subject: Subject) -> None:
    events = [queued(0, "a"), clock(10_001), queued(0, "b"), queued(1, "d")]
    seen, late = subject.live([frame(events, now=0)], HASTY)
    assert late == [2]
    assert seen.counted()["offered"] == 2


def test_an_old_event_of_a_remembered_contact_is_not_late(subject: Subject) -> None:
    frames = [
        frame([queued(0)], now=0),
        tick(60_000),
        frame([answered(5_000)], 60_000, 10),
    ]
    seen, late = subject.live(frames, HASTY)
    assert late == []
    assert seen.counted() == {
        "offered": 1,
        "answered": 1,
        "answered_in": 1,
        "wait_ms": 5_000,
        "sl_met": 1,
    }


def test_a_contact_is_forgotten_when_the_time_exceeds_its_end_by_the_lateness(
    subject: Subject,
) -> None:
    first = frame([queued(0), abandoned(5_000)], now=5_000)
    old = frame([queued(1_000, queue="help")], 0, 10)
    _, late = subject.live([first, tick(15_000), old], HASTY)
    assert late == []
    _, late = subject.live([first, tick(15_001), old], HASTY)
    assert late == [10]


def test_a_waiting_contact_is_not_forgotten(subject: Subject) -> None:
    frames = [frame([queued(0)], 0), tick(100_000), frame([left(1_000)], 100_000, 10)]
    seen, late = subject.live(frames, HASTY)
    assert late == []
    assert seen.counted() == {"offered": 1, "left_other": 1}


def test_a_contact_with_an_open_leg_is_not_forgotten(subject: Subject) -> None:
    frames = [
        frame([answered(0, queue="sales"), released(1_000)], 1_000),
        tick(90_000),
        frame([wrapped(2_000)], 90_000, 10),
    ]
    seen, late = subject.live(frames, HASTY)
    assert late == []
    assert seen.counted() == {"handled": 1, "talk_ms": 1_000, "wrap_ms": 1_000}


def test_a_lost_visit_ends_when_it_is_lost_and_is_forgotten_after_that(
    subject: Subject,
) -> None:
    """Queued at 0, lost at 100 s, remembered up to and including 110 s."""
    first = frame([queued(0)], now=0)
    old = frame([abandoned(3_000)], 0, 10)
    seen, late = subject.live([first, tick(110_000), old], HASTY)
    assert late == []
    assert seen.counted()["abandoned"] == 1
    assert "left_other" not in seen.counted()
    seen, late = subject.live([first, tick(110_001), old], HASTY)
    assert late == [10]
    assert seen.counted()["left_other"] == 1


def test_an_old_event_that_ends_all_lets_the_contact_be_forgotten_at_once(
    subject: Subject,
) -> None:
    frames = [
        frame([queued(0)], 0),
        tick(50_000),
        frame([abandoned(3_000), queued(4_000, queue="help")], 50_000, 10),
    ]
    seen, late = subject.live(frames, HASTY)
    assert late == [11]
    assert seen.in_all()["offered"] == 1


def test_an_event_that_changes_nothing_is_remembered_too(subject: Subject) -> None:
    first = frame([released(5_000)], now=5_000)
    old = frame([queued(0)], 0, 10)
    seen, late = subject.live([first, tick(15_000), old], HASTY)
    assert late == []
    _, late = subject.live([first, tick(15_001), old], HASTY)
    assert late == [10]


def test_a_newer_event_of_a_forgotten_contact_begins_a_new_story(subject: Subject) -> None:
    frames = [
        frame([queued(0), abandoned(5_000)], 5_000),
        tick(20_000),
        frame([queued(20_000)], 20_000, 10),
    ]
    seen, late = subject.live(frames, HASTY)
    assert late == []
    assert seen.counted()["offered"] == 2
    assert seen.now()["waiting"] == 1


def test_the_duplicate_of_a_remembered_event_changes_nothing(subject: Subject) -> None:
    once = frame([queued(0), abandoned(5_000)], 5_000)
    twice = frame([abandoned(5_000), queued(0)], 15_000, 10)
    seen, late = subject.live([once, twice], HASTY)
    assert late == []
    assert seen.inconsistent == 0
    assert seen.counted()["abandoned"] == 1


def test_the_duplicate_of_a_forgotten_event_is_late(subject: Subject) -> None:
    once = frame([queued(0), abandoned(5_000)], 5_000)
    twice = frame([queued(0), abandoned(5_000)], 15_001, 10)
    seen, late = subject.live([once, twice], HASTY)
    assert late == [10, 11]
    assert seen.counted()["offered"] == 1


def test_an_old_agent_event_is_late_however_well_the_agent_is_known(subject: Subject) -> None:
    frames = [
        frame([state(0, "available")], 0),
        tick(10_001),
        frame([state(0, "busy"), profile(1, team="red")], 10_001, 10),
    ]
    seen, late = subject.live(frames, HASTY)
    assert late == [10]
    assert seen.time("red") == {"available_ms": 10_000}


def test_feedback_and_clock_are_never_late(subject: Subject) -> None:
    frames = [tick(50_000), frame([survey(0, csat=1), clock(0)], 50_000)]
    seen, late = subject.live(frames, HASTY)
    assert late == []
    assert seen.data["at"] == 50_000


def test_feedback_does_not_make_a_contact_remembered(subject: Subject) -> None:
    frames = [tick(50_000), frame([survey(45_000, csat=1), queued(30_000)], 50_000)]
    _, late = subject.live(frames, HASTY)
    assert late == [1]


def test_feedback_does_not_keep_a_contact_remembered(subject: Subject) -> None:
    frames = [
        frame([queued(0), abandoned(1_000)], 1_000),
        frame([survey(9_000, csat=1)], 9_000, 10),
        frame([queued(500, queue="help")], 12_000, 20),
    ]
    assert subject.live(frames, HASTY)[1] == [20]


def test_an_event_of_the_future_moves_the_time_for_those_after_it(subject: Subject) -> None:
    frames = [frame([queued(30_000, "a"), queued(19_999, "b")], now=0)]
    seen, late = subject.live(frames, HASTY)
    assert late == [1]
    assert seen.data["at"] == 30_000


def test_a_late_event_corrects_the_pane_it_belongs_to(subject: Subject) -> None:
    """At 7:00 it becomes known that the call of 0:00 was answered at 0:30."""
    frames = [frame([queued(0)], 0), tick(7 * MINUTE), frame([answered(30_000)], 7 * MINUTE, 10)]
    seen, _ = subject.live(frames)
    assert seen.counted(window="5m") == {}
    assert seen.counted(window="15m") == {
        "offered": 1,
        "answered": 1,
        "wait_ms": 30_000,
        "sl_missed": 1,
    }


def test_a_late_event_may_lower_inconsistent(subject: Subject) -> None:
    first = frame([abandoned(3_000)], 3_000)
    assert subject.live([first])[0].inconsistent == 1
    assert subject.live([first, frame([queued(0)], 3_000, 10)])[0].inconsistent == 0


def test_raw_offsets_delivered_again_are_skipped(subject: Subject) -> None:
    once = frame([queued(0, "a"), queued(0, "b")], 0, first=5)
    again = frame([queued(0, "b"), queued(0, "d")], 10_001, first=6)
    seen, late = subject.live([once, again], HASTY)
    assert late == [7]
    assert seen.counted()["offered"] == 2


def test_offsets_are_counted_by_partition_and_epoch(subject: Subject) -> None:
    frames = [
        frame([queued(0, "a")], 0, first=5),
        frame([queued(0, "b")], 0, first=5, partition=1),
        frame([queued(0, "d")], 0, first=5, epoch=1),
        frame([queued(0, "e")], 0, first=5, epoch=1),
    ]
    seen, _ = subject.live(frames)
    assert seen.counted()["offered"] == 3


def test_a_dead_record_counts_once_however_often_it_is_delivered(subject: Subject) -> None:
    frames = [
        frame([queued(0)], 0, first=0, dead=[0, 2]),
        frame([], 0, dead=[2]),
        frame([], 0, dead=[2, 3]),
    ]
    seen, late = subject.live(frames)
    assert late == []
    assert seen.dead_lettered == 3
    assert seen.counted()["offered"] == 1


def test_a_dead_record_does_not_hide_the_older_events_of_its_frame(subject: Subject) -> None:
    seen, _ = subject.live([frame([queued(0, "a"), queued(0, "b")], 0, first=3, dead=[5])])
    assert seen.counted()["offered"] == 2
    assert seen.dead_lettered == 1


def test_a_visit_keeps_the_limits_it_was_queued_under(subject: Subject) -> None:
    """The threshold rises from 20 s to 60 s at noon; both calls wait 40 s."""
    noon = 12 * 60 * MINUTE
    after = site(defaults={"threshold_ms": 60_000, "short_abandon_ms": 50_000})
    frames = [
        frame([queued(noon - 1, "a"), queued(noon - 1, "x")], noon - 1),
        tick(noon, settings=after),
        frame([queued(noon, "b"), queued(noon, "y")], noon, 10),
        frame(
            [answered(noon + 39_999, "a"), answered(noon + 40_000, "b", "bob")], noon + 40_000, 20
        ),
        frame([abandoned(noon + 40_000, "x"), abandoned(noon + 40_000, "y")], noon + 40_000, 30),
    ]
    seen, _ = subject.live(frames)
    counted = seen.counted()
    assert (counted["answered"], counted["answered_in"], counted["sl_met"]) == (2, 1, 1)
    assert (counted["abandoned"], counted["abandoned_in"], counted["abandoned_short"]) == (2, 1, 1)
    assert counted["sl_missed"] == 2


def test_a_visit_that_becomes_known_late_has_the_limits_of_its_own_time(
    subject: Subject,
) -> None:
    frames = [
        frame([], 0),
        tick(60_000, settings=site(defaults={"threshold_ms": 1_000})),
        frame([queued(50_000, "a"), answered(60_000, "a")], 60_000, 10),
        frame([queued(60_000, "b"), answered(70_000, "b", "bob")], 70_000, 20),
    ]
    seen, _ = subject.live(frames)
    assert seen.counted()["answered_in"] == 1


def test_a_visit_keeps_its_stuck_limit(subject: Subject) -> None:
    frames = [
        frame([queued(0, "a"), queued(0, "b")], 1_000),
        tick(2_000, settings=site(stuck_after_ms=5_000)),
        frame([queued(2_000, "d")], 2_000, 10),
        tick(50_000),
    ]
    seen, _ = subject.live(frames)
    assert seen.now() == {"waiting": 2, "longest_wait_ms": 50_000, "in_service": 0}
    assert seen.counted()["left_other"] == 1


def test_a_leg_keeps_the_stuck_limit_it_was_answered_under(subject: Subject) -> None:
    frames = [
        frame([queued(0, "a"), queued(0, "b"), answered(1_000, "a")], 1_000),
        tick(2_000, settings=site(stuck_after_ms=5_000)),
        frame([answered(2_000, "b", "bob")], 2_000, 10),
        tick(7_000),
    ]
    assert subject.live(frames)[0].agents() == {"talk": 2}
    assert subject.live([*frames, tick(7_001)])[0].agents() == {"talk": 1}


def test_formula_changes_at_once_for_all_that_was_counted(subject: Subject) -> None:
    frames = [
        frame([queued(0), abandoned(10_000)], 10_000),
        tick(11_000, settings=site(defaults={"formula": "abandons_positive"})),
    ]
    assert subject.live(frames[:1])[0].window()["service_level"] == 0.0
    assert subject.live(frames)[0].window()["service_level"] == 1.0


def test_the_lateness_in_force_is_the_newest(subject: Subject) -> None:
    frames: list[Frame] = [
        tick(50_000),
        tick(51_000, settings=HASTY),
        frame([queued(40_000)], 51_000),
    ]
    assert subject.live(frames)[1] == [0]
    assert subject.live([frames[0], frames[2]])[1] == []


@pytest.mark.parametrize("ticks", [[], [tick(11_500)], [tick(19_999)]])
def test_time_passes_under_the_old_lateness_until_the_new_one(
    subject: Subject, ticks: list[Frame]
) -> None:
    """Over at 1 s, forgotten at 11.001 s under 10 s of lateness, whether a tick says so or not."""
    frames = [
        frame([queued(0), abandoned(1_000)], 1_000),
        *ticks,
        tick(20_000, settings=site(lateness_ms=60 * MINUTE)),
        frame([queued(0)], 20_000, 10),
    ]
    seen, late = subject.live(frames, HASTY)
    assert late == []
    assert seen.counted()["offered"] == 2


def test_a_forgotten_contact_stays_forgotten_when_the_lateness_rises(subject: Subject) -> None:
    """Forgotten at 20 s under 10 s of lateness, so what comes under an hour is a new story."""
    frames = [
        frame([queued(0), abandoned(1_000)], 1_000),
        tick(20_000),
        tick(20_001, settings=site(lateness_ms=60 * MINUTE)),
        frame([queued(0)], 20_001, 10),
    ]
    seen, late = subject.live(frames, HASTY)
    assert late == []
    assert seen.counted()["offered"] == 2
    assert seen.now()["waiting"] == 1
