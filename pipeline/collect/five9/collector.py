"""Keeps a supervisor's WebSocket open and hands its frames to the door.

There is no place to keep: after every connection the full picture comes anew. Frames wait in a
bounded queue; when it is full the WebSocket is read no further until the door takes them.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
import orjson

from pipeline.collect.door_client import DoorClient
from pipeline.collect.five9.session import Account, Five9Error, Session
from pipeline.collect.five9.split import payloads_of

log = logging.getLogger(__name__)

SOURCE = "five9"
MIGRATED, DUPLICATE, PONG = "1002", "1020", "1202"
_STATISTICS = ("5000", "5012")
MOST_WAITING = 200
"""Payloads that may wait for the door: of 256 KiB each, fifty megabytes at the worst."""
_MOST_AT_ONCE = 50
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
_LAST_WORDS_S = 5.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds between pings, of silence until a connection counts as dead, of the first pause."""

    ping_s: float = 5.0
    silence_s: float = 45.0
    pause_s: float = _FIRST_PAUSE_S


@dataclass(frozen=True, slots=True)
class Frame:
    """A payload of a site, as the door client takes it."""

    site: str
    payload: bytes


class Collector:
    """One account's WebSocket, for one site. The door client is open already."""

    def __init__(
        self, account: Account, site: str, door: DoorClient, pace: Pace | None = None
    ) -> None:
        self._account = account
        self._site = site
        self._door = door
        self._pace = pace or Pace()
        self._waiting = asyncio.Queue[Frame](MOST_WAITING)
        self._heard = False

    async def run(self) -> None:
        """Collect until cancelled; then send what waits, for a few seconds at most.

        Raises `DoorRefused` and `Five9Refused`.
        """
        sender = asyncio.create_task(self._send())
        watcher = asyncio.create_task(self._watch())
        try:
            done, _ = await asyncio.wait((sender, watcher), return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            watcher.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await watcher
            if not sender.done():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._waiting.join(), _LAST_WORDS_S)
            sender.cancel()
            with suppress(asyncio.CancelledError, Exception):
                await sender

    async def _send(self) -> None:
        while True:
            frames = [await self._waiting.get()]
            while len(frames) < _MOST_AT_ONCE and not self._waiting.empty():
                frames.append(self._waiting.get_nowait())
            await self._door.send(frames)
            for _ in frames:
                self._waiting.task_done()

    async def _watch(self) -> None:
        pause = self._pace.pause_s
        while True:
            self._heard = False
            try:
                # A session's cookies belong to its data centre, in tests to an address of numbers.
                jar = aiohttp.CookieJar(unsafe=True)
                timeout = aiohttp.ClientTimeout(total=30.0)
                async with aiohttp.ClientSession(cookie_jar=jar, timeout=timeout) as http:
                    why = await self._one_session(http)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError, Five9Error) as error:
                why = f"{type(error).__name__}: {error}".rstrip(": ")
            pause = self._pace.pause_s if self._heard else min(pause * 2, _LONGEST_PAUSE_S)
            log.warning("Five9: %s; again in %.1f s", why, pause)
            await asyncio.sleep(pause)

    async def _one_session(self, http: aiohttp.ClientSession) -> str:
        """Log in and read until the connection ends; returns why it did."""
        session = await Session.open(http, self._account)
        log.info("Five9: logged in as %s", self._account.username)
        while True:
            await session.work()
            why, moved = await self._one_connection(session)
            if not moved:
                return why
            log.info("Five9: %s", why)

    async def _one_connection(self, session: Session) -> tuple[str, bool]:
        """Read one WebSocket to its end: why it ended, and whether the session goes on."""
        async with await session.connect() as socket:
            await session.ask_for_everything()
            pinging = asyncio.create_task(self._ping(socket))
            try:
                while True:
                    message = await socket.receive(self._pace.silence_s)
                    if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                        return f"the connection ended ({socket.close_code})", False
                    data = message.data
                    frame = data.encode() if isinstance(data, str) else data
                    event, content = _event_of(frame)
                    if event == PONG:
                        continue
                    # A connection that brings no figures is no reason to come back at once.
                    self._heard |= event in _STATISTICS
                    await self._keep(frame)
                    if event == MIGRATED:
                        return "the domain has moved", session.moved(content)
                    if event == DUPLICATE:
                        return "another connection has taken the place of this one", False
            finally:
                pinging.cancel()

    async def _keep(self, frame: bytes) -> None:
        for payload in payloads_of(frame):
            await self._waiting.put(Frame(self._site, payload))

    async def _ping(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        # The text, not the control frame of the protocol: Five9 answers it with event 1202.
        with suppress(ConnectionError, aiohttp.ClientError):
            while True:
                await socket.send_str("ping")
                await asyncio.sleep(self._pace.ping_s)


def _event_of(frame: bytes) -> tuple[str, object]:
    """The id of a frame's event and what it carries."""
    try:
        obj = orjson.loads(frame)
        return str(obj["context"]["eventId"]), obj.get("payLoad")
    except (ValueError, KeyError, TypeError, AttributeError):
        return "", None
