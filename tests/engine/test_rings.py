"""Rings and declines (contract, section 2)."""

from tests.engine.stories import (
    abandoned,
    answered,
    declined,
    left,
    offered,
    queued,
    released,
    state,
    wrapped,
)
from tests.engine.subjects import Subject


def test_a_ring_at_an_available_agent_is_ringing_time_until_the_answer(subject: Subject) -> None:
    events = [state(0, "available"), queued(0), offered(2_000), answered(5_000)]
    seen = subject.replay(events, at=9_000)
    assert seen.time() == {"available_ms": 2_000, "ringing_ms": 3_000, "talk_ms": 4_000}
    assert subject.replay(events, at=3_000).agents() == {"ringing": 1}


def test_a_decline_ends_the_ring_and_counts_for_its_visit(subject: Subject) -> None:
    events = [
        state(0, "available"),
        queued(0),
        offered(1_000),
        queued(2_000, queue="help"),
        declined(4_000),
    ]
    seen = subject.replay(events, at=6_000)
    assert seen.counted("sales") == {"offered": 1, "declined": 1}
    assert seen.counted("help") == {"offered": 1}
    assert seen.time() == {"available_ms": 3_000, "ringing_ms": 3_000}


def test_a_decline_without_a_ring_counts_for_the_visit_queued_last(subject: Subject) -> None:
    seen = subject.replay([queued(0), queued(1_000, queue="help"), declined(2_000)], at=3_000)
    assert seen.counted("help")["declined"] == 1
    assert seen.inconsistent == 0


def test_a_decline_with_none_waiting_is_ignored(subject: Subject) -> None:
    seen = subject.replay([queued(0), abandoned(1_000), declined(2_000)], at=3_000)
    assert "declined" not in seen.counted()
    assert seen.inconsistent == 1


def test_an_offer_with_none_waiting_is_ignored(subject: Subject) -> None:
    seen = subject.replay([state(0, "available"), offered(1_000)], at=3_000)
    assert seen.time() == {"available_ms": 3_000}
    assert seen.inconsistent == 1


def test_an_offer_while_the_agent_rings_for_the_contact_is_ignored(subject: Subject) -> None:
    events = [
        state(0, "available"),
        queued(0),
        offered(1_000),
        queued(2_000, queue="help"),
        offered(3_000),
        declined(4_000),
    ]
    seen = subject.replay(events, at=5_000)
    assert seen.counted("sales")["declined"] == 1
    assert seen.time() == {"available_ms": 2_000, "ringing_ms": 3_000}
    assert seen.inconsistent == 1


def test_several_agents_may_ring_for_one_visit_until_one_answers(subject: Subject) -> None:
    events = [
        state(0, "available", "ann"),
        state(0, "available", "bob"),
        queued(0),
        offered(1_000, agent="ann"),
        offered(2_000, agent="bob"),
        answered(4_000, agent="bob"),
    ]
    seen = subject.replay(events, at=6_000)
    assert seen.time() == {"available_ms": 5_000, "ringing_ms": 5_000, "talk_ms": 2_000}
    assert seen.agents() == {"available": 1, "talk": 1}


def test_a_ring_ends_when_its_visit_is_closed(subject: Subject) -> None:
    events = [state(0, "available"), queued(0), offered(1_000), left(3_000)]
    seen = subject.replay(events, at=4_000)
    assert seen.time() == {"available_ms": 2_000, "ringing_ms": 2_000}


def test_a_ring_goes_on_when_another_visit_is_closed(subject: Subject) -> None:
    events = [
        state(0, "available"),
        queued(0),
        queued(0, queue="zeta"),
        offered(1_000),
        left(2_000, queue="sales"),
    ]
    assert subject.replay(events, at=4_000).agents() == {"ringing": 1}


def test_an_agents_answer_ends_its_ring_for_another_visit(subject: Subject) -> None:
    events = [
        state(0, "available"),
        queued(0),
        offered(1_000),
        queued(2_000, queue="help"),
        answered(3_000, queue="help"),
        released(4_000),
        wrapped(4_000),
    ]
    seen = subject.replay(events, at=6_000)
    assert seen.now("sales")["waiting"] == 1
    assert seen.time() == {"available_ms": 3_000, "ringing_ms": 2_000, "talk_ms": 1_000}


def test_an_ignored_answer_does_not_end_a_ring(subject: Subject) -> None:
    events = [
        state(0, "available"),
        answered(0),
        queued(1_000),
        offered(1_500),
        answered(2_000),
        released(3_000),
        wrapped(3_000),
    ]
    seen = subject.replay(events, at=5_000)
    assert seen.inconsistent == 1
    assert seen.now()["waiting"] == 1
    assert seen.time() == {"talk_ms": 3_000, "ringing_ms": 2_000}


def test_a_ring_at_an_agent_who_is_not_available_gives_no_ringing_time(subject: Subject) -> None:
    events = [state(0, "not_ready"), queued(0), offered(0), state(2_000, "available")]
    seen = subject.replay(events, at=5_000)
    assert seen.time() == {"not_ready_ms": 2_000, "ringing_ms": 3_000}


def test_a_ring_before_the_agents_first_state_gives_no_time(subject: Subject) -> None:
    seen = subject.replay([queued(0), offered(0)], at=5_000)
    assert seen.time() == {}
    assert seen.agents() == {}


def test_a_new_ring_may_follow_a_decline(subject: Subject) -> None:
    events = [
        state(0, "available"),
        queued(0),
        offered(1_000),
        declined(2_000),
        offered(3_000),
        declined(4_000, reason="rejected"),
    ]
    seen = subject.replay(events, at=5_000)
    assert seen.counted()["declined"] == 2
    assert seen.time() == {"available_ms": 3_000, "ringing_ms": 2_000}
    assert seen.inconsistent == 0


def test_an_agent_may_ring_for_two_contacts(subject: Subject) -> None:
    events = [
        state(0, "available"),
        queued(0, "a"),
        queued(0, "b"),
        offered(1_000, "a"),
        offered(2_000, "b"),
        declined(3_000, "a"),
    ]
    assert subject.replay(events, at=4_000).agents() == {"ringing": 1}
    assert subject.replay([*events, declined(4_000, "b")], at=5_000).time() == {
        "available_ms": 2_000,
        "ringing_ms": 3_000,
    }
