"""From an HTTP request to a command: statement, data, format, parameters, settings."""

from __future__ import annotations

from collections.abc import AsyncIterable, Mapping
from dataclasses import dataclass

from sinks.clickhouse.local.body import HEAD_BYTES, Body
from sinks.clickhouse.local.command import Command, Role
from sinks.clickhouse.local.errors import (
    ACCESS_DENIED,
    BAD_ARGUMENTS,
    NOT_IMPLEMENTED,
    QUERY_IS_TOO_LARGE,
    READONLY,
    SYNTAX_ERROR,
    UNKNOWN_FORMAT,
    StoreError,
)
from sinks.clickhouse.local.lexer import (
    InsertHead,
    insert_head,
    needs_session,
    output_format,
    uses_server_files,
)
from sinks.clickhouse.local.limits import Limits
from sinks.clickhouse.local.settings import (
    NOT_SETTINGS,
    analyst_settings,
    check_transport,
    writer_settings,
)

DEFAULT_FORMAT = "TabSeparated"
NATIVE_REVISION = 54405
"""Newest protocol revision whose Native blocks a client reads without the revision's extras."""


@dataclass(frozen=True, slots=True)
class Request:
    """A command with its data: `body_bytes` bytes that `body` yields."""

    command: Command
    format: str
    body_bytes: int
    body: AsyncIterable[bytes]


@dataclass(frozen=True, slots=True)
class Source:
    """What a request brings: who asks, URL parameters, the header's format, whether it is a GET."""

    role: Role
    query: Mapping[str, str]
    header_format: str = ""
    is_get: bool = False


def read_request(source: Source, body: Body, database: str, limits: Limits) -> Request:
    """The request as a command; raise `StoreError` for what this server does not do.

    The statement is the parameter `query` with the body after it, as on a server.
    """
    check_transport(source.query)
    text, skipped = _text(source.query.get("query", ""), body)
    head = insert_head(text)
    statement = head.statement.encode() if head else text
    if not statement.strip():
        raise StoreError(SYNTAX_ERROR, "Empty query")
    if source.role is Role.WRITER:
        _check_statement(statement)
    elif head is not None:
        raise StoreError(READONLY, "Cannot execute query in readonly mode")
    command = Command(
        sql=_decoded(statement),
        role=source.role,
        database=_database(source, database),
        output_format=_default_format(source),
        insert_format=head.format if head else "",
        result_bytes=_result_bytes(source.role, limits),
        settings=_role_settings(source, limits),
        params=_params(source.query),
    )
    shown = output_format(statement, command.output_format)
    _check_revision(source.query, shown)
    if head is None:
        return Request(command, shown, 0, _nothing())
    return _with_data(command, shown, head, text, body, skipped)


def _text(query: str, body: Body) -> tuple[bytes, int]:
    """The statement's text, and how many of its bytes are not of the body."""
    if not query:
        return body.head(), 0
    prefix = query.encode() + b"\n" if body.size else query.encode()
    return prefix + body.head(), len(prefix)


def _with_data(
    command: Command, shown: str, head: InsertHead, text: bytes, body: Body, skipped: int
) -> Request:
    """The data of an insert: the end of the URL's text, if it has some, and the body's rest."""
    start = max(0, head.data_start - skipped)
    before = text[head.data_start : skipped].strip(b"\n")

    async def data() -> AsyncIterable[bytes]:
        if before:
            yield before + b"\n"
        async for piece in body.rest(start):
            yield piece

    size = body.size - start + (len(before) + 1 if before else 0)
    return Request(command, shown, size, data())


def _check_statement(statement: bytes) -> None:
    """Refuse what a server would take but could not mean anything here."""
    if name := needs_session(statement):
        raise StoreError(
            NOT_IMPLEMENTED,
            f"{name} acts on a session, and sessions are not kept here: give settings and database "
            "with each request",
        )
    if name := uses_server_files(statement):
        raise StoreError(NOT_IMPLEMENTED, f"{name} is not allowed over HTTP")


def _role_settings(source: Source, limits: Limits) -> dict[str, str]:
    given = {
        name: value
        for name, value in source.query.items()
        if name not in NOT_SETTINGS and not name.startswith("param_")
    }
    if source.role is Role.ANALYST:
        return analyst_settings(given, limits)
    return writer_settings(given, limits, source.is_get)


def _result_bytes(role: Role, limits: Limits) -> int:
    return limits.analyst_result_bytes if role is Role.ANALYST else limits.writer_result_bytes


def _params(query: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix("param_"): value
        for name, value in query.items()
        if name.startswith("param_")
    }


def _database(source: Source, database: str) -> str:
    wanted = source.query.get("database") or database
    if source.role is Role.ANALYST and wanted not in (database, "default"):
        raise StoreError(ACCESS_DENIED, f"analyst: Not enough privileges for database {wanted}")
    return database if source.role is Role.ANALYST else wanted


def _check_revision(query: Mapping[str, str], shown: str) -> None:
    revision = query.get("client_protocol_version", "0")
    if shown == "Native" and revision.isdecimal() and int(revision) > NATIVE_REVISION:
        raise StoreError(
            NOT_IMPLEMENTED,
            f"Native blocks of protocol revision {revision} are not supported here: use another "
            "format, or none above " + str(NATIVE_REVISION),
        )


def _default_format(source: Source) -> str:
    name = source.query.get("default_format") or source.header_format or DEFAULT_FORMAT
    if not name.isidentifier() or not name.isascii():
        raise StoreError(UNKNOWN_FORMAT, f"Unknown format {name}")
    return name


def _decoded(statement: bytes) -> str:
    if len(statement) >= HEAD_BYTES:
        raise StoreError(QUERY_IS_TOO_LARGE, "The statement is longer than a megabyte")
    try:
        return statement.decode()
    except UnicodeDecodeError:
        raise StoreError(BAD_ARGUMENTS, "The statement is not UTF-8") from None


async def _nothing() -> AsyncIterable[bytes]:
    return
    yield b""
