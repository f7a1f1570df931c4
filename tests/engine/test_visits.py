"""Visits: what opens them, what closes them, what is ignored (contract, section 2)."""

import pytest

from tests.engine.stories import (
    SECOND,
    abandoned,
    answered,
    clock,
    left,
    queued,
    released,
    state,
    survey,
    wrapped,
)
from tests.engine.subjects import Subject


def test_a_queued_contact_is_offered_and_waits(subject: Subject) -> None:
    seen = subject.replay([queued(1_000)], at=4_000)
    assert seen.counted() == {"offered": 1}
    assert seen.now() == {"waiting": 1, "longest_wait_ms": 3_000, "in_service": 0}


def test_an_answer_ends_the_wait(subject: Subject) -> None:
    seen = subject.replay([queued(0), answered(12_000)], at=15_000)
    assert seen.counted() == {
        "offered": 1,
        "answered": 1,
        "answered_in": 1,
        "wait_ms": 12_000,
        "sl_met": 1,
    }
    assert seen.now() == {"waiting": 0, "longest_wait_ms": None, "in_service": 1}


def test_queued_again_while_waiting_there_does_not_renew_the_wait(subject: Subject) -> None:
    seen = subject.replay([queued(0), queued(5_000, priority=1), answered(9_000)], at=9_000)
    assert seen.counted()["offered"] == 1
    assert seen.counted()["wait_ms"] == 9_000
    assert seen.inconsistent == 1


def test_the_waiting_visit_stands_whatever_the_channel(subject: Subject) -> None:
    seen = subject.replay([queued(0), queued(5_000, channel="chat")], at=6_000)
    assert seen.counted(channel="voice") == {"offered": 1}
    assert seen.counted(channel="chat") == {}
    assert seen.inconsistent == 1


def test_queued_again_after_leaving_opens_a_second_visit(subject: Subject) -> None:
    seen = subject.replay([queued(0), abandoned(3_000), queued(8_000)], at=9_000)
    assert seen.counted()["offered"] == 2
    assert seen.now()["longest_wait_ms"] == 1_000
    assert seen.inconsistent == 0


def test_a_contact_may_wait_in_two_queues(subject: Subject) -> None:
    seen = subject.replay([queued(0), queued(2_000, queue="help")], at=3_000)
    assert seen.now("sales")["longest_wait_ms"] == 3_000
    assert seen.now("help")["longest_wait_ms"] == 1_000
    assert seen.in_all() == {"offered": 2}
    assert seen.data["all"]["queues"]["now"]["waiting"] == 2
    assert seen.data["all"]["queues"]["now"]["longest_wait_ms"] == 3_000


def test_an_answer_closes_the_visit_of_its_queue_and_the_other_goes_on(subject: Subject) -> None:
    events = [queued(0), queued(1_000, queue="help"), answered(4_000, queue="sales")]
    seen = subject.replay(events, at=5_000)
    assert seen.counted("sales")["answered"] == 1
    assert seen.counted("help") == {"offered": 1}
    assert seen.now("help")["waiting"] == 1
    assert seen.now("sales")["in_service"] == 1


@pytest.mark.parametrize("named", [{}, {"queue": "elsewhere"}])
def test_an_answer_that_names_no_waiting_queue_closes_the_one_queued_last(
    subject: Subject, named: dict[str, str]
) -> None:
    events = [queued(0), queued(1_000, queue="help"), answered(4_000, **named)]
    seen = subject.replay(events, at=5_000)
    assert seen.counted("help")["wait_ms"] == 3_000
    assert seen.counted("sales") == {"offered": 1}
    assert "elsewhere" not in seen.data["queues"]
    assert seen.inconsistent == 0


def test_queued_last_is_the_last_that_still_waits(subject: Subject) -> None:
    events = [queued(0), queued(1_000, queue="help"), left(2_000, queue="help"), answered(3_000)]
    assert subject.replay(events, at=3_000).counted("sales")["answered"] == 1


def test_an_answer_takes_queue_and_channel_of_the_visit_it_closes(subject: Subject) -> None:
    events = [
        queued(0, channel="chat"),
        answered(1_000, queue="help", channel="email"),
        released(2_000),
        wrapped(3_000),
    ]
    seen = subject.replay(events, at=3_000)
    assert seen.counted("sales", "chat")["handled"] == 1
    assert list(seen.data["queues"]) == ["sales"]


def test_abandoned_closes_only_the_visit_of_its_queue(subject: Subject) -> None:
    events = [queued(0), queued(0, queue="help"), abandoned(3_000, queue="help")]
    seen = subject.replay(events, at=4_000)
    assert seen.counted("help") == {
        "offered": 1,
        "abandoned": 1,
        "abandoned_in": 1,
        "abandoned_short": 1,
        "abandoned_wait_ms": 3_000,
        "sl_abandoned": 1,
    }
    assert seen.counted("sales") == {"offered": 1}


@pytest.mark.parametrize("leave", [abandoned, left])
def test_leaving_a_queue_in_which_nothing_waits_is_ignored(subject: Subject, leave) -> None:  # type: ignore[no-untyped-def]
    seen = subject.replay([queued(0), leave(3_000, queue="help")], at=4_000)
    assert seen.counted() == {"offered": 1}
    assert seen.now()["waiting"] == 1
    assert seen.inconsistent == 1


def test_leaving_without_queue_closes_all_that_wait(subject: Subject) -> None:
    events = [queued(0), queued(1_000, queue="help"), abandoned(6_000)]
    seen = subject.replay(events, at=6_000)
    assert seen.counted("sales")["abandoned_wait_ms"] == 6_000
    assert seen.counted("help")["abandoned_wait_ms"] == 5_000
    assert seen.inconsistent == 0


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
def test_a_left_visit_is_counted_by_its_reason(subject: Subject, reason: str, counter: str) -> None:
    seen = subject.replay([queued(0), left(3_000, reason=reason)], at=4_000)
    assert seen.counted() == {"offered": 1, counter: 1}


def test_an_exact_duplicate_is_one_event_and_not_inconsistent(subject: Subject) -> None:
    events = [queued(0), queued(0), abandoned(4_000), abandoned(4_000)]
    seen = subject.replay(events, at=5_000)
    assert seen.counted()["abandoned"] == 1
    assert seen.inconsistent == 0


def test_the_same_event_under_two_ids_is_two_and_one_is_inconsistent(subject: Subject) -> None:
    seen = subject.replay([queued(0, id="1"), queued(0, id="2")], at=0)
    assert seen.counted() == {"offered": 1}
    assert seen.inconsistent == 1


def test_an_ending_without_a_beginning_is_inconsistent_each(subject: Subject) -> None:
    events = [abandoned(1_000), left(2_000), released(3_000), wrapped(4_000)]
    seen = subject.replay(events, at=5_000)
    assert seen.inconsistent == 4
    assert seen.in_all() == {}


def test_feedback_clock_and_repeated_agent_states_are_never_inconsistent(
    subject: Subject,
) -> None:
    events = [survey(0, csat=5), clock(1_000), state(2_000, "available"), state(3_000, "available")]
    seen = subject.replay(events, at=4_000)
    assert seen.inconsistent == 0
    assert seen.in_all() == {}


def test_direction_changes_no_counter(subject: Subject) -> None:
    seen = subject.replay([queued(0, direction="outbound"), answered(1_000)], at=1_000)
    assert seen.counted()["answered"] == 1


def test_a_snapshot_knows_exactly_the_events_up_to_its_moment(subject: Subject) -> None:
    events = [answered(5 * SECOND), queued(0)]
    assert subject.replay(events, at=5 * SECOND - 1).counted() == {"offered": 1}
    assert subject.replay(events, at=5 * SECOND).counted()["answered"] == 1
    assert subject.replay(events, at=-1).in_all() == {}


def test_contacts_do_not_touch_each_other(subject: Subject) -> None:
    events = [queued(0, "a"), queued(0, "b"), answered(2_000, "a"), abandoned(3_000, "b")]
    seen = subject.replay(events, at=3_000)
    assert seen.counted()["answered"] == 1
    assert seen.counted()["abandoned"] == 1
    assert seen.inconsistent == 0
