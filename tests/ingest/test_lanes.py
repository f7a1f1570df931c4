"""Lanes: what is handed in arrives in that order, whatever the broker does meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from pipeline.ingest.lanes import Item, Lanes, NotDelivered
from schemas.config import Config
from schemas.topics import RAW
from tests.ingest.broker import Broker, Reader
from tests.ingest.roles import until

Outcomes = dict[int, BaseException | None]


def put(lanes: Lanes, number: int, outcomes: Outcomes, partition: int = 0, size: int = 0) -> None:
    def done(error: BaseException | None) -> None:
        assert number not in outcomes
        outcomes[number] = error

    value = str(number).encode().ljust(size)
    lanes.put(RAW, partition, Item(b"k" * 500, value, [("h", b"1")], done))


@pytest.fixture
async def raw(config: Config) -> AsyncIterator[Reader]:
    async with Reader(config.bootstrap, RAW) as reader:
        yield reader


def numbers(raw: Reader, partition: int = 0) -> list[int]:
    return [int(record.value) for record in raw.records if record.partition == partition]


async def test_order_holds_within_a_partition(config: Config, raw: Reader) -> None:
    lanes, outcomes = Lanes(config.brokers), Outcomes()
    await lanes.start()
    for number in range(20_000):
        put(lanes, number, outcomes, partition=number % 3)
    assert await lanes.drain(0, 60)
    assert lanes.backlog_bytes == 0
    await until(lambda: len(raw.records) >= 20_000, raw)
    await lanes.stop()
    for partition in range(3):
        assert numbers(raw, partition) == list(range(partition, 20_000, 3))
    assert outcomes == dict.fromkeys(range(20_000))


async def test_large_records_go_alone(config: Config, raw: Reader) -> None:
    lanes, outcomes = Lanes(config.brokers), Outcomes()
    await lanes.start()
    for number in range(12):
        put(lanes, number, outcomes, size=1_000_000 if number % 3 == 0 else 1)
    assert await lanes.drain(0, 60)
    await lanes.stop()
    await until(lambda: len(raw.records) >= 12, raw)
    assert numbers(raw) == list(range(12))


async def test_order_holds_while_the_broker_stops_answering(
    config: Config, broker: Broker, raw: Reader, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.ingest.lanes.REQUEST_TIMEOUT_MS", 500)
    lanes, outcomes = Lanes(config.brokers), Outcomes()
    await lanes.start()
    for pause in range(3):
        for number in range(pause * 2000, (pause + 1) * 2000):
            put(lanes, number, outcomes)
            if number % 400 == 0:
                await asyncio.sleep(0.001)
        broker.pause()
        put(lanes, 6000 + pause, outcomes)
        await until(lambda: not lanes.delivering)
        broker.resume()
        assert await lanes.drain(0, 60)
    await lanes.stop()
    await until(lambda: 6002 in numbers(raw), raw)
    first_seen = list(dict.fromkeys(numbers(raw)))
    expected = [*range(2000), 6000, *range(2000, 4000), 6001, *range(4000, 6000), 6002]
    assert first_seen == expected
    assert set(outcomes.values()) == {None}


async def test_with_patience_records_are_given_up(
    config: Config, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.ingest.lanes.REQUEST_TIMEOUT_MS", 300)
    lanes, outcomes = Lanes(config.brokers, patience_s=0.5), Outcomes()
    await lanes.start()
    broker.pause()
    for number in range(10):
        put(lanes, number, outcomes)
    await until(lambda: len(outcomes) == 10)
    assert all(isinstance(error, NotDelivered) for error in outcomes.values())
    assert lanes.backlog_bytes == 0
    broker.resume()
    put(lanes, 10, outcomes)
    await until(lambda: 10 in outcomes)
    await lanes.stop()


async def test_a_broker_that_dies_is_found_again_at_its_address(
    config: Config, broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.ingest.lanes.REQUEST_TIMEOUT_MS", 1000)
    lanes, outcomes = Lanes(config.brokers), Outcomes()
    await lanes.start()
    put(lanes, 0, outcomes)
    assert await lanes.drain(0, 30)
    broker.kill()
    put(lanes, 1, outcomes)
    await until(lambda: not lanes.delivering)
    assert not await lanes.drain(0, 0.1)
    broker.start()
    assert await lanes.drain(0, 60)
    assert outcomes == {0: None, 1: None}
    await lanes.stop()
