"""A proxy before the store that loses answers of inserts which the store has applied."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

import aiohttp
from aiohttp import web
from yarl import URL

from tests.faults.network import Network
from tests.ports import free_port

_TOKEN = "insert_deduplication_token"
_LARGEST = 64 * 1024 * 1024
_ERROR = "Code: 999. DB::Exception: Session expired. (KEEPER_EXCEPTION)"
_OF_A_HOP = frozenset({"host", "content-length", "transfer-encoding", "connection"})


class StoreFront:
    """What sinks take for the store. Faults that are counted go down as they are met."""

    def __init__(self, network: Network, store: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.met: Counter[str] = Counter()
        """How many inserts met which fault."""
        self.delay_s = 0.0
        self.away = False
        self.lost_answers = 0
        """So many inserts are applied and answered by a closed connection."""
        self.wrong_answers = 0
        """So many inserts are applied and answered by an error."""
        self.torn = 0
        """So many inserts reach the store in half."""
        self._network = network
        self._store = store

    def open(self) -> None:
        """Listen, for good."""
        self._network.run(self._listen())

    def heal(self) -> None:
        """Pass everything on as it is."""
        self.delay_s, self.away = 0.0, False
        self.lost_answers = self.wrong_answers = self.torn = 0

    def close(self) -> None:
        """Hang up on the store."""
        self._network.run(self._session.close())

    async def _listen(self) -> None:
        self._session = aiohttp.ClientSession(auto_decompress=False)
        app = web.Application(client_max_size=_LARGEST)
        app.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", self.port).start()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if self.away:
            return _hang_up(request)
        await asyncio.sleep(self.delay_s)
        body = await request.read()
        inserts = _TOKEN in request.query_string
        if inserts and self.torn > 0:
            self.torn -= 1
            self.met["torn"] += 1
            with suppress(OSError):  # of a store that is away nothing arrives at all
                await self._send_half(request, body)
            return _hang_up(request)
        try:
            answer = await self._passed_on(request, body)
        except (aiohttp.ClientError, OSError):
            return _hang_up(request)
        if not inserts or answer.status != 200:
            self.met["insert refused"] += inserts
            return answer
        if self.lost_answers > 0:
            self.lost_answers -= 1
            self.met["answer lost"] += 1
            return _hang_up(request)
        if self.wrong_answers > 0:
            self.wrong_answers -= 1
            self.met["answer wrong"] += 1
            return web.Response(
                status=500, text=_ERROR, headers={"X-ClickHouse-Exception-Code": "999"}
            )
        return answer

    async def _passed_on(self, request: web.Request, body: bytes) -> web.Response:
        address = f"{self._store}{request.rel_url.raw_path_qs}"
        headers = {k: v for k, v in request.headers.items() if k.lower() not in _OF_A_HOP}
        async with self._session.request(
            request.method, URL(address, encoded=True), data=body, headers=headers
        ) as answer:
            kept = {k: v for k, v in answer.headers.items() if k.lower() not in _OF_A_HOP}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    async def _send_half(self, request: web.Request, body: bytes) -> None:
        """The head promises the whole body; the connection ends in its middle."""
        reader, writer = await asyncio.open_connection(*self._address())
        lines = [f"{request.method} {request.rel_url.raw_path_qs} HTTP/1.1"]
        lines += [f"{k}: {v}" for k, v in request.headers.items()]
        if "Content-Length" not in request.headers:
            lines = [line for line in lines if not line.lower().startswith("transfer-encoding")]
            lines.append(f"Content-Length: {len(body)}")
        writer.write("\r\n".join([*lines, "", ""]).encode() + body[: len(body) // 2])
        await writer.drain()
        writer.transport.abort()

    def _address(self) -> tuple[str, int]:
        host, _, port = self._store.removeprefix("http://").partition(":")
        return host, int(port)


def _hang_up(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)
