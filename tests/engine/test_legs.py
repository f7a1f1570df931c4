"""Legs: talk, hold, wrap-up, transfer, conference, legs without a visit (contract, section 2)."""

from tests.engine.stories import (
    abandoned,
    answered,
    held,
    queued,
    released,
    resumed,
    wrapped,
)
from tests.engine.subjects import Subject


def test_a_leg_is_handled_with_its_times_when_wrapped(subject: Subject) -> None:
    events = [
        queued(0),
        answered(1_000),
        held(3_000),
        resumed(5_000),
        released(10_000),
        wrapped(14_000),
    ]
    handled = {"handled": 1, "talk_ms": 7_000, "hold_ms": 2_000, "wrap_ms": 4_000}
    asked = {"offered": 1, "answered": 1, "answered_in": 1, "wait_ms": 1_000, "sl_met": 1}
    assert subject.replay(events, at=13_999).counted() == asked
    assert subject.replay(events, at=14_000).counted() == asked | handled


def test_a_leg_talks_until_released_and_is_in_service_while_held(subject: Subject) -> None:
    events = [queued(0), answered(0), held(1_000), released(4_000), wrapped(9_000)]
    assert subject.replay(events, at=2_000).now()["in_service"] == 1
    assert subject.replay(events, at=2_000).agents() == {"hold": 1}
    assert subject.replay(events, at=4_000).now()["in_service"] == 0
    assert subject.replay(events, at=4_000).agents() == {"wrap": 1}
    assert subject.replay(events, at=9_000).agents() == {}


def test_a_hold_still_open_at_release_ends_there(subject: Subject) -> None:
    events = [queued(0), answered(0), held(1_000), released(4_000), wrapped(4_000)]
    seen = subject.replay(events, at=5_000).counted()
    assert (seen["talk_ms"], seen["hold_ms"]) == (1_000, 3_000)


def test_wrapped_on_a_talking_leg_also_releases_it(subject: Subject) -> None:
    seen = subject.replay([queued(0), answered(0), wrapped(6_000)], at=7_000)
    assert seen.counted() == {
        "offered": 1,
        "answered": 1,
        "answered_in": 1,
        "sl_met": 1,
        "handled": 1,
        "talk_ms": 6_000,
    }
    assert seen.inconsistent == 0


def test_held_while_held_and_resumed_while_not_held_change_nothing(subject: Subject) -> None:
    events = [
        answered(0, queue="sales"),
        resumed(1_000),
        held(2_000),
        held(3_000),
        resumed(5_000),
        wrapped(9_000),
    ]
    seen = subject.replay(events, at=9_000)
    assert seen.counted() == {"handled": 1, "talk_ms": 6_000, "hold_ms": 3_000}
    assert seen.inconsistent == 2


def test_held_resumed_and_released_act_only_while_the_leg_talks(subject: Subject) -> None:
    events = [
        answered(0, queue="sales"),
        released(1_000),
        held(2_000),
        resumed(3_000),
        released(4_000, reason="transferred"),
        wrapped(5_000),
    ]
    seen = subject.replay(events, at=6_000)
    assert seen.counted() == {"handled": 1, "talk_ms": 1_000, "wrap_ms": 4_000}
    assert seen.inconsistent == 3


def test_held_acts_only_on_the_leg_of_its_agent(subject: Subject) -> None:
    seen = subject.replay([answered(0, queue="sales"), held(1_000, agent="bob")], at=2_000)
    assert seen.agents() == {"talk": 1}
    assert seen.inconsistent == 1


def test_a_transfer_counts_when_released_under_the_legs_queue(subject: Subject) -> None:
    events = [
        queued(0),
        answered(1_000),
        queued(5_000, queue="help"),
        released(6_000, reason="transferred"),
        answered(9_000, agent="bob"),
        wrapped(9_500),
    ]
    seen = subject.replay(events, at=10_000)
    assert seen.counted("sales")["transferred"] == 1
    assert seen.counted("sales")["handled"] == 1
    assert seen.counted("help") == {
        "offered": 1,
        "answered": 1,
        "answered_in": 1,
        "wait_ms": 4_000,
        "sl_met": 1,
    }


def test_an_answer_by_an_agent_who_still_talks_in_the_contact_is_ignored(
    subject: Subject,
) -> None:
    events = [queued(0), answered(1_000), queued(2_000, queue="help"), answered(3_000)]
    seen = subject.replay(events, at=4_000)
    assert seen.now("help")["waiting"] == 1
    assert seen.inconsistent == 1


def test_an_answer_in_wrap_up_of_the_contact_ends_that_wrap_up(subject: Subject) -> None:
    events = [
        queued(0),
        answered(1_000),
        released(4_000),
        queued(5_000, queue="help"),
        answered(7_000),
    ]
    seen = subject.replay(events, at=8_000)
    assert seen.counted("sales")["handled"] == 1
    assert seen.counted("sales")["wrap_ms"] == 3_000
    assert seen.counted("help")["answered"] == 1
    assert seen.now("help")["in_service"] == 1
    assert seen.time() == {"talk_ms": 4_000, "wrap_ms": 3_000}


def test_a_conference_is_one_answer_and_two_legs(subject: Subject) -> None:
    events = [
        queued(0),
        answered(1_000, agent="ann"),
        answered(2_000, agent="bob", queue="sales"),
        wrapped(5_000, agent="ann"),
        wrapped(6_000, agent="bob"),
    ]
    seen = subject.replay(events, at=6_000)
    assert subject.replay(events, at=3_000).now()["in_service"] == 2
    assert seen.counted()["answered"] == 1
    assert seen.counted()["handled"] == 2
    assert seen.counted()["talk_ms"] == 8_000


def test_a_leg_without_a_visit_counts_its_handling_under_the_queue_of_answered(
    subject: Subject,
) -> None:
    events = [
        answered(0, queue="sales", channel="callback"),
        released(5_000, reason="transferred"),
        wrapped(6_000),
    ]
    assert subject.replay(events, at=1_000).now("sales", "callback")["in_service"] == 1
    assert subject.replay(events, at=6_000).counted("sales", "callback") == {
        "transferred": 1,
        "handled": 1,
        "talk_ms": 5_000,
        "wrap_ms": 1_000,
    }


def test_a_leg_without_a_queue_counts_only_in_agent_time(subject: Subject) -> None:
    events = [answered(0), held(1_000), released(5_000, reason="transferred"), wrapped(6_000)]
    seen = subject.replay(events, at=7_000)
    assert seen.in_all() == {}
    assert seen.time() == {"talk_ms": 1_000, "hold_ms": 4_000, "wrap_ms": 1_000}
    in_talk = subject.replay(events, at=2_000)
    assert in_talk.data["all"]["queues"]["now"]["in_service"] == 0
    assert in_talk.agents() == {"hold": 1}


def test_a_direct_leg_does_not_close_a_visit_that_is_queued_later(subject: Subject) -> None:
    events = [answered(0, queue="sales"), queued(1_000), abandoned(3_000)]
    seen = subject.replay(events, at=4_000)
    assert seen.counted()["abandoned"] == 1
    assert "answered" not in seen.counted()
    assert seen.now()["in_service"] == 1


def test_wrapped_twice_is_handled_once(subject: Subject) -> None:
    events = [answered(0, queue="sales"), wrapped(3_000), wrapped(4_000), wrapped(3_000, code="x")]
    seen = subject.replay(events, at=5_000)
    assert seen.counted() == {"handled": 1, "talk_ms": 3_000}
    assert seen.inconsistent == 2
