"""Topics on a real broker: created, checked, refused."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.partitioner import DefaultPartitioner

from agents_stream.tables import CHANGELOGS
from pipeline.topics import (
    TopicsError,
    ensure_topics,
    ensure_topics_patiently,
    look_at_topics,
    partition_of,
)
from schemas.brokers import Brokers
from schemas.topics import FRAMES, MEMORY, RAW, TOPICS
from tests.ingest.broker import PARTITIONS, Broker
from tests.ingest.roles import REPO


async def create(address: str, name: str, partitions: int, **config: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=address)
    await admin.start()
    try:
        wanted = {key.replace("_", "."): value for key, value in config.items()}
        await admin.create_topics([NewTopic(name, partitions, 1, topic_configs=wanted)])
    finally:
        await admin.close()


async def test_missing_topics_are_created_with_what_they_need(broker: Broker) -> None:
    states = await ensure_topics(Brokers(broker.address), 7)
    assert [(state.spec, state.created, state.partitions) for state in states] == [
        (spec, True, 7) for spec in TOPICS
    ]
    for state in states:
        assert state.config["cleanup.policy"] == state.spec.cleanup_policy
        assert state.config["retention.ms"] == str(state.spec.retention_ms)
        assert state.config["max.message.bytes"] == str(state.spec.max_message_bytes)


async def test_what_a_new_owner_reads_whole_is_compacted_early(broker: Broker) -> None:
    states = await ensure_topics(Brokers(broker.address), 7, (*TOPICS, *CHANGELOGS))
    kept = [state for state in states if state.spec.cleanup_policy == "compact"]
    assert {state.spec.name for state in kept} == {MEMORY, *(spec.name for spec in CHANGELOGS)}
    for state in kept:
        # By itself Kafka lets a gigabyte pass before it compacts, and all of it would be read.
        assert int(state.config["segment.bytes"]) <= 8 * 1024 * 1024


async def test_existing_topics_are_found_good(broker: Broker) -> None:
    await ensure_topics(Brokers(broker.address), PARTITIONS)
    again = await ensure_topics(Brokers(broker.address), PARTITIONS)
    assert not any(state.created for state in again)


async def test_roles_that_start_together_do_not_disturb_each_other(broker: Broker) -> None:
    await asyncio.gather(*(ensure_topics(Brokers(broker.address), PARTITIONS) for _ in range(4)))
    states = await look_at_topics(Brokers(broker.address), PARTITIONS)
    assert [state.partitions for state in states] == [PARTITIONS] * len(TOPICS)


async def test_looking_creates_nothing(broker: Broker) -> None:
    for _ in range(2):
        states = await look_at_topics(Brokers(broker.address), PARTITIONS)
        assert all(state.missing for state in states)


async def test_another_partition_count_is_refused_by_name(broker: Broker) -> None:
    await create(broker.address, FRAMES, 3)
    with pytest.raises(TopicsError) as error:
        await ensure_topics(Brokers(broker.address), 32)
    assert f"topic {FRAMES}: expected 32 partitions, found 3" in str(error.value)
    assert "CALLBOARD_PARTITIONS" in str(error.value)
    assert "backfill" in str(error.value)


async def test_every_wrong_setting_is_told_with_the_command_that_mends_it(broker: Broker) -> None:
    wrong = {"cleanup.policy": "compact", "retention.ms": "60000", "max.message.bytes": "1000"}
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.address)
    await admin.start()
    await admin.create_topics([NewTopic(RAW, PARTITIONS, 1, topic_configs=wrong)])
    await admin.close()
    with pytest.raises(TopicsError) as error:
        await ensure_topics(Brokers(broker.address), PARTITIONS)
    lines = str(error.value).splitlines()
    assert len(lines) == 3
    assert "expected cleanup.policy delete, found compact" in lines[0]
    assert "expected retention.ms 604800000 or longer, found 60000" in lines[1]
    assert "expected max.message.bytes 2097152 or more, found 1000" in lines[2]
    assert all("kafka-configs.sh" in line for line in lines)


async def test_longer_retention_and_larger_records_are_fine(broker: Broker) -> None:
    await create(broker.address, RAW, PARTITIONS, retention_ms="-1")
    await ensure_topics(Brokers(broker.address), PARTITIONS)


async def test_a_broker_that_comes_late_is_waited_for(broker: Broker) -> None:
    broker.kill()
    waiting = asyncio.create_task(ensure_topics_patiently(Brokers(broker.address), PARTITIONS))
    await asyncio.sleep(0.5)
    assert not waiting.done()
    broker.start()
    states = await asyncio.wait_for(waiting, 90)
    assert all(state.created for state in states)


@pytest.mark.parametrize("site", ["north", "bank", "ø" * 200, "x", "Zürich-3"])
def test_a_sites_partition_is_kafkas_default_for_its_key(site: str) -> None:
    every = list(range(32))
    assert partition_of(site, 32) == DefaultPartitioner()(site.encode(), every, every)


def callboard_topics(address: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    code = "import typer; from pipeline.cli.topics import topics; typer.run(topics)"
    env = {
        **os.environ,
        "CALLBOARD_BOOTSTRAP": address,
        "CALLBOARD_PARTITIONS": "4",
        "PYTHONPATH": str(REPO),
        "COLUMNS": "120",
    }
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env=env,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_shows_missing_topics_and_creates_them(broker: Broker) -> None:
    every = len((*TOPICS, *CHANGELOGS))
    shown = callboard_topics(broker.address)
    assert shown.returncode == 1
    assert shown.stdout.count("missing") == every
    created = callboard_topics(broker.address, "--create")
    assert (created.returncode, created.stderr) == (0, "")
    assert created.stdout.count("created") == every
    good = callboard_topics(broker.address)
    assert good.returncode == 0
    assert good.stdout.count("4/4") == every
