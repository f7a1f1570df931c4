"""Agent time: one state at each moment, teams, occupancy (contract, section 3)."""

import pytest

from pipeline.engine import Site
from tests.engine.stories import (
    DAY,
    HOUR,
    MINUTE,
    abandoned,
    answered,
    held,
    offered,
    profile,
    queued,
    released,
    resumed,
    site,
    state,
    wrapped,
)
from tests.engine.subjects import Board, Subject, by_moment, frame, tick


@pytest.mark.parametrize(
    ("said", "time"),
    [
        ("available", {"available_ms": 7_000}),
        ("busy", {"busy_state_ms": 7_000}),
        ("wrap", {"wrap_ms": 7_000}),
        ("not_ready", {"not_ready_ms": 7_000}),
        ("offline", {}),
    ],
)
def test_the_platforms_word_holds_until_the_next(
    subject: Subject, said: str, time: dict[str, int]
) -> None:
    events = [state(3_000, said), state(10_000, "offline")]
    assert subject.replay(events, at=5_000).agents() == {said: 1}
    assert subject.replay(events, at=60_000).time() == time
    assert subject.replay(events, at=60_000).agents() == {"offline": 1}


def test_the_same_word_again_changes_nothing(subject: Subject) -> None:
    events = [state(0, "available"), state(4_000, "available", reason="x")]
    assert subject.replay(events, at=9_000).time() == {"available_ms": 9_000}


@pytest.mark.parametrize("said", ["available", "busy", "wrap", "not_ready", "offline"])
def test_a_leg_outweighs_whatever_the_platform_says(subject: Subject, said: str) -> None:
    events = [answered(0), state(0, said), held(2_000), resumed(3_000), released(6_000)]
    seen = subject.replay(events, at=9_000)
    assert seen.time() == {"talk_ms": 5_000, "hold_ms": 1_000, "wrap_ms": 3_000}
    assert seen.agents() == {"wrap": 1}


def test_talk_outweighs_hold_and_hold_outweighs_wrap(subject: Subject) -> None:
    """Contact a talks 0-9, held 2-9; b talks 4-6; d is in wrap-up 1-12."""
    events = [
        *(answered(0, "d"), released(1_000, "d"), wrapped(12_000, "d")),
        *(answered(0, "a"), held(2_000, "a"), wrapped(9_000, "a")),
        *(answered(4_000, "b"), wrapped(6_000, "b")),
    ]
    seen = subject.replay(events, at=20_000)
    assert seen.time() == {"talk_ms": 4_000, "hold_ms": 5_000, "wrap_ms": 3_000}


def test_an_agent_with_three_chats_is_one_agent(subject: Subject) -> None:
    events = [answered(n * 1_000, f"c{n}", queue="sales", channel="chat") for n in range(3)]
    seen = subject.replay(events, at=10_000)
    assert seen.agents() == {"talk": 1}
    assert seen.time() == {"talk_ms": 10_000}
    assert seen.now("sales", "chat")["in_service"] == 3


def test_before_its_first_state_an_agent_counts_only_while_it_has_a_leg(
    subject: Subject,
) -> None:
    events = [profile(0, team="a"), answered(1_000), wrapped(3_000), state(8_000, "available")]
    assert subject.replay(events, at=500).agents() == {}
    assert subject.replay(events, at=2_000).agents("a") == {"talk": 1}
    assert subject.replay(events, at=7_000).agents() == {}
    assert subject.replay(events, at=10_000).time() == {"talk_ms": 2_000, "available_ms": 2_000}


def test_wrap_time_of_a_team_is_by_a_leg_or_by_the_platforms_word(subject: Subject) -> None:
    events = [
        state(0, "available"),
        answered(1_000),
        released(2_000),
        wrapped(4_000),
        state(6_000, "wrap"),
    ]
    seen = subject.replay(events, at=9_000)
    assert seen.time() == {"available_ms": 3_000, "talk_ms": 1_000, "wrap_ms": 5_000}


def test_ringing_replaces_only_available(subject: Subject) -> None:
    events = [
        state(0, "available"),
        queued(0),
        offered(1_000),
        state(2_000, "busy"),
        state(3_000, "available"),
        state(4_000, "not_ready"),
    ]
    assert subject.replay(events, at=5_000).time() == {
        "available_ms": 1_000,
        "ringing_ms": 2_000,
        "busy_state_ms": 1_000,
        "not_ready_ms": 1_000,
    }


def test_a_state_change_during_a_call_shows_after_it(subject: Subject) -> None:
    events = [
        state(0, "available"),
        answered(1_000),
        state(2_000, "not_ready"),
        wrapped(5_000),
    ]
    seen = subject.replay(events, at=6_000)
    assert seen.time() == {"available_ms": 1_000, "talk_ms": 4_000, "not_ready_ms": 1_000}


def test_time_goes_to_the_team_the_agent_is_in_at_each_moment(subject: Subject) -> None:
    events = [
        state(0, "available"),
        profile(2_000, team="red"),
        state(5_000, "busy"),
        state(6_000, "busy", team="blue"),
    ]
    seen = subject.replay(events, at=10_000)
    assert seen.time("") == {"available_ms": 2_000}
    assert seen.time("red") == {"available_ms": 3_000, "busy_state_ms": 1_000}
    assert seen.time("blue") == {"busy_state_ms": 4_000}
    assert (seen.agents(""), seen.agents("red"), seen.agents("blue")) == ({}, {}, {"busy": 1})
    assert seen.time() == {"available_ms": 5_000, "busy_state_ms": 5_000}


def test_a_call_that_outlasts_a_change_of_team_is_divided(subject: Subject) -> None:
    events = [answered(0), profile(4_000, team="red"), wrapped(10_000)]
    seen = subject.replay(events, at=20_000)
    assert seen.time("") == {"talk_ms": 4_000}
    assert seen.time("red") == {"talk_ms": 6_000}


def test_a_profile_without_team_keeps_the_team(subject: Subject) -> None:
    events = [state(0, "busy", team="red"), profile(1_000, capacity=3, queues=["sales"])]
    assert subject.replay(events, at=2_000).agents("red") == {"busy": 1}


def test_an_agent_may_leave_its_team_for_none(subject: Subject) -> None:
    events = [state(0, "busy", team="red"), profile(1_000, team="")]
    assert subject.replay(events, at=2_000).agents("") == {"busy": 1}


def test_state_time_is_clipped_to_the_window(subject: Subject) -> None:
    """A forty-minute call at its 35th minute: every window is full of it."""
    seen = subject.replay([answered(0)], at=35 * MINUTE)
    assert seen.time(window="5m") == {"talk_ms": 5 * MINUTE}
    assert seen.time(window="30m") == {"talk_ms": 30 * MINUTE}
    assert seen.time(window="60m") == {"talk_ms": 35 * MINUTE}


def test_occupancy_is_busy_over_busy_and_available(subject: Subject) -> None:
    """Talk 4, hold 1, wrap 3, busy 2; available 10; ringing 5, not ready 9 and offline are out."""
    events = [
        *(answered(0), held(2_000), resumed(3_000), released(5_000), wrapped(8_000)),
        *(state(0, "busy"), state(10_000, "available"), state(20_000, "not_ready")),
        *(state(29_000, "available"), queued(29_000, "d"), offered(29_000, "d")),
        *(state(34_000, "offline"),),
    ]
    seen = subject.replay(events, at=MINUTE)
    assert seen.time() == {
        "talk_ms": 4_000,
        "hold_ms": 1_000,
        "wrap_ms": 3_000,
        "busy_state_ms": 2_000,
        "available_ms": 10_000,
        "not_ready_ms": 9_000,
        "ringing_ms": 5_000,
    }
    assert seen.occupancy() == 10 / 20


def test_conference_gives_each_agent_its_own_time(subject: Subject) -> None:
    events = [
        answered(0, agent="ann"),
        answered(2_000, agent="bob"),
        wrapped(5_000, agent="ann"),
        wrapped(5_000, agent="bob"),
    ]
    assert subject.replay(events, at=9_000).time() == {"talk_ms": 8_000}


def test_a_leg_of_no_length_takes_no_time_and_leaves_no_state(subject: Subject) -> None:
    events = [state(0, "available"), answered(2_000), wrapped(2_000)]
    seen = subject.replay(events, at=3_000)
    assert seen.time() == {"available_ms": 3_000}
    assert seen.agents() == {"available": 1}


def test_time_before_1970_is_time_like_any_other(subject: Subject) -> None:
    events = [state(-20_000, "available"), answered(-5_000), wrapped(-5_000), state(-1, "busy")]
    seen = subject.replay(events, at=30_000)
    assert seen.time() == {"available_ms": 19_999, "busy_state_ms": 30_001}
    assert seen.agents() == {"busy": 1}


def test_a_tie_after_a_long_state_keeps_its_time(subject: Subject) -> None:
    events = [state(0, "available"), state(DAY, "busy"), profile(DAY, team="day")]
    seen = subject.replay(events, at=DAY + MINUTE)
    assert seen.time("") == {"available_ms": DAY}
    assert seen.time("day") == {"busy_state_ms": MINUTE}


def test_a_tie_after_a_long_state_touches_no_pane_of_all_that_time() -> None:
    """An agent's broken clock said 1970, say; its next two reports share a millisecond."""
    engine = Site(site(), rows=False)
    events = [state(5, "available"), state(20 * DAY, "busy"), profile(20 * DAY, team="day")]
    for offset, one in enumerate(by_moment(events)):
        engine.apply(one, offset)
    touched = [name for name in engine.dirty_parts() if name.startswith("pane:")]
    assert len(touched) <= HOUR // 10_000 + 3


def test_an_agent_who_stays_in_one_state_all_day_is_not_remembered_all_day() -> None:
    """The platform says so again every minute, and phones ring that are not answered."""
    engine = Site(site())
    for minute in range(12 * 60):
        at, c = minute * MINUTE, f"c{minute}"
        rung = [queued(at, c), offered(at, c), abandoned(at + 20_000, c)]
        engine.apply(frame([state(at, "busy"), *rung], at, 10 * minute), minute)
    ann = engine.ledger.agents["ann"]
    assert len(ann.reports) < 120
    assert len(ann.past_spans()) < 120
    seen = Board(engine.view())
    assert seen.time() == {"busy_state_ms": 11 * HOUR + 59 * MINUTE + 20_000}
    assert engine.view()["agents"]["ann"]["since"] == 0


def test_sweeping_gives_up_nothing_of_an_agent_of_whom_nothing_was_heard(subject: Subject) -> None:
    """A contact of hours ago, still remembered because it waits, turns out to be older still."""
    frames = [frame([queued(9 * HOUR), offered(9 * HOUR)], 9 * HOUR)]
    frames += [tick(9 * HOUR + n * 11 * MINUTE) for n in range(1, 9)]
    frames += [frame([answered(5 * HOUR), released(6 * HOUR), wrapped(7 * HOUR)], 11 * HOUR, 10)]
    assert subject.live(frames)[0].time()["talk_ms"] == HOUR
    assert subject.live(frames)[0].time()["wrap_ms"] == HOUR


def test_an_event_from_before_what_is_kept_of_an_agent_adds_no_time_from_before_that() -> None:
    """Who says the same all day is remembered from an hour before the contact that waits."""
    engine = Site(site(stuck_after_ms=DAY))
    for minute in range(12 * 60 + 1):
        at = minute * MINUTE
        waits = [queued(at)] if at == 8 * HOUR else []
        engine.apply(frame([state(at, "busy"), *waits], at, 10 * minute), minute)
    engine.sweep()
    late = [answered(5 * HOUR), released(6 * HOUR), wrapped(9 * HOUR)]
    engine.apply(frame(late, 12 * HOUR, 10_000), 10_000)
    assert Board(engine.view()).time() == {"wrap_ms": 2 * HOUR, "busy_state_ms": 10 * HOUR}
    assert engine.view()["agents"]["ann"]["since"] == 9 * HOUR
