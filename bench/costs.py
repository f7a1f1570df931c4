"""What was written to each topic of a stack in spans of time, read back once all is over."""

from __future__ import annotations

from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.brokers import Brokers
from schemas.topics import CHANGELOGS, TOPICS

QUIET_MS = 1000
_MIB = 1024 * 1024

Span = tuple[int, int]
"""First and last moment, epoch ms."""


async def written(brokers: Brokers, spans: list[Span]) -> list[dict[str, int]]:
    """Bytes of keys, values and headers of each topic's records whose time is in each span.

    What Kafka adds to a record, and what compression would take away, are left out.
    """
    found: list[dict[str, int]] = [{} for _ in spans]
    async with AIOKafkaConsumer(
        **brokers.arguments(),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * _MIB,
    ) as consumer:
        names = {spec.name for spec in (*TOPICS, *CHANGELOGS)} & await consumer.topics()
        consumer.assign(
            TopicPartition(name, number)
            for name in names
            for number in consumer.partitions_for_topic(name) or ()
        )
        while batches := await consumer.getmany(timeout_ms=QUIET_MS):
            for place, records in batches.items():
                _add(found, spans, place.topic, records)
    return found


def _add(found: list[dict[str, int]], spans: list[Span], topic: str, records: list[Any]) -> None:
    for record in records:
        for (first, last), sizes in zip(spans, found, strict=True):
            if first <= record.timestamp <= last:
                sizes[topic] = sizes.get(topic, 0) + _size(record)


def _size(record: Any) -> int:
    headers = sum(len(name) + len(value) for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers
