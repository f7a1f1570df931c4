"""Scripted platforms on real sockets: what they say arrives in pieces that are cut anywhere."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import itertools
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

Headers = dict[str, Any]

DEADLINE_S = 60.0
PIECES = (1, 3, 7, 2, 50, 5, 400)


async def until(reached: Callable[[], bool]) -> None:
    """Wait for a condition, generously."""
    async with asyncio.timeout(DEADLINE_S):
        while not reached():
            await asyncio.sleep(0.005)


@dataclass
class Script(ABC):
    """A server whose sessions are `talk`; `sessions` counts those that connected."""

    sessions: int = 0
    logins: int = 0
    port: int = 0
    refused: set[int] = field(default_factory=set)
    """Sessions, by number from 1, whose login is refused."""
    inside: list[asyncio.StreamWriter] = field(default_factory=list)

    @abstractmethod
    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One session."""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A session until either side ends it."""
        self.sessions += 1
        with contextlib.suppress(OSError, EOFError):
            await self.talk(reader, writer)
        if writer in self.inside:
            self.inside.remove(writer)
        writer.close()

    async def say(self, raw: bytes) -> None:
        """Say something to everybody who is logged in."""
        for writer in list(self.inside):
            await write(writer, raw)

    def drop(self) -> None:
        """Cut all connections."""
        for writer in list(self.inside):
            writer.transport.abort()


async def write(writer: asyncio.StreamWriter, raw: bytes) -> None:
    """Write in pieces, each sent by itself."""
    sizes, start = itertools.cycle(PIECES), 0
    while start < len(raw):
        size = next(sizes)
        writer.write(raw[start : start + size])
        await writer.drain()
        await asyncio.sleep(0)
        start += size


AScript = TypeVar("AScript", bound=Script)


@asynccontextmanager
async def serving(script: AScript) -> AsyncIterator[AScript]:
    """Serve on a free port."""
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0)
    script.port = server.sockets[0].getsockname()[1]
    try:
        yield script
    finally:
        script.drop()
        server.close()


def frame(headers: Headers) -> bytes:
    """A frame of AMI; a list is a header that repeats."""
    lines = []
    for name, value in headers.items():
        for one in value if isinstance(value, list) else [value]:
            lines.append(f"{name}: {one}\r\n")
    return ("".join(lines) + "\r\n").encode()


@dataclass
class AmiScript(Script):
    """An Asterisk: `status` is what it answers to QueueStatus, `clock` its time in epoch s."""

    secret: str = "s3cret-of-ami"
    clock: str = "1700000000.500000"
    status: list[Headers] = field(default_factory=list)
    mute: bool = False
    actions: list[str] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Greet, and answer what is asked."""
        number = self.sessions
        await write(writer, b"Asterisk Call Manager/11.0.0\r\n")
        while True:
            raw = await reader.readuntil(b"\r\n\r\n")
            lines = raw.decode().split("\r\n")
            asked = dict(line.split(": ", 1) for line in lines if ": " in line)
            self.actions.append(asked["Action"])
            for answer in self._answers(asked, number):
                await write(writer, frame(answer))
            if asked["Action"] == "Login" and number not in self.refused:
                self.logins += 1
                self.inside.append(writer)

    def _answers(self, asked: Headers, number: int) -> list[Headers]:
        ok = {"Response": "Success", "ActionID": asked["ActionID"]}
        if asked["Action"] == "Challenge":
            return [{**ok, "Challenge": "814732"}]
        if asked["Action"] == "Login":
            key = hashlib.md5(f"814732{self.secret}".encode()).hexdigest()
            if asked["Key"] != key or number in self.refused:
                return [{**ok, "Response": "Error", "Message": "Authentication failed"}]
            booted = {"Event": "FullyBooted", "Status": "Fully Booted", "Uptime": "7"}
            return [{**ok, "Message": "Authentication accepted"}, booted]
        if self.mute:
            return []
        if asked["Action"] == "Ping":
            return [{**ok, "Ping": "Pong", "Timestamp": self.clock}]
        listed = [{**row, "ActionID": asked["ActionID"]} for row in self.status]
        end = {"Event": "QueueStatusComplete", "ActionID": asked["ActionID"]}
        return [{**ok, "EventList": "start"}, *listed, end]


@dataclass
class EventSocketScript(Script):
    """A FreeSWITCH: `tables` is what it answers to commands of its API."""

    password: str = "s3cret-of-esl"
    tables: dict[str, str] = field(default_factory=dict)
    mute: bool = False
    commands: list[str] = field(default_factory=list)
    aside: list[bytes] = field(default_factory=list)
    """Said before the answer to the next command of the API."""

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Ask for the password, and answer what is asked."""
        number = self.sessions
        await write(writer, b"Content-Type: auth/request\n\n")
        while True:
            command = (await reader.readuntil(b"\n\n")).decode().strip()
            self.commands.append(command)
            if command.startswith("auth"):
                good = command == f"auth {self.password}" and number not in self.refused
                reply = "+OK accepted" if good else "-ERR invalid"
                await write(writer, _reply(reply))
                if not good:
                    return
                self.logins += 1
            elif command.startswith("event"):
                await write(writer, _reply("+OK event listener enabled json"))
                self.inside.append(writer)
            elif not self.mute:
                while self.aside:
                    await write(writer, self.aside.pop(0))
                body = self.tables.get(command.removeprefix("api "), "+OK\n").encode()
                head = f"Content-Type: api/response\nContent-Length: {len(body)}\n\n"
                await write(writer, head.encode() + body)


def _reply(text: str) -> bytes:
    return f"Content-Type: command/reply\nReply-Text: {text}\n\n".encode()


def event_json(body: bytes) -> bytes:
    """A frame with an event in JSON."""
    return b"Content-Length: %d\nContent-Type: text/event-json\n\n" % len(body) + body
