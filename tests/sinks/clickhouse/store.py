"""A local ClickHouse for tests, and short ways to fill it and to ask it."""

from __future__ import annotations

import asyncio
import itertools
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from clickhouse_connect import get_client
from clickhouse_connect.driver.client import Client

from schemas.config import Config
from sinks.clickhouse.batch import BadRow, Batch
from sinks.clickhouse.local import Limits, LocalClickHouse, serve
from sinks.clickhouse.metrics import SinkMetrics
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.tables import PROGRESS, TABLES
from sinks.clickhouse.writer import HttpStore, Writer
from tests.ports import free_port

PASSWORD = "write"
ANALYST_PASSWORD = "read"
DATABASE = "callboard"

_numbers = itertools.count(1)


class Server:
    """A local ClickHouse in a thread of its own; its engine is a process."""

    def __init__(self, path: Path, port: int = 0) -> None:
        # The store may come back at its address while clients look for it there.
        self.port = port or free_port()
        self._path = path
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        store = LocalClickHouse(
            self._path, PASSWORD, ANALYST_PASSWORD, database=DATABASE, limits=Limits(), fsync=False
        )
        self._loop.run_until_complete(
            serve(store, port=self.port, stop=self._stop, ready=self._ready)
        )

    def _ready(self, port: int) -> None:
        self.port = port
        self._listening.set()

    def start(self) -> None:
        self._thread.start()
        if not self._listening.wait(60):
            raise TimeoutError("the store does not listen")

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def config(self, **changes: Any) -> Config:
        """The configuration of a role that writes here."""
        given: dict[str, Any] = {
            "clickhouse_url": self.url,
            "clickhouse_user": "writer",
            "clickhouse_password": PASSWORD,
            "clickhouse_database": DATABASE,
        }
        return Config(**(given | changes))


@contextmanager
def running(path: Path, port: int = 0) -> Iterator[Server]:
    server = Server(path, port)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@dataclass
class Database:
    """A migrated database of its own on a running server."""

    server: Server
    name: str
    client: Client

    def rows(self, sql: str, parameters: Mapping[str, Any] | None = None) -> list[dict[str, Any]]:
        """The rows a query answers; 64-bit integers are integers."""
        body = self.client.raw_query(
            sql,
            parameters=dict(parameters) if parameters else None,
            # For a dozen rows more threads cost more than they help.
            settings={"max_threads": 1},
            fmt="JSONEachRow",
        )
        return [orjson.loads(line) for line in body.splitlines()]

    def value(self, sql: str) -> Any:
        """The only value of a query."""
        (row,) = self.rows(sql)
        (value,) = row.values()
        return value

    def config(self) -> Config:
        return self.server.config(clickhouse_database=self.name)

    def command(self, sql: str) -> None:
        self.client.command(sql)

    def empty(self) -> None:
        """Remove all rows."""
        for table in (*TABLES, PROGRESS):
            self.command(f"TRUNCATE TABLE {table}")

    def write(self, *records: bytes, partition: int = 0, first: int | None = None) -> list[BadRow]:
        """Write records of `kpi.rows` as one batch, as the sink does; gives what it refuses."""
        batch = Batch(partition)
        start = next(_numbers) * 1_000_000 if first is None else first
        for offset, payload in enumerate(records, start=start):
            batch.add(offset, payload)
        return batch.bad + asyncio.run(write_batch(self.config(), batch))


async def write_batch(config: Config, batch: Batch) -> list[BadRow]:
    store = HttpStore(config)
    try:
        return await Writer(store, SinkMetrics(), lambda: False).write(batch)
    finally:
        await store.close()


def connect(server: Server, database: str) -> Client:
    return get_client(
        host="127.0.0.1",
        port=server.port,
        username="writer",
        password=PASSWORD,
        database=database,
        autogenerate_session_id=False,
    )


@contextmanager
def database(server: Server, name: str | None = None) -> Iterator[Database]:
    """A database with all migrations applied, dropped at the end.

    That of the store itself, which the analyst may read, is only emptied: it cannot be missing.
    """
    chosen = name or f"test_{next(_numbers)}"
    admin = connect(server, "default")
    migrate(admin, chosen)
    made = Database(server, chosen, connect(server, chosen))
    try:
        yield made
    finally:
        if chosen == DATABASE:
            made.empty()
        else:
            admin.command(f"DROP DATABASE IF EXISTS {chosen}")
        made.client.close()
        admin.close()


def record(
    tables: Mapping[str, list[dict[str, Any]]],
    *,
    site: str = "s",
    version: int = 1,
    at: int,
    **more: Any,
) -> bytes:
    """A record of `kpi.rows`."""
    epoch, offset = version >> 40, version & (1 << 40) - 1
    head = {"v": 1, "site": site, "epoch": epoch, "offset": offset, "version": version, "at": at}
    return orjson.dumps({**head, "tables": tables, **more})
