"""Callers who are slow, many or do not read: none of them keeps the others out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from service import serving
from service.callers import Proxies
from service.serving import Connections, serve

LARGE = b"x" * 40_000_000


@asynccontextmanager
async def served(
    limits: Connections | None = None, idle_s: float = 60
) -> AsyncIterator[tuple[str, int]]:
    app = web.Application()

    async def small(_request: web.Request) -> web.Response:
        return web.Response(text="ok")

    async def large(_request: web.Request) -> web.Response:
        return web.Response(body=LARGE)

    app.router.add_get("/", small)
    app.router.add_get("/large", large)
    runner = await serve(app, "127.0.0.1", 0, limits, idle_s=idle_s)
    try:
        yield "127.0.0.1", runner.addresses[0][1]
    finally:
        await runner.cleanup()


async def opened(address: tuple[str, int]) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(*address)


async def answer(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(180):
        return await reader.read()


async def test_a_head_that_never_ends_is_not_waited_for() -> None:
    async with served(idle_s=1.0) as address:
        reader, writer = await opened(address)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n")
        trickling = asyncio.create_task(trickle(writer))
        assert await answer(reader) == b"", "closed, however much still comes"
        trickling.cancel()
        silent, _ = await opened(address)
        assert await answer(silent) == b""


async def trickle(writer: asyncio.StreamWriter) -> None:
    while not writer.is_closing():
        writer.write(b"X-More: 1\r\n")
        await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 9000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n" + b"X-Many: 1\r\n" * 300 + b"\r\n",
    ],
    ids=["address", "header", "headers"],
)
async def test_heads_are_bounded(head: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with served() as address:
        reader, writer = await opened(address)
        writer.write(head)
        async with asyncio.timeout(180):
            assert b" 400 " in await reader.readline()
        writer.close()
    assert "aaaaaaaa" not in caplog.text, "what was sent is not repeated in the log"
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("trusted", [False, True])
async def test_connections_are_bounded_for_one_address_that_is_no_proxy(trusted: bool) -> None:
    proxies = Proxies("127.0.0.0/8" if trusted else "")
    async with served(Connections(most=5, of_one=3, proxies=proxies)) as address:
        held = [await opened(address) for _ in range(5 if trusted else 3)]
        for reader, writer in held:
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            async with asyncio.timeout(180):
                assert (await reader.readline()).startswith(b"HTTP/1.1 200")
        refused, _ = await opened(address)
        said = await answer(refused)
        assert said.startswith(b"HTTP/1.1 503")
        assert b"Retry-After: " in said
        held[0][1].close()
        async with asyncio.timeout(180):
            while not await takes(address):
                await asyncio.sleep(0.05)
        for _, writer in held[1:]:
            writer.close()


async def takes(address: tuple[str, int]) -> bool:
    host, port = address
    try:
        async with (
            aiohttp.ClientSession() as session,
            session.get(f"http://{host}:{port}/") as response,
        ):
            if response.status == 200:
                assert response.headers["Server"] == "callboard"
            return response.status == 200
    except aiohttp.ClientError:
        return False


async def test_who_does_not_read_its_answer_is_let_go_and_who_reads_slowly_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(serving, "UNREAD_S", 1.0)
    async with served() as address:
        slow_reader, slow = await asyncio.open_connection(*address, limit=65536)
        slow.write(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        stalled_reader, stalled = await asyncio.open_connection(*address, limit=1)
        stalled.write(b"GET /large HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        got = 0
        async with asyncio.timeout(100):
            while chunk := await slow_reader.read(1_000_000):
                got += len(chunk)
                await asyncio.sleep(0.02)
        assert got > len(LARGE)
        # What the kernel still holds can be read; then the line is cut.
        assert len(await answer(stalled_reader)) < len(LARGE)
        slow.close()
        stalled.close()
