"""Ranges of partitions, read by a consumer of no group: looking changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.brokers import Brokers


@asynccontextmanager
async def range_reader(brokers: Brokers) -> AsyncIterator[Any]:
    """A started consumer without partitions. Raises `KafkaError`."""
    consumer = AIOKafkaConsumer(
        **brokers.arguments(),
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=20,
        max_partition_fetch_bytes=2 * 1024 * 1024,
    )
    try:
        await consumer.start()
        yield consumer
    finally:
        await consumer.stop()


async def read_ranges(
    consumer: Any, starts: Mapping[TopicPartition, int], ends: Mapping[TopicPartition, int]
) -> dict[TopicPartition, list[Any]]:
    """The records from each start up to its end, which has been reached when this returns."""
    records: dict[TopicPartition, list[Any]] = {tp: [] for tp in starts}
    consumer.assign(list(starts))
    for tp, offset in starts.items():
        consumer.seek(tp, offset)
    waiting = set(starts)
    while waiting:
        for tp, batch in (await consumer.getmany(timeout_ms=20)).items():
            records[tp] += batch
        for tp in list(waiting):
            if await consumer.position(tp) >= ends[tp]:
                waiting.discard(tp)
    return records
