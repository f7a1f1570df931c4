"""Health of the sink and of the local store: away is not stuck, and idle is not blind."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pipeline.topics import ensure_topics_patiently
from schemas.config import Config
from sinks.clickhouse.local import LocalClickHouse, serve
from sinks.clickhouse.sink import Session, Sink
from tests.ingest.broker import running_broker
from tests.ports import free_port
from tests.sinks.clickhouse.store import Server, database


async def page(port: int, path: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/{path}") as answer,
    ):
        return answer.status, await answer.text()


async def until(port: int, path: str, wanted: tuple[int, str]) -> None:
    deadline, found = time.monotonic() + 180, (0, "")
    while found != wanted:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)
        try:
            found = await page(port, path)
        except aiohttp.ClientConnectionError:
            found = (0, "")


READY = (200, "ready\n")


async def test_an_idle_sink_sees_that_store_and_broker_are_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.clickhouse.sink.PROBE_S", 0.5)
    monkeypatch.setattr("sinks.clickhouse.sink.WATCH_S", 0.2)
    monkeypatch.setattr("sinks.clickhouse.sink.REQUEST_S", 1.0)
    server = Server(tmp_path / "store")
    await asyncio.to_thread(server.start)
    with running_broker(tmp_path) as broker, database(server) as db:
        given = {"bootstrap": broker.address, "partitions": 1, "sink_port": free_port()}
        config = db.config().model_copy(update={**given, "epoch": 1, "alone": True})
        stop = asyncio.Event()
        sink = Sink(config, prepare=lambda: _topics(config))
        task = asyncio.create_task(sink.run(stop))
        try:
            await until(config.sink_port, "readyz", READY)
            broker.pause()
            await until(config.sink_port, "readyz", (503, "the broker does not answer\n"))
            assert (await page(config.sink_port, "healthz"))[0] == 200
            broker.resume()
            await until(config.sink_port, "readyz", READY)
            await asyncio.to_thread(server.stop)
            await until(config.sink_port, "readyz", (503, "the store does not answer\n"))
            assert (await page(config.sink_port, "healthz"))[0] == 200
            server = Server(tmp_path / "store", server.port)
            await asyncio.to_thread(server.start)
            await until(config.sink_port, "readyz", READY)
            await _hang(sink, config, monkeypatch)
        finally:
            stop.set()
            await asyncio.wait_for(task, 60)
    await asyncio.to_thread(server.stop)


async def _topics(config: Config) -> None:
    await ensure_topics_patiently(config.brokers, config.partitions)


async def _hang(sink: Sink, config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop that does not turn is seen, though the page answers."""
    go_on = asyncio.Event()

    async def hang(_: Session, _now: float) -> None:
        await go_on.wait()

    with monkeypatch.context() as patched:
        patched.setattr(Session, "_write_due", hang)
        sink.pulse.patience_s = 0.5
        deadline = time.monotonic() + 180
        while (await page(config.sink_port, "healthz"))[0] != 503:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
        assert (await page(config.sink_port, "metrics"))[0] == 200
    go_on.set()
    sink.pulse.patience_s = 60.0
    await until(config.sink_port, "healthz", (200, "ok\n"))


async def test_the_local_store_says_that_its_engine_is_away_or_stuck(tmp_path: Path) -> None:
    store = LocalClickHouse(tmp_path / "store", "writer", "analyst", fsync=False)
    stop, bound = asyncio.Event(), asyncio.get_running_loop().create_future()
    config = Config(operator_token="operators-only")
    ready: Any = bound.set_result
    task = asyncio.create_task(serve(store, port=0, stop=stop, ready=ready, config=config))
    try:
        port = await asyncio.wait_for(bound, 90)
        assert await page(port, "readyz") == READY
        assert await page(port, "healthz") == (200, "ok\n")
        assert (await page(port, "log-level"))[0] == 401
        store.turns.running, store.turns._since = Any, time.monotonic() - 1000  # type: ignore[assignment]
        status, text = await page(port, "healthz")
        assert status == 503
        assert text.startswith("the engine works at one command for ")
        store.turns.running = None
        await store.engine.kill()
        assert await page(port, "readyz") == (503, "the engine is being restarted\n")
    finally:
        stop.set()
        await asyncio.wait_for(task, 60)
