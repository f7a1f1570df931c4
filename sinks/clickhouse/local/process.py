"""The server's end of the engine process: start it, give it one command at a time, cancel, kill.

A command that outlives its limit is cancelled, and if it does not hear that, the process is killed
and started again. Data answered for are safe: the engine writes a part whole and syncs it before it
answers. Where the disk was full meanwhile, the insert is refused here and the engine is replaced: a
new one puts parts that cannot be read out of the way. Their tokens are taken all the same, so from
then on tokens are others, and what is sent again is written.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
import time
from collections.abc import AsyncIterable
from dataclasses import replace
from pathlib import Path

from sinks.clickhouse.local.command import FRAME, WISH, Answer, Command
from sinks.clickhouse.local.disk import Disk, broken_parts
from sinks.clickhouse.local.errors import ABORTED, NOT_ENOUGH_SPACE, TIMEOUT_EXCEEDED, StoreError

logger = logging.getLogger(__name__)

START_S = 60.0
TOKEN = "insert_deduplication_token"
LOOK_S = 1.0
"""How often the disk is looked at beside inserts, for merges."""
PATIENCE_S = 0.25
"""How long past its limit a command may take to notice it by itself."""


class EngineFailed(RuntimeError):
    """The engine does not start; the message is chDB's."""


class EngineProcess:
    """One engine process over a store's directory, replaced when it dies."""

    def __init__(
        self, directory: Path, database: str, lock: int, kill_grace_s: float = 1.5
    ) -> None:
        self.version = ""
        self.restarts = 0
        self._directory = directory
        self._database = database
        self._lock = lock
        self._kill_grace_s = kill_grace_s
        self._disk = Disk(directory)
        self._doubtful = False
        self._broken = ""
        self._watch: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._commands = 0
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self._control: socket.socket

    @property
    def pid(self) -> int:
        """Process id of the engine, 0 while there is none."""
        return self._process.pid if self._process else 0

    @property
    def alive(self) -> bool:
        """Whether the process runs and listens; its socket ends before its death is known."""
        running = self._process is not None and self._process.returncode is None
        return running and not self._reader.at_eof()

    async def start(self) -> None:
        """Start the process and wait until it has opened the data; raise `EngineFailed`."""
        self._commands = 0
        data, theirs = socket.socketpair()
        self._control, wishes = socket.socketpair()
        with theirs, wishes:
            self._process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "sinks.clickhouse.local.engine_process"),
                *(self._database, str(theirs.fileno()), str(wishes.fileno())),
                cwd=self._directory,
                env=_environment(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C is for the server, which ends the engine itself
                pass_fds=(theirs.fileno(), wishes.fileno(), self._lock),
            )
        self._reader, self._writer = await asyncio.open_connection(sock=data)
        try:
            async with asyncio.timeout(START_S):
                hello = await self._read_answer()
        except BaseException as error:
            await self.kill()
            if isinstance(error, (TimeoutError, asyncio.IncompleteReadError, ConnectionError)):
                raise EngineFailed(f"the engine did not start in {self._directory}") from error
            raise
        if hello.error:
            await self.kill()
            raise EngineFailed(f"the engine did not start in {self._directory}: {hello.error}")
        self.version = hello.body.decode()
        self._broken = broken_parts(self._directory)
        if self._watch is None:
            self._watch = asyncio.create_task(self._look_at_disk())

    async def run(
        self, command: Command, body_bytes: int, body: AsyncIterable[bytes], limit_s: float
    ) -> Answer:
        """Give a command to the engine and return its answer.

        Raises `StoreError` when the command had to be killed, the engine died under it, or an
        insert may not have been written.
        """
        if not command.insert_format:
            return await self._run(command, body_bytes, body, limit_s)
        await self._need_space(body_bytes)
        if self._doubtful:
            await self._replace("ran while the disk was full")
            self._doubtful = False
        answer = await self._run(command, body_bytes, body, limit_s)
        await self._need_space(0)
        return answer

    async def _look_at_disk(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            self._doubtful = self._doubtful or bool(self._disk.refuses(0))

    async def _need_space(self, body_bytes: int) -> None:
        """Raise where the disk is full; what the engine did meanwhile is not to be trusted."""
        refusal = self._disk.refuses(body_bytes)
        if refusal:
            self._doubtful = True
            await self.kill()
            raise StoreError(NOT_ENOUGH_SPACE, f"Cannot write: {refusal}", retry_after_s=1)

    async def _run(
        self, command: Command, body_bytes: int, body: AsyncIterable[bytes], limit_s: float
    ) -> Answer:
        if not self.alive:
            await self._replace("died")
        if self._broken and TOKEN in command.settings:
            token = f"{command.settings[TOKEN]} {self._broken}"
            command = replace(command, settings={**command.settings, TOKEN: token})
        self._commands += 1
        exchange = asyncio.ensure_future(self._exchange(command, body_bytes, body))
        try:
            return await self._within(exchange, limit_s)
        except (asyncio.IncompleteReadError, ConnectionError):
            await self._replace("died during a query")
            message = "the engine died during this query"
            raise StoreError(ABORTED, message, retry_after_s=1) from None
        finally:
            exchange.cancel()

    def cancel(self) -> None:
        """Ask the engine to stop the command given last; the answer to it still comes."""
        if self.alive:
            self._control.send(WISH.pack(self._commands))

    async def kill(self) -> None:
        """End the process at once."""
        if self._process is None:
            return
        if self._process.returncode is None:
            self._process.kill()
        await self._process.wait()
        self._writer.close()
        self._control.close()
        self._process = None

    async def stop(self, wait_s: float) -> None:
        """Let an idle engine shut down by itself, kill it after `wait_s`."""
        if self._watch is not None:
            self._watch.cancel()
        if self._process is not None and wait_s > 0:
            self._writer.close()
            try:
                async with asyncio.timeout(wait_s):
                    await self._process.wait()
            except TimeoutError:
                logger.warning("the engine did not shut down within %.1f s, killed", wait_s)
        await self.kill()

    async def _within(self, exchange: asyncio.Future[Answer], limit_s: float) -> Answer:
        for wait_s in (limit_s + PATIENCE_S, self._kill_grace_s):
            done, _ = await asyncio.wait((exchange,), timeout=wait_s)
            if done:
                return exchange.result()
            self.cancel()
        await self._replace(f"killed: a query did not stop within its limit of {limit_s:g} s")
        raise StoreError(
            TIMEOUT_EXCEEDED,
            f"Timeout exceeded: the query did not stop by itself, maximum: {limit_s * 1000:.0f} ms",
        )

    async def _exchange(
        self, command: Command, body_bytes: int, body: AsyncIterable[bytes]
    ) -> Answer:
        self._writer.write(command.pack(body_bytes))
        async for piece in body:
            self._writer.write(piece)
            await self._writer.drain()
        return await self._read_answer()

    async def _read_answer(self) -> Answer:
        header_bytes, body_bytes = FRAME.unpack(await self._reader.readexactly(FRAME.size))
        header = await self._reader.readexactly(header_bytes)
        return Answer.unpack(header, await self._reader.readexactly(body_bytes))

    async def _replace(self, why: str) -> None:
        began = time.monotonic()
        await self.kill()
        await self.start()
        self.restarts += 1
        logger.warning("engine %s; restarted in %.1f s", why, time.monotonic() - began)


def _environment() -> dict[str, str]:
    """The engine's environment: UTC, and this package importable wherever it works."""
    root = str(Path(__file__).resolve().parents[3])
    paths = [root, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "TZ": "UTC", "PYTHONPATH": os.pathsep.join(paths)}
