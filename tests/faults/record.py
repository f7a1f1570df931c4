"""What the topics hold in the end, read past all faults."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.frames import Frame, decode_frame
from schemas.topics import DEAD, FRAMES, RAW
from tests.faults.sites import PARTITIONS

Place = tuple[int, int]
"""Partition and offset of a raw record."""


@dataclass(frozen=True, slots=True)
class Topics:
    """Everything on the topics, partition by partition in the order of the offsets."""

    raw: dict[Place, tuple[str | None, bytes]]
    """Key and payload."""
    frames: list[tuple[int, int, Frame]]
    """Partition, offset and frame."""
    letters: list[tuple[tuple[int, str, int, int], dict[str, Any]]]
    """Key (epoch, topic, partition, offset) and letter."""

    def of(self, site: str, epoch: int) -> list[tuple[int, Frame]]:
        """The frames of a site in an epoch, with their offsets."""
        return [(o, f) for _, o, f in self.frames if f.site == site and f.epoch == epoch]


async def read_topics(address: str) -> Topics:
    """Read raw records, frames and dead letters from the beginning to the end."""
    found = await _read(address, (RAW, FRAMES, DEAD))
    raw = {
        (one.partition, one.offset): (one.key.decode() if one.key else None, one.value or b"")
        for one in found[RAW]
    }
    frames = [(one.partition, one.offset, decode_frame(one.value)) for one in found[FRAMES]]
    letters = [(tuple(orjson.loads(one.key)), orjson.loads(one.value)) for one in found[DEAD]]
    return Topics(raw, frames, letters)


async def _read(address: str, topics: Iterable[str]) -> dict[str, list[Any]]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=address,
        enable_auto_commit=False,
        fetch_max_wait_ms=50,
        max_partition_fetch_bytes=8_000_000,
    )
    await consumer.start()
    try:
        places = [TopicPartition(topic, n) for topic in topics for n in range(PARTITIONS)]
        consumer.assign(places)
        for place, begin in (await consumer.beginning_offsets(places)).items():
            consumer.seek(place, begin)
        ends = await consumer.end_offsets(places)
        found: dict[str, list[Any]] = {topic: [] for topic in topics}
        while [p for p in places if await consumer.position(p) < ends[p]]:
            for place, records in (await consumer.getmany(timeout_ms=200)).items():
                found[place.topic] += records
        return found
    finally:
        await consumer.stop()


async def unread(address: str, group: str) -> dict[int, tuple[int | None, int]]:
    """Committed offset and end of the raw partitions that a group has not read to the end."""
    consumer = AIOKafkaConsumer(bootstrap_servers=address, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        places = [TopicPartition(RAW, number) for number in range(PARTITIONS)]
        ends = await consumer.end_offsets(places)
        left = {}
        for place in places:
            committed = await consumer.committed(place)
            if ends[place] and (committed or 0) < ends[place]:
                left[place.partition] = (committed, ends[place])
        return left
    finally:
        await consumer.stop()


def settle(work: Any) -> Any:
    """Run a coroutine from a thread that has no loop."""
    return asyncio.run(work)
