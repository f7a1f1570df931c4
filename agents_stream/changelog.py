"""Reads the changelogs of a partition without Faust, for when its recovery is in doubt.

Faust's recovery has shown tables as recovered that were empty or lacked records. The digest of a
marker tells; then the log itself is asked before any state is called lost.
"""

from __future__ import annotations

from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from agents_stream.checkpoint import StateKey
from schemas.brokers import Brokers

POLL_MS = 200


async def read_changelogs(
    brokers: Brokers, topics: list[str], partition: int
) -> list[tuple[StateKey, bytes]]:
    """The newest value of every key in the topics' partition; raises what the broker raises."""
    consumer = AIOKafkaConsumer(
        **brokers.arguments(), enable_auto_commit=False, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        found: dict[StateKey, bytes] = {}
        for topic in topics:
            await _read(consumer, TopicPartition(topic, partition), found)
        return list(found.items())
    finally:
        await consumer.stop()


async def _read(consumer: Any, place: TopicPartition, found: dict[StateKey, bytes]) -> None:
    consumer.assign([place])
    consumer.seek(place, 0)
    end = (await consumer.end_offsets([place]))[place]
    while True:
        batches = await consumer.getmany(place, timeout_ms=POLL_MS)
        records = batches.get(place, [])
        for record in records:
            key = key_of(record.key)
            if record.value is None:
                found.pop(key, None)
            else:
                found[key] = record.value
        # Tansu tells the end of a topic as that of its last batch's first record: what is left of
        # that batch comes with the next fetch.
        if not records and await consumer.position(place) >= end:
            return


def key_of(encoded: bytes) -> StateKey:
    """The state key in the key of a changelog record; windowed ones are [key, window]."""
    key = orjson.loads(encoded)
    return StateKey(*(key[0] if isinstance(key[0], list) else key))
