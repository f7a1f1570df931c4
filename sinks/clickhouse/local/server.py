"""The local ClickHouse: one chDB engine behind ClickHouse's HTTP interface.

Clients connect to it as to a ClickHouse server. It differs in what one process can do: statements
run one at a time, inserts first; every answer is complete before it is sent; sessions are not kept.
"""

from __future__ import annotations

import asyncio
import logging
import os
import re
import shutil
import socket
import uuid
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import orjson
from aiohttp import BodyPartReader, web

from schemas.config import Config
from service.operator_page import OperatorPage
from service.operator_routes import operator_routes
from sinks.clickhouse.local.body import Body
from sinks.clickhouse.local.codec import choose_encoding, pack
from sinks.clickhouse.local.command import Answer, Role
from sinks.clickhouse.local.engine_config import checked_database, write_config
from sinks.clickhouse.local.errors import (
    ABORTED,
    NOT_IMPLEMENTED,
    QUERY_IS_TOO_LARGE,
    UNKNOWN_EXCEPTION,
    StoreError,
    from_engine,
)
from sinks.clickhouse.local.limits import MIB, Limits
from sinks.clickhouse.local.lock import take_lock
from sinks.clickhouse.local.process import EngineFailed, EngineProcess
from sinks.clickhouse.local.request import Request, Source, read_request
from sinks.clickhouse.local.turns import Job, Turns
from sinks.clickhouse.local.users import User, Users

logger = logging.getLogger(__name__)

KILLED_WITHIN_S = 60.0
"""How long past its limit a command may be there: its engine is killed, and another one started."""
LOCK_WAIT_S = 5.0
"""A store that was killed needs a moment until its engine is gone too."""

COMPRESS_FROM_BYTES = 1024

_QUERY_ID = re.compile(r"[\x21-\x7e]{1,128}")

_CONTENT_TYPES = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "TSV": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
    "JSONCompactEachRow": "application/x-ndjson; charset=UTF-8",
    "Native": "application/octet-stream",
    "RowBinary": "application/octet-stream",
    "RowBinaryWithNamesAndTypes": "application/octet-stream",
    "Parquet": "application/octet-stream",
    "Arrow": "application/octet-stream",
    "ArrowStream": "application/octet-stream",
}


class LocalClickHouse:
    """A ClickHouse for one machine: a data directory, two users, an HTTP interface.

    The writer may do everything, the analyst only read the database. `fsync` makes inserts survive
    a loss of power, not only of the process (about 25 ms each on a disk of a laptop).
    """

    def __init__(
        self,
        path: Path,
        writer_password: str,
        analyst_password: str,
        *,
        writer_user: str = "writer",
        analyst_user: str = "analyst",
        database: str = "callboard",
        limits: Limits | None = None,
        fsync: bool = True,
    ) -> None:
        self.path = path
        self.database = checked_database(database)
        self.limits = limits or Limits()
        self.engine: EngineProcess
        self.turns: Turns
        self._fsync = fsync
        self._lock = -1
        self._users = Users(
            User(writer_user, writer_password, Role.WRITER),
            User(analyst_user, analyst_password, Role.ANALYST),
        )

    async def start(self) -> asyncio.Task[None]:
        """Lock the directory and start the engine.

        Returns a task that ends with an exception if the engine is lost for good. Raises
        `StoreLocked` or `EngineFailed`.
        """
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = await take_lock(self.path / "lock", LOCK_WAIT_S)
        limits = self.limits
        write_config(self.path, self.database, limits.server_memory_bytes, self._fsync)
        shutil.rmtree(self._spool, ignore_errors=True)
        self._spool.mkdir(mode=0o700)
        self.engine = EngineProcess(self.path, self.database, self._lock, limits.kill_grace_s)
        self.turns = Turns(
            self._execute,
            self.engine.cancel,
            writer_queue=limits.writer_queue,
            analyst_queue=limits.analyst_queue,
            retry_after_s=max(1, round(limits.analyst_s)),
        )
        try:
            await self.engine.start()
        except BaseException:
            os.close(self._lock)
            raise
        return self.turns.start()

    async def stop(self) -> None:
        """Let a running insert end, cancel a query, shut the engine down: `stop_s` at most."""
        idle = await self.turns.close(self.limits.stop_s / 2)
        await self.engine.stop(self.limits.stop_s / 2 if idle else 0)
        os.close(self._lock)

    def application(self, page: OperatorPage | None = None) -> web.Application:
        """The HTTP interface, with the operator's page if given; `start` must have been called."""
        app = web.Application()
        if page is not None:
            app.add_routes(operator_routes(page))
        app.router.add_get("/ping", self._ping)
        app.router.add_get("/replicas_status", self._ping)
        app.router.add_get("/", self._root)
        app.router.add_post("/", self._root)
        app.router.add_route("*", "/{path:.*}", _unknown_path)
        return app

    def unready(self) -> str:
        """Why no statement would be answered now, empty if one would."""
        if not self.engine.alive:
            return "the engine is being restarted"
        return self.turns.crowded()

    def stuck(self) -> str:
        """A command that has outlived every limit, empty without one."""
        longest_s = max(self.limits.writer_s, self.limits.analyst_s) + KILLED_WITHIN_S
        age = self.turns.running_s()
        return f"the engine works at one command for {age:.0f} s" if age > longest_s else ""

    @property
    def _spool(self) -> Path:
        return self.path / "spool"

    async def _ping(self, _: web.Request) -> web.Response:
        if self.engine.alive:
            return web.Response(text="Ok.\n")
        return web.Response(status=503, text="The engine is being restarted.\n")

    async def _root(self, request: web.Request) -> web.Response:
        if request.method != "POST" and "query" not in request.query:
            return web.Response(text="Ok.\n")
        query_id = request.query.get("query_id", "")
        if not _QUERY_ID.fullmatch(query_id):
            query_id = str(uuid.uuid4())
        try:
            return await self._answer(request, query_id)
        except StoreError as error:
            return self._failure(error, query_id)
        except EngineFailed as error:
            return self._failure(StoreError(ABORTED, str(error)), query_id)

    async def _answer(self, http: web.Request, query_id: str) -> web.Response:
        role = self._users.authenticate(http.headers, http.query)
        query = dict(http.query)
        limit = self.limits.body_bytes
        if role is Role.ANALYST:
            limit = self.limits.analyst_query_bytes
        if http.content_type == "multipart/form-data":
            body = await self._form(http, query, limit)
        else:
            encoding = http.headers.get("Content-Encoding", "")
            pieces = http.content.iter_chunked(MIB)
            body = await Body.read(pieces, encoding, self._spool, limit)
        header_format = http.headers.get("X-ClickHouse-Format", "")
        source = Source(role, query, header_format, is_get=http.method != "POST")
        with closing(body):
            request = read_request(source, body, self.database, self.limits)
            answer = await self.turns.take(request.command, request.body_bytes, request.body)
        if answer.error:
            raise from_engine(answer.error)
        return await self._success(http, request, answer, query_id)

    async def _execute(self, job: Job) -> Answer:
        is_analyst = job.command.role is Role.ANALYST
        limit_s = self.limits.analyst_s if is_analyst else self.limits.writer_s
        return await self.engine.run(job.command, job.body_bytes, job.body, limit_s)

    async def _form(self, http: web.Request, query: dict[str, str], limit: int) -> Body:
        """Fields of a form count as URL parameters; the body is empty then."""
        async for part in await http.multipart():
            if not isinstance(part, BodyPartReader) or part.filename is not None or not part.name:
                raise StoreError(NOT_IMPLEMENTED, "external tables are not supported here")
            value = bytearray()
            while chunk := await part.read_chunk():
                value += chunk
                if len(value) > min(limit, MIB):
                    raise StoreError(QUERY_IS_TOO_LARGE, f"The field {part.name} is too large")
            query[part.name] = value.decode(errors="replace")
        return Body(self._spool)

    async def _success(
        self, http: web.Request, request: Request, answer: Answer, query_id: str
    ) -> web.Response:
        headers = self._headers(query_id)
        headers["X-ClickHouse-Summary"] = _summary(answer)
        if answer.has_result:
            headers["X-ClickHouse-Format"] = request.format
        default_type = "text/plain; charset=UTF-8"
        headers["Content-Type"] = _CONTENT_TYPES.get(request.format, default_type)
        body = answer.body
        encoding = ""
        if http.query.get("enable_http_compression") == "1" and len(body) >= COMPRESS_FROM_BYTES:
            encoding = choose_encoding(http.headers.get("Accept-Encoding", ""))
        if encoding:
            headers["Content-Encoding"] = encoding
            body = await asyncio.to_thread(pack, body, encoding)
        return web.Response(body=body, headers=headers)

    def _failure(self, error: StoreError, query_id: str) -> web.Response:
        headers = self._headers(query_id)
        headers["X-ClickHouse-Exception-Code"] = str(error.code)
        headers["Content-Type"] = "text/plain; charset=UTF-8"
        if error.retry_after_s is not None:
            headers["Retry-After"] = str(error.retry_after_s)
        if error.code in (ABORTED[0], UNKNOWN_EXCEPTION[0]):
            logger.warning("query %s: %s", query_id, error.message)
        text = error.text(self.engine.version)
        return web.Response(status=error.status, text=text, headers=headers)

    def _headers(self, query_id: str) -> dict[str, str]:
        return {
            "X-ClickHouse-Server-Display-Name": "callboard",
            "X-ClickHouse-Query-Id": query_id,
            "X-ClickHouse-Timezone": "UTC",
        }


async def serve(
    store: LocalClickHouse,
    host: str = "127.0.0.1",
    port: int = 8123,
    *,
    stop: asyncio.Event,
    ready: Callable[[int], None] | None = None,
    config: Config | None = None,
) -> None:
    """Run the store until `stop` is set, then stop it within five seconds.

    `port` 0 takes a free one; `ready` is told which. With a `config` it has the operator's page.
    Raises `StoreLocked`, `EngineFailed`, or
    `OSError` when the port is taken.
    """
    stopped = asyncio.ensure_future(stop.wait())
    starting = asyncio.ensure_future(store.start())
    await asyncio.wait((stopped, starting), return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.wait((starting,))
        return
    lost = starting.result()
    page = None
    if config is not None:
        checks, reasons = [store.stuck], lambda: [store.unready()]
        page = OperatorPage("store", config, reasons, checks, private=False)
        page.levels.listen()
    runner = web.AppRunner(
        store.application(page),
        access_log=None,
        auto_decompress=False,
        handler_cancellation=True,
        max_line_size=2 * MIB,
        max_field_size=MIB,
        shutdown_timeout=0.5,
    )
    try:
        await runner.setup()
        listening = socket.create_server((host, port), backlog=128)
        await web.SockSite(runner, listening).start()
        address = listening.getsockname()
        logger.info("ClickHouse interface at http://%s:%d", address[0], address[1])
        if ready is not None:
            ready(address[1])
        await asyncio.wait((stopped, lost), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        await store.stop()
        await runner.cleanup()
    if lost.done() and not lost.cancelled():
        lost.result()


async def _unknown_path(request: web.Request) -> web.Response:
    text = f"There is no handle {request.path}\n\nUse / or /ping for health checks.\n"
    return web.Response(status=404, text=text)


def _summary(answer: Answer) -> str:
    return orjson.dumps(
        {
            "read_rows": str(answer.read_rows),
            "read_bytes": str(answer.read_bytes),
            "written_rows": str(answer.written_rows),
            "written_bytes": str(answer.written_bytes),
            "total_rows_to_read": "0",
            "result_rows": str(answer.result_rows),
            "result_bytes": str(len(answer.body)),
            "elapsed_ns": str(answer.elapsed_ns),
        }
    ).decode()
