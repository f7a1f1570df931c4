"""Writes batches to ClickHouse: the same rows under the same token until the store has them.

    Unavailable     the store cannot take anything now; the same insert is tried again, for ever
    Refused         the store will never take these rows; the bad ones are looked for by halving

Whatever is neither clearly a bad row nor clearly an outage (a table that is missing, no memory, a
full disk) counts as unavailable: waiting loses nothing, while dead letters of good rows would.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from typing import Any, Protocol

import aiohttp
from clickhouse_connect import get_async_client
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from schemas.config import Config
from service.health import Pulse
from sinks.clickhouse.batch import BadRow, Batch, Lines
from sinks.clickhouse.endpoint import endpoint, refused_certificate
from sinks.clickhouse.metrics import SinkMetrics

log = logging.getLogger(__name__)

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 10.0
# A write must end: what hangs for longer is an outage, and the insert is tried again.
WRITE_TIMEOUT_S = 120

# Codes of ClickHouse that speak of what stands in a row.
_ROW_CODES = frozenset(
    {
        6,  # CANNOT_PARSE_TEXT
        25,  # CANNOT_PARSE_ESCAPE_SEQUENCE
        26,  # CANNOT_PARSE_QUOTED_STRING
        27,  # CANNOT_PARSE_INPUT_ASSERTION_FAILED
        32,  # ATTEMPT_TO_READ_AFTER_EOF
        33,  # CANNOT_READ_ALL_DATA
        38,  # CANNOT_PARSE_DATE
        41,  # CANNOT_PARSE_DATETIME
        53,  # TYPE_MISMATCH
        69,  # ARGUMENT_OUT_OF_BOUND
        70,  # CANNOT_CONVERT_TYPE
        72,  # CANNOT_PARSE_NUMBER
        117,  # INCORRECT_DATA
        131,  # TOO_LARGE_STRING_SIZE
        321,  # VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
        349,  # CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
        376,  # CANNOT_PARSE_UUID
        407,  # DECIMAL_OVERFLOW
        441,  # CANNOT_PARSE_DOMAIN_VALUE_FROM_STRING
        467,  # CANNOT_PARSE_BOOL
        469,  # VIOLATED_CONSTRAINT
        675,  # CANNOT_PARSE_IPV4
        691,  # UNKNOWN_ELEMENT_OF_ENUM
    }
)
# The same code as a bad row, but of a table that has not been migrated yet.
_UNKNOWN_COLUMN = "Unknown field found while parsing"


class Unavailable(Exception):
    """The store cannot be written to, or asked, now; `code` is ClickHouse's, 0 without one."""

    def __init__(self, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code or 0


class Refused(Exception):
    """The store refuses these rows for what stands in them."""


class Stopped(Exception):
    """The write was given up because the sink stops or has lost the partition."""


class Store(Protocol):
    """Where rows go."""

    async def insert(self, table: str, body: bytes, token: str) -> None:
        """Insert lines of JSON as one block, once for a token. Raises Unavailable or Refused."""


class HttpStore:
    """A ClickHouse server behind its HTTP interface. Connects when first used."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._client: AsyncClient | None = None
        # Of two that connect at once one connection would be left open.
        self._connecting = asyncio.Lock()

    async def insert(self, table: str, body: bytes, token: str) -> None:
        """See `Store`. On return the rows are written; after an error they may be, too."""
        settings = {
            # The client sends an insert again when the connection broke; with a token it may.
            "insert_deduplication_token": token,
            "async_insert": 0,
            "max_partitions_per_insert_block": 0,
            # A column that is missing waits for its migration instead of losing what it holds.
            "input_format_skip_unknown_fields": 0,
        }
        try:
            client = await self._connected()
            await client.raw_insert(
                f"{self._config.clickhouse_database}.{table}",
                insert_block=body,
                settings=settings,
                fmt="JSONEachRow",
            )
        except Error as error:
            if error.code in _ROW_CODES and _UNKNOWN_COLUMN not in str(error):
                raise Refused(_first_line(error)) from error
            raise Unavailable(_first_line(error)) from error
        except (ClickHouseError, aiohttp.ClientError, OSError, TimeoutError) as error:
            raise Unavailable(_first_line(error) or type(error).__name__) from error

    async def check(self, sql: str, settings: dict[str, Any] | None = None) -> list[list[object]]:
        """The rows a query answers, run with these settings of ClickHouse. Raises Unavailable."""
        try:
            client = await self._connected()
            result = await client.query(sql, settings=settings)
        except (ClickHouseError, aiohttp.ClientError, OSError, TimeoutError) as error:
            code = error.code if isinstance(error, Error) else 0
            raise Unavailable(_first_line(error) or type(error).__name__, code) from error
        return [list(row) for row in result.result_rows]

    async def _connected(self) -> AsyncClient:
        async with self._connecting:
            if self._client is None:
                self._client = await self._connect()
            return self._client

    async def _connect(self) -> AsyncClient:
        return await get_async_client(
            **endpoint(self._config),
            username=self._config.clickhouse_user,
            password=self._config.clickhouse_password,
            autogenerate_session_id=False,
            send_receive_timeout=WRITE_TIMEOUT_S,
            show_clickhouse_errors="scrub",
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None


class Writer:
    """Writes batches, one insert a table, and gives back the rows that were refused.

    `given_up` is asked before each new try; when it answers True the write ends with `Stopped`.
    `pulse` is that of the loop which writes.
    """

    def __init__(
        self,
        store: Store,
        metrics: SinkMetrics,
        given_up: Callable[[], bool],
        pulse: Pulse | None = None,
    ) -> None:
        self._store = store
        self._pulse = pulse or Pulse("the writer")
        self._metrics = metrics
        self._given_up = given_up
        self.failing_since: float | None = None
        """`time.monotonic` of the first of the failures since the last success."""
        self.inserted_at = float("-inf")
        """`time.monotonic` of the last success."""

    async def write(self, batch: Batch) -> list[BadRow]:
        """Write everything; on return all but the returned rows is in the store."""
        refused: list[BadRow] = []
        for table, lines in batch.parts():
            refused += await self._write(table, lines, batch.token(table))
        return refused

    async def _write(self, table: str, lines: Lines, token: str) -> list[BadRow]:
        try:
            await self._insert(table, lines, token)
        except Refused as refusal:
            if len(lines.lines) == 1:
                return [BadRow(lines.places[0], table, str(refusal), lines.lines[0])]
            middle = len(lines.lines) // 2
            left, right = lines.part(0, middle), lines.part(middle, len(lines.lines))
            refused = await self._write(table, left, f"{token}/0")
            return refused + await self._write(table, right, f"{token}/1")
        return []

    async def _insert(self, table: str, lines: Lines, token: str) -> None:
        body, tries = lines.body(), 0
        while True:
            if self._given_up():
                raise Stopped
            started = time.monotonic()
            try:
                with self._pulse.waiting("the store"):
                    await self._store.insert(table, body, token)
            except Unavailable as error:
                self._note_failure(started, table, error)
                await self._pause(tries)
                tries += 1
                continue
            self.failing_since, self.inserted_at = None, time.monotonic()
            self._metrics.inserted(table, len(lines.lines), time.monotonic() - started)
            return

    def _note_failure(self, moment: float, table: str, error: Unavailable) -> None:
        self._metrics.retries.inc()
        if self.failing_since is None:
            self.failing_since = moment
            log.warning("store cannot take %s: %s; trying until it does", table, error)

    async def _pause(self, tries: int) -> None:
        # Jitter keeps several sinks from coming back in step.
        pause = min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2**tries) * random.uniform(0.5, 1)
        end = time.monotonic() + pause
        while not self._given_up() and (left := end - time.monotonic()) > 0:
            self._pulse.turn()
            await asyncio.sleep(min(0.2, left))


def _first_line(error: BaseException) -> str:
    if refused := refused_certificate(error):
        return refused
    return str(error).strip().partition("\n")[0][:500]
