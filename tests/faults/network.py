"""Lines between roles and the broker that can be slow, cut, or silent: TCP proxies in a thread."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, TypeVar

from tests.ports import free_port

T = TypeVar("T")

_CHUNK = 64 * 1024
_SILENCE_TURN_S = 0.02


class Network:
    """An event loop of its own, so that nothing a test computes holds up what passes here."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="network", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do something in the loop and wait for it."""
        done: Future[T] = asyncio.run_coroutine_threadsafe(work, self.loop)
        return done.result(60)

    def close(self) -> None:
        """End the loop and everything in it."""

        async def end() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        self.run(end())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(30)
        self.loop.close()


class Link:
    """The way of one process to the broker; set `delay_s` to make it slow."""

    def __init__(self, network: Network, name: str) -> None:
        self.name = name
        self.port = free_port()
        self.target = 0
        """The broker's port for this process."""
        self.delay_s = 0.0
        self._network = network
        self._silent = False
        self._refuses = False
        self._watched = b""
        self._seen: Callable[[], None] | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._forsaken: set[asyncio.StreamWriter] = set()

    def open(self) -> None:
        """Listen, for good."""
        self._network.run(self._listen())

    def heal(self) -> None:
        """Make it a good line again."""
        self.delay_s = 0.0
        self._silent = self._refuses = False
        forsaken, self._forsaken = self._forsaken, set()
        for writer in forsaken:
            self._network.loop.call_soon_threadsafe(writer.transport.abort)

    def cut(self) -> None:
        """Break all connections and refuse new ones, until healed."""
        self._refuses = True
        self._network.loop.call_soon_threadsafe(self._abort)

    def silence(self) -> None:
        """Connections stand, new ones are taken, and nothing comes through."""
        self._silent = True

    def forsake(self) -> None:
        """Half-open: nothing comes through connections that there are, and new ones are good."""
        self._forsaken = set(self._writers)

    def seen(self, words: bytes) -> threading.Event:
        """An event that is set when the process next sends something that holds `words`."""
        event = threading.Event()
        self._watched, self._seen = words, event.set
        return event

    async def _listen(self) -> None:
        await asyncio.start_server(self._pass, "127.0.0.1", self.port)

    def _abort(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    async def _pass(self, near_in: asyncio.StreamReader, near_out: asyncio.StreamWriter) -> None:
        if self._refuses:
            near_out.transport.abort()
            return
        try:
            far_in, far_out = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            near_out.transport.abort()
            return
        ends = {near_out, far_out}
        self._writers |= ends
        try:
            await asyncio.gather(
                self._pump(near_in, far_out, outward=True),
                self._pump(far_in, near_out, outward=False),
            )
        except (OSError, asyncio.CancelledError):
            pass  # one end has gone, or all of it comes to its end
        finally:
            self._writers -= ends
            for end in ends:
                end.transport.abort()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, outward: bool
    ) -> None:
        while chunk := await source.read(_CHUNK):
            if outward and self._seen is not None and self._watched in chunk:
                tell, self._seen = self._seen, None
                tell()
            if self.delay_s:
                await asyncio.sleep(self.delay_s)
            while self._silent or sink in self._forsaken:
                await asyncio.sleep(_SILENCE_TURN_S)
            sink.write(chunk)
            await sink.drain()
        with contextlib.suppress(OSError):
            sink.write_eof()
