"""Starts the embedded stack, restarts what dies, and begins a new epoch when the broker does.

The order of a start: store, its schema, the epoch file, broker, topics, roles, feeder. The store
outlives an epoch; all other roles belong to one, for their offsets are those of its broker.
Anything may die at any time, also while a new epoch begins: then another one does.

`StackError` is raised when a part does not come up; the message holds the end of its log.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

import aiohttp
import orjson
from aiokafka.errors import KafkaError
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipeline.stack.epoch import begin_epoch
from pipeline.stack.folder import DataFolder
from pipeline.stack.process import RoleProcess, ending
from pipeline.stack.roles import (
    ROLES,
    broker_command,
    environment,
    page_answers,
    port_is_open,
    ready_addresses,
    role_command,
)
from pipeline.stack.settings_watch import SettingsWatch
from pipeline.stack.source import start_clock, stop_clock
from pipeline.topics import ensure_topics
from schemas.config import Config
from sinks.clickhouse import migrate
from sinks.clickhouse.query import QueryError, connect

log = logging.getLogger(__name__)

START_S = 60.0
GRACE_S = 10.0
BROKER_LIMIT_BYTES = 1_000_000_000
"""The broker keeps its log in memory; beyond this a new epoch begins."""
_LOOK_S = 5.0
_BREATH_S = 0.5
_PATIENCE = 10

Say = Callable[[str], None]


class StackError(RuntimeError):
    """A part of the stack did not come up."""


class EpochOver(Exception):
    """The broker ended before the epoch had begun."""


class Stack:
    """The processes of one embedded stack, from start to stop."""

    def __init__(
        self, folder: DataFolder, config: Config, feeder: list[str], say: Say = log.info
    ) -> None:
        self.folder = folder
        self.config = config
        self.processes: dict[str, RoleProcess] = {}
        self._feeder = feeder
        self._say = say
        self._watchers: dict[str, asyncio.Task[None]] = {}
        self._roll = asyncio.Event()
        self._why = ""
        self.settings = SettingsWatch(folder.settings)

    async def run(self, stop: asyncio.Event, started: Callable[[], Awaitable[None]]) -> None:
        """Runs until `stop` is set; `started` is called whenever everything is up.

        Raises `StackError` if a part does not come up.
        """
        work = asyncio.create_task(self._work(started))
        settings = asyncio.create_task(self.settings.run())
        stopped = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({work, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await work
        finally:
            tasks = (work, settings, stopped)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._stop_all()

    async def _work(self, started: Callable[[], Awaitable[None]]) -> None:
        await self._start_store()
        failures = 0
        while failures < _PATIENCE:
            if await self._has_begun():
                failures = 0
                await started()
                await self._end_of_epoch()
            else:
                failures += 1
                await asyncio.sleep(_BREATH_S)
            log.warning("%s: a new epoch begins from snapshot and journal", self._why)
            await self._stop_epoch()
        raise StackError(f"no epoch could begin, {failures} times in a row: {self._why}")

    async def _has_begun(self) -> bool:
        """Begins an epoch; False if broker or store died meanwhile."""
        try:
            await self._begin_epoch()
        except (EpochOver, KafkaError, OSError, ClickHouseError, QueryError) as error:
            self._why = self._why or f"an epoch did not begin: {error!r}"
            return False
        return True

    # --- start --------------------------------------------------------------------------------

    async def _start_store(self) -> None:
        self._say("store")
        await self._launch("store", role_command("store"), self.config)
        await self._until_ready("store")
        await asyncio.to_thread(self._migrate)

    def _migrate(self) -> None:
        with contextlib.closing(connect(self.config, write=True)) as client:
            migrate.migrate(client, self.config.clickhouse_database)

    async def _begin_epoch(self) -> None:
        self._roll.clear()
        self._why = ""
        await self._until_ready("store")
        durable = await asyncio.to_thread(self._durable)
        epoch = begin_epoch(self.folder.root, self.settings.sites(), durable)
        config = self.config = self.config.model_copy(update={"epoch": epoch})
        if self._feeder:
            # It makes itself ready meanwhile, and waits for the door.
            await self._launch("feeder", self._feeder, config)
        self._say("broker")
        await self._launch("broker", broker_command(config.bootstrap), config)
        await self._until_port("broker", config.bootstrap)
        await ensure_topics(config.brokers, config.partitions)
        start_clock(self.folder)
        for role in ROLES:
            await self._launch(role, role_command(role), config)
            if role == "door" and self._feeder:
                # Time goes on, perhaps fast, and what is fed grows old: the others come after.
                await self._until_ready(role)
        for role in ROLES:
            self._say(role)
            await self._until_ready(role)

    def _durable(self) -> dict[str, int]:
        """By site, the version up to which the store has all rows."""
        with contextlib.closing(connect(self.config, write=True)) as client:
            database = self.config.clickhouse_database
            found = client.query(
                f"SELECT site, max(version) FROM {database}.sink_progress GROUP BY site"
            )
            return {str(site): int(version) for site, version in found.result_rows}

    async def _launch(self, name: str, command: list[str], config: Config) -> None:
        environ = environment(config)
        process = RoleProcess(name, command, environ, self.folder.logs / f"{name}.log")
        self.processes[name] = process
        await process.start()
        self._watchers[name] = asyncio.create_task(self._watch(process))

    async def _until_ready(self, role: str) -> None:
        address = ready_addresses(self.config)[role]
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=2)) as session:
            await self._until_true(role, lambda: page_answers(session, address))

    async def _until_port(self, name: str, address: str) -> None:
        async def is_open() -> bool:
            return port_is_open(address)

        await self._until_true(name, is_open)

    async def _until_true(self, name: str, probe: Callable[[], Awaitable[bool]]) -> None:
        deadline = asyncio.get_running_loop().time() + START_S
        while not await probe():
            if self._roll.is_set():
                raise EpochOver
            if asyncio.get_running_loop().time() > deadline:
                words = self.processes[name].last_words()
                raise StackError(f"{name} is not ready after {START_S:.0f} s:\n{words}")
            await asyncio.sleep(0.1)

    # --- watch --------------------------------------------------------------------------------

    async def _watch(self, process: RoleProcess) -> None:
        """Restarts a role that ends; the end of the broker is the end of the epoch."""
        while True:
            code = await process.wait()
            if process.name == "broker":
                self._ask_roll(f"the broker ended ({ending(code)}) and its memory with it")
                return
            if process.name == "feeder" and code == 0:
                return
            await process.start_again(code)

    def _ask_roll(self, why: str) -> None:
        self._why = why
        self._roll.set()

    async def _end_of_epoch(self) -> None:
        """Waits for the end of the broker, and asks for it where it has grown too large."""
        while not self._roll.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._roll.wait(), _LOOK_S)
            size = _resident(self.processes["broker"].pid)
            if size > BROKER_LIMIT_BYTES:
                self._ask_roll(f"the broker holds {size / 1e6:.0f} MB")

    # --- stop ---------------------------------------------------------------------------------

    async def _stop_epoch(self) -> None:
        """What the worker knows is lost with a broker that died, for it cannot hand it on."""
        broker = self.processes.get("broker")
        grace_s = GRACE_S if broker is not None and broker.running else 0.0
        for name in ("feeder", *ROLES, "broker"):
            await self._stop_one(name, grace_s)
        stop_clock(self.folder)

    async def _stop_all(self) -> None:
        """In the order of the data, so that each role can hand on what it holds."""
        for name in ("feeder", *ROLES, "broker", "store"):
            await self._stop_one(name, GRACE_S)

    async def _stop_one(self, name: str, grace_s: float) -> None:
        watcher = self._watchers.pop(name, None)
        if watcher is not None:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
        process = self.processes.get(name)
        if process is not None:
            await process.stop(grace_s)


def _resident(pid: int) -> int:
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError, ValueError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")


def running_stack(environ: Mapping[str, str], root: Path) -> dict[str, str]:
    """The environment of the stack that runs in a folder, without what is set already."""
    try:
        obj = orjson.loads((root / "stack.json").read_bytes())
        os.kill(obj["pid"], 0)
    except (OSError, ValueError, KeyError):
        return {}
    return {name: value for name, value in obj["environ"].items() if name not in environ}
