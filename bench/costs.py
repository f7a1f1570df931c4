"""What was written to each topic of a stack in spans of time, read back when they are over."""

from __future__ import annotations

from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.brokers import Brokers
from schemas.topics import CHANGELOGS, TOPICS

QUIET_MS = 1000
# The stack goes on, so the topics have no end: so often in a row all that comes is newer.
NEWER = 5
_MIB = 1024 * 1024

Span = tuple[int, int]
"""First and last moment, epoch ms."""


async def written(brokers: Brokers, spans: list[Span]) -> list[dict[str, int]]:
    """Bytes of keys, values and headers of each topic's records whose time is in each span.

    What Kafka adds to a record, and what compression would take away, are left out.
    """
    found: list[dict[str, int]] = [{} for _ in spans]
    over, newer = max(last for _, last in spans), 0
    async with AIOKafkaConsumer(
        **brokers.arguments(),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * _MIB,
    ) as consumer:
        names = {spec.name for spec in (*TOPICS, *CHANGELOGS)} & await consumer.topics()
        places = [
            TopicPartition(name, number)
            for name in names
            for number in consumer.partitions_for_topic(name) or ()
        ]
        consumer.assign(places)
        while newer < NEWER and (batches := await consumer.getmany(timeout_ms=QUIET_MS)):
            for place, records in batches.items():
                _add(found, spans, place.topic, records)
            old = any(one.timestamp <= over for records in batches.values() for one in records)
            newer = 0 if old else newer + 1
    return found


def _add(found: list[dict[str, int]], spans: list[Span], topic: str, records: list[Any]) -> None:
    for record in records:
        for (first, last), sizes in zip(spans, found, strict=True):
            if first <= record.timestamp <= last:
                sizes[topic] = sizes.get(topic, 0) + _size(record)


def _size(record: Any) -> int:
    headers = sum(len(name) + len(value) for name, value in record.headers)
    return len(record.key or b"") + len(record.value or b"") + headers
