"""Reads FreeSWITCH's event socket: the events of mod_callcenter, as the JSON that it sends.

A client of our own on asyncio's streams. genesis, the kept library (2026.10.18), needs Python below
3.13, typer below 0.13 and rich below 14, cannot be installed beside ours, and reads without a
bound; greenswitch needs gevent.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

import orjson

from pipeline.collect.connection import connected
from pipeline.collect.link import LinkBroken, LoginRefused

SOURCE = "freeswitch"
EVENTS = "CHANNEL_HOLD CHANNEL_UNHOLD CUSTOM callcenter::info"
_MOST_BYTES = 1 << 20
_CLOCK = "strmicroepoch"
_FREE_TEXT = ("cid_name", "contact")
"""Columns that may hold the separator themselves."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Login:
    """Where. `idle_s`: a FreeSWITCH that is silent twice as long is taken for dead."""

    host: str
    port: int
    password: str = field(repr=False)
    connect_s: float = 10.0
    idle_s: float = 30.0


@dataclass(frozen=True, slots=True)
class Frame:
    """Headers and body of what the socket says."""

    headers: dict[str, str]
    body: bytes = b""

    @property
    def kind(self) -> str:
        """Its content type."""
        return self.headers.get("Content-Type", "")


@asynccontextmanager
async def session(login: Login) -> AsyncIterator[AsyncIterator[bytes]]:
    """A session: its payloads begin once it is logged in.

    They, and this, raise `LoginRefused`, or `OSError` and `EOFError`.
    """
    where = (login.host, login.port, login.connect_s, None, _MOST_BYTES)
    async with (
        connected(*where) as (reader, writer),
        aclosing(_Session(login, reader, writer).payloads()) as payloads,
    ):
        yield payloads


class _Session:
    def __init__(
        self, login: Login, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._login = login
        self._reader = reader
        self._writer = writer
        self._early: deque[bytes] = deque()
        self._head = b""
        """Headers whose body is still to come, also after a reading that was broken off."""

    async def payloads(self) -> AsyncGenerator[bytes]:
        """The lists of who waits and works, and all events, in the order of the socket."""
        async with asyncio.timeout(self._login.connect_s):
            await self._enter()
            begun = await self._clock()
        yield _row("connected", begun, {})
        async with asyncio.timeout(self._login.connect_s):
            rows = [row async for row in self._lists()]
        # Events that came meanwhile are older than the lists, or as good as.
        while self._early:
            yield self._early.popleft()
        for row in rows:
            yield row
        while True:
            frame = await self._next()
            if frame.kind == "text/disconnect-notice":
                return
            if frame.kind == "text/event-json":
                yield _line(frame.body)

    async def _enter(self) -> None:
        frame = await self._frame()
        if frame.kind == "text/rude-rejection":
            raise LoginRefused("FreeSWITCH does not allow this address (apply-inbound-acl)")
        if frame.kind != "auth/request":
            raise LinkBroken(f"no event socket says {frame.kind!r}")
        answer = await self._command(f"auth {self._login.password}")
        if not answer.startswith("+OK"):
            raise LoginRefused(f"FreeSWITCH refuses the password: {answer}")
        answer = await self._command(f"event json {EVENTS}")
        if not answer.startswith("+OK"):
            raise LinkBroken(f"FreeSWITCH does not send events: {answer}")

    async def _lists(self) -> AsyncIterator[bytes]:
        agents = await self._api("callcenter_config agent list")
        queues = [row["name"] for row in table(await self._api("callcenter_config queue list"))]
        members = [await self._api(f"callcenter_config queue list members {q}") for q in queues]
        moment = await self._clock()
        for row in table(agents):
            yield _row("agent", moment, row)
        for text in members:
            for row in table(text):
                yield _row("member", moment, row)
        yield _row("complete", moment, {})

    async def _clock(self) -> int:
        """FreeSWITCH's own clock, epoch ms: its events have no other."""
        text = (await self._api(_CLOCK)).strip()
        if not text.isdecimal():
            raise LinkBroken(f"{_CLOCK} says {text[:60]!r} instead of a time")
        return int(text) // 1000

    async def _command(self, command: str) -> str:
        return (await self._answer(command, "command/reply")).headers.get("Reply-Text", "")

    async def _api(self, command: str) -> str:
        frame = await self._answer(f"api {command}", "api/response")
        text = frame.body.decode("utf-8", "replace")
        if text.startswith("-ERR"):
            raise LinkBroken(f"{command}: {text.strip()}")
        return text

    async def _answer(self, command: str, kind: str) -> Frame:
        await self._send(command)
        while (frame := await self._frame()).kind != kind:
            if frame.kind == "text/event-json":
                self._early.append(_line(frame.body))
            elif frame.kind == "text/disconnect-notice":
                raise EOFError("disconnected")
        return frame

    async def _send(self, command: str) -> None:
        self._writer.write(f"{command}\n\n".encode())
        await self._writer.drain()

    async def _next(self) -> Frame:
        """The next frame; a silent FreeSWITCH is asked whether it is there."""
        try:
            async with asyncio.timeout(self._login.idle_s):
                return await self._frame()
        except TimeoutError:
            await self._send(f"api {_CLOCK}")
        try:
            async with asyncio.timeout(self._login.idle_s):
                return await self._frame()
        except TimeoutError:
            raise LinkBroken("FreeSWITCH is silent") from None

    async def _frame(self) -> Frame:
        try:
            self._head = self._head or await self._reader.readuntil(b"\n\n")
        except asyncio.LimitOverrunError:
            raise LinkBroken(f"headers of more than {_MOST_BYTES} bytes") from None
        lines = self._head.decode("utf-8", "replace").splitlines()
        headers = dict(line.split(": ", 1) for line in lines if ": " in line)
        length = headers.get("Content-Length", "0").strip()
        if not length.isdecimal() or int(length) > 64 * _MOST_BYTES:
            raise LinkBroken(f"Content-Length: {length[:60]}")
        body = await self._reader.readexactly(int(length))
        self._head = b""
        return Frame(headers, body)


def table(text: str) -> Iterator[dict[str, str]]:
    """The rows of a list of `callcenter_config`, whose fields are separated by `|`."""
    lines = [line for line in text.splitlines() if line and not line.startswith("+OK")]
    if not lines:
        return
    names = lines[0].split("|")
    for line in lines[1:]:
        fields = line.split("|")
        free = next((names.index(name) for name in _FREE_TEXT if name in names), None)
        surplus = len(fields) - len(names)
        if surplus > 0 and free is not None:
            fields[free : free + surplus + 1] = ["|".join(fields[free : free + surplus + 1])]
        if len(fields) == len(names):
            yield dict(zip(names, fields, strict=True))
        else:
            log.warning("a row of %d fields under %d names is left out", len(fields), len(names))


def _row(action: str, moment: int, row: dict[str, str]) -> bytes:
    return orjson.dumps({"Callboard-Action": action, "CallboardReceived": moment, **row})


def _line(body: bytes) -> bytes:
    return body if b"\n" not in body else body.replace(b"\r", b"").replace(b"\n", b" ")
