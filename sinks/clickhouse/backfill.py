"""The store as a backfill sees it: what is stored of a site, and rows that replace it.

Stored rows are told as the engine tells them: moments are epoch milliseconds, `version` beside the
row. Nothing here decides what is to be replaced.

StoreError      the store cannot be reached for minutes, or refuses a statement
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import orjson
from clickhouse_connect.driver.exceptions import ClickHouseError, Error

from schemas.config import Config
from sinks.clickhouse.query import QueryError, cleaned, connect
from sinks.clickhouse.tables import FIRST_MS, LAST_MS, PROGRESS, TABLES

log = logging.getLogger(__name__)

Row = dict[str, Any]
T = TypeVar("T")

IDENTITY: dict[str, tuple[str, ...]] = {
    "visits": ("queued_at", "contact", "queue", "story"),
    "legs": ("answered_at", "contact", "agent", "story"),
    "declines": ("declined_at", "contact", "agent", "ordinal", "story"),
    "agent_intervals": ("started_at", "agent"),
    "queue_panes": ("pane_start", "queue", "channel"),
    "team_panes": ("pane_start", "team"),
    "feedback": ("at", "contact", "key"),
    "pane_settings": ("valid_from",),
}
"""What a row of a site is known by, its moment first: the sorting keys of the tables."""

CONTACTS = ("visits", "legs", "declines")
"""Tables whose rows belong to the story of a contact."""

INSERT_ROWS = 20_000
INSERT_BYTES = 8 * 1024 * 1024
"""A block of a backfill: small, so that rows of the live pipeline do not wait long behind it."""
PATIENCE_S = 300.0
_BUSY = frozenset({159, 160, 202, 209, 210, 236, 241, 242, 252, 319})
"""Codes of ClickHouse that speak of its load or its stopping, not of the statement."""
_READING = {"max_execution_time": 60, "output_format_json_quote_64bit_integers": 0}


class StoreError(Exception):
    """The store cannot be read or written; the message is one line."""


@dataclass(frozen=True, slots=True)
class Known:
    """How far the store is with a site: `at` its time, epoch ms; rows up to `version` are there."""

    version: int
    at: int


@dataclass(frozen=True, slots=True)
class Stored:
    """A stored row and the version it has."""

    row: Row
    version: int


class BackfillStore:
    """One site in the store. Every method may raise `StoreError`."""

    def __init__(self, config: Config, site: str) -> None:
        self._config = config
        self._site = site
        self._run = uuid.uuid4().hex
        self._blocks = 0
        try:
            self._client = connect(config, write=True, database=config.clickhouse_database)
        except QueryError as error:
            raise StoreError(str(error)) from error

    def close(self) -> None:
        """Close the connection."""
        self._client.close()

    # --- reading --------------------------------------------------------------------------------

    def progress(self) -> Known | None:
        """How far the live pipeline is with the site; None if it never wrote of it."""
        rows = self._ask(
            f"SELECT version, toUnixTimestamp64Milli(at) AS at FROM {PROGRESS} FINAL WHERE {_MINE}"
        )
        return Known(rows[0]["version"], rows[0]["at"]) if rows else None

    def settings(self) -> list[Stored]:
        """The settings the site has had, the oldest first."""
        return list(self.rows("pane_settings", FIRST_MS, LAST_MS))

    def span(self, table: str) -> tuple[int, int] | None:
        """The first and the last moment of the rows of a table; None without any."""
        moment = IDENTITY[table][0]
        rows = self._ask(
            f"SELECT toUnixTimestamp64Milli(min({moment})) AS first, count() AS number, "
            f"toUnixTimestamp64Milli(max({moment})) AS last FROM {table} FINAL WHERE {_MINE}"
        )
        return (rows[0]["first"], rows[0]["last"]) if rows[0]["number"] else None

    def count(self, table: str, first: int, end: int) -> int:
        """How many rows lie in `[first, end)`, older versions included."""
        moment = IDENTITY[table][0]
        where = f"{_MINE} AND {_within(moment, first, end)}"
        return int(self._ask(f"SELECT count() AS n FROM {table} WHERE {where}")[0]["n"])

    def rows(self, table: str, first: int, end: int, where: str = "1") -> Iterator[Stored]:
        """The rows whose moment lies in `[first, end)`, epoch ms, as they stand now."""
        moment = IDENTITY[table][0]
        # A name given to a column would mean it in the conditions as well.
        sql = (
            f"SELECT {_columns(table)}, version FROM (SELECT * FROM {table} FINAL WHERE "
            f"{_MINE} AND {_within(moment, first, end)} AND ({where})) AS t ORDER BY t.{moment}"
        )
        for row in self._ask(sql):
            version = row.pop("version")
            yield Stored(row, version)

    def reaching(self, at: int) -> Iterator[Stored]:
        """The intervals of agents that begin before a moment and end after it, or not yet."""
        return self.rows(
            "agent_intervals", FIRST_MS, at, f"ended_at IS NULL OR ended_at > {_moment(at)}"
        )

    def unfinished(self, at: int, open_since: int) -> tuple[int, int] | None:
        """Of stories that were not over at a moment: the least of their begins and first rows.

        What is open and began before `open_since` nobody will end: an earlier epoch left it.
        Returns (least beginning, least first row), None without any.
        """
        late, recent = _moment(at), _moment(open_since)
        found = self._ask(
            " UNION ALL ".join(
                f"SELECT count() AS n, min(if(story = 0, toUnixTimestamp64Milli({moment}), story)) "
                f"AS born, toUnixTimestamp64Milli(min({moment})) AS first FROM {table} FINAL "
                f"WHERE {_MINE} AND ({open_})"
                for table, moment, open_ in (
                    (
                        "visits",
                        "queued_at",
                        f"isNull(outcome_at) AND queued_at >= {recent} OR outcome_at >= {late}",
                    ),
                    (
                        "legs",
                        "answered_at",
                        f"isNull(wrapped_at) AND answered_at >= {recent} OR wrapped_at >= {late}",
                    ),
                    ("declines", "declined_at", f"declined_at >= {late}"),
                )
            )
        )
        kept = [row for row in found if row["n"]]
        if not kept:
            return None
        return min(row["born"] for row in kept), min(row["first"] for row in kept)

    def first_of_stories(self, since: int, until: int) -> int | None:
        """The first moment of all rows of stories that began in `[since, until)`."""
        return self._of_stories("min", since, until)

    def last_of_stories(self, since: int, until: int) -> int | None:
        """The last moment of all rows of stories that began in `[since, until)`."""
        return self._of_stories("max", since, until)

    def _of_stories(self, which: str, since: int, until: int) -> int | None:
        ends = {
            "visits": "greatest(ifNull(outcome_at, queued_at), queued_at)",
            "legs": "greatest(ifNull(wrapped_at, answered_at), answered_at)",
            "declines": "declined_at",
        }
        asked = []
        for table in CONTACTS:
            moment = IDENTITY[table][0]
            what = moment if which == "min" else ends[table]
            begun = f"if(story = 0, toUnixTimestamp64Milli({moment}), story)"
            asked.append(
                f"SELECT count() AS n, toUnixTimestamp64Milli({which}({what})) AS moment "
                f"FROM {table} FINAL WHERE {_MINE} AND {begun} >= {since} AND {begun} < {until}"
            )
        found = [row["moment"] for row in self._ask(" UNION ALL ".join(asked)) if row["n"]]
        return (min(found) if which == "min" else max(found)) if found else None

    def differences(self, first: int, end: int) -> list[Row]:
        """The panes of `[first, end)` in which engine and records differ, one row a pane."""
        return self._ask(
            "SELECT DISTINCT toUnixTimestamp64Milli(pane_start) AS pane_start, pane, name, channel "
            f"FROM reconciliation_between(from = '{_text(first)}', to = '{_text(end)}') "
            f"WHERE {_MINE}"
        )

    # --- writing --------------------------------------------------------------------------------

    def insert(self, table: str, rows: Sequence[Row], version: int) -> None:
        """Write rows under a version, in blocks."""
        lines: list[bytes] = []
        size = 0
        for row in rows:
            line = TABLES[table].encode(row, version)
            if len(lines) >= INSERT_ROWS or size + len(line) > INSERT_BYTES and lines:
                self._insert(table, lines)
                lines, size = [], 0
            lines.append(line)
            size += len(line)
        if lines:
            self._insert(table, lines)

    def remove(self, table: str, rows: Sequence[Row], version: int) -> None:
        """Withdraw rows."""
        self.insert(table, [_tombstone(table, row) for row in rows], version)

    def set_progress(self, at: int) -> None:
        """Say how far a site is known of which the live pipeline has never written."""
        row = {"site": self._site, "version": 0, "at": at / 1000, "topic": "", "partition": 0}
        self._insert(PROGRESS, [orjson.dumps(row | {"rows_offset": -1})])

    def _insert(self, table: str, lines: list[bytes]) -> None:
        self._blocks += 1
        settings = {
            # Of this run alone: rows that were altered since an earlier one must be written again.
            "insert_deduplication_token": f"backfill:{self._run}:{self._blocks}",
            "async_insert": 0,
            "max_partitions_per_insert_block": 0,
            "input_format_skip_unknown_fields": 0,
        }
        body = b"\n".join(lines)

        def write() -> None:
            self._client.raw_insert(table, insert_block=body, settings=settings, fmt="JSONEachRow")

        _patiently(write)

    def _ask(self, sql: str) -> list[Row]:
        def ask() -> bytes:
            answer: bytes = self._client.raw_query(
                sql, parameters={"site": self._site}, settings=_READING, fmt="JSONEachRow"
            )
            return answer

        return [orjson.loads(line) for line in _patiently(ask).splitlines()]


def _patiently(work: Callable[[], T]) -> T:
    """Do something that may be repeated until the store takes it, or for minutes."""
    deadline, pause = time.monotonic() + PATIENCE_S, 0.1
    while True:
        try:
            return work()
        except (ClickHouseError, OSError) as error:
            code = error.code if isinstance(error, Error) else None
            if (code and code not in _BUSY) or time.monotonic() > deadline:
                raise StoreError(cleaned(error)) from error
            log.warning("the store does not answer as it should, trying again: %s", cleaned(error))
        time.sleep(pause)
        pause = min(5.0, pause * 2)


_MINE = "site = {site:String}"


def _columns(table: str) -> str:
    spec = TABLES[table]
    shown = [
        f"toUnixTimestamp64Milli(t.{name}) AS {name}" if name in spec.moments else name
        for name in spec.columns
        if name != "is_deleted"
    ]
    return ", ".join(shown)


def _within(column: str, first: int, end: int) -> str:
    return (
        f"{column} >= {_moment(max(first, FIRST_MS))} AND {column} < {_moment(min(end, LAST_MS))}"
    )


def _moment(at: int) -> str:
    return f"fromUnixTimestamp64Milli(toInt64({at}), 'UTC')"


def _text(at: int) -> str:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=at)
    return moment.strftime("%Y-%m-%d %H:%M:%S.") + f"{at % 1000:03d}"


def _tombstone(table: str, row: Row) -> Row:
    """What withdraws a row. It says no more than its key; what must have a value keeps its own."""
    names = [*IDENTITY[table], "site", "queue", "channel", "state", "agent", "anchor", "type"]
    return {name: row[name] for name in names if name in row} | {"is_deleted": 1}
