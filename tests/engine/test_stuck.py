"""Visits and legs that nothing ever ends (contract, section 2, `stuck_after`)."""

from tests.engine.stories import (
    HOUR,
    abandoned,
    answered,
    held,
    offered,
    queued,
    released,
    site,
    state,
    wrapped,
)
from tests.engine.subjects import Subject

SHORT = site(stuck_after_ms=60_000)


def test_a_visit_nothing_closes_is_lost_after_four_hours(subject: Subject) -> None:
    at_limit = subject.replay([queued(0)], at=4 * HOUR)
    assert at_limit.now()["waiting"] == 1
    seen = subject.replay([queued(0)], at=4 * HOUR + 1)
    assert seen.counted() == {"offered": 1, "sl_missed": 1, "left_other": 1}
    assert seen.counted() | seen.now() == {
        "offered": 1,
        "sl_missed": 1,
        "left_other": 1,
        "waiting": 0,
        "longest_wait_ms": None,
        "in_service": 0,
    }


def test_the_loss_is_booked_at_its_moment_not_when_it_is_noticed(subject: Subject) -> None:
    seen = subject.replay([queued(0)], at=60_000 + 400_000, settings=SHORT)
    assert "left_other" not in seen.counted(window="5m")
    assert seen.counted(window="15m")["left_other"] == 1


def test_an_event_at_the_last_moment_still_closes_the_visit(subject: Subject) -> None:
    events = [queued(0), abandoned(60_000)]
    seen = subject.replay(events, at=60_001, settings=SHORT)
    assert seen.counted()["abandoned_wait_ms"] == 60_000
    assert "left_other" not in seen.counted()


def test_events_after_the_loss_find_the_visit_gone(subject: Subject) -> None:
    events = [queued(0), abandoned(60_001)]
    seen = subject.replay(events, at=60_001, settings=SHORT)
    assert seen.counted() == {"offered": 1, "sl_missed": 1, "left_other": 1}
    assert seen.inconsistent == 1


def test_an_answer_after_the_loss_opens_a_leg_without_a_visit(subject: Subject) -> None:
    events = [queued(0), answered(70_000), wrapped(80_000)]
    seen = subject.replay(events, at=80_000, settings=SHORT)
    assert seen.counted() == {"offered": 1, "sl_missed": 1, "left_other": 1}
    assert seen.time() == {"talk_ms": 10_000}


def test_a_visit_queued_anew_after_the_loss_is_a_new_visit(subject: Subject) -> None:
    seen = subject.replay([queued(0), queued(60_001)], at=60_002, settings=SHORT)
    assert seen.counted()["offered"] == 2
    assert seen.now()["longest_wait_ms"] == 1
    assert subject.replay([queued(0), queued(60_000)], at=60_000, settings=SHORT).inconsistent == 1


def test_a_ring_ends_when_its_visit_is_lost(subject: Subject) -> None:
    events = [state(0, "available"), queued(0), offered(0)]
    seen = subject.replay(events, at=70_000, settings=SHORT)
    assert seen.time() == {"ringing_ms": 60_000, "available_ms": 10_000}


def test_a_leg_nothing_ends_ends_at_its_limit_and_is_not_handled(subject: Subject) -> None:
    events = [queued(0), answered(10_000), held(20_000)]
    at_limit = subject.replay(events, at=70_000, settings=SHORT)
    assert at_limit.now()["in_service"] == 1
    assert at_limit.agents() == {"hold": 1}
    seen = subject.replay(events, at=70_001, settings=SHORT)
    assert seen.now()["in_service"] == 0
    assert "handled" not in seen.counted()
    assert seen.counted().keys() == {"offered", "answered", "answered_in", "wait_ms", "sl_met"}
    assert seen.time() == {"talk_ms": 10_000, "hold_ms": 50_000}
    assert seen.agents() == {}


def test_a_leg_stuck_in_wrap_up_is_not_handled_but_stays_transferred(subject: Subject) -> None:
    events = [answered(0, queue="sales"), released(10_000, reason="transferred")]
    seen = subject.replay(events, at=99_000, settings=SHORT)
    assert seen.counted() == {"transferred": 1}
    assert seen.time() == {"talk_ms": 10_000, "wrap_ms": 50_000}


def test_wrapped_at_the_last_moment_handles_the_leg_and_a_moment_later_does_not(
    subject: Subject,
) -> None:
    begun = answered(0, queue="sales")
    seen = subject.replay([begun, wrapped(60_000)], at=99_000, settings=SHORT)
    assert seen.counted() == {"handled": 1, "talk_ms": 60_000}
    late = subject.replay([begun, wrapped(60_001)], at=99_000, settings=SHORT)
    assert late.counted() == {}
    assert late.inconsistent == 1


def test_an_agent_whose_leg_got_stuck_may_answer_again(subject: Subject) -> None:
    events = [answered(0, queue="sales"), answered(60_001, queue="sales"), wrapped(70_000)]
    seen = subject.replay(events, at=70_000, settings=SHORT)
    assert seen.counted() == {"handled": 1, "talk_ms": 9_999}
    assert seen.inconsistent == 0


def test_a_queue_may_have_a_limit_of_its_own(subject: Subject) -> None:
    settings = site(stuck_after_ms=60_000, queues={"mail": {"stuck_after_ms": 600_000}})
    events = [queued(0, "a", "mail"), queued(0, "b", "sales")]
    seen = subject.replay(events, at=100_000, settings=settings)
    assert seen.now("mail")["waiting"] == 1
    assert seen.now("sales")["waiting"] == 0


def test_what_a_queue_lacks_comes_from_the_defaults(subject: Subject) -> None:
    settings = site(stuck_after_ms=60_000, defaults={"stuck_after_ms": 600_000})
    seen = subject.replay([queued(0)], at=100_000, settings=settings)
    assert seen.now()["waiting"] == 1


def test_a_leg_has_the_limit_of_its_queue_and_without_queue_that_of_the_site(
    subject: Subject,
) -> None:
    settings = site(
        stuck_after_ms=60_000,
        defaults={"stuck_after_ms": 120_000},
        queues={"mail": {"stuck_after_ms": 600_000}},
    )
    events = [
        queued(0, "a", "mail"),
        answered(0, "a", "ann"),
        answered(0, "b", "bob", queue="mail"),
        answered(0, "c", "cyd", queue="sales"),
        answered(0, "d", "dan"),
    ]
    states = [state(0, "offline", agent) for agent in ("ann", "bob", "cyd", "dan")]
    seen = subject.replay(events + states, at=100_000, settings=settings)
    assert seen.agents() == {"talk": 3, "offline": 1}
    seen = subject.replay(events + states, at=130_000, settings=settings)
    assert seen.agents() == {"talk": 2, "offline": 2}


def test_a_visit_that_is_lost_by_its_threshold_is_not_missed(subject: Subject) -> None:
    settings = site(stuck_after_ms=20_000)
    seen = subject.replay([queued(0)], at=20_001, settings=settings)
    assert seen.counted() == {"offered": 1, "left_other": 1}
