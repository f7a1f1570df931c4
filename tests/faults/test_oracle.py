"""The oracle sees what it is there for: a loss, a doubling, a wrong letter, a wrong figure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import orjson
import pytest

from pipeline.topics import partition_of
from schemas.events import validate_event
from schemas.frames import Frame
from schemas.topics import FRAMES, RAW
from tests.faults import oracle
from tests.faults.record import Topics
from tests.faults.run import _lines
from tests.faults.sites import PARTITIONS, settings_of
from tests.faults.stories import GOOD, LATE, Centre, Message

SITE = "north"
HOME = partition_of(SITE, PARTITIONS)
BEGIN = 1_800_000_000_000
SECONDS = 20


def morning() -> list[Message]:
    """Twenty seconds of a centre, as they stand on its raw partition."""
    centre, found = Centre(SITE, "oracle", 8.0), []
    for turn in range(SECONDS * 10):
        said = centre.happen(BEGIN + turn * 100)
        centre.acknowledged(said)
        found += said
    return found


def told(messages: list[Message]) -> Topics:
    """The topics when nothing goes wrong: a frame for each raw record, and a tick at the end."""
    settings = settings_of(SITE, 0).dump()
    frames = [Frame(SITE, 1, BEGIN, settings=settings)]
    letters = []
    for offset, message in enumerate(messages):
        frame = Frame(SITE, 1, BEGIN + offset, (HOME, offset, offset))
        if message.verdict in (GOOD, LATE):
            frame.events = [validate_event(orjson.loads(message.payload))]
            frame.offsets = [offset]
        elif message.site == SITE:
            frame.dead = [offset]
        frames.append(frame)
        if message.verdict != GOOD:
            letters.append(((1, RAW, HOME, offset), {"reason": message.verdict, "detail": ""}))
    frames.append(Frame(SITE, 1, BEGIN + SECONDS * 1000))
    raw = {(HOME, n): (m.key, m.payload) for n, m in enumerate(messages)}
    return Topics(raw, [(HOME, n, frame) for n, frame in enumerate(frames)], letters)


MESSAGES = morning()
BOOK = {message.payload: [message] for message in MESSAGES}


def wrong(topics: Topics, acknowledged: list[Message] = MESSAGES) -> list[str]:
    """Everything the oracle says without a cluster."""
    judged, lines = oracle.judge(topics, BOOK, {})
    lines += oracle.acknowledged_is_there(judged, acknowledged)
    lines += oracle.homes(topics, [SITE])
    lines += oracle.framed_once(SITE, [frame for _, frame in topics.of(SITE, 1)], judged)
    lines += oracle.letters_are_the_poison(topics, judged, 1)
    board = oracle.right_board(settings_of(SITE, 0), topics.of(SITE, 1))
    force = oracle.by_brute_force(settings_of(SITE, 0), judged, board["at"])
    return lines + _lines("figures", board, force)


def with_frame(topics: Topics, nth: int, change: Callable[[Frame], None]) -> Topics:
    """The topics with one frame changed."""
    frames = [(p, n, dataclasses.replace(frame)) for p, n, frame in topics.frames]
    change(frames[nth][2])
    return dataclasses.replace(topics, frames=frames)


def first_of(verdict: str) -> int:
    """The offset of the first message with a verdict."""
    return next(n for n, m in enumerate(MESSAGES) if m.verdict == verdict and m.site == SITE)


def test_there_is_something_of_every_kind() -> None:
    assert {m.verdict for m in MESSAGES} >= {GOOD, LATE, "future", "unreadable"}


def test_all_is_well_when_nothing_went_wrong() -> None:
    assert wrong(told(MESSAGES)) == []


def test_an_event_that_no_frame_has_names_itself() -> None:
    def lose(frame: Frame) -> None:
        frame.events, frame.offsets = [], []

    offset = first_of(GOOD)
    lines = wrong(with_frame(told(MESSAGES), offset + 1, lose))
    named = orjson.loads(MESSAGES[offset].payload)["id"]
    assert any("lack" in line and named in line for line in lines)


def test_an_event_that_counts_twice_is_seen() -> None:
    def double(frame: Frame) -> None:
        frame.events, frame.offsets = frame.events * 2, frame.offsets * 2

    assert wrong(with_frame(told(MESSAGES), first_of(GOOD) + 1, double))


def test_an_event_that_was_changed_on_its_way_is_seen() -> None:
    def change(frame: Frame) -> None:
        frame.events = [{**frame.events[0], "ts": frame.events[0]["ts"] + 1}]

    assert wrong(with_frame(told(MESSAGES), first_of(GOOD) + 1, change))


def test_a_frame_on_another_partition_is_seen() -> None:
    topics = told(MESSAGES)
    moved = [((p + (n == 3)) % PARTITIONS, n, frame) for p, n, frame in topics.frames]
    assert wrong(dataclasses.replace(topics, frames=moved))


def test_a_dead_record_that_is_counted_twice_is_seen() -> None:
    def double(frame: Frame) -> None:
        frame.dead = frame.dead * 2

    assert wrong(with_frame(told(MESSAGES), first_of("future") + 1, double))


@pytest.mark.parametrize("what", ["missing", "of another reason", "too many", "of a frame"])
def test_a_letter_that_is_not_as_it_must_be_is_seen(what: str) -> None:
    topics = told(MESSAGES)
    (key, letter), *rest = topics.letters
    of_good = (1, RAW, HOME, first_of(GOOD))
    changed = {
        "missing": rest,
        "of another reason": [(key, {**letter, "reason": "too_large"}), *rest],
        "too many": [*topics.letters, (of_good, letter)],
        "of a frame": [*topics.letters, ((1, FRAMES, HOME, 0), letter)],
    }
    assert wrong(dataclasses.replace(topics, letters=changed[what]))


def test_an_acknowledged_event_that_is_not_on_the_raw_topic_is_seen() -> None:
    lost = Message(b'{"id": "north-c1#9", "type": "contact.queued"}', GOOD, SITE, SITE)
    lines = wrong(told(MESSAGES), [*MESSAGES, lost])
    assert lines == ["acknowledged and not on the raw topic: north-c1#9 (contact.queued)"]


def test_a_record_nobody_sent_is_seen() -> None:
    topics = told(MESSAGES)
    raw = {**topics.raw, (HOME, len(MESSAGES)): (SITE, b"who is that")}
    assert wrong(dataclasses.replace(topics, raw=raw))
