"""The chDB engine, the one module that touches it: connections, queries, inserts, cancelling.

Everything here runs in the engine process. Each command gets a connection of its own (2 ms): after
a query that failed in the middle of its output, chDB hands the stale bytes to the next query of
the same connection.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import Any

import orjson
from chdb import _chdb as _untyped

from sinks.clickhouse.local.command import Answer, Command, Role
from sinks.clickhouse.local.engine_config import ENGINE_FILE
from sinks.clickhouse.local.errors import (
    NOT_IMPLEMENTED,
    SYNTAX_ERROR,
    TOO_MANY_ROWS_OR_BYTES,
    UNKNOWN_EXCEPTION,
    UNKNOWN_FORMAT,
    StoreError,
    from_engine,
)
from sinks.clickhouse.local.gate import Reading, check

_chdb: Any = _untyped
"""chDB's extension module: its stubs leave the connections out."""

# The tree of a text, and whether the tree printed again is the text but for parentheses.
_READ = r"""
WITH {text:String} AS text, parseQueryToJSON(text) AS tree SELECT tree,
replaceRegexpAll(formatQuerySingleLine(formatQueryFromJSON(tree)), '[()\\s]', '')
= replaceRegexpAll(formatQuerySingleLine(text), '[()\\s]', '') AS whole
"""
_NO_TREE = "does not support JSON serialization"


class Engine:
    """One chDB engine over the directory `engine` of the working directory."""

    def __init__(self, database: str) -> None:
        """Open the data; raise `RuntimeError` when chDB cannot."""
        self._path = f"engine?config-file={ENGINE_FILE}"
        # Held open for the engine's life: with its last connection the engine would shut down.
        self._anchor: Any = _chdb.connect(self._path)
        self.version = self._text("SELECT version()")
        self._run_anchored(f"CREATE DATABASE IF NOT EXISTS {database} ENGINE = Atomic")
        names = self._text("SELECT groupArray(lower(name)) FROM system.table_functions", "JSON")
        self._table_functions = frozenset(next(iter(orjson.loads(names)["data"][0].values())))

    def run(self, command: Command) -> Answer:
        """Run a statement without data of its own; any failure is an answer too."""
        try:
            with self._connection(command) as connection:
                has_result = self._check(connection, command)
                result = connection.query(command.sql, command.output_format, params=command.params)
                _check_size(result, command.result_bytes)
                return _answer(result, has_result)
        except Exception as error:  # a statement must not end the process, whatever it meets
            return Answer(error=_error_text(error))

    def insert(self, command: Command, data: Iterable[bytes]) -> Answer:
        """Run the head of an INSERT with its data; all of it lands, or nothing below one block."""
        try:
            with self._connection(command) as connection:
                stream = connection.send_insert(command.sql, command.insert_format)
                try:
                    for piece in data:
                        connection.insert_append(stream, piece)
                    return _inserted(connection.insert_done(stream))
                except BaseException:
                    connection.insert_cancel(stream)
                    raise
        except Exception as error:  # a statement must not end the process, whatever it meets
            return Answer(error=_error_text(error))

    def cancel(self) -> None:
        """Ask what runs to stop. Work inside one block of one function does not hear it."""
        with closing(_chdb.connect(self._path)) as connection:
            connection.query("KILL QUERY WHERE query_id != queryID() ASYNC", "Null")

    def close(self) -> None:
        """Shut the engine down."""
        self._anchor.close()

    @contextmanager
    def _connection(self, command: Command) -> Iterator[Any]:
        """A fresh connection in the command's role, database and settings."""
        with closing(_chdb.connect(self._path)) as connection:
            connection.query("USE {name:Identifier}", "Null", params={"name": command.database})
            connection.query(f"SET ROLE {command.role}", "Null")
            if command.settings:
                connection.query(_set_statement(command.settings), "Null")
            yield connection

    def _check(self, connection: Any, command: Command) -> bool:
        """Whether the statement yields a result; raise `StoreError` where it must not run."""
        found = connection.classify_query(command.sql, command.database)
        query_class, statements = found["query_class"].name, int(found["statement_count"])
        if command.role is Role.ANALYST:
            tree, whole = None, False
            # What cannot be parsed is of no class: reading it says where it goes wrong.
            if query_class == "UNKNOWN" or (query_class == "READ_ONLY" and statements == 1):
                tree, whole = _read(connection, command.sql)
            reading = Reading(query_class, statements, tree, whole)
            check(command.sql, reading, command.params, self._table_functions)
        elif statements > 1:
            raise StoreError(SYNTAX_ERROR, "Multi-statements are not allowed")
        return bool(query_class == "READ_ONLY")

    def _run_anchored(self, sql: str) -> None:
        self._anchor.query(sql, "Null")

    def _text(self, sql: str, output_format: str = "TSVRaw") -> str:
        return str(self._anchor.query(sql, output_format).bytes().decode()).strip()


def _read(connection: Any, sql: str) -> tuple[Any, bool]:
    """The tree of a query and whether it is whole; no tree where the engine cannot print one."""
    try:
        result = connection.query(_READ, "JSONEachRow", params={"text": _escaped(sql)})
    except RuntimeError as error:
        if _NO_TREE in str(error):
            return None, False
        text = str(error).partition(": In scope WITH ")[0]
        found = from_engine(text)
        if found.code == SYNTAX_ERROR[0]:
            # Its name stood behind what is cut off: the query in which the text was read.
            raise StoreError(SYNTAX_ERROR, found.message) from None
        raise RuntimeError(text) from None
    row = orjson.loads(result.bytes())
    return orjson.loads(row["tree"]), bool(row["whole"])


def _escaped(text: str) -> str:
    """A parameter's value in the notation that query parameters have over HTTP too."""
    return text.replace("\\", "\\\\").replace("\t", "\\t").replace("\n", "\\n")


def _set_statement(settings: Mapping[str, str]) -> str:
    changes = (f"`{_quoted(name, '`')}` = '{_quoted(value)}'" for name, value in settings.items())
    return "SET " + ", ".join(changes)


def _quoted(text: str, quote: str = "'") -> str:
    return text.replace("\\", "\\\\").replace(quote, "\\" + quote)


def _check_size(result: Any, limit: int) -> None:
    """The engine counts the columns of a result, and a constant one but once; here its text."""
    if limit and result.size() > limit:
        raise StoreError(
            TOO_MANY_ROWS_OR_BYTES,
            f"Limit for result exceeded, max bytes: {limit}, current bytes: {result.size()}",
        )


def _answer(result: Any, has_result: bool) -> Answer:
    return Answer(
        has_result=has_result,
        read_rows=result.storage_rows_read(),
        read_bytes=result.storage_bytes_read(),
        written_rows=result.rows_written(),
        written_bytes=result.bytes_written(),
        result_rows=result.rows_read(),
        elapsed_ns=int(result.elapsed() * 1e9),
        body=result.bytes(),
    )


def _inserted(result: Any) -> Answer:
    return Answer(
        read_rows=result.rows_written(),
        read_bytes=result.bytes_written(),
        written_rows=result.rows_written(),
        written_bytes=result.bytes_written(),
        elapsed_ns=int(result.elapsed() * 1e9),
    )


def _error_text(error: Exception) -> str:
    """The error as the engine words it, also for those that it words in its own way."""
    if isinstance(error, StoreError):
        found = error
    elif "Unsupported output format" in str(error):
        found = StoreError(UNKNOWN_FORMAT, str(error))
    elif "does not support INSERT ... SELECT" in str(error):
        found = StoreError(NOT_IMPLEMENTED, "INSERT … SELECT FROM input() is not supported here")
    else:
        found = from_engine(str(error))
    if found.code == UNKNOWN_EXCEPTION[0]:
        return str(error)
    return f"Code: {found.code}. DB::Exception: {found.message} ({found.name})"
