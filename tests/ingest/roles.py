"""The roles under test, in this process or as processes of their own that can be killed."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import IO, Any

from pipeline.ingest.door import Door
from pipeline.ingest.worker import Ingest
from schemas.config import Config
from tests.ingest.broker import Reader

REPO = Path(__file__).parents[2]
PATIENCE_S = 180.0


@asynccontextmanager
async def running_ingest(config: Config) -> AsyncIterator[Ingest]:
    """Ingest in this process; it stops in order at the end."""
    ingest = Ingest(config)
    async with _running(ingest.run):
        yield ingest


@asynccontextmanager
async def running_door(config: Config) -> AsyncIterator[Door]:
    """The door in this process, open."""
    door = Door(config)
    async with _running(door.run) as task:
        await until(lambda: door.intake.open or task.done())
        if task.done():
            task.result()
        yield door


@asynccontextmanager
async def _running(
    run: Callable[[asyncio.Event], Coroutine[Any, Any, None]],
) -> AsyncIterator[asyncio.Task[None]]:
    stop = asyncio.Event()
    task = asyncio.create_task(run(stop))
    try:
        yield task
    finally:
        stop.set()
        await asyncio.wait_for(task, 90)


async def until(
    condition: Callable[[], bool], *readers: Reader, patience_s: float = PATIENCE_S
) -> None:
    """Wait, reading meanwhile, until the condition holds; fail if it never does."""
    deadline = time.monotonic() + patience_s
    while not condition():
        assert time.monotonic() < deadline, "the condition never held"
        if not readers:
            await asyncio.sleep(0.01)
        for reader in readers:
            await reader.more()


class Process:
    """A role as a process of its own."""

    def __init__(self, role: str, config: Config, log: Path) -> None:
        self._role = role
        self._env = {**os.environ, **config.to_env(), "PYTHONPATH": str(REPO)}
        self.log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the role."""
        code = f"from pipeline.cli.{self._role} import {self._role}; {self._role}()"
        output: IO[bytes]
        with self.log.open("ab") as output:
            self._process = subprocess.Popen(
                [sys.executable, "-c", code], env=self._env, stdout=output, stderr=output
            )

    def said(self, words: str) -> int:
        """How often it has logged something."""
        return self.log.read_text().count(words)

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def terminate(self) -> int:
        """SIGTERM; the exit status."""
        assert self._process is not None
        self._process.terminate()
        status = self._process.wait(90)
        self._process = None
        return status


@contextmanager
def process(role: str, config: Config, folder: Path) -> Iterator[Process]:
    """A started role, killed at the end if it still runs."""
    role_process = Process(role, config, folder / f"{role}.log")
    role_process.start()
    try:
        yield role_process
    finally:
        role_process.kill()
