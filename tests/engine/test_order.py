"""The order within one millisecond (contract, section 2): endings of what is older, then the table.

Every story here is told in several orders of arrival; the answer is one.
"""

from itertools import permutations

from tests.engine.figures import figures
from tests.engine.stories import (
    Event,
    abandoned,
    answered,
    declined,
    held,
    left,
    offered,
    profile,
    queued,
    released,
    resumed,
    state,
    wrapped,
)
from tests.engine.subjects import Board, Subject


def in_any_order(subject: Subject, events: list[Event], at: int) -> Board:
    """The board that all orders of arrival give; they are few enough to try all up to five."""
    orders = list(permutations(events)) if len(events) <= 5 else [events, events[::-1]]
    boards = [subject.replay(order, at) for order in orders]
    expected = figures(boards[0].data)
    for board in boards:
        assert figures(board.data) == expected
    return boards[0]


def test_an_old_visit_is_left_before_the_same_queue_is_entered_again(subject: Subject) -> None:
    seen = in_any_order(subject, [queued(0), queued(5_000), left(5_000, queue="sales")], 6_000)
    assert seen.counted() == {"offered": 2, "left_other": 1}
    assert seen.now() == {"waiting": 1, "longest_wait_ms": 1_000, "in_service": 0}
    assert seen.inconsistent == 0


def test_an_ending_without_anything_older_ends_what_begins_in_its_millisecond(
    subject: Subject,
) -> None:
    seen = in_any_order(subject, [queued(5_000), abandoned(5_000)], 5_000)
    assert seen.counted() == {
        "offered": 1,
        "abandoned": 1,
        "abandoned_in": 1,
        "abandoned_short": 1,
        "sl_abandoned": 1,
    }
    assert seen.inconsistent == 0


def test_abandoned_without_queue_ends_only_the_visits_queued_before(subject: Subject) -> None:
    events = [queued(0), queued(5_000, queue="help"), abandoned(5_000)]
    seen = in_any_order(subject, events, 6_000)
    assert seen.counted("sales")["abandoned"] == 1
    assert seen.counted("help") == {"offered": 1}


def test_abandoned_goes_before_left(subject: Subject) -> None:
    seen = in_any_order(subject, [queued(0), left(5_000), abandoned(5_000)], 5_000)
    assert seen.counted()["abandoned"] == 1
    assert "left_other" not in seen.counted()
    assert seen.inconsistent == 1


def test_left_that_comes_second_may_end_a_visit_of_its_own_millisecond(subject: Subject) -> None:
    events = [queued(0), queued(5_000, queue="help"), left(5_000), abandoned(5_000)]
    seen = in_any_order(subject, events, 5_000)
    assert seen.counted("sales")["abandoned"] == 1
    assert seen.counted("help") == {"offered": 1, "left_other": 1}
    assert seen.inconsistent == 0


def test_a_visit_abandoned_in_the_millisecond_of_its_answer_is_abandoned(
    subject: Subject,
) -> None:
    seen = in_any_order(subject, [queued(0), answered(5_000), abandoned(5_000)], 6_000)
    assert seen.counted()["abandoned"] == 1
    assert "answered" not in seen.counted()
    assert seen.agents() == {"talk": 1}
    assert seen.inconsistent == 0


def test_a_visit_queued_and_answered_at_once_waits_nothing(subject: Subject) -> None:
    seen = in_any_order(subject, [answered(5_000), queued(5_000), offered(5_000)], 5_000)
    assert seen.counted() == {"offered": 1, "answered": 1, "answered_in": 1, "sl_met": 1}


def test_a_whole_call_in_one_millisecond_follows_the_table(subject: Subject) -> None:
    events = [
        wrapped(0),
        released(0, reason="transferred"),
        resumed(0),
        held(0),
        answered(0),
        declined(0, agent="bob"),
        offered(0, agent="bob"),
        queued(0),
    ]
    seen = in_any_order(subject, events, 0)
    assert seen.counted() == {
        "offered": 1,
        "answered": 1,
        "answered_in": 1,
        "sl_met": 1,
        "declined": 1,
        "transferred": 1,
        "handled": 1,
    }
    assert seen.inconsistent == 0


def test_an_old_leg_is_released_and_wrapped_before_the_agent_answers_again(
    subject: Subject,
) -> None:
    events = [answered(0, queue="sales"), released(5_000), wrapped(5_000), answered(5_000)]
    seen = in_any_order(subject, events, 6_000)
    assert seen.counted() == {"handled": 1, "talk_ms": 5_000}
    assert seen.agents() == {"talk": 1}
    assert seen.inconsistent == 0


def test_resumed_ends_an_old_hold_and_held_begins_a_new_one(subject: Subject) -> None:
    events = [answered(0, queue="sales"), held(1_000), resumed(4_000), held(4_000), wrapped(9_000)]
    seen = in_any_order(subject, events, 9_000)
    assert seen.counted() == {"handled": 1, "talk_ms": 1_000, "hold_ms": 8_000}
    assert seen.inconsistent == 0


def test_held_and_resumed_at_once_are_a_hold_of_no_length(subject: Subject) -> None:
    events = [answered(0, queue="sales"), resumed(4_000), held(4_000), wrapped(9_000)]
    seen = in_any_order(subject, events, 9_000)
    assert seen.counted() == {"handled": 1, "talk_ms": 9_000}
    assert seen.inconsistent == 0


def test_a_hold_at_the_release_of_its_leg_comes_too_late(subject: Subject) -> None:
    seen = in_any_order(subject, [answered(0), held(4_000), released(4_000)], 5_000)
    assert seen.agents() == {"wrap": 1}
    assert seen.inconsistent == 1


def test_of_two_releases_the_second_finds_a_leg_of_its_own_millisecond(subject: Subject) -> None:
    events = [
        answered(0, queue="sales"),
        released(5_000),
        released(5_000, reason="transferred"),
        answered(5_000, queue="sales"),
        wrapped(7_000),
    ]
    seen = in_any_order(subject, events, 8_000)
    assert seen.counted() == {
        "transferred": 1,
        "handled": 2,
        "talk_ms": 5_000,
        "wrap_ms": 2_000,
    }
    assert seen.inconsistent == 0


def test_of_two_releases_the_smaller_json_is_first(subject: Subject) -> None:
    events = [answered(0, queue="sales"), released(5_000), released(5_000, reason="transferred")]
    seen = in_any_order(subject, events, 5_000)
    assert "transferred" not in seen.counted()
    assert seen.inconsistent == 1


def test_remaining_ties_go_by_the_bytes_of_the_validated_event(subject: Subject) -> None:
    chat, voice = queued(0, channel="chat"), queued(0)
    seen = in_any_order(subject, [voice, chat], 0)
    assert seen.counted(channel="chat") == {"offered": 1}
    assert seen.counted(channel="voice") == {}
    assert seen.inconsistent == 1


def test_bytes_not_characters_decide_a_tie(subject: Subject) -> None:
    """U+FF5E is before U+1F600 as UTF-8, after it as UTF-16."""
    events = [queued(0, queue="\uff5e"), queued(0, queue="\U0001f600"), declined(1_000)]
    seen = in_any_order(subject, events, 1_000)
    assert seen.counted("\U0001f600") == {"offered": 1, "declined": 1}


def test_queued_last_within_a_millisecond_is_last_in_the_story(subject: Subject) -> None:
    seen = in_any_order(
        subject, [queued(0, queue="b"), queued(0, queue="a"), answered(1_000)], 1_000
    )
    assert seen.counted("b")["answered"] == 1
    assert seen.counted("a") == {"offered": 1}


def test_a_decline_of_an_old_ring_goes_before_a_new_offer(subject: Subject) -> None:
    events = [state(0, "available"), queued(0), offered(1_000), declined(3_000), offered(3_000)]
    seen = in_any_order(subject, events, 4_000)
    assert seen.counted()["declined"] == 1
    assert seen.agents() == {"ringing": 1}
    assert seen.time() == {"available_ms": 1_000, "ringing_ms": 3_000}
    assert seen.inconsistent == 0


def test_a_decline_without_ring_follows_the_offer_of_its_millisecond(subject: Subject) -> None:
    events = [state(0, "available"), queued(0), declined(3_000), offered(3_000)]
    seen = in_any_order(subject, events, 4_000)
    assert seen.counted()["declined"] == 1
    assert seen.agents() == {"available": 1}
    assert seen.inconsistent == 0


def test_a_decline_without_ring_and_offer_goes_to_a_visit_queued_before(subject: Subject) -> None:
    events = [queued(0), queued(3_000, queue="help"), declined(3_000)]
    seen = in_any_order(subject, events, 3_000)
    assert seen.counted("sales")["declined"] == 1
    assert seen.counted("help") == {"offered": 1}


def test_a_decline_with_an_offer_in_its_millisecond_goes_to_the_visit_offered(
    subject: Subject,
) -> None:
    events = [queued(0), queued(3_000, queue="help"), offered(3_000), declined(3_000)]
    seen = in_any_order(subject, events, 3_000)
    assert seen.counted("help")["declined"] == 1
    assert "declined" not in seen.counted("sales")


def test_an_offer_of_another_agent_does_not_hold_a_decline_back(subject: Subject) -> None:
    events = [queued(0), queued(3_000, queue="help"), offered(3_000, agent="bob"), declined(3_000)]
    seen = in_any_order(subject, events, 3_000)
    assert seen.counted("sales")["declined"] == 1


def test_a_decline_goes_before_the_abandon_of_its_visit(subject: Subject) -> None:
    seen = in_any_order(
        subject, [queued(0), offered(1_000), abandoned(3_000), declined(3_000)], 3_000
    )
    assert seen.counted()["declined"] == 1
    assert seen.counted()["abandoned"] == 1
    assert seen.inconsistent == 0


def test_a_decline_of_a_visit_of_its_own_millisecond_counts_there(subject: Subject) -> None:
    seen = in_any_order(subject, [queued(3_000), declined(3_000)], 3_000)
    assert seen.counted() == {"offered": 1, "declined": 1}


def test_of_two_agents_who_answer_at_once_one_has_the_visit(subject: Subject) -> None:
    events = [queued(0), answered(2_000, agent="bob"), answered(2_000, agent="ann")]
    seen = in_any_order(subject, events, 3_000)
    assert seen.counted()["answered"] == 1
    assert seen.agents() == {"talk": 2}
    assert seen.now()["in_service"] == 1
    assert seen.inconsistent == 0


def test_an_agents_team_in_a_tie_is_that_of_the_profile(subject: Subject) -> None:
    events = [profile(0, team="a"), state(0, "busy", team="b"), profile(0, team="")]
    assert in_any_order(subject, events, 1_000).agents("a") == {"busy": 1}


def test_an_agents_state_in_a_tie_is_the_last_by_bytes(subject: Subject) -> None:
    events = [state(0, "available"), state(0, "wrap"), state(0, "busy")]
    assert in_any_order(subject, events, 1_000).agents() == {"wrap": 1}
