"""The sink as a process would run it: a real broker, a real store, and what breaks between them."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from pipeline.topics import ensure_topics_patiently
from schemas.config import Config
from schemas.topics import ROWS
from sinks.clickhouse.sink import GROUP, Sink, SinkError
from sinks.clickhouse.writer import Unavailable
from tests.ingest.broker import Broker, DeadReader, running_broker
from tests.ports import free_port
from tests.sinks.clickhouse.store import Database, Server, database, record, running
from tests.sinks.clickhouse.test_batch import T, decline

PARTITIONS = 4


@pytest.fixture(scope="module")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


_epochs = iter(range(1, 1000))


@pytest.fixture
def epoch() -> int:
    """An epoch of its own gives each test a group of its own on the shared broker."""
    return next(_epochs)


def config_of(broker: Broker, db: Database, epoch: int, **more: Any) -> Config:
    given = {"bootstrap": broker.address, "partitions": PARTITIONS, "sink_port": free_port()}
    given |= {"epoch": epoch, "alone": True}
    return db.config().model_copy(update=given | more)


async def topics(config: Config) -> None:
    await ensure_topics_patiently(config.brokers, config.partitions)


@asynccontextmanager
async def sink_running(config: Config, store: Any = None) -> AsyncIterator[Sink]:
    sink, stop = Sink(config, store, prepare=lambda: topics(config)), asyncio.Event()
    task = asyncio.create_task(sink.run(stop))
    try:
        yield sink
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)


async def put(broker: Broker, *records: bytes, partition: int = 0) -> list[int]:
    """Write records of rows; gives their offsets."""
    producer = AIOKafkaProducer(bootstrap_servers=broker.address, acks="all")
    await producer.start()
    try:
        done = [
            await producer.send_and_wait(ROWS, value, key=b"s", partition=partition)
            for value in records
        ]
        return [one.offset for one in done]
    finally:
        await producer.stop()


async def until(happened: Callable[[], bool], seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(happened):
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.1)


async def committed(
    config: Config, partition: int = 0, topic: str = ROWS, group: str = GROUP
) -> int | None:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=config.bootstrap, group_id=f"{group}-{config.epoch}"
    )
    await consumer.start()
    try:
        found: int | None = await consumer.committed(TopicPartition(topic, partition))
        return found
    finally:
        await consumer.stop()


def contacts(db: Database) -> list[str]:
    return [
        row["contact"] for row in db.rows("SELECT contact FROM declines FINAL ORDER BY contact")
    ]


def rows(*names: str, version: int = 1, **more: Any) -> bytes:
    return record({"declines": [decline(name) for name in names]}, at=T, version=version, **more)


async def page(config: Config, path: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{config.sink_port}/{path}") as answer,
    ):
        return answer.status, await answer.text()


async def metrics(config: Config) -> dict[str, str]:
    _, text = await page(config, "metrics")
    return dict(line.rsplit(" ", 1) for line in text.splitlines() if line[0] != "#")


async def test_rows_of_all_partitions_are_written_and_then_committed(
    shared_broker: Broker, db: Database, epoch: int
) -> None:
    config = config_of(shared_broker, db, epoch)
    await topics(config)
    before = await put(shared_broker, rows("a"), rows("b", version=2))
    await put(shared_broker, rows("c", site="other"), partition=3)
    async with sink_running(config):
        await until(lambda: contacts(db) == ["a", "b", "c"])
        await put(shared_broker, rows("d", version=3))
        await until(lambda: contacts(db) == ["a", "b", "c", "d"])
        assert {row["site"] for row in db.rows("SELECT site FROM progress")} == {"s", "other"}
        status, text = await page(config, "readyz")
        assert (status, text) == (200, "ready\n")
    assert await committed(config) == before[-1] + 2
    assert db.value("SELECT version FROM progress WHERE site = 's'") == 3


async def test_metrics_tell_rows_batches_lag_and_the_last_insert(
    shared_broker: Broker, db: Database, epoch: int
) -> None:
    config = config_of(shared_broker, db, epoch)
    async with sink_running(config) as sink:
        await until(lambda: sink.session is not None and sink.unready() == "")
        await put(shared_broker, rows("m1", "m2"))
        await until(lambda: {"m1", "m2"} <= set(contacts(db)))
        shown = await metrics(config)
        deadline = time.monotonic() + 180
        # Counted after the rows are there, and of a topic whose end is asked for now and then.
        while shown["callboard_sink_batches_total"] == "0.0" or float(
            shown["callboard_sink_lag_records"]
        ):
            assert time.monotonic() < deadline, shown
            await asyncio.sleep(0.1)
            shown = await metrics(config)
    assert float(shown['callboard_sink_rows_inserted_total{table="declines"}']) >= 2
    assert float(shown["callboard_sink_batches_total"]) >= 1
    assert float(shown["callboard_sink_lag_records"]) == 0
    assert abs(float(shown["callboard_sink_last_insert_timestamp_seconds"]) - time.time()) < 60
    assert shown["callboard_sink_partitions"] == f"{PARTITIONS}.0"
    assert shown["callboard_sink_ready"] == "1.0"


async def test_a_bad_row_and_a_bad_record_become_dead_letters_and_the_rest_goes_in(
    shared_broker: Broker, db: Database, epoch: int
) -> None:
    config = config_of(shared_broker, db, epoch)
    bad = decline("worse", channel="pigeon")
    mixed = record(
        {"declines": [decline("good"), bad], "nonsense": [{"x": 1}]},
        at=T, version=(epoch << 40) + 7,
    )  # fmt: skip
    async with sink_running(config), DeadReader(shared_broker.address, PARTITIONS) as letters:
        first, second = await put(shared_broker, mixed, b"\xff noise")
        await until(lambda: "good" in contacts(db))
        by_field: dict[str, Any] = {}
        deadline = time.monotonic() + 180
        while len(by_field) < 3 and time.monotonic() < deadline:
            found = [orjson.loads(one.value) for one in await letters.more()]
            by_field |= {one["field"]: one for one in found if one["offset"] in (first, second)}
    assert set(by_field) == {"declines", "nonsense", "record"}
    assert {one["reason"] for one in by_field.values()} == {"bad_row"}
    assert "pigeon" in by_field["declines"]["detail"] + by_field["declines"]["payload"]
    assert (by_field["declines"]["site"], by_field["declines"]["at"]) == ("s", T)
    assert (by_field["declines"]["epoch"], by_field["declines"]["topic"]) == (epoch, ROWS)
    assert "site" not in by_field["record"]
    assert "worse" not in contacts(db)
    assert await committed(config) == second + 1


async def test_while_the_store_is_away_nothing_is_committed_and_nothing_is_lost(
    tmp_path: Any, shared_broker: Broker, epoch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.clickhouse.sink.FAILING_S", 0.5)
    monkeypatch.setattr("sinks.clickhouse.writer.LONGEST_PAUSE_S", 0.3)
    with running(tmp_path) as server, database(server, "callboard") as db:
        config = config_of(shared_broker, db, epoch)
        async with sink_running(config):
            await put(shared_broker, rows("before"))
            await until(lambda: "before" in contacts(db))
            await asyncio.to_thread(server.stop)
            offsets = await put(shared_broker, *[rows(f"away{n}", version=2 + n) for n in range(5)])
            deadline = time.monotonic() + 180
            while await page(config, "readyz") != (503, "the store takes no rows\n"):
                assert time.monotonic() < deadline, await page(config, "readyz")
                await asyncio.sleep(0.1)
            assert ((await committed(config)) or 0) <= offsets[0]
            again = Server(tmp_path, server.port)
            await asyncio.to_thread(again.start)
            await until(lambda: len([c for c in contacts(db) if c.startswith("away")]) == 5)
        assert await committed(config) == offsets[-1] + 1
    again.stop()


async def test_a_sink_stopped_while_the_store_is_away_leaves_the_rows_to_the_next(
    shared_broker: Broker, db: Database, epoch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.clickhouse.sink.DRAIN_S", 0.3)
    config = config_of(shared_broker, db, epoch)
    await topics(config)
    await put(shared_broker, rows(f"left{epoch}"))

    class Away:
        async def insert(self, table: str, body: bytes, token: str) -> None:
            raise Unavailable("away")

    async with sink_running(config, Away()) as sink:
        await until(lambda: sink.metrics.retries._value.get() > 2)
    assert await committed(config) is None
    async with sink_running(config):
        await until(lambda: f"left{epoch}" in contacts(db))


async def test_rows_written_but_not_committed_are_written_again_and_count_once(
    shared_broker: Broker, db: Database, epoch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(shared_broker, db, epoch)
    await topics(config)
    await put(shared_broker, rows(f"once{epoch}", version=epoch << 40))

    async def dies(self: Any, offsets: Any = None) -> None:
        raise TimeoutError("the sink dies here")

    with monkeypatch.context() as crash:
        crash.setattr("aiokafka.AIOKafkaConsumer.commit", dies)
        async with sink_running(config):
            await until(lambda: f"once{epoch}" in contacts(db))
    assert await committed(config) is None
    async with sink_running(config):
        await until(lambda: asyncio.run(committed(config)) is not None)
    assert db.value(f"SELECT count() FROM contact_declines WHERE contact = 'once{epoch}'") == 1


async def test_two_sinks_of_a_group_share_the_partitions_and_one_takes_over(
    shared_broker: Broker, db: Database, epoch: int
) -> None:
    """A door with a journal, whose variable all roles share, changes nothing about that."""
    one = config_of(shared_broker, db, epoch, alone=False, journal=True)
    async with sink_running(one) as first:
        await until(lambda: first.session is not None and first.unready() == "")
        await put(shared_broker, rows("g0"))
        await until(lambda: "g0" in contacts(db))
        two = one.model_copy(update={"sink_port": free_port()})
        async with sink_running(two) as second:
            shares = [first.metrics.partitions, second.metrics.partitions]
            await until(lambda: sorted(s._value.get() for s in shares) == [2.0, 2.0])
            for number in range(PARTITIONS):
                await put(shared_broker, rows(f"g1{number}"), partition=number)
            await until(lambda: len([c for c in contacts(db) if c.startswith("g1")]) == 4)
        for number in range(PARTITIONS):
            await put(shared_broker, rows(f"g2{number}"), partition=number)
        await until(lambda: len([c for c in contacts(db) if c.startswith("g2")]) == 4)


async def test_a_broker_that_comes_back_empty_is_read_from_its_beginning(
    tmp_path: Any, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.clickhouse.sink.WATCH_S", 0.3)
    broker = Broker(tmp_path / "log")
    broker.start()
    config = config_of(broker, db, 1)
    try:
        async with sink_running(config):
            await until(lambda: _answers(broker))
            await topics(config)
            last = (await put(broker, *[rows(f"old{n}", version=n) for n in range(1, 6)]))[-1]
            await until(lambda: len([c for c in contacts(db) if c.startswith("old")]) == 5)
            # A commit under way would be told to the new broker, in the same epoch here.
            await until(lambda: asyncio.run(committed(config)) == last + 1)
            broker.kill()
            broker.start()
            await topics(config)
            await put(broker, rows("new", version=(2 << 40) + 1))
            await until(lambda: "new" in contacts(db))
    finally:
        broker.kill()


def _answers(broker: Broker) -> bool:
    return broker.port > 0


async def test_topics_with_other_partitions_are_refused_with_the_variable_to_change(
    shared_broker: Broker, db: Database, epoch: int
) -> None:
    config = config_of(shared_broker, db, epoch)
    await topics(config)
    wrong = config.model_copy(update={"partitions": 5})
    with pytest.raises(SinkError, match="CALLBOARD_PARTITIONS"):
        await asyncio.wait_for(Sink(wrong).run(asyncio.Event()), 60)


async def test_the_sink_waits_for_migrations_and_says_which_is_missing(
    shared_broker: Broker, clickhouse: Server, epoch: int
) -> None:
    with database(clickhouse) as bare:
        bare.command("TRUNCATE TABLE schema_migrations")
        config = config_of(shared_broker, bare, epoch)
        async with sink_running(config) as sink:
            await until(lambda: "is not applied" in sink.unready())
            status, text = await page(config, "readyz")
            assert status == 503
            assert "run `callboard migrate`" in text


def test_as_a_process_it_writes_what_it_has_and_ends_on_sigterm(
    shared_broker: Broker, db: Database, epoch: int
) -> None:
    config = config_of(shared_broker, db, epoch)
    asyncio.run(topics(config))
    code = "from pipeline.cli.sink import sink; sink()"
    environ = {**os.environ, **config.to_env()}
    process = subprocess.Popen([sys.executable, "-c", code], env=environ)
    try:
        name = f"process{epoch}"
        asyncio.run(put(shared_broker, rows(name, version=epoch << 40)))
        asyncio.run(until(lambda: name in contacts(db)))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        process.kill()
        process.wait()


async def test_a_kill_at_any_moment_loses_and_doubles_nothing(
    shared_broker: Broker, db: Database, epoch: int
) -> None:
    config = config_of(shared_broker, db, epoch)
    await topics(config)
    code = "from pipeline.cli.sink import sink; sink()"
    environ = {**os.environ, **config.to_env()}
    wanted = [f"k{epoch}-{n:03d}" for n in range(60)]

    def mine() -> list[str]:
        found = db.rows("SELECT contact FROM contact_declines ORDER BY contact")
        return [row["contact"] for row in found if row["contact"] in wanted]

    async def feed() -> None:
        producer = AIOKafkaProducer(bootstrap_servers=shared_broker.address, acks="all")
        await producer.start()
        for n, name in enumerate(wanted):
            value = rows(name, version=(epoch << 40) + n)
            await producer.send_and_wait(ROWS, value, key=b"s", partition=0)
            # Less than a batch gathers, so that each life of the sink has several to write.
            await asyncio.sleep(0.1)
        await producer.stop()

    feeding = asyncio.create_task(feed())
    for moment in (0.0, 0.3, 0.7):
        before = len(await asyncio.to_thread(mine))
        process = subprocess.Popen([sys.executable, "-c", code], env=environ)
        await until(lambda seen=before: len(mine()) > seen or feeding.done())  # type: ignore[misc]
        await asyncio.sleep(moment)
        process.kill()
        process.wait()
    await feeding
    async with sink_running(config):
        await until(lambda: mine() == wanted)
        await asyncio.sleep(1.5)
    assert mine() == wanted
