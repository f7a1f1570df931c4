"""The day in a topic of the embedded broker, one event a message, keyed by contact or agent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from bench.broker import broker
from bench.peers.day import Day
from bench.peers.messages import AFTER_MS, END_TYPE, TOPIC


@contextmanager
def day_in_broker(day: Day, log: Path, core: int) -> Iterator[str]:
    """A fresh broker on a core that holds the whole day in one partition; yields its address."""
    with broker(log, core) as address:
        asyncio.run(_fill(address, day))
        yield address


async def _fill(address: str, day: Day) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    # Quix Streams derives its topics' settings from these, which the broker tells only if set.
    kept = {"retention.ms": "604800000", "retention.bytes": "-1"}
    await admin.create_topics([NewTopic(TOPIC, 1, 1, topic_configs=kept)])
    await admin.close()
    producer = AIOKafkaProducer(bootstrap_servers=address, linger_ms=20, max_batch_size=500_000)
    await producer.start()
    try:
        sent = [await producer.send(TOPIC, value, key, 0) for key, value in _messages(day)]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


def _messages(day: Day) -> Iterator[tuple[bytes, bytes]]:
    with day.path.open("rb") as lines:
        for line in lines:
            event = orjson.loads(line)
            key = event.get("contact") or event.get("agent") or event["site"]
            yield key.encode(), line.rstrip(b"\n")
    for after in AFTER_MS:
        yield b"~end", orjson.dumps({"type": END_TYPE, "ts": day.last_edge + after})
