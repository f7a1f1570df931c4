"""The live topic of a real broker into the board, through garbage and through a broker's death."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka import AIOKafkaProducer

from schemas.brokers import Brokers
from schemas.clock import Clock
from schemas.config import Config
from schemas.live import LiveRecord
from schemas.topics import LIVE
from sinks.board import feed as feed_module
from sinks.board.feed import LiveFeed
from sinks.board.server import serving
from tests.ports import free_port
from tests.sinks.board.broker import Feeder, create_live_topic, tansu
from tests.sinks.board.centre import NOON, bank, large


async def until(condition: Callable[[], bool], seconds: float = 180) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


async def send_all(bootstrap: str, *moments: int, epoch: int = 1) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
        for moment in moments:
            feeder = Feeder(bootstrap, Clock(), bank(), large(), epoch=epoch)
            feeder._offset = moment
            await feeder.feed_once(producer)


async def test_what_was_sent_before_the_start_is_there_at_once() -> None:
    with tansu(free_port()) as bootstrap:
        await create_live_topic(bootstrap)
        await send_all(bootstrap, 1, 2)
        records: list[LiveRecord] = []
        feed = LiveFeed(Brokers(bootstrap), records.append)
        task = asyncio.create_task(feed.run())
        try:
            await until(lambda: feed.caught_up)
            full = len(bank().records(NOON)) + len(large().records(NOON))
            assert len(records) == 2 * full
            assert {record["site"] for record in records} == {"bank", "metro"}
        finally:
            task.cancel()


async def test_garbage_is_counted_and_stops_nothing() -> None:
    with tansu(free_port()) as bootstrap:
        await create_live_topic(bootstrap, partitions=1)
        async with AIOKafkaProducer(bootstrap_servers=bootstrap) as producer:
            for value in (b"", b"\xff\x00", b"[]", b'{"v":1}', b'{"v":2,"site":"x"}', b"null"):
                await producer.send_and_wait(LIVE, value, key=b"x")
            await producer.send_and_wait(LIVE, None, key=b"x")
        await send_all(bootstrap, 1)
        config = Config(bootstrap=bootstrap, board_port=0)
        records: list[LiveRecord] = []
        feed = LiveFeed(config.brokers, records.append)
        task = asyncio.create_task(feed.run())
        try:
            await until(lambda: feed.caught_up)
            assert feed.refused == 7
            assert len(records) > 10
        finally:
            task.cancel()


async def test_the_feed_waits_for_the_topic_and_outlives_the_broker(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A memory broker comes back empty, with offsets lower than the feed has already seen."""
    monkeypatch.setattr(feed_module, "SILENCE_S", 0.5)
    monkeypatch.setattr(feed_module, "REQUEST_MS", 2000)
    port = free_port()
    records: list[LiveRecord] = []
    feed = LiveFeed(Brokers(f"127.0.0.1:{port}"), records.append)
    task = asyncio.create_task(feed.run())
    try:
        await asyncio.sleep(0.5)
        with tansu(port) as bootstrap:
            await create_live_topic(bootstrap)
            await send_all(bootstrap, 1, 2, 3)
            await until(lambda: {r["offset"] for r in records} == {2, 3, 4})
            await until(lambda: feed.caught_up)
        await until(lambda: not feed.caught_up)
        with tansu(port) as bootstrap:
            await create_live_topic(bootstrap)
            await send_all(bootstrap, 1, epoch=2)
            await until(lambda: any(r["epoch"] == 2 for r in records))
            await until(lambda: feed.caught_up)
    finally:
        task.cancel()


async def test_the_whole_role_starts_and_stops(tmp_path: Path) -> None:
    import aiohttp

    clock_file = tmp_path / "clock.json"
    Clock(wall_ms=0, site_ms=0, pace=1.0).write(clock_file)
    with tansu(free_port()) as bootstrap:
        await create_live_topic(bootstrap)
        await send_all(bootstrap, 1)
        config = Config(bootstrap=bootstrap, board_port=0, clock_file=str(clock_file))
        async with serving(config) as address, aiohttp.ClientSession(address) as session:

            async def ready() -> bool:
                async with session.get("/readyz") as response:
                    return response.status == 200

            async with asyncio.timeout(90):
                while not await ready():
                    await asyncio.sleep(0.05)
            async with session.get("/api/sites") as response:
                assert [s["site"] for s in await response.json()] == ["bank", "metro"]
