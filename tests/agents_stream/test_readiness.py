"""The worker's page over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import pytest

from agents_stream.readiness import StatusPage
from schemas.config import Config
from service.operator_page import OperatorPage


class _Worker:
    """What the page asks."""

    reasons: list[str]
    stuck: str

    def __init__(self) -> None:
        self.reasons, self.stuck = [], ""

    async def metrics(self) -> bytes:
        return b"# TYPE up gauge\nup 1\n"


@pytest.fixture
async def worker() -> _Worker:
    return _Worker()


@pytest.fixture
async def address(worker: _Worker) -> AsyncIterator[str]:
    config = Config(epoch=7)
    asked = OperatorPage("worker", config, lambda: worker.reasons, [lambda: worker.stuck])
    page = StatusPage(asked, worker.metrics)
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


async def test_healthy_only_while_the_loops_turn(worker: _Worker, address: str) -> None:
    assert (await _get(f"{address}/healthz"))[0] == 200
    worker.stuck = "the loop of frames has not turned for 42 s"
    status, text, _ = await _get(f"{address}/healthz")
    assert (status, text) == (503, "the loop of frames has not turned for 42 s\n")


async def test_metrics_are_in_prometheus_text_format(address: str) -> None:
    status, text, kind = await _get(f"{address}/metrics")
    assert (status, text) == (200, "# TYPE up gauge\nup 1\n")
    assert kind.startswith("text/plain; version=0.0.4")


async def test_the_page_tells_whose_it_is(address: str) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{address}/healthz") as response:
        assert response.headers["X-Callboard-Role"] == "worker"
        assert response.headers["X-Callboard-Epoch"] == "7"


async def test_this_machine_may_change_levels(address: str) -> None:
    asked = {"logger": "tests.page", "level": "INFO", "for_s": 30}
    async with aiohttp.ClientSession() as session:
        async with session.put(f"{address}/log-level", json=asked) as response:
            assert response.status == 200
        async with session.get(f"{address}/log-level") as response:
            assert (await response.json())["tests.page"]["level"] == "INFO"
        proxied = {"X-Forwarded-For": "192.0.2.1"}
        async with session.get(f"{address}/log-level", headers=proxied) as response:
            assert response.status == 403
        async with session.put(f"{address}/log-level", data=b"x" * 100_000) as response:
            assert response.status == 400
