"""What the sinks ask the broker beside reading: how many partitions a topic has."""

from __future__ import annotations

from aiokafka.admin import AIOKafkaAdminClient

REQUEST_MS = 5000


async def partitions_of(bootstrap: str, topic: str) -> list[int]:
    """The partitions of a topic in order, none if the broker does not have it.

    A consumer knows only the topics that it reads: Apache Kafka tells it of no others, while the
    embedded broker tells of all. So a connection of its own asks, for the list of all topics, since
    some brokers create a topic that a client asks for by name. Raises `KafkaError` while the broker
    does not answer.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=REQUEST_MS)
    try:
        await admin.start()
        for found in await admin.describe_topics(None):
            if found["topic"] == topic:
                return sorted(part["partition"] for part in found["partitions"])
        return []
    finally:
        await admin.close()
