"""Questions to the configured store: run one statement, read-only unless told otherwise.

QueryError      the store cannot be reached, or refuses the statement; one line, no traceback
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from clickhouse_connect import get_client
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError

from schemas.config import Config, shown_address
from sinks.clickhouse.endpoint import blocking, refused_certificate

ANALYST = "analyst"

_LOGIN = re.compile(r"\b(basic|bearer) +[\w+/=.~-]{16,}", re.IGNORECASE)
_RECEIVED = re.compile(r"^.*?server response: ", re.DOTALL)
_CODE = re.compile(r"^Code: \d+\. DB::Exception: ")
# Half of the language, where anything might follow.
_EXPECTED = re.compile(r"\. Expected one of: [^()]{150,}")


class QueryError(Exception):
    """A statement that could not be run, in words for who wrote it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Names and ClickHouse types of the columns, and the rows as JSON values."""

    columns: list[str]
    types: list[str]
    rows: list[list[Any]]


def connect(config: Config, *, write: bool = False, database: str | None = None) -> Client:
    """A client of the store: as analyst where there is one, as writer if asked.

    `database` is the one that names without a database mean. Raises `QueryError`.
    """
    analyst = bool(config.analyst_password) and not write
    try:
        return get_client(
            **blocking(config),
            username=ANALYST if analyst else config.clickhouse_user,
            password=config.analyst_password if analyst else config.clickhouse_password,
            database=database,
            autogenerate_session_id=False,
            show_clickhouse_errors="scrub",
            query_retries=0,
        )
    except (ClickHouseError, OSError) as error:
        raise QueryError(_no_entry(config, ANALYST if analyst else None, error)) from error


def _no_entry(config: Config, analyst: str | None, error: Exception) -> str:
    if "Authentication failed" not in str(error):
        reason = refused_certificate(error) or cleaned(error)
        return f"no answer from {shown_address(config.clickhouse_url)}: {reason}"
    variables = (
        "CALLBOARD_ANALYST_PASSWORD"
        if analyst
        else "CALLBOARD_CLICKHOUSE_USER and CALLBOARD_CLICKHOUSE_PASSWORD"
    )
    return (
        f"{shown_address(config.clickhouse_url)} refuses the password of "
        f"{analyst or config.clickhouse_user}: set "
        f"{variables}, or ask in the folder where `callboard up` runs"
    )


class Question:
    """A connection that asks; every method may raise `QueryError`."""

    def __init__(self, config: Config, *, write: bool = False) -> None:
        self._client = connect(config, write=write, database=config.clickhouse_database)
        # An analyst is read-only anyway, and on some servers may not even say so.
        is_analyst = bool(config.analyst_password) and not write
        self._settings: dict[str, Any] = {} if write or is_analyst else {"readonly": 1}

    def table(self, sql: str, parameters: Mapping[str, str] | None = None) -> Answer | str:
        """The answer with its columns; text if the statement names a format of its own."""
        text = self.text(sql, "JSONCompact", parameters)
        if not text.strip():
            return Answer([], [], [])
        return _answer(text) or text

    def text(self, sql: str, form: str, parameters: Mapping[str, str] | None = None) -> str:
        """The answer as text in a ClickHouse format; one that the statement names goes first."""
        query = sql.strip().rstrip(";")
        try:
            body = self._client.raw_query(
                query,
                parameters=dict(parameters) if parameters else None,
                # As the default and not as a clause, which an INSERT would take for its own.
                settings={**self._settings, "default_format": form},
            )
        except (ClickHouseError, OSError) as error:
            raise QueryError(cleaned(error)) from error
        return body.decode("utf-8", "replace")

    def close(self) -> None:
        """Close the connection."""
        self._client.close()


def _answer(text: str) -> Answer | None:
    try:
        found = orjson.loads(text)
        meta, rows = found["meta"], found["data"]
    except (ValueError, KeyError, TypeError):
        return None
    if rows and not isinstance(rows[0], list):
        return None
    return Answer([c["name"] for c in meta], [c["type"] for c in meta], rows)


def cleaned(error: BaseException) -> str:
    """What the store says, without what only its developers need."""
    # Whatever stands at the store's address may repeat in its refusal what it was sent.
    text = _LOGIN.sub(r"\1 [secret]", _RECEIVED.sub("", str(error).strip()))
    text = _EXPECTED.sub(" ", _CODE.sub("", text))
    return text.strip() or type(error).__name__
