"""Framing: bounds of a frame, its `now`, and what is from the future."""

from __future__ import annotations

from typing import Any

from pipeline.ingest.framer import MAX_BYTES, MAX_DELAY_S, MAX_EVENTS, Addition, Framer, Mark
from pipeline.ingest.site_state import SiteState
from schemas.frames import Frame
from schemas.settings import SiteSettings

T0 = 1_700_000_000_000


def framer(mark: Mark | None = None, **settings: Any) -> Framer:
    return Framer(SiteState(SiteSettings(site="north", **settings)), 3, 2, mark)


def addition(offset: int, received: int, ts: int = 0, size: int = 100) -> Addition:
    event = {"type": "clock", "site": "north", "ts": ts or received}
    return Addition(offset, received, -1, [event], size, b"payload")


def framed(subject: Framer, additions: list[Addition]) -> list[Frame]:
    """Frames as a loop without delays would make them."""
    frames = []
    for one in additions:
        if not subject.has_room(one.received, len(one.events), one.size):
            frames.append(subject.close()[0])
        subject.add(one, 0.0)
    frames.append(subject.close()[0])
    return frames


def test_a_frame_names_its_place_and_its_newest_record() -> None:
    frame = framed(framer(), [addition(5, T0), addition(6, T0 + 30), addition(9, T0 + 20)])[0]
    assert (frame.site, frame.epoch, frame.now) == ("north", 3, T0 + 30)
    assert frame.raw == (2, 5, 9)
    assert frame.offsets == [5, 6, 9]
    assert [event["ts"] for event in frame.events] == [T0, T0 + 30, T0 + 20]


def test_a_frame_has_at_most_500_events() -> None:
    frames = framed(framer(), [addition(offset, T0) for offset in range(1201)])
    assert [len(frame.events) for frame in frames] == [MAX_EVENTS, MAX_EVENTS, 201]


def test_a_frame_has_at_most_512_kib() -> None:
    frames = framed(framer(), [addition(offset, T0, size=60_000) for offset in range(20)])
    assert [len(frame.events) for frame in frames] == [8, 8, 4]
    assert MAX_BYTES // 60_000 == 8


def test_a_backlog_of_half_an_hour_has_frames_no_wider_than_live_ones() -> None:
    subject = framer()
    every = [addition(number, T0 + number * 37) for number in range(30 * 60_000 // 37)]
    frames = framed(subject, every)
    assert sum(len(frame.events) for frame in frames) == len(every)
    for frame in frames:
        assert all(frame.now - 100 <= event["ts"] <= frame.now for event in frame.events)


def test_a_frame_is_due_after_its_delay() -> None:
    subject = framer()
    assert not subject.due(99.0)
    subject.add(addition(1, T0), 10.0)
    assert not subject.due(10.0 + MAX_DELAY_S / 2)
    assert subject.due(10.001 + MAX_DELAY_S)


def test_a_sites_now_never_goes_back() -> None:
    subject = framer()
    received = [T0 + 500, T0 + 100, T0 + 501, T0 - 9000, T0 + 900]
    frames = framed(subject, [addition(n, moment) for n, moment in enumerate(received)])
    assert [frame.now for frame in frames] == [T0 + 501, T0 + 900]
    assert subject.tick(T0) is None


def test_an_event_ahead_of_its_frames_now_is_dead_lettered() -> None:
    subject = framer(max_ahead_ms=1000)
    subject.add(addition(1, T0, ts=T0 + 1000), 0.0)
    subject.add(addition(2, T0, ts=T0 + 1051), 0.0)
    subject.add(addition(3, T0, ts=T0 + 1050), 0.0)
    subject.add(addition(4, T0 + 50), 0.0)
    frame, futures = subject.close()
    assert frame.now == T0 + 50
    assert frame.offsets == [1, 3, 4]
    assert frame.dead == [2]
    assert [(one.offset, one.rejected.reason) for one in futures] == [(2, "future")]
    assert frame.raw == (2, 1, 4)


def test_dead_letters_are_counted_by_the_next_frame_of_the_site() -> None:
    subject = framer()
    subject.add_dead(4, T0, -1, 0.0)
    frame, futures = subject.close()
    assert (frame.dead, frame.events, frame.raw, frame.now) == ([4], [], (2, 4, 4), T0)
    assert futures == []


def test_the_first_frame_carries_the_settings_and_later_ones_do_not() -> None:
    frames = framed(framer(pane_ms=30_000), [addition(1, T0), addition(2, T0 + 900)])
    assert frames[0].settings is not None
    assert frames[0].settings["pane_ms"] == 30_000
    assert frames[1].settings is None


def test_changed_settings_wait_for_a_tick() -> None:
    subject = framer()
    framed(subject, [addition(1, T0)])
    subject.state.change(SiteSettings(site="north", lateness_ms=5))
    assert framed(subject, [addition(2, T0 + 5)])[0].settings is None
    tick = subject.tick(T0 + 9)
    assert tick is not None
    assert tick.settings is not None
    assert (tick.settings["lateness_ms"], tick.now, tick.raw) == (5, T0 + 9, None)
    assert subject.tick(T0 + 10) == Frame("north", 3, T0 + 10)


def test_settings_are_told_even_where_time_stands() -> None:
    subject = framer()
    framed(subject, [addition(1, T0)])
    subject.state.change(SiteSettings(site="north", lateness_ms=5))
    tick = subject.tick(T0 - 50)
    assert tick is not None
    assert tick.now == T0


def test_a_new_max_ahead_holds_only_once_it_is_announced() -> None:
    subject = framer(max_ahead_ms=10)
    subject.state.change(SiteSettings(site="north", max_ahead_ms=10_000))
    subject.state.announced = True
    subject.add(addition(1, T0, ts=T0 + 500), 0.0)
    assert subject.close()[0].dead == [1]
    subject.tick(T0 + 1)
    subject.add(addition(2, T0 + 2, ts=T0 + 502), 0.0)
    assert subject.close()[0].dead == []


def test_records_at_or_below_the_mark_are_known() -> None:
    subject = framer(Mark(offset=10, journal=7))
    assert subject.knows(10, -1)
    assert subject.knows(11, 7)
    assert not subject.knows(11, 8)
    assert not subject.knows(11, -1)


def test_a_record_that_is_sent_again_repeats_one_of_another_offset() -> None:
    subject = framer(Mark(offset=10, journal=7))
    assert subject.repeats(11, 7)
    assert not subject.repeats(10, 7)
    assert not subject.repeats(11, 8)
    assert not subject.repeats(11, -1)
