"""Numbered SQL migrations: what has been applied is recorded, and never applied again.

Files are `NNN_name.sql`, applied in the order of their numbers, forward only. The digest of each is
kept, so that a file edited after it was applied is an error rather than a store nobody can rebuild.
Statements can be run twice (`IF NOT EXISTS`, `OR REPLACE`), so a run that died in the middle of a
file is simply run again, and two at once do no harm.

    MigrationError      a file, a record of an applied file, or a statement that failed
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import md5
from pathlib import Path
from typing import Any, Protocol

from clickhouse_connect.driver.exceptions import ClickHouseError

FOLDER = Path(__file__).parent / "migrations"
TABLE = "schema_migrations"

_FILE = re.compile(r"(\d{3})_([a-z0-9_]+)\.sql")
_DATABASE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PLACEHOLDER = re.compile(r"\$\{(\w*)\}")
_TOKEN = re.compile(
    r"""
      (?P<comment> --[^\n]* | \#[ !][^\n]* | /\*.*?(?:\*/|\Z) )
    | (?P<heredoc> \$(?P<tag>\w*)\$ .*? \$(?P=tag)\$ )
    | (?P<quoted> '(?:\\.|[^'\\])*' | "(?:\\.|[^"\\])*" | `(?:\\.|[^`\\])*` )
    | (?P<end> ; )
    | (?P<space> \s+ )
    | (?P<other> . )
    """,
    re.VERBOSE | re.DOTALL,
)


class MigrationError(Exception):
    """Migrations that cannot be applied; the message names the file and what to do."""


class Result(Protocol):
    """What a query answers."""

    @property
    def result_rows(self) -> Sequence[Sequence[Any]]:
        """Its rows."""


class Client(Protocol):
    """The part of a clickhouse-connect client that migrations need."""

    def command(self, cmd: str) -> Any:
        """Run a statement."""

    def query(self, query: str) -> Result:
        """Run a query."""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file: its number, its name, its text and the digest that is recorded."""

    number: int
    name: str
    text: str

    @property
    def digest(self) -> str:
        """MD5 of the file."""
        return md5(self.text.encode(), usedforsecurity=False).hexdigest()

    def statements(self, database: str) -> list[str]:
        """The statements of the file, for a database."""
        return [_placed(statement, database, self.name) for statement in split(self.text)]


def load(folder: Path = FOLDER) -> list[Migration]:
    """All migrations in order; raise `MigrationError` for a gap, a double or a foreign file."""
    found = []
    for path in sorted(folder.iterdir()):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path.name}: migrations are named NNN_name.sql")
        found.append(Migration(int(match[1]), path.name, path.read_text(encoding="utf-8")))
    for place, migration in enumerate(found, start=1):
        if migration.number != place:
            raise MigrationError(f"{migration.name}: its number should be {place:03d}")
    return found


def split(text: str) -> Iterator[str]:
    """The statements of a text, at semicolons outside quotes and comments; none is empty."""
    start, has_code = 0, False
    for token in _TOKEN.finditer(text):
        kind = token.lastgroup
        if kind == "end":
            if has_code:
                yield text[start : token.start()].strip()
            start, has_code = token.end(), False
        elif kind not in ("comment", "space"):
            has_code = True
    if has_code:
        yield text[start:].strip()


def pending(client: Client, database: str, migrations: Sequence[Migration]) -> list[Migration]:
    """The migrations still to apply; raise `MigrationError` where the record contradicts them."""
    applied = _applied(client, _checked(database))
    known = {migration.number: migration for migration in migrations}
    for number, (name, digest) in sorted(applied.items()):
        migration = known.get(number)
        if migration is None:
            raise MigrationError(
                f"{database} has migration {name}, which this version does not know: "
                "it was migrated by a newer version of callboard"
            )
        if migration.digest != digest:
            raise MigrationError(
                f"{migration.name} was edited after it was applied to {database}: "
                "restore it and put the change into a new migration"
            )
    return [migration for migration in migrations if migration.number not in applied]


def migrate(client: Client, database: str, folder: Path = FOLDER) -> list[Migration]:
    """Apply what is pending and return it. Raises `MigrationError`; what was applied stays.

    An unreachable server raises what the client raises.
    """
    migrations = load(folder)
    client.command(f"CREATE DATABASE IF NOT EXISTS {_checked(database)}")
    client.command(_RECORD.format(database=database, table=TABLE))
    todo = pending(client, database, migrations)
    for migration in todo:
        _apply(client, database, migration)
    return todo


def plan(client: Client, database: str, folder: Path = FOLDER) -> list[tuple[Migration, list[str]]]:
    """What `migrate` would do, statement by statement; nothing is changed."""
    return [(m, m.statements(database)) for m in pending(client, database, load(folder))]


_RECORD = """\
CREATE TABLE IF NOT EXISTS {database}.{table}
(
    number UInt16 COMMENT 'Number of the migration',
    name String COMMENT 'Its file',
    md5 String COMMENT 'Digest of the file when it was applied',
    applied_at DateTime64(3, 'UTC') DEFAULT now64(3) COMMENT 'Server time when it was applied'
)
ENGINE = ReplacingMergeTree(applied_at)
ORDER BY number
COMMENT 'Migrations that have been applied'"""


def _apply(client: Client, database: str, migration: Migration) -> None:
    for place, statement in enumerate(migration.statements(database), start=1):
        try:
            client.command(statement)
        except ClickHouseError as error:
            head = statement.splitlines()[0]
            raise MigrationError(
                f"{migration.name}, statement {place} ({head}): {error}"
            ) from error
    client.command(
        f"INSERT INTO {database}.{TABLE} (number, name, md5) "
        f"VALUES ({migration.number}, '{migration.name}', '{migration.digest}')"
    )


def _applied(client: Client, database: str) -> dict[int, tuple[str, str]]:
    known = client.query(
        f"SELECT count() FROM system.tables WHERE database = '{database}' AND name = '{TABLE}'"
    )
    if not known.result_rows[0][0]:
        return {}
    rows = client.query(f"SELECT number, name, md5 FROM {database}.{TABLE} FINAL").result_rows
    return {int(number): (str(name), str(digest)) for number, name, digest in rows}


def _checked(database: str) -> str:
    if not _DATABASE.fullmatch(database):
        raise MigrationError(f"{database!r} is no name for a database: letters, digits and _")
    return database


def _placed(statement: str, database: str, name: str) -> str:
    def value(match: re.Match[str]) -> str:
        if match[1] != "database":
            raise MigrationError(f"{name}: unknown placeholder {match[0]}")
        return database

    return _PLACEHOLDER.sub(value, statement)
