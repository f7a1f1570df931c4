"""`callboard sql` and `callboard migrate`: what a person sees, and what an analyst may not do."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Callable, Iterator

import orjson
import pytest
from typer import Typer
from typer.testing import CliRunner, Result

from pipeline.cli.migrate import migrate
from pipeline.cli.sql import sql
from sinks.clickhouse.migrate import load
from sinks.clickhouse.query import QueryError, Question, cleaned
from tests.sinks.clickhouse.store import ANALYST_PASSWORD, Database, Server, database, record
from tests.sinks.clickhouse.test_batch import T, decline

Run = Callable[..., Result]

app = Typer()
app.command("sql")(sql)
app.command("migrate")(migrate)


@pytest.fixture(scope="module")
def store(clickhouse: Server) -> Iterator[Database]:
    """The database the analyst may read, with two declines in it."""
    with database(clickhouse, "callboard") as db:
        db.write(record({"declines": [decline("a"), decline("b", queue="[bold]help")]}, at=T))
        yield db


@pytest.fixture
def run(store: Database, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs the command as a user whose environment names the store."""
    config = store.config().model_copy(update={"analyst_password": ANALYST_PASSWORD})
    for name, value in config.to_env().items():
        monkeypatch.setenv(name, value)

    def invoke(*arguments: str, given: str | None = None) -> Result:
        return CliRunner().invoke(app, arguments, input=given)

    return invoke


def test_the_answer_is_a_table_with_its_names_and_the_number_of_rows(run: Run) -> None:
    result = run("sql", "SELECT contact, queue, NULL AS nothing, 1/4 AS part FROM contact_declines "
                        "ORDER BY contact")  # fmt: skip
    assert result.exit_code == 0
    lines = [line.split() for line in result.stdout.splitlines() if line.strip()]
    assert lines[0] == ["contact", "queue", "nothing", "part"]
    assert lines[2:4] == [["a", "sales", "–", "0.25"], ["b", "[bold]help", "–", "0.25"]]
    assert lines[-1] == ["2", "rows"]


def test_a_row_too_wide_for_a_table_stands_upright(run: Run) -> None:
    ask = "SELECT * FROM kpi_queue(from = '2026-01-05', to = '2026-01-06') ORDER BY queue"
    lines = [line.split() for line in run("sql", ask).stdout.splitlines() if line.strip()]
    assert lines[0] == ["row", "1"]
    assert ["queue", "[bold]help"] in lines
    assert ["service_level", "–"] in lines
    assert lines.count(["declined", "1"]) == 2
    assert lines[-1] == ["2", "rows"]


def test_a_wide_answer_without_rows_names_its_columns_below_each_other(run: Run) -> None:
    ask = "SELECT * FROM kpi_queue(from = '2020-01-05', to = '2020-01-06')"
    result = run("sql", ask)
    lines = result.stdout.splitlines()
    assert max(map(len, lines)) < 100
    assert ["channel", "String"] in [line.split() for line in lines]
    assert lines[-1] == "0 rows"


def test_a_view_describes_its_columns(run: Run) -> None:
    ask = "DESCRIBE kpi_queue(from = '2026-01-05', to = '2026-01-06')"
    rows = list(csv.reader(io.StringIO(run("sql", ask, "-f", "csv").stdout)))
    assert [row[0] for row in rows[1:4]] == ["site", "queue", "channel"]


def test_a_view_with_parameters_is_asked_by_name(run: Run) -> None:
    ask = "SELECT declined FROM kpi_queue(from = '2026-01-05', to = '2026-01-06') ORDER BY queue"
    result = run("sql", ask, "--format", "json")
    assert [orjson.loads(line) for line in result.stdout.splitlines()] == [{"declined": 1}] * 2


def test_csv_has_a_header_and_json_a_row_a_line(run: Run) -> None:
    ask = "SELECT contact, 7 AS n FROM contact_declines ORDER BY contact"
    rows = list(csv.reader(io.StringIO(run("sql", ask, "-f", "csv").stdout)))
    assert rows == [["contact", "n"], ["a", "7"], ["b", "7"]]


def test_a_format_in_the_query_goes_first(run: Run) -> None:
    result = run("sql", "SELECT 1 AS a, 'x' AS b FORMAT TabSeparatedWithNames;")
    assert result.stdout == "a\tb\n1\tx\n"


def test_parameters_of_the_query_are_given_by_name(run: Run) -> None:
    ask = "SELECT count() AS n FROM contact_declines WHERE contact = {who:String}"
    assert run("sql", ask, "-p", "who=a", "-f", "json").stdout == '{"n":1}\n'
    result = run("sql", ask, "-p", "who")
    assert (result.exit_code, result.stderr) == (1, "--param who: expected name=value\n")


def test_a_dash_reads_the_query_from_the_input(run: Run) -> None:
    assert run("sql", "-", "-f", "csv", given="SELECT 5 AS five\n;\n").stdout == '"five"\n5\n'


def test_a_wrong_query_is_one_clear_message(run: Run) -> None:
    wrong = {
        "SELECT nothing FROM contact_declines": "nothing",
        "SELCT 1": "Syntax error",
        "SELECT (contact FROM contact_declines": "Syntax error",
        "SELECT * FROM kpi_quue": "kpi_quue",
    }
    for ask, said in wrong.items():
        result = run("sql", ask)
        assert (result.exit_code, result.stdout) == (1, "")
        assert said in result.stderr
        assert "Traceback" not in result.stderr
        assert "DB::Exception" not in result.stderr


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO declines (contact) VALUES ('x')",
        "DROP TABLE declines",
        "TRUNCATE TABLE visits",
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT 1 SETTINGS readonly = 0",
    ],
)
def test_an_analyst_cannot_change_anything_nor_leave_the_store(run: Run, statement: str) -> None:
    result = run("sql", statement)
    assert result.exit_code == 1
    assert result.stderr


def test_without_an_analyst_it_is_read_only_too(store: Database) -> None:
    question = Question(store.config())
    with pytest.raises(QueryError, match="readonly"):
        question.text("TRUNCATE TABLE visits", "CSV")
    assert question.text("SELECT 1", "CSV") == "1\n"
    question.close()


def test_write_is_asked_for(run: Run, store: Database) -> None:
    insert = "INSERT INTO sink_progress (site, version, at) VALUES ('by hand', 1, 0)"
    result = run("sql", insert, "--write")
    assert (result.exit_code, result.stdout) == (0, "")
    assert store.value("SELECT count() FROM progress WHERE site = 'by hand'") == 1


def test_a_store_that_is_not_there_is_named(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALLBOARD_CLICKHOUSE_URL", "http://127.0.0.1:9")
    for command in (("sql", "SELECT 1"), ("migrate",)):
        result = run(*command)
        assert result.exit_code == 1
        assert result.stderr.startswith("no answer from http://127.0.0.1:9: ")
        assert len(result.stderr.splitlines()) == 1


def test_a_wrong_password_names_the_variables_to_set(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLBOARD_ANALYST_PASSWORD", "wrong")
    analyst = run("sql", "SELECT 1")
    monkeypatch.setenv("CALLBOARD_CLICKHOUSE_PASSWORD", "wrong")
    writer = run("sql", "SELECT 1", "--write")
    for result, user, variable in (
        (analyst, "analyst", "CALLBOARD_ANALYST_PASSWORD"),
        (writer, os.environ["CALLBOARD_CLICKHOUSE_USER"], "CALLBOARD_CLICKHOUSE_PASSWORD"),
    ):
        assert result.exit_code == 1
        assert f" refuses the password of {user}: " in result.stderr
        assert variable in result.stderr
        assert len(result.stderr.splitlines()) == 1


def test_a_wrong_setting_of_the_environment_is_named(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLBOARD_PARTITIONS", "many")
    result = run("sql", "SELECT 1")
    assert result.exit_code == 1
    assert result.stderr.startswith("CALLBOARD_PARTITIONS=many")


def test_migrate_says_what_it_applied_and_that_nothing_is_left(
    run: Run, store: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLBOARD_CLICKHOUSE_DATABASE", "migrated_by_hand")
    dry = run("migrate", "--dry-run")
    assert dry.exit_code == 0
    assert dry.stdout.startswith("-- 001_tables.sql\n")
    assert "CREATE TABLE IF NOT EXISTS migrated_by_hand.visits" in dry.stdout
    assert store.value("SELECT count() FROM system.databases WHERE name = 'migrated_by_hand'") == 0
    first = run("migrate")
    assert first.stdout.splitlines() == [f"applied {m.name}" for m in load()]
    assert run("migrate").stdout == "migrated_by_hand is up to date\n"
    store.command("DROP DATABASE migrated_by_hand")


def test_messages_lose_what_only_developers_of_the_store_need() -> None:
    long = ("Received ClickHouse exception, code: 62, server response: Code: 62. DB::Exception: "
            "Syntax error: failed at position 1. (SYNTAX_ERROR)")  # fmt: skip
    assert cleaned(ValueError(long)) == "Syntax error: failed at position 1. (SYNTAX_ERROR)"
    assert cleaned(TimeoutError()) == "TimeoutError"
