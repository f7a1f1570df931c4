"""What a Kafka client does on its way out must not end ingest or the sink."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any, cast

from aiokafka import TopicPartition

from pipeline.ingest.ticks import Reading
from pipeline.ingest.worker import Session
from schemas.topics import RAW
from sinks.clickhouse.sink import Session as SinkSession

HERE = TopicPartition(RAW, 1)


class Revoking:
    """A consumer whose partition is revoked while somebody waits for its position."""

    def __init__(self) -> None:
        self.assigned = {HERE}

    def assignment(self) -> set[TopicPartition]:
        return self.assigned

    def highwater(self, tp: TopicPartition) -> int:
        assert tp in self.assigned, "Partition is not assigned"
        return 9

    def last_poll_timestamp(self, tp: TopicPartition) -> int:
        assert tp in self.assigned, "Partition is not assigned"
        return 1_000


class Cancelling:
    """A client that stops by its own cancellation, as aiokafka does without its broker."""

    async def stop(self) -> None:
        raise asyncio.CancelledError


async def test_a_partition_revoked_while_its_position_is_asked_for_has_no_reading() -> None:
    consumer = Revoking()

    async def position(_tp: TopicPartition) -> int:
        consumer.assigned = set()
        return 9

    session = cast(Any, SimpleNamespace(_consumer=consumer, _position=position))
    assert await Session._reading(session, HERE, 9) == Reading(9, 9, 1_000)
    assert await Session._reading(session, HERE, 5) is None
    assert await Session._reading(session, HERE, 9) is None


async def test_a_client_that_cancels_itself_when_it_stops_ends_nobody_else() -> None:
    async def nothing(*_: object) -> None:
        return None

    lanes = SimpleNamespace(stop=nothing)
    ingest = SimpleNamespace(_consumer=Cancelling(), lanes=lanes, _release=nothing)
    await Session.stop(cast(Any, ingest))
    sink = SimpleNamespace(_consumer=Cancelling(), _producer=Cancelling())
    await SinkSession.stop(cast(Any, sink))


async def test_what_is_handed_over_is_not_opened_again_before_the_group_has_decided() -> None:
    """Until then the client calls it assigned."""
    opened: list[float] = []

    async def getmany(**_: object) -> dict[TopicPartition, list[object]]:
        return {HERE: [object()]}

    async def nothing(_turn: float) -> None:
        session.partitions.clear()

    async def open_assigned(_records: object) -> None:
        session.partitions[HERE.partition] = SimpleNamespace(
            take=lambda _batch, turn: opened.append(turn)
        )

    session = cast(Any, SimpleNamespace(partitions={}, _generation=0, _rebalancing=False))
    session._consumer = SimpleNamespace(getmany=getmany)
    session._open_assigned, session._release = open_assigned, nothing
    await Session._read(session, 1.0)
    await Session.on_partitions_revoked(session, [HERE])
    await Session._read(session, 2.0)
    assert (opened, session.partitions) == ([1.0], {})
    await Session.on_partitions_assigned(session, [HERE])
    await Session._read(session, 3.0)
    assert opened == [1.0, 3.0]
