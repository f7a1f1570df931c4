"""Frames that one fetch brought, as the few messages in which they go through Faust."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

import pytest
from aiokafka import ConsumerRecord
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from hypothesis import given
from hypothesis import strategies as st

from agents_stream.consumer import (
    BUNDLE_BYTES,
    BUNDLE_FRAMES,
    WAITING_BYTES,
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
