"""What the doctor says of consumer groups on Apache Kafka: who reads, who is gone, who is stuck."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import NotCoordinatorForGroupError
from aiokafka.protocol.admin import DescribeGroupsResponse_v3

from agents_stream.tables import GROUP
from pipeline.doctor import groups
from pipeline.doctor.around import Around
from pipeline.doctor.finding import Finding, State
from pipeline.topics import ensure_topics
from schemas.config import Config
from schemas.topics import ALERTS, CHANGELOGS, FRAMES, RAW, ROWS, TOPICS
from tests.kafka.server import KafkaServer, running_kafka

PARTITIONS = 2
INGEST, SINK, ALERT_SINK = "callboard-ingest-1", "callboard-sink-1", "callboard-sink-alerts-1"


@pytest.fixture(scope="module")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    with running_kafka(tmp_path_factory.mktemp("kafka")) as started:
        yield started


@pytest.fixture
async def config(kafka: KafkaServer) -> Config:
    asked = Config(bootstrap=kafka.address, partitions=PARTITIONS, checkpoint_ms=1000, epoch=1)
    await ensure_topics(asked.brokers, PARTITIONS, (*TOPICS, *CHANGELOGS))
    return asked


async def found(config: Config) -> dict[str, Finding]:
    async with Around(config, {}, {}, frozenset()) as around:
        return {finding.name: finding for finding in await groups.check(around)}


@asynccontextmanager
async def member(config: Config, group: str, topic: str) -> AsyncIterator[AIOKafkaConsumer]:
    """A member of a group that has all partitions and has read nothing yet."""
    consumer = AIOKafkaConsumer(
        topic,
        **config.brokers.arguments(),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        while len(consumer.assignment()) < PARTITIONS:
            await asyncio.sleep(0.05)
        yield consumer
    finally:
        await consumer.stop()


async def write(config: Config, topic: str, count: int) -> None:
    """So many records, all on the first partition."""
    async with AIOKafkaProducer(**config.brokers.arguments()) as producer:
        sent = [await producer.send(topic, b"{}", partition=0) for _ in range(count)]
        await asyncio.gather(*sent)


@asynccontextmanager
async def looking(config: Config, group: str) -> AsyncIterator[asyncio.Task[dict[str, Finding]]]:
    """A look at the groups that has seen this one for the first time."""
    seen = asyncio.Event()
    look = groups._look

    async def and_tell(around: Around, reader: groups._Reader) -> groups._Seen:
        found = await look(around, reader)
        if reader.group == group:
            seen.set()
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(groups, "_look", and_tell)
        task = asyncio.create_task(found(config))
        await seen.wait()
        yield task
        await task


async def commit(consumer: AIOKafkaConsumer, topic: str, offset: int) -> None:
    await consumer.commit({TopicPartition(topic, 0): offset})


async def test_on_a_new_broker_nobody_is_in_any_group(config: Config) -> None:
    of = await found(config)
    assert set(of) == {INGEST, GROUP, SINK, ALERT_SINK}
    for name, role in ((INGEST, "ingest"), (GROUP, "worker"), (SINK, "sink")):
        assert of[name].state is State.FAILED
        assert "nobody reads" in of[name].told
        assert of[name].todo.startswith(f"start {role}")


async def test_who_reads_all_is_well_and_who_left_is_missed(config: Config) -> None:
    await write(config, ALERTS, 5)
    async with member(config, ALERT_SINK, ALERTS) as consumer:
        behind = (await found(config))[ALERT_SINK]
        await commit(consumer, ALERTS, 5)
        done = (await found(config))[ALERT_SINK]
    assert (behind.state, done.state) == (State.OK, State.OK)
    assert f"1 member, 5 records of {ALERTS}" in behind.told
    assert f"1 member, 0 records of {ALERTS}" in done.told
    left = (await found(config))[ALERT_SINK]
    assert left.state is State.FAILED
    assert f"nobody reads; 0 members, 0 records of {ALERTS}" in left.told


async def test_who_has_much_to_read_and_reads_none_of_it_is_stuck(config: Config) -> None:
    await write(config, RAW, groups.MUCH + 1)
    async with member(config, INGEST, RAW):
        stuck = (await found(config))[INGEST]
    assert stuck.state is State.FAILED
    assert "stuck" in stuck.told
    assert f"{groups.MUCH + 1:,} records" in stuck.told
    assert stuck.todo == "see the log and /healthz of ingest"


async def test_who_catches_up_is_told_how_long_it_will_take(config: Config) -> None:
    count = 3 * groups.MUCH
    await write(config, FRAMES, count)
    async with member(config, GROUP, FRAMES) as consumer:
        async with looking(config, GROUP) as task:
            await commit(consumer, FRAMES, groups.MUCH)
            catching_up = (await task)[GROUP]
        await commit(consumer, FRAMES, count)
        done = (await found(config))[GROUP]
    assert catching_up.state is State.WARNING
    assert "catching up" in catching_up.told
    assert "wait: about" in catching_up.todo
    assert done.state is State.OK


async def test_who_will_not_be_done_within_an_hour_is_far_behind(config: Config) -> None:
    count = 9 * groups.MUCH
    await write(config, ROWS, count)
    async with member(config, SINK, ROWS) as consumer, looking(config, SINK) as task:
        await commit(consumer, ROWS, 1)
        behind = (await task)[SINK]
    assert behind.state is State.WARNING
    assert "far behind" in behind.told
    assert behind.todo.startswith("more of sink")


class _Moving:
    """An administrator whose coordinator moves, so many times."""

    def __init__(self, times: int) -> None:
        self.times = times

    async def describe_consumer_groups(self, names: list[str]) -> list[Any]:
        self.times -= 1
        code = NotCoordinatorForGroupError.errno if self.times >= 0 else 0
        [name] = names
        members = [("one", "", "", b"", b"")]
        return [DescribeGroupsResponse_v3(0, [(code, name, "Stable", "", "", members, 0)])]

    async def list_consumer_group_offsets(self, group: str) -> dict[TopicPartition, Any]:
        return {}


async def test_a_coordinator_that_moves_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    described, _ = await groups._patiently(_Moving(2), INGEST)
    assert len(described["members"]) == 1
    monkeypatch.setattr(groups, "PATIENCE_S", 0.3)
    with pytest.raises(NotCoordinatorForGroupError):
        await groups._patiently(_Moving(1_000), INGEST)
