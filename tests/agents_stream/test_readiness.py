"""The worker's page over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from agents_stream.readiness import StatusPage


class _Worker:
    """What the page asks."""

    reasons: list[str]
    age: float

    def __init__(self) -> None:
        self.reasons, self.age = [], 0.0

    async def metrics(self) -> bytes:
        return b"# TYPE up gauge\nup 1\n"


@pytest.fixture
async def worker() -> _Worker:
    return _Worker()


@pytest.fixture
async def address(worker: _Worker) -> AsyncIterator[str]:
    page = StatusPage(lambda: worker.reasons, lambda: worker.age, worker.metrics)
    port = await page.start("127.0.0.1", 0)
    yield f"http://127.0.0.1:{port}"
    await page.stop()


async def _get(url: str) -> tuple[int, str, str]:
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text(), response.headers["Content-Type"]


async def test_ready_only_without_a_reason_against_it(worker: _Worker, address: str) -> None:
    assert (await _get(f"{address}/readyz"))[:2] == (200, "ready\n")
    worker.reasons = ["recovering", "no frame for 7 s"]
    assert (await _get(f"{address}/readyz"))[:2] == (503, "recovering\nno frame for 7 s\n")


async def test_healthy_only_while_the_main_loop_turns(worker: _Worker, address: str) -> None:
    assert (await _get(f"{address}/healthz"))[0] == 200
    worker.age = 42
    status, text, _ = await _get(f"{address}/healthz")
    assert (status, text) == (503, "the main loop has not turned for 42 s\n")


async def test_metrics_are_in_prometheus_text_format(address: str) -> None:
    status, text, kind = await _get(f"{address}/metrics")
    assert (status, text) == (200, "# TYPE up gauge\nup 1\n")
    assert kind.startswith("text/plain; version=0.0.4")
