"""Frames that one fetch brought, as the few messages in which they go through Faust."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from weakref import WeakSet

import pytest
from aiokafka import ConsumerRecord
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from agents_stream.app import Worker
from agents_stream.consumer import (
    BUNDLE_BYTES,
    BUNDLE_FRAMES,
    WAITING_BYTES,
    Bundle,
    Consumer,
    bundles,
)
from schemas.topics import FRAMES

SIZES = st.lists(
    st.one_of(st.integers(0, 2_000), st.integers(BUNDLE_BYTES // 3, 2 * BUNDLE_BYTES)), max_size=120
)


def record(offset: int, value: bytes | None) -> ConsumerRecord[bytes, bytes]:
    size = len(value or b"")
    return ConsumerRecord(FRAMES, 3, offset, 1_000 + offset, 0, b"site", value, None, 4, size, ())


def packed(values: list[bytes | None]) -> list[Any]:
    return list(bundles([record(10 + i, value) for i, value in enumerate(values)]))


@given(SIZES)
def test_every_frame_is_in_one_bundle_and_in_its_order(sizes: list[int]) -> None:
    values: list[bytes | None] = [bytes(size) for size in sizes]
    frames = [frame for bundle in packed(values) for frame in bundle.value.frames]
    assert frames == [(10 + i, value) for i, value in enumerate(values)]


@given(SIZES)
def test_a_bundle_ends_with_the_frame_that_fills_it(sizes: list[int]) -> None:
    for bundle in packed([bytes(size) for size in sizes]):
        frames = bundle.value.frames
        assert 1 <= len(frames) <= BUNDLE_FRAMES
        assert bundle.value.size == sum(len(value) for _, value in frames)
        assert bundle.value.size - len(frames[-1][1]) < BUNDLE_BYTES


def test_a_bundle_is_full_before_the_next_one_begins() -> None:
    assert [len(bundle.value.frames) for bundle in packed([b"x"] * (2 * BUNDLE_FRAMES + 1))] == [
        BUNDLE_FRAMES,
        BUNDLE_FRAMES,
        1,
    ]
    assert [len(b.value.frames) for b in packed([b"x", bytes(BUNDLE_BYTES), b"y"])] == [2, 1]


def test_a_bundle_has_the_place_of_its_last_frame() -> None:
    (bundle,) = packed([b"a", b"b", b"c"])
    assert (bundle.topic, bundle.partition, bundle.offset, bundle.timestamp) == (
        FRAMES,
        3,
        12,
        1_012,
    )


def test_a_record_without_a_value_is_an_empty_frame() -> None:
    assert packed([None, b"a"])[0].value.frames == [(10, b""), (11, b"a")]


CHANGELOG, PARTITION = TP("changelog", 0), TP(FRAMES, 3)


class Fetching:
    """Faust's part of the consumer: it gives a large frame of every partition it is asked for."""

    def __init__(self, patched: pytest.MonkeyPatch) -> None:
        self.asked: list[set[TP]] = []
        patched.setattr(driver.Consumer, "_getmany", self._getmany)
        self.consumer = Consumer.__new__(Consumer)
        self.consumer.topic = FRAMES
        self.consumer._waiting = WeakSet()
        self.consumer._done = {}

    async def _getmany(self, wanted: frozenset[TP], _timeout: float) -> dict[TP, list[Any]]:
        self.asked.append(set(wanted))
        size = len(self.asked)
        return {tp: [record(size, bytes(WAITING_BYTES))] for tp in wanted}

    async def fetch(self) -> dict[TP, list[Any]]:
        found: dict[TP, list[Any]] = await self.consumer._getmany({CHANGELOG, PARTITION}, 1.0)
        return found


async def test_frames_are_not_fetched_while_enough_of_them_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetching = Fetching(monkeypatch)
    held = await fetching.fetch()
    assert isinstance(held[CHANGELOG][0].value, bytes)
    assert (await fetching.fetch()).keys() == {CHANGELOG}
    assert await fetching.consumer._getmany({PARTITION}, 1.0) == {}
    held.clear()
    assert (await fetching.fetch()).keys() == {CHANGELOG, PARTITION}
    assert fetching.asked == [{CHANGELOG, PARTITION}, {CHANGELOG}, {CHANGELOG, PARTITION}]


async def test_no_partition_that_may_be_read_is_not_every_partition(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetching = Fetching(monkeypatch)
    assert await fetching.consumer._getmany(set(), 1.0) == {}
    assert fetching.asked == []


async def test_what_is_taken_makes_room_though_its_bundle_is_still_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetching = Fetching(monkeypatch)
    bundle: Bundle = (await fetching.fetch())[PARTITION][0].value
    await Taking(generation=1).take(bundle, generation=1)
    assert (await fetching.fetch()).keys() == {CHANGELOG, PARTITION}


class Taking:
    """A worker's part that takes bundles; its group moves on after some frames."""

    def __init__(self, generation: int, moves_after: int | None = None) -> None:
        self.taken: list[int] = []
        self.done: list[tuple[TP, int]] = []
        self.moves_after = moves_after
        consumer = SimpleNamespace(done=lambda tp, offset: self.done.append((tp, offset)))
        self._app = SimpleNamespace(consumer=consumer, consumer_generation_id=generation)
        self.agent = self

    async def on_frame(self, _number: int, offset: int, _payload: bytes, ack: Any) -> None:
        self.taken.append(offset)
        ack()
        if len(self.taken) == self.moves_after:
            self._app.consumer_generation_id += 1

    async def take(self, bundle: Bundle, generation: int) -> None:
        worker: Any = self
        await Worker._take(worker, PARTITION, generation, bundle)


async def test_a_bundle_is_taken_only_as_long_as_its_assignment_lasts() -> None:
    taking = Taking(generation=7, moves_after=2)
    bundle = Bundle([(offset, b"frame") for offset in range(5)], 25)
    await taking.take(bundle, generation=7)
    assert taking.taken == [0, 1]
    assert taking.done == [(PARTITION, 0), (PARTITION, 1)]
    assert bundle.size == 0
    await taking.take(Bundle([(9, b"frame")], 5), generation=7)
    assert taking.taken == [0, 1]


async def test_what_is_committed_is_what_was_done_last_and_never_less(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    consumer = Fetching(monkeypatch).consumer
    consumer._acked = {}
    other = TP(FRAMES, 4)
    assert list(consumer._filter_tps_with_pending_acks(None)) == []
    for offset in (98, 199, 131):
        consumer.done(PARTITION, offset)
    consumer.done(other, 3)
    assert consumer._new_offset(PARTITION) == 200
    assert set(consumer._filter_tps_with_pending_acks(None)) == {PARTITION, other}
    assert set(consumer._filter_tps_with_pending_acks({FRAMES})) == {PARTITION, other}
    assert list(consumer._filter_tps_with_pending_acks({other})) == [other]
    assert list(consumer._filter_tps_with_pending_acks({"other"})) == []


async def test_nothing_is_committed_of_a_partition_that_was_away(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def revoked(_consumer: Any, _revoked: set[TP]) -> None:
        return None

    monkeypatch.setattr(driver.Consumer, "on_partitions_revoked", revoked)
    consumer = Fetching(monkeypatch).consumer
    consumer.done(PARTITION, 5)
    await consumer.on_partitions_revoked({PARTITION, CHANGELOG})
    assert consumer._new_offset(PARTITION) is None
