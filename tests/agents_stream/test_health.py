"""A worker that waits for its broker is not stuck, unless no call to it ever ends."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import aiohttp
import pytest

from agents_stream.app import Worker
from agents_stream.engines import Partition
from pipeline.engine import Site
from schemas.config import Config
from tests.ports import free_port


class Now:
    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


@pytest.fixture
def now() -> Now:
    return Now()


async def test_a_worker_whose_broker_is_away_is_alive_and_not_ready(tmp_path: Path) -> None:
    port, never = free_port(), asyncio.Event()
    worker = Worker(Config(data_dir=tmp_path, worker_port=port), Site)

    async def topics() -> None:
        await never.wait()

    opening = asyncio.create_task(worker.open(topics))
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session, asyncio.timeout(180):
        while True:
            with contextlib.suppress(aiohttp.ClientConnectionError):
                async with session.get("/healthz") as answer:
                    assert answer.status == 200
                    break
            await asyncio.sleep(0.02)
        async with session.get("/readyz") as answer:
            assert answer.status == 503
            assert await answer.text() == "waiting for the broker and its topics\n"
    worker._end.set()
    await opening
    await worker.run()


async def test_what_hangs_in_a_frame_shows_when_no_broker_takes_that_long(
    tmp_path: Path, now: Now, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = Worker(Config(data_dir=tmp_path), Site)
    agent, pulses = worker.agent, (worker._watching, worker._publishing, worker.agent.pulse)
    for pulse in pulses:
        pulse._monotonic = now
    go_on = asyncio.Event()

    async def hang(*_: object) -> None:
        await go_on.wait()

    monkeypatch.setattr(agent, "_take", hang)
    agent.partitions[0] = Partition(0, ledger=None)  # type: ignore[arg-type]
    assert worker.operator.healthz().status == 200
    task = asyncio.create_task(agent.on_frame(0, 0, b"", lambda: None))
    while not agent._turn.locked():
        await asyncio.sleep(0)
    now.s += 170
    assert worker.operator.healthz().status == 200
    now.s += 20
    assert worker.operator.healthz()[:2] == (
        503,
        "the loop of frames has waited for the broker for 190 s\n",
    )
    agent.partitions[0].dropped = True
    go_on.set()
    await task
    now.s += 1000
    assert worker.operator.healthz().status == 200, "between frames nothing is waited for"
    worker._watching.turn()
    now.s += 11
    assert worker.operator.healthz().text == "the main loop has not turned for 11 s\n"
