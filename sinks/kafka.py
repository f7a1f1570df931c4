"""How the sinks stand to the broker: their consumers, and how many partitions a topic has."""

from __future__ import annotations

from typing import Any

from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient

from schemas.brokers import Brokers
from schemas.config import Config

REQUEST_MS = 5000
NEVER_MS = 2**31 - 1


def group_consumer(config: Config, group: str, **fetching: Any) -> AIOKafkaConsumer:
    """A consumer that commits by itself nothing; `fetching` are aiokafka's limits of a fetch."""
    return AIOKafkaConsumer(
        **config.brokers.arguments(),
        client_id=group,
        # What one broker in memory was told is not true of the next: an epoch is a group.
        group_id=f"{group}-{config.epoch}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * 1024 * 1024,
        session_timeout_ms=6_000,
        heartbeat_interval_ms=1_500,
        rebalance_timeout_ms=30_000,
        # While the store is away nothing is polled, for hours if need be, and the partitions stay:
        # another sink could not write them either.
        max_poll_interval_ms=NEVER_MS,
        **fetching,
    )


async def partitions_of(brokers: Brokers, topic: str) -> list[int]:
    """The partitions of a topic in order, none if the broker does not have it.

    A consumer knows only the topics that it reads: Apache Kafka tells it of no others, while the
    embedded broker tells of all. So a connection of its own asks, for the list of all topics, since
    some brokers create a topic that a client asks for by name. Raises `KafkaError` while the broker
    does not answer.
    """
    admin = AIOKafkaAdminClient(**brokers.arguments(), request_timeout_ms=REQUEST_MS)
    try:
        await admin.start()
        for found in await admin.describe_topics(None):
            if found["topic"] == topic:
                return sorted(part["partition"] for part in found["partitions"])
        return []
    finally:
        await admin.close()
