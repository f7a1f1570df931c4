"""The operator's page over HTTP: bodies that come late, in parts or never."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator

import orjson
import pytest
from aiohttp import web

from schemas.config import Config
from service import serving
from service.operator_page import OperatorPage
from service.operator_routes import operator_routes

NAME = "tests.operator_routes"
SHOWN = b"Authorization: Bearer op-token\r\n"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    app = web.Application()
    config = Config(operator_token="op-token")
    app.add_routes(operator_routes(OperatorPage("door", config, list, private=False)))
    runner = await serving.serve(app, "127.0.0.1", 0)
    yield runner.addresses[0][1]
    await runner.cleanup()


@pytest.fixture(autouse=True)
def logger() -> Iterator[logging.Logger]:
    found = logging.getLogger(NAME)
    yield found
    found.setLevel(logging.NOTSET)


async def status(port: int, head: bytes, *parts: bytes, length: int) -> int:
    """The status of a PUT whose body comes in parts, one after another has been taken in."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    said = b"PUT /log-level HTTP/1.1\r\nHost: x\r\n%bContent-Length: %d\r\n\r\n" % (head, length)
    for part in (said, *parts):
        writer.write(part)
        await writer.drain()
        for _ in range(50):
            await asyncio.sleep(0)
    try:
        async with asyncio.timeout(60):
            return int((await reader.readline()).split()[1])
    finally:
        writer.close()


async def test_of_who_may_not_change_levels_no_body_is_awaited(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "BODY_WITHIN_S", 3600.0)
    assert await status(port, b"", length=100) == 401
    assert await status(port, b"Authorization: Bearer wrong\r\n", length=100) == 401


async def test_a_body_is_taken_whole(port: int, logger: logging.Logger) -> None:
    body = orjson.dumps({"logger": NAME, "level": "DEBUG", "for_s": 60})
    parts = body[:9], body[9:20], body[20:]
    assert await status(port, SHOWN, *parts, length=len(body)) == 200
    assert logger.level == logging.DEBUG


async def test_a_body_that_does_not_come_is_given_up(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "BODY_WITHIN_S", 0.1)
    assert await status(port, SHOWN, b"{", length=100) == 408


async def test_a_body_that_is_not_what_it_says_is_refused(port: int) -> None:
    packed = SHOWN + b"Content-Encoding: gzip\r\n"
    assert await status(port, packed, b"abcde", length=5) == 400
