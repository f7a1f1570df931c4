"""The rows of a run on disk: of each key the last that the engine said, in the order of moments.

A year of a busy centre has more rows than memory, so they lie in an SQLite file that is thrown away
with the run. Nothing in it need survive a crash.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from sinks.clickhouse.backfill import CONTACTS, IDENTITY

Row = dict[str, Any]
Key = tuple[str, int, bytes]

OPEN = 1 << 62
"""The end of what is not over."""
_BATCH = 20_000

_TABLES = """
CREATE TABLE rows (
    tab TEXT, at INTEGER, id BLOB, story INTEGER, ends INTEGER, row BLOB, PRIMARY KEY (tab, at, id)
) WITHOUT ROWID;
CREATE TABLE events (
    ts INTEGER, number INTEGER, event BLOB, PRIMARY KEY (ts, number)
) WITHOUT ROWID;
"""


class Spool:
    """Rows by table and moment; `story` and `ends` are known of rows of contacts only."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path)
        self._db.executescript("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;" + _TABLES)
        self._fresh: dict[Key, Row] = {}
        self._events: list[tuple[int, int, bytes]] = []
        self._numbers = 0

    def close(self) -> None:
        """Close the file; whoever made it removes it."""
        self._db.close()

    def put(self, table: str, row: Row) -> None:
        """Take a row as the engine told it; a withdrawn one takes its key away."""
        self._fresh[table, row[IDENTITY[table][0]], identity(table, row)] = row
        if len(self._fresh) >= _BATCH:
            self._flush()

    def rows(self, table: str, first: int, end: int) -> Iterator[Row]:
        """The rows whose moment lies in `[first, end)`, in order."""
        self._flush()
        found = self._db.execute(
            "SELECT row FROM rows WHERE tab = ? AND at >= ? AND at < ? ORDER BY at, id",
            (table, first, end),
        )
        for (row,) in found:
            yield orjson.loads(row)

    def span(self, table: str) -> tuple[int, int] | None:
        """The first and the last moment of the rows of a table; None without any."""
        found = self._one("SELECT min(at), max(at) FROM rows WHERE tab = ?", table)
        return None if found[0] is None else (found[0], found[1])

    def count(self, table: str, first: int, end: int) -> int:
        """How many rows lie in `[first, end)`."""
        where = "SELECT count(*) FROM rows WHERE tab = ? AND at >= ? AND at < ?"
        return int(self._one(where, table, first, end)[0])

    def unfinished(self, at: int) -> tuple[int, int] | None:
        """Of stories not over at a moment: the least of their begins and first rows."""
        found = self._one("SELECT min(story), min(at) FROM rows WHERE ends >= ?", at)
        return None if found[0] is None else (found[0], found[1])

    def first_of_stories(self, since: int, until: int) -> int | None:
        """The first moment of all rows of stories that began in `[since, until)`."""
        return self._of_stories("min(at)", since, until)

    def last_of_stories(self, since: int, until: int) -> int | None:
        """The last moment of all rows of stories that began in `[since, until)`."""
        return self._of_stories("max(ends)", since, until)

    def reaching(self, at: int) -> Iterator[Row]:
        """The intervals of agents that begin before a moment and end after it, or not yet."""
        for row in self.rows("agent_intervals", -OPEN, at):
            if row["ended_at"] is None or row["ended_at"] > at:
                yield row

    def put_event(self, event: Row) -> None:
        """Take an event of a file that need not be in order."""
        self._numbers += 1
        self._events.append((event["ts"], self._numbers, orjson.dumps(event)))
        if len(self._events) >= _BATCH:
            self._flush_events()

    def events(self) -> Iterator[Row]:
        """The events by `ts`, and as they came within one."""
        self._flush_events()
        # The cursor reads on while rows are written: they are in another table.
        reader = self._db.cursor()
        for (event,) in reader.execute("SELECT event FROM events ORDER BY ts, number"):
            yield orjson.loads(event)

    def _flush_events(self) -> None:
        self._db.executemany("INSERT INTO events VALUES (?, ?, ?)", self._events)
        self._events.clear()

    def _flush(self) -> None:
        if not self._fresh:
            return
        gone = [key for key, row in self._fresh.items() if row["is_deleted"]]
        kept = [_record(key, row) for key, row in self._fresh.items() if not row["is_deleted"]]
        self._db.executemany("DELETE FROM rows WHERE tab = ? AND at = ? AND id = ?", gone)
        self._db.executemany("INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?)", kept)
        self._fresh.clear()

    def _of_stories(self, what: str, since: int, until: int) -> int | None:
        where = f"SELECT {what} FROM rows WHERE story >= ? AND story < ?"
        found = self._one(where, since, until)[0]
        return None if found is None else int(found)

    def _one(self, sql: str, *values: object) -> tuple[Any, ...]:
        self._flush()
        found: tuple[Any, ...] = self._db.execute(sql, values).fetchone()
        return found


def identity(table: str, row: Row) -> bytes:
    """What a row of a table is known by besides its moment."""
    return orjson.dumps([row[name] for name in IDENTITY[table][1:]])


def keyed(table: str, rows: Iterable[Row]) -> dict[tuple[int, bytes], Row]:
    """Rows by what they are known by."""
    moment = IDENTITY[table][0]
    return {(row[moment], identity(table, row)): row for row in rows}


def _record(key: Key, row: Row) -> tuple[str, int, bytes, int | None, int | None, bytes]:
    table, at, name = key
    story = row["story"] if table in CONTACTS else None
    ends = _ends(table, row) if table in CONTACTS else None
    return table, at, name, story, ends, orjson.dumps(row)


def _ends(table: str, row: Row) -> int:
    """The last moment at which a row of a contact counts in a pane."""
    if table == "legs":
        wrapped = row["wrapped_at"]
        return OPEN if wrapped is None else max(wrapped, row["answered_at"])
    if table == "declines":
        return int(row["declined_at"])
    outcome = row["outcome_at"]
    return OPEN if outcome is None else max(outcome, row["queued_at"])
