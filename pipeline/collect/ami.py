"""Reads the Asterisk Manager Interface: queue, agent and call events, each one JSON object.

A client of our own on asyncio's streams. The kept libraries on PyPI do not fit: panoramisk (last
release 1.4, August 2021), basicami and py-ami-client push events into callbacks or queues without a
bound and cannot stop reading, astami drops events, pystrix is made of threads; all of them keep
only the last of headers that repeat.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import orjson

from pipeline.collect.connection import connected
from pipeline.collect.link import LinkBroken, LoginRefused

SOURCE = "asterisk-ami"
WANTED = frozenset(
    {
        "AgentCalled",
        "AgentComplete",
        "AgentConnect",
        "AgentDump",
        "AgentRingNoAnswer",
        "DialEnd",
        "FullyBooted",
        "Hangup",
        "HangupRequest",
        "Hold",
        "QueueCallerAbandon",
        "QueueCallerJoin",
        "QueueCallerLeave",
        "QueueEntry",
        "QueueMember",
        "QueueMemberAdded",
        "QueueMemberPause",
        "QueueMemberPenalty",
        "QueueMemberRemoved",
        "QueueMemberRinginuse",
        "QueueMemberStatus",
        "QueueStatusComplete",
        "Shutdown",
        "SoftHangupRequest",
        "Unhold",
    }
)
"""The events handed on; a busy Asterisk says many more."""
_MOST_BYTES = 1 << 20
_CLOCK, _ALIVE = "callboard-clock", "callboard-alive"
_END = b"\r\n\r\n"

Headers = dict[str, Any]


def _wall_clock() -> int:
    return time.time_ns() // 1_000_000


@dataclass(frozen=True, slots=True)
class Login:
    """Where and as whom. `idle_s`: an Asterisk that is silent twice as long is taken for dead."""

    host: str
    port: int
    user: str
    secret: str = field(repr=False)
    tls: bool = False
    connect_s: float = 10.0
    idle_s: float = 30.0
    now: Callable[[], int] = _wall_clock


@asynccontextmanager
async def session(login: Login) -> AsyncIterator[AsyncIterator[bytes]]:
    """A session: its payloads begin once it is logged in.

    They, and this, raise `LoginRefused`, or `OSError` and `EOFError`.
    """
    context = ssl.create_default_context() if login.tls else None
    where = (login.host, login.port, login.connect_s, context, _MOST_BYTES)
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
        self._ahead_ms = 0
        self._asked = 0

    async def payloads(self) -> AsyncGenerator[bytes]:
        """The marker, the answer to QueueStatus and all events, in the order of the socket."""
        async with asyncio.timeout(self._login.connect_s):
            await self._enter()
            early = await self._set_clock()
        yield orjson.dumps({"Event": "CallboardConnected", "CallboardReceived": self._now()})
        await self._ask()
        for headers in early:
            yield self._payload(headers)
        listed = False
        while True:
            headers = await self._next()
            name = headers.get("Event")
            if name not in WANTED:
                continue
            if name == "FullyBooted" and listed:
                await self._ask()
            listed |= name == "QueueStatusComplete"
            yield self._payload(headers)

    async def _enter(self) -> None:
        """Log in by challenge, so that the secret does not cross the network."""
        try:
            banner = await self._reader.readline()
        except ValueError:
            raise LinkBroken(f"a greeting of more than {_MOST_BYTES} bytes") from None
        if not banner.startswith(b"Asterisk Call Manager"):
            raise LinkBroken(f"no Asterisk Manager Interface says {banner[:60]!r}")
        challenge = await self._call("callboard-challenge", Action="Challenge", AuthType="MD5")
        if "Challenge" not in challenge:
            raise LoginRefused(f"no challenge: {challenge.get('Message', 'no reason given')}")
        text = f"{challenge['Challenge']}{self._login.secret}"
        answer = await self._call(
            "callboard-login",
            Action="Login",
            AuthType="MD5",
            Username=self._login.user,
            Key=hashlib.md5(text.encode(), usedforsecurity=False).hexdigest(),
            Events="system,call,agent",
        )
        if answer.get("Response") != "Success":
            said = answer.get("Message", "no reason given")
            raise LoginRefused(f"Asterisk refuses the user {self._login.user!r}: {said}")

    async def _set_clock(self) -> list[Headers]:
        """Asterisk's clock, which an answer to Ping has always; events that come before it."""
        early: list[Headers] = []
        await self._send(_CLOCK, Action="Ping")
        while (headers := await self._frame()).get("ActionID") != _CLOCK:
            if headers.get("Event") in WANTED:
                early.append(headers)
        seconds = str(headers.get("Timestamp", ""))
        with suppress(ValueError, OverflowError):
            self._ahead_ms = int(float(seconds) * 1000) - self._login.now()
        return early

    async def _ask(self) -> None:
        self._asked += 1
        await self._send(f"callboard-status-{self._asked}", Action="QueueStatus")

    def _now(self) -> int:
        return self._login.now() + self._ahead_ms

    def _payload(self, headers: Headers) -> bytes:
        if "Timestamp" not in headers:
            headers["CallboardReceived"] = self._now()
        return orjson.dumps(headers)

    async def _call(self, action_id: str, **headers: str) -> Headers:
        await self._send(action_id, **headers)
        while (answer := await self._frame()).get("ActionID") != action_id:
            pass
        return answer

    async def _send(self, action_id: str, **headers: str) -> None:
        lines = [f"{name}: {value}" for name, value in headers.items()]
        self._writer.write("\r\n".join([*lines, f"ActionID: {action_id}", "", ""]).encode())
        await self._writer.drain()

    async def _next(self) -> Headers:
        """The next frame; a silent Asterisk is asked whether it is there."""
        try:
            async with asyncio.timeout(self._login.idle_s):
                return await self._frame()
        except TimeoutError:
            await self._send(_ALIVE, Action="Ping")
        try:
            async with asyncio.timeout(self._login.idle_s):
                return await self._frame()
        except TimeoutError:
            raise LinkBroken("Asterisk is silent") from None

    async def _frame(self) -> Headers:
        try:
            raw = await self._reader.readuntil(_END)
        except asyncio.LimitOverrunError:
            raise LinkBroken(f"an event of more than {_MOST_BYTES} bytes") from None
        return parse(raw)


def parse(raw: bytes) -> Headers:
    """The headers of a frame; those that repeat as a list."""
    headers: Headers = {}
    for line in raw.decode("utf-8", "replace").split("\r\n"):
        name, colon, value = line.partition(":")
        if not colon:
            continue
        value = value.removeprefix(" ")
        if name not in headers:
            headers[name] = value
        elif isinstance(headers[name], list):
            headers[name].append(value)
        else:
            headers[name] = [headers[name], value]
    return headers
