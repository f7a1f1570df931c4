"""Where the data of an INSERT begin, and what else is read off a statement's words."""

import pytest

from sinks.clickhouse.local.lexer import (
    insert_head,
    needs_session,
    output_format,
    uses_server_files,
)


@pytest.mark.parametrize(
    ("text", "statement", "form", "data"),
    [
        (b"INSERT INTO t FORMAT CSV\n1,2\n", "INSERT INTO t", "CSV", b"1,2\n"),
        (b"insert into t format CSV 1,2", "insert into t", "CSV", b"1,2"),
        (b"INSERT INTO t FORMAT Native\r\n\x00\n\xff", "INSERT INTO t", "Native", b"\x00\n\xff"),
        (b"INSERT INTO t FORMAT Native \n\n\x01", "INSERT INTO t", "Native", b"\n\x01"),
        (b"INSERT INTO t FORMAT TSV;\n1", "INSERT INTO t", "TSV", b"1"),
        (b"INSERT INTO t FORMAT TSV", "INSERT INTO t", "TSV", b""),
        (b"INSERT INTO t VALUES (1,'FORMAT CSV')", "INSERT INTO t", "Values", b" (1,'FORMAT CSV')"),
        (b"INSERT INTO t(a, `format`) VALUES(1)", "INSERT INTO t(a, `format`)", "Values", b"(1)"),
        (
            b"-- FORMAT x\n/* INSERT */ INSERT INTO d.`t FORMAT` (a) SETTINGS s='FORMAT q', b=1 "
            b"FORMAT JSONEachRow\n{}",
            "-- FORMAT x\n/* INSERT */ INSERT INTO d.`t FORMAT` (a) SETTINGS s='FORMAT q', b=1",
            "JSONEachRow",
            b"{}",
        ),
        (
            b"INSERT INTO FUNCTION remote('x', format) FORMAT CSV\n1",
            "INSERT INTO FUNCTION remote('x', format)",
            "CSV",
            b"1",
        ),
    ],
)
def test_an_insert_is_split_from_its_data(
    text: bytes, statement: str, form: str, data: bytes
) -> None:
    head = insert_head(text)
    assert head is not None
    assert head.statement.strip() == statement
    assert head.format == form
    assert text[head.data_start :] == data


@pytest.mark.parametrize(
    "text",
    [
        b"SELECT 1 FORMAT CSV",
        b"INSERT INTO t SELECT 1 FORMAT CSV",
        b"INSERT INTO t WITH 1 AS x SELECT x",
        b"EXPLAIN INSERT INTO t FORMAT CSV",
        b"INSERT INTO t (a)",
        b"",
        b"-- INSERT INTO t FORMAT CSV",
    ],
)
def test_other_statements_bring_no_data(text: bytes) -> None:
    assert insert_head(text) is None


@pytest.mark.parametrize(
    ("text", "form"),
    [
        (b"SELECT 1", "TSV"),
        (b"SELECT 1 FORMAT JSON", "JSON"),
        (b"SELECT 1 format JSON ;", "JSON"),
        (b"SELECT 1 FORMAT JSON SETTINGS max_threads = 1", "JSON"),
        (b"SELECT 1 SETTINGS max_threads = 1 FORMAT JSON -- FORMAT CSV", "JSON"),
        (b"SELECT format FROM t", "TSV"),
        (b"SELECT format('{}', x), 'FORMAT JSON'", "TSV"),
        (b"SELECT * FROM (SELECT 1 FORMAT JSON)", "TSV"),
    ],
)
def test_the_format_clause_stands_at_the_end(text: bytes, form: str) -> None:
    assert output_format(text, "TSV") == form


def test_statements_for_a_session_are_recognised() -> None:
    assert needs_session(b"/* x */ set max_threads = 1") == "SET"
    assert needs_session(b"USE system") == "USE"
    assert needs_session(b"CREATE OR REPLACE TEMPORARY TABLE t (a Int8)") == "CREATE TEMPORARY"
    assert needs_session(b"CREATE TABLE t (a Int8)") == ""
    assert needs_session(b"SELECT 1") == ""


def test_files_of_the_server_are_recognised() -> None:
    assert uses_server_files(b"SELECT 1 INTO OUTFILE 'x'") == "INTO OUTFILE"
    assert uses_server_files(b"INSERT INTO t FROM INFILE 'x' FORMAT CSV") == "FROM INFILE"
    assert uses_server_files(b"SELECT 'INTO OUTFILE'") == ""
