"""Migrations: in order, once, never edited; and what they make is described to the last column."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sinks.clickhouse.migrate import (
    FOLDER,
    MigrationError,
    load,
    migrate,
    pending,
    plan,
    split,
)
from sinks.clickhouse.tables import PROGRESS, TABLES
from tests.sinks.clickhouse.store import Database, Server, connect

EMPTY = "empty_for_migrations"


@pytest.fixture
def admin(clickhouse: Server) -> Iterator[Any]:
    client = connect(clickhouse, "default")
    yield client
    client.command(f"DROP DATABASE IF EXISTS {EMPTY}")
    client.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two small migrations."""
    (tmp_path / "001_first.sql").write_text(
        "CREATE TABLE IF NOT EXISTS ${database}.a (x Int8) ENGINE = MergeTree ORDER BY x;"
    )
    (tmp_path / "002_second.sql").write_text(
        "-- nothing; here\nCREATE OR REPLACE VIEW ${database}.b AS SELECT ';' AS y;\n"
    )
    return tmp_path


def dump(db_client: Any, database: str) -> list[Any]:
    found = db_client.query(
        "SELECT name, create_table_query FROM system.tables "
        f"WHERE database = '{database}' AND name != 'schema_migrations' ORDER BY name"
    )
    return list(found.result_rows)


def test_applied_twice_they_change_nothing(admin: Any) -> None:
    assert [m.name for m in migrate(admin, EMPTY)] == [m.name for m in load()]
    first = dump(admin, EMPTY)
    assert len(first) > 20
    assert migrate(admin, EMPTY) == []
    assert dump(admin, EMPTY) == first


def test_every_statement_can_be_run_again_after_a_run_that_died_in_the_middle(admin: Any) -> None:
    migrate(admin, EMPTY)
    first = dump(admin, EMPTY)
    admin.command(f"TRUNCATE TABLE {EMPTY}.schema_migrations")
    assert len(migrate(admin, EMPTY)) == len(load())
    assert dump(admin, EMPTY) == first


def test_a_dry_run_tells_the_statements_and_touches_nothing(admin: Any, folder: Path) -> None:
    (first, second) = plan(admin, EMPTY, folder)
    assert first[1] == [
        f"CREATE TABLE IF NOT EXISTS {EMPTY}.a (x Int8) ENGINE = MergeTree ORDER BY x"
    ]
    assert second[0].name == "002_second.sql"
    assert admin.command(f"EXISTS DATABASE {EMPTY}") == 0


def test_an_edited_file_is_an_error_that_names_it(admin: Any, folder: Path) -> None:
    migrate(admin, EMPTY, folder)
    (folder / "001_first.sql").write_text("SELECT 1")
    with pytest.raises(MigrationError, match=r"001_first\.sql was edited"):
        migrate(admin, EMPTY, folder)


def test_a_newer_file_is_applied_and_the_older_ones_are_not(admin: Any, folder: Path) -> None:
    migrate(admin, EMPTY, folder)
    (folder / "003_third.sql").write_text("CREATE OR REPLACE VIEW ${database}.c AS SELECT 3 AS z")
    assert [m.name for m in pending(admin, EMPTY, load(folder))] == ["003_third.sql"]
    assert [m.name for m in migrate(admin, EMPTY, folder)] == ["003_third.sql"]
    assert admin.command(f"SELECT z FROM {EMPTY}.c") == 3


def test_a_database_of_a_newer_version_is_refused(admin: Any, folder: Path) -> None:
    migrate(admin, EMPTY, folder)
    (folder / "002_second.sql").unlink()
    with pytest.raises(MigrationError, match="newer version of callboard"):
        migrate(admin, EMPTY, folder)


def test_a_statement_that_fails_names_file_and_statement_and_is_tried_again(
    admin: Any, folder: Path
) -> None:
    broken = folder / "003_third.sql"
    broken.write_text("SELECT 1; SELECT nothing_of_that_name")
    with pytest.raises(MigrationError, match=r"003_third\.sql, statement 2 \(SELECT nothing"):
        migrate(admin, EMPTY, folder)
    broken.write_text("SELECT 1")
    assert [m.name for m in migrate(admin, EMPTY, folder)] == ["003_third.sql"]


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("004_gap.sql", "should be 003"),
        ("002_double.sql", r"002_second\.sql: its number should be 003"),
        ("3_short.sql", "NNN_name.sql"),
        ("003_Upper.sql", "NNN_name.sql"),
        ("notes.txt", "NNN_name.sql"),
    ],
)
def test_files_out_of_order_are_refused(folder: Path, name: str, problem: str) -> None:
    (folder / name).write_text("SELECT 1")
    with pytest.raises(MigrationError, match=problem):
        load(folder)


def test_an_unknown_placeholder_is_refused(admin: Any, folder: Path) -> None:
    (folder / "003_third.sql").write_text("SELECT '${cluster}'")
    with pytest.raises(MigrationError, match=r"unknown placeholder \$\{cluster\}"):
        migrate(admin, EMPTY, folder)


@pytest.mark.parametrize("name", ["a-b", "1a", "a b", "a`b", ""])
def test_a_name_that_is_no_database_is_refused(admin: Any, name: str) -> None:
    with pytest.raises(MigrationError, match="no name for a database"):
        migrate(admin, name)


@pytest.mark.parametrize(
    ("text", "statements"),
    [
        ("SELECT 1; SELECT 2;", ["SELECT 1", "SELECT 2"]),
        ("SELECT ';'", ["SELECT ';'"]),
        (r"SELECT 'it\';s'; SELECT 2", [r"SELECT 'it\';s'", "SELECT 2"]),
        ("SELECT 'it'';s'", ["SELECT 'it'';s'"]),
        ('SELECT "a;b", `c;d`', ['SELECT "a;b", `c;d`']),
        ("-- a; b\nSELECT 1 -- c; d\n;", ["-- a; b\nSELECT 1 -- c; d"]),
        ("/* a; b */ SELECT 1 /* ; */", ["/* a; b */ SELECT 1 /* ; */"]),
        ("SELECT $x$;$x$; SELECT 2", ["SELECT $x$;$x$", "SELECT 2"]),
        ("-- only words;\n ;; \n", []),
        ("", []),
    ],
)
def test_statements_are_split_only_where_they_end(text: str, statements: list[str]) -> None:
    assert list(split(text)) == statements


def test_an_apostrophe_in_a_comment_of_a_view_opens_no_quote() -> None:
    for path in sorted(FOLDER.glob("*.sql")):
        statements = list(split(path.read_text()))
        words = [re.sub(r"^(--[^\n]*\n|\s)*", "", s).split(None, 1)[0] for s in statements]
        assert set(words) <= {"CREATE", "ALTER"}, path.name


# --- what they make ----------------------------------------------------------------------------


def test_every_column_of_every_table_and_view_is_described(db: Database) -> None:
    bare = db.rows(
        "SELECT table, name FROM system.columns WHERE database = currentDatabase() AND comment = ''"
    )
    assert bare == []
    assert (
        db.rows(
            "SELECT name FROM system.tables WHERE database = currentDatabase() AND comment = ''"
        )
        == []
    )


PARAMETERS = {
    "from": "'2026-01-05 00:00:00'",
    "to": "'2026-01-06 00:00:00'",
    "at": "NULL",
    "site": "'s'",
    "window": "'today'",
    "threshold_ms": "20000",
    "short_ms": "5000",
    "step_ms": "1800000",
    "kpi": "'service_level'",
    "queue": "'sales'",
    "channel": "'voice'",
    "team": "'red'",
}


def views_with_parameters(db: Database) -> dict[str, str]:
    found = db.rows(
        "SELECT name, create_table_query AS sql FROM system.tables "
        "WHERE database = currentDatabase() AND engine = 'View' AND sql LIKE '%{%:%}%'"
    )
    return {row["name"]: row["sql"] for row in found}


def test_a_view_with_parameters_describes_each_column_as_it_answers(db: Database) -> None:
    views = views_with_parameters(db)
    assert len(views) > 15
    for name, sql in views.items():
        wanted = sorted(set(re.findall(r"\{(\w+):", sql)))
        given = ", ".join(f"{parameter} = {PARAMETERS[parameter]}" for parameter in wanted)
        answered = db.rows(f"DESCRIBE {name}({given})")
        declared = re.findall(r"`(\w+)` ([^`]*?) COMMENT '(?:[^'\\]|\\.)+'[,)]", sql)
        assert [(column, plain(kind)) for column, kind in declared] == [
            (column["name"], plain(column["type"])) for column in answered
        ], name


def plain(kind: str) -> str:
    """A type without how it is stored."""
    return re.sub(r"LowCardinality\((.*)\)", r"\1", kind)


def test_a_view_with_parameters_answers_from_any_database(db: Database) -> None:
    client = connect(db.server, "default")
    try:
        found = client.query(
            f"SELECT count() FROM {db.name}.kpi_queue(from = '2026-01-05', to = '2026-01-06')"
        )
        assert found.result_rows[0][0] == 0
    finally:
        client.close()


def test_no_view_reads_the_clock_of_the_server(db: Database) -> None:
    for row in db.rows(
        "SELECT name, create_table_query AS sql FROM system.tables "
        "WHERE database = currentDatabase() AND engine = 'View'"
    ):
        assert not re.search(r"\b(now|now64|today|yesterday|rand)\(", row["sql"]), row["name"]


def test_tables_replace_by_version_and_deduplicate_batches(db: Database) -> None:
    made = {
        row["name"]: row["create_table_query"]
        for row in db.rows(
            "SELECT name, create_table_query FROM system.tables "
            "WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
        )
    }
    for name in TABLES:
        assert "ReplacingMergeTree(version, is_deleted)" in made[name]
        assert "toYYYYMM(" in made[name].partition("PARTITION BY")[2]
    for name in (*TABLES, PROGRESS):
        assert " non_replicated_deduplication_window = 1000" in made[name]
        assert " replicated_deduplication_window = 1000" in made[name]


def test_the_sink_knows_every_column_of_the_tables(db: Database) -> None:
    for table in TABLES.values():
        found = db.rows(f"DESCRIBE TABLE {table.name}")
        moments = {c["name"] for c in found if "DateTime64" in c["type"]}
        assert {c["name"] for c in found} == {*table.columns, "version"}
        assert moments == set(table.moments)


def test_files_travel_with_the_package(tmp_path: Path) -> None:
    copied = tmp_path / "copy"
    shutil.copytree(FOLDER, copied)
    assert [m.digest for m in load(copied)] == [m.digest for m in load()]
