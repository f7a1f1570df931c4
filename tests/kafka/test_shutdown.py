"""SIGTERM on a real Kafka: the group is left at once, and the next process reads nothing again."""

from __future__ import annotations

import asyncio
import signal
import time
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from agents_stream.tables import GROUP
from pipeline.topics import ensure_topics_patiently
from schemas.config import Config
from schemas.topics import TOPICS
from tests.kafka.restarts import eyes, pipeline

PATIENCE_S = 120.0


async def members(admin: Any, group: str) -> int:
    """How many members the broker believes a group to have."""
    [answer] = await admin.describe_consumer_groups([group])
    [described] = answer.to_object()["groups"]
    return len(described["members"])


def metric(config: Config, name: str) -> float:
    """A figure of the worker's page, summed over its labels."""
    address = f"http://127.0.0.1:{config.worker_port}/metrics"
    with urllib.request.urlopen(address, timeout=30) as page:
        lines = page.read().decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


async def until_frames(config: Config, count: float) -> None:
    """Wait until the worker has applied so many frames."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            if await asyncio.to_thread(metric, config, "callboard_worker_frames_total") >= count:
                return
        except OSError:
            pass
        assert time.monotonic() < deadline, "the worker applies no frames"
        await asyncio.sleep(0.2)


@pytest.mark.timeout(300)
async def test_who_stops_in_order_leaves_at_once_and_the_next_reads_nothing_again(
    tmp_path: Path,
) -> None:
    with pipeline(tmp_path) as (config, roles):
        await ensure_topics_patiently(config.brokers, config.partitions, TOPICS)
        for process in roles.values():
            process.start()
        admin = AIOKafkaAdminClient(**config.brokers.arguments())
        await admin.start()
        try:
            async with eyes(config) as seen:
                for role in roles:
                    await seen.first_after(role, time.time())
                groups = {
                    "ingest": f"callboard-ingest-{config.epoch}",
                    "agents": GROUP,
                    "sink": f"callboard-sink-{config.epoch}",
                }
                for role, group in groups.items():
                    assert await members(admin, group) == 1
                    roles[role].end(signal.SIGTERM)
                    # One whose session has to run out is still there for seconds.
                    assert await members(admin, group) == 0, roles[role].words()
                    started = roles[role].start()
                    await seen.first_after(role, started)
                await until_frames(config, 20)
                assert metric(config, "callboard_worker_frames_again_total") == 0
                assert metric(config, "callboard_worker_frames_missing_total") == 0
        finally:
            await admin.close()
        for process in roles.values():
            assert "Traceback" not in process.words()
