"""Reads the changelogs of a partition without Faust, for when its recovery is in doubt.

Faust's recovery has shown tables as recovered that were empty or lacked records. The digest of a
marker tells; then the log itself is asked before any state is called lost.
"""

from __future__ import annotations

from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from agents_stream.checkpoint import StateKey

POLL_MS = 500


async def read_changelogs(
    bootstrap: str, topics: list[str], partition: int
) -> list[tuple[StateKey, bytes]]:
    """The newest value of every key in the topics' partition; raises what the broker raises."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, enable_auto_commit=False)
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
    end = (await consumer.end_offsets([place]))[place]
    await consumer.seek_to_beginning(place)
    while await consumer.position(place) < end:
        batches = await consumer.getmany(place, timeout_ms=POLL_MS)
        for record in batches.get(place, []):
            key = key_of(record.key)
            if record.value is None:
                found.pop(key, None)
            else:
                found[key] = record.value


def key_of(encoded: bytes) -> StateKey:
    """The state key in the key of a changelog record; windowed ones are [key, window]."""
    key = orjson.loads(encoded)
    return StateKey(*(key[0] if isinstance(key[0], list) else key))
