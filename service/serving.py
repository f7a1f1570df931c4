"""Serving HTTP to callers who may be slow, many or ill-disposed.

A connection that has not sent the head of a request within `IDLE_S` is closed, however slowly it
goes on sending, and so is one whose answer is not read. Sizes of heads are held by aiohttp.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from schemas.config import Config, ConfigError, variable_of
from service.callers import Proxies, neighbourhood, plain

IDLE_S = 75.0
"""For the head of a request and between two requests. Longer than the 60 s for which proxies keep
a connection they may use again: it must not vanish while they do."""
UNREAD_S = 20.0
"""How long a caller may read nothing of what waits for it."""
BODY_WITHIN_S = 5.0
"""For a small body: nothing else ends the wait for one that never comes."""
MAX_LINE_BYTES = 8190
MAX_FIELD_BYTES = 8190
MAX_FIELDS = 128
RETRY_S = 5
_REFUSED = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: %d\r\n"
    b"Connection: close\r\nContent-Length: 0\r\n\r\n"
) % RETRY_S


class _NoEcho(logging.Filter):
    """Of a request that is no HTTP a short line is logged, and nothing of what it holds.

    Otherwise whoever sends nonsense writes it into our log, a traceback around it.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Strip the record; all are kept."""
        error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
        if isinstance(error, HttpProcessingError):
            record.exc_info = record.exc_text = None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
            record.msg = f"{type(error).__name__}, no request that can be read, from %s"
        return True


_log = logging.getLogger("aiohttp.server")
_log.addFilter(_NoEcho())


@dataclass(frozen=True, slots=True)
class Connections:
    """How many connections there may be, in all and from one address that is no proxy of ours."""

    most: int = 1000
    of_one: int = 400
    proxies: Proxies = field(default_factory=Proxies)


def proxies_of(config: Config) -> Proxies:
    """The trusted proxies. Raises `ConfigError`."""
    try:
        return Proxies(config.trusted_proxies)
    except ValueError as error:
        raise ConfigError(f"{variable_of('trusted_proxies')}: {error}") from None


class NoBody(Exception):
    """A body that cannot be had; `status` is that of the answer."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


async def small_body(request: web.Request, most: int) -> bytes:
    """The first `most` bytes of a body. Raises `NoBody`."""
    try:
        async with asyncio.timeout(BODY_WITHIN_S):
            return await request.content.readexactly(most)
    except asyncio.IncompleteReadError as whole:
        return whole.partial
    except TimeoutError:
        raise NoBody(408, f"the body did not come within {BODY_WITHIN_S:.0f} s") from None
    except ConnectionError:
        raise NoBody(400, "the connection was lost") from None
    except web.RequestPayloadError:
        raise NoBody(400, "the body cannot be read as its encoding says") from None


class Gate:
    """A protocol factory in front of a server's: counts connections, and refuses what is too many.

    A refused connection gets a 503 with Retry-After.
    """

    def __init__(self, server: Callable[[], asyncio.Protocol], limits: Connections) -> None:
        self._server = server
        self._limits = limits
        self._by_address: Counter[str] = Counter()

    def __call__(self) -> asyncio.Protocol:
        return _Connection(self, self._server)

    def enter(self, address: str) -> bool:
        """Whether one more connection of this address may be; it is counted if so."""
        limits, key = self._limits, neighbourhood(address)
        if self._by_address.total() >= limits.most:
            return False
        if self._by_address[key] >= limits.of_one and not limits.proxies.trusts(address):
            return False
        self._by_address[key] += 1
        return True

    def leave(self, address: str) -> None:
        """A connection that was let in has ended."""
        key = neighbourhood(address)
        self._by_address[key] -= 1
        if not self._by_address[key]:
            del self._by_address[key]


class _Connection(asyncio.Protocol):
    """Hands everything on to the server's own protocol, and watches that answers are read."""

    def __init__(self, gate: Gate, server: Callable[[], asyncio.Protocol]) -> None:
        self._gate = gate
        self._server = server
        self._inner: asyncio.Protocol | None = None
        self._transport: Any = None
        self._address = ""
        self._watch: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        peer = transport.get_extra_info("peername")
        self._address = plain(peer[0]) if isinstance(peer, tuple) else ""
        if not self._gate.enter(self._address):
            self._transport.write(_REFUSED)
            self._transport.close()
            return
        self._inner = self._server()
        self._inner.connection_made(transport)

    def data_received(self, data: bytes) -> None:
        if self._inner is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return None if self._inner is None else self._inner.eof_received()

    def pause_writing(self) -> None:
        if self._inner is not None:
            self._inner.pause_writing()
            self._look_again(self._transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        self._unwatch()
        if self._inner is not None:
            self._inner.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unwatch()
        if self._inner is not None:
            self._gate.leave(self._address)
            self._inner.connection_lost(exc)

    def _look_again(self, unread: int) -> None:
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(UNREAD_S, self._look, unread)

    def _look(self, unread: int) -> None:
        left = self._transport.get_write_buffer_size()
        # A slow line is no offence: only one over which nothing at all goes.
        if left < unread:
            self._look_again(left)
        else:
            self._transport.abort()

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None


class GatedSite(web.TCPSite):
    """A site of aiohttp behind a gate."""

    def __init__(self, runner: web.AppRunner, host: str, port: int, limits: Connections) -> None:
        super().__init__(runner, host, port)
        self._limits = limits

    async def start(self) -> None:
        """Listen."""
        await web.BaseSite.start(self)
        server = self._runner.server
        assert server is not None
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            Gate(server, self._limits), self._host, self._port, backlog=self._backlog
        )


async def serve(
    app: web.Application,
    host: str,
    port: int,
    limits: Connections | None = None,
    *,
    idle_s: float = IDLE_S,
) -> web.AppRunner:
    """Start serving; the caller cleans the runner up. Raises `OSError` if the port is taken."""
    app.on_response_prepare.append(_unnamed)
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=_log,
        handle_signals=False,
        shutdown_timeout=2.0,
        keepalive_timeout=idle_s,
        max_line_size=MAX_LINE_BYTES,
        max_field_size=MAX_FIELD_BYTES,
        max_headers=MAX_FIELDS,
    )
    await runner.setup()
    try:
        await GatedSite(runner, host, port, limits or Connections()).start()
    except OSError:
        await runner.cleanup()
        raise
    return runner


async def _unnamed(_request: web.Request, response: web.StreamResponse) -> None:
    # The versions of Python and aiohttp tell an attacker where to look.
    response.headers["Server"] = "callboard"
