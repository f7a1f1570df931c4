"""Health of door and ingest: stuck is not the same as waiting for a broker, nor is it ready."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

import aiohttp
import pytest

from pipeline.ingest.worker import Session
from schemas.config import Config
from tests.ingest.roles import running_door, running_ingest


async def page(port: int, path: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as http,
        http.get(f"http://127.0.0.1:{port}/{path}") as response,
    ):
        return response.status, await response.text()


async def until_page(port: int, path: str, status: int) -> str:
    deadline, found = time.monotonic() + 180, (0, "")
    while found[0] != status:
        assert time.monotonic() < deadline, found
        await asyncio.sleep(0.05)
        with contextlib.suppress(aiohttp.ClientConnectionError):
            found = await page(port, path)
    return found[1]


async def test_with_a_silent_broker_ingest_is_not_ready_and_not_stuck(
    config: Config, broker: Any
) -> None:
    async with running_ingest(config):
        await until_page(config.ingest_port, "readyz", 200)
        broker.pause()
        try:
            # It does not tick past what it could not read, so nothing may wait to be acknowledged.
            said = await until_page(config.ingest_port, "readyz", 503)
            assert said.startswith(("the broker ", "no frame and no tick "))
            assert (await page(config.ingest_port, "healthz"))[0] == 200
        finally:
            broker.resume()
        await until_page(config.ingest_port, "readyz", 200)


async def test_a_loop_that_hangs_is_seen_though_the_page_answers(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = asyncio.Event()
    as_it_is = Session._tick

    async def hang(session: Session, turn: float) -> None:
        await go_on.wait()
        await as_it_is(session, turn)

    monkeypatch.setattr(Session, "_tick", hang)
    async with running_ingest(config) as ingest:
        ingest.pulse.patience_s = 0.5
        said = await until_page(config.ingest_port, "healthz", 503)
        assert said.startswith("the main loop has not turned for ")
        assert (await page(config.ingest_port, "readyz"))[0] == 503
        assert (await page(config.ingest_port, "metrics"))[0] == 200
        go_on.set()
        ingest.pulse.patience_s = 60
        await until_page(config.ingest_port, "healthz", 200)
        await until_page(config.ingest_port, "readyz", 200)


async def test_ticks_that_stop_are_seen(config: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.ingest.worker.QUIET_S", 1.0)
    stop_ticking = asyncio.Event()
    as_it_is = Session._tick

    async def tick(session: Session, turn: float) -> None:
        if not stop_ticking.is_set():
            await as_it_is(session, turn)

    monkeypatch.setattr(Session, "_tick", tick)
    async with running_ingest(config):
        await until_page(config.ingest_port, "readyz", 200)
        stop_ticking.set()
        assert "no frame and no tick" in await until_page(config.ingest_port, "readyz", 503)
        assert (await page(config.ingest_port, "healthz"))[0] == 200


async def test_a_door_to_which_nobody_speaks_knows_that_its_broker_is_silent(
    config: Config, broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.ingest.lanes.PROBE_EVERY_S", 0.3)
    async with running_door(config):
        await until_page(config.door_port, "readyz", 200)
        broker.pause()
        try:
            said = await until_page(config.door_port, "readyz", 503)
            assert said == "the broker does not answer\n"
            assert (await page(config.door_port, "healthz"))[0] == 200
        finally:
            broker.resume()
        await until_page(config.door_port, "readyz", 200)


async def test_a_door_whose_journal_is_no_longer_written_is_stuck(config: Config) -> None:
    async with running_door(config.model_copy(update={"journal": True})) as door:
        await until_page(config.door_port, "healthz", 200)
        writer = next(t for t in door.intake._tasks if t.get_name() == "the journal's writer")
        writer.cancel()
        said = await until_page(config.door_port, "healthz", 503)
        assert said == "the journal's writer has ended\n"


async def test_a_level_is_not_for_everybody_who_reaches_the_door(config: Config) -> None:
    guarded = config.model_copy(update={"operator_token": "operators-only"})
    async with running_door(guarded), aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{config.door_port}/log-level"
        await until_page(config.door_port, "healthz", 200)
        async with http.get(url) as response:
            assert response.status == 401
        headers = {"Authorization": "Bearer operators-only"}
        async with http.get(url, headers=headers) as response:
            assert response.status == 200
            assert response.headers["X-Callboard-Role"] == "door"
