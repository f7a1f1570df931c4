"""clickhouse-connect, both of its clients, against the local ClickHouse as against a server."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import clickhouse_connect
import pytest
from clickhouse_connect.driver.asyncclient import AsyncClient
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import DatabaseError

from tests.sinks.clickhouse.local_store import PASSWORDS, ThreadedStore, threaded

MOMENT = datetime(1999, 2, 7, 15, 30, 0, 123000, tzinfo=UTC)
COLUMNS = ["site", "at", "queue", "wait", "tags"]
ROWS = [
    ["s1", MOMENT, "billing", 12, ["a", "b"]],
    ["s1", MOMENT, "sales", None, []],
    ["ünïcode\t\n'", MOMENT, "sales", 0, ["it's"]],
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadedStore]:
    with threaded(tmp_path_factory.mktemp("store")) as running:
        running.do(
            "CREATE TABLE t (site String, at DateTime64(3, 'UTC'), queue LowCardinality(String), "
            "wait Nullable(Int32), tags Array(String)) ENGINE = MergeTree ORDER BY (site, queue) "
            "SETTINGS non_replicated_deduplication_window = 100"
        )
        yield running


def connect(store: ThreadedStore, user: str = "writer", compress: bool | str = True) -> Client:
    return clickhouse_connect.get_client(
        host="127.0.0.1",
        port=store.port,
        username=user,
        password=PASSWORDS[user],
        tz_mode="aware",
        compress=compress,
    )


@pytest.fixture
def client(store: ThreadedStore) -> Iterator[Client]:
    client = connect(store)
    client.command("TRUNCATE TABLE t")
    yield client
    client.close()


@pytest.fixture
async def async_client(store: ThreadedStore) -> AsyncIterator[AsyncClient]:
    client = await clickhouse_connect.get_async_client(
        host="127.0.0.1",
        port=store.port,
        username="writer",
        password=PASSWORDS["writer"],
        autogenerate_session_id=False,
        tz_mode="aware",
    )
    await client.command("TRUNCATE TABLE t")
    yield client
    await client.close()


def test_the_client_learns_about_the_server(client: Client) -> None:
    assert str(client.server_version).startswith("26.")
    assert str(client.server_tz) == "UTC"
    assert client.ping()
    assert client.command("SELECT currentDatabase()") == "callboard"


@pytest.mark.parametrize("compress", [False, True, "lz4", "zstd", "gzip"])
def test_rows_come_back_as_they_went_in(store: ThreadedStore, compress: bool | str) -> None:
    client = connect(store, compress=compress)
    client.command("TRUNCATE TABLE t")
    summary = client.insert("t", ROWS, column_names=COLUMNS)
    assert summary.written_rows == 3
    result = client.query("SELECT * FROM t ORDER BY site, queue")
    assert list(result.column_names) == COLUMNS
    assert [list(row) for row in result.result_rows] == ROWS
    client.close()


def test_many_rows_in_both_directions(client: Client) -> None:
    rows = [["s", MOMENT, "q", n, []] for n in range(100_000)]
    client.insert("t", rows, column_names=COLUMNS)
    answer = client.query("SELECT wait FROM t ORDER BY wait")
    assert answer.result_columns[0] == list(range(100_000))


def test_parameters_are_bound_by_the_server(client: Client) -> None:
    client.insert("t", ROWS, column_names=COLUMNS)
    sql = "SELECT queue FROM t WHERE site = {site:String} AND at = {at:DateTime64(3, 'UTC')}"
    found = client.query(sql, parameters={"site": "ünïcode\t\n'", "at": MOMENT})
    assert found.result_rows == [("sales",)]


def test_raw_inserts_and_raw_answers(client: Client) -> None:
    lines = b'{"site":"s","at":"1999-02-07 15:30:00.000","queue":"q","wait":1,"tags":["x"]}\n'
    client.raw_insert("t", insert_block=lines, fmt="JSONEachRow")
    client.raw_insert(
        "callboard.t", COLUMNS, insert_block=(lines for _ in range(2)), fmt="JSONEachRow"
    )
    assert client.raw_query("SELECT count() AS n FROM t", fmt="JSONEachRow") == b'{"n":3}\n'
    with client.raw_stream("SELECT site FROM t", fmt="CSV") as stream:
        assert stream.read() == b'"s"\n' * 3


def test_a_token_makes_a_retry_harmless(client: Client) -> None:
    for _ in range(2):
        client.insert(
            "t", ROWS, column_names=COLUMNS, settings={"insert_deduplication_token": "batch"}
        )
    assert client.command("SELECT count() FROM t") == 3


def test_frames_and_arrow_tables(client: Client) -> None:
    client.insert("t", ROWS, column_names=COLUMNS)
    assert list(client.query_df("SELECT queue FROM t ORDER BY queue")["queue"]) == [
        "billing",
        "sales",
        "sales",
    ]
    assert client.query_arrow("SELECT count() AS n FROM t").to_pydict() == {"n": [3]}


def test_streams_of_blocks(client: Client) -> None:
    with client.query_row_block_stream("SELECT number FROM numbers(200000)") as stream:
        assert sum(len(block) for block in stream) == 200_000


def test_long_parameters_go_in_a_form(client: Client) -> None:
    names = [f"a rather long name {n}" for n in range(5000)]
    sql = "SELECT length({names:Array(String)})"
    assert client.query(sql, parameters={"names": names}).result_rows == [(5000,)]


def test_an_empty_answer_is_empty(client: Client) -> None:
    assert client.query("SELECT site, wait FROM t").result_rows == []
    assert client.query_arrow("SELECT site FROM t").column_names == ["site"]
    assert list(client.query("SELECT site FROM t LIMIT 0").column_names) == ["site"]


def test_errors_carry_clickhouses_code(client: Client) -> None:
    with pytest.raises(DatabaseError) as missing:
        client.query("SELECT * FROM nowhere")
    assert (missing.value.code, missing.value.name) == (60, "UNKNOWN_TABLE")
    with pytest.raises(DatabaseError, match="sessions are not kept"):
        client.command("SET max_threads = 1")


def test_an_analyst_connects_and_reads(store: ThreadedStore, client: Client) -> None:
    client.insert("t", ROWS, column_names=COLUMNS)
    analyst = connect(store, "analyst")
    assert analyst.query("SELECT count() FROM t").result_rows == [(3,)]
    assert analyst.query("DESCRIBE TABLE t").row_count == len(COLUMNS)
    for statement in ("DROP TABLE t", "SELECT file('/etc/passwd')"):
        with pytest.raises(DatabaseError):
            analyst.command(statement)
    with pytest.raises(DatabaseError):
        analyst.insert("t", ROWS, column_names=COLUMNS)
    analyst.close()
    assert client.command("SELECT count() FROM t") == 3


def test_wrong_passwords_are_refused(store: ThreadedStore) -> None:
    with pytest.raises(DatabaseError) as refused:
        clickhouse_connect.get_client(
            host="127.0.0.1", port=store.port, username="writer", password="x"
        )
    assert refused.value.code == 516


async def test_the_async_client_writes_and_reads(async_client: AsyncClient) -> None:
    await async_client.insert("t", ROWS, column_names=COLUMNS)
    result = await async_client.query("SELECT * FROM t ORDER BY site, queue")
    assert [list(row) for row in result.result_rows] == ROWS


async def test_the_async_client_may_ask_much_at_once(async_client: AsyncClient) -> None:
    body = b'{"site":"s","at":"1999-02-07 15:30:00.000","queue":"q"}\n' * 100
    inserts = asyncio.gather(
        *(async_client.raw_insert("t", insert_block=body, fmt="JSONEachRow") for _ in range(8))
    )
    answers = await asyncio.gather(*(async_client.query(f"SELECT {n}") for n in range(8)))
    assert [answer.result_rows[0][0] for answer in answers] == list(range(8))
    await inserts
    # Equal data without a token are one: the table's window compares what is in the blocks.
    assert await async_client.command("SELECT count() FROM t") == 100
