"""The local ClickHouse over plain HTTP: what curl and simple clients rely on."""

import gzip
import json
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import lz4.frame  # type: ignore[import-untyped]
import pytest
import urllib3

from sinks.clickhouse.local import errors
from sinks.clickhouse.local.errors import HTTP_STATUS, from_engine
from tests.sinks.clickhouse.local_store import PASSWORDS, ThreadedStore, threaded


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadedStore]:
    with threaded(tmp_path_factory.mktemp("store")) as running:
        yield running


@pytest.fixture
def table(store: ThreadedStore) -> str:
    store.do(
        "CREATE OR REPLACE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a "
        "SETTINGS non_replicated_deduplication_window = 100"
    )
    return "t"


def rows(store: ThreadedStore) -> str:
    return store.value("SELECT a, s FROM t ORDER BY a, s FORMAT CSV")


def test_health_pages_need_no_password(store: ThreadedStore) -> None:
    for path in ("ping", "replicas_status", ""):
        assert (store.get(path).status, store.get(path).text) == (200, "Ok.\n")
    assert store.get("play").status == 404


def test_an_answer_says_what_it_is(store: ThreadedStore) -> None:
    reply = store.ask("SELECT number AS n FROM numbers(3) FORMAT JSON", query_id="my-id")
    assert reply.status == 200
    assert json.loads(reply.body)["data"] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert reply.headers["X-ClickHouse-Format"] == "JSON"
    assert reply.headers["X-ClickHouse-Query-Id"] == "my-id"
    assert reply.headers["X-ClickHouse-Timezone"] == "UTC"
    assert reply.headers["X-ClickHouse-Server-Display-Name"] == "callboard"
    assert reply.headers["Content-Type"] == "application/json; charset=UTF-8"
    summary = json.loads(reply.headers["X-ClickHouse-Summary"])
    assert (summary["read_rows"], summary["result_rows"]) == ("3", "3")


def test_a_query_without_rows_has_a_format_and_a_statement_has_none(store: ThreadedStore) -> None:
    assert store.ask("SELECT 1 WHERE 0").headers["X-ClickHouse-Format"] == "TabSeparated"
    reply = store.ask("DROP TABLE IF EXISTS nothing")
    assert reply.status == 200
    assert "X-ClickHouse-Format" not in reply.headers


def test_the_engine_works_in_utc(store: ThreadedStore) -> None:
    assert store.value("SELECT timezone(), toUnixTimestamp('1970-01-02 00:00:00')") == "UTC\t86400"


def test_the_query_may_stand_in_the_url_or_begin_there(store: ThreadedStore) -> None:
    assert store.ask(method="GET", query="SELECT 1 + 1").text == "2\n"
    assert store.ask("1 + 2", query="SELECT").text == "3\n"


def test_the_default_format_is_chosen_by_the_client(store: ThreadedStore) -> None:
    by_header = store.ask("SELECT 'a', 1", headers={"X-ClickHouse-Format": "CSV"})
    by_parameter = store.ask("SELECT 'a', 1", default_format="CSV")
    assert by_header.text == by_parameter.text == '"a",1\n'
    assert by_parameter.headers["X-ClickHouse-Format"] == "CSV"
    assert store.ask("SELECT 1 FORMAT TSV", default_format="CSV").text == "1\n"


@pytest.mark.parametrize("name", ["Nonsense", "DataFrame", "C SV", "x\r\ny"])
def test_an_unknown_format_is_an_error(store: ThreadedStore, name: str) -> None:
    reply = store.ask("SELECT 1", default_format=name)
    assert (reply.status, reply.code) == (404, 73)


def test_parameters_and_settings_come_in_the_url(store: ThreadedStore) -> None:
    sql = "SELECT {n:UInt8} + 1, {s:String}, {l:Array(String)}, getSetting('max_threads')"
    reply = store.ask(sql, param_n=4, param_s="a\\tb", param_l="['x','y']", max_threads=1)
    assert reply.text == "5\ta\\tb\t['x','y']\t1\n"


def test_settings_last_for_one_request(store: ThreadedStore) -> None:
    assert store.ask("SELECT getSetting('max_block_size')", max_block_size=7).text == "7\n"
    assert store.value("SELECT getSetting('max_block_size')") != "7"


def test_fields_of_a_form_count_as_parameters(store: ThreadedStore) -> None:
    fields = {"query": "SELECT {x:String}", "param_x": "from a form"}
    body, kind = urllib3.encode_multipart_formdata(fields)
    assert store.ask(body, headers={"Content-Type": kind}).text == "from a form\n"


def test_a_file_in_a_form_is_refused_not_ignored(store: ThreadedStore) -> None:
    body, kind = urllib3.encode_multipart_formdata({"ids": ("ids.tsv", "1\n2\n")})
    reply = store.ask(body, query="SELECT * FROM ids", headers={"Content-Type": kind})
    assert (reply.status, reply.code) == (501, 48)


def test_the_database_is_the_stores_unless_another_is_asked_for(store: ThreadedStore) -> None:
    assert store.value("SELECT currentDatabase()") == "callboard"
    assert store.ask("SELECT currentDatabase()", database="system").text == "system\n"
    assert store.ask("SELECT 1", database="nowhere").code == 81


# --- users ----------------------------------------------------------------------------------


def test_users_are_known_by_any_of_three_ways(store: ThreadedStore) -> None:
    password = PASSWORDS["analyst"]
    headers = {"X-ClickHouse-User": "analyst", "X-ClickHouse-Key": password}
    assert store.ask("SELECT 1", "analyst").status == 200
    assert store.ask("SELECT 1", "", headers=headers).status == 200
    in_url = urlencode({"query": "SELECT 1", "user": "analyst", "password": password})
    assert store.get(f"?{in_url}").status == 200
    assert store.ask("SELECT 1", "analyst", headers=headers).status == 403


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-ClickHouse-User": "writer"},
        {"X-ClickHouse-User": "writer", "X-ClickHouse-Key": "wrong"},
        {"X-ClickHouse-User": "writer", "X-ClickHouse-Key": "\xff"},
        {"X-ClickHouse-User": "\xff", "X-ClickHouse-Key": "x"},
        {"X-ClickHouse-User": "default", "X-ClickHouse-Key": ""},
        {"X-ClickHouse-User": "analyst", "X-ClickHouse-Key": PASSWORDS["writer"]},
        {"Authorization": "Basic d3JpdGVy"},
        {"Authorization": "Basic %%%"},
        {"Authorization": "Bearer x"},
    ],
)
def test_nobody_else_comes_in(store: ThreadedStore, headers: dict[str, str]) -> None:
    reply = store.ask("SELECT 1", "", headers=headers)
    assert (reply.status, reply.code) == (403, 516)


# --- inserts --------------------------------------------------------------------------------


def test_data_follow_the_insert_in_the_body(store: ThreadedStore, table: str) -> None:
    reply = store.ask('INSERT INTO t FORMAT JSONEachRow\n{"a":1,"s":"x"}\n{"a":2,"s":"y"}\n')
    assert reply.status == 200
    assert json.loads(reply.headers["X-ClickHouse-Summary"])["written_rows"] == "2"
    assert rows(store) == '1,"x"\n2,"y"'


@pytest.mark.parametrize(
    ("query", "body"),
    [
        ("INSERT INTO t FORMAT CSV", b"1,x\n"),
        ("INSERT INTO t FORMAT CSV\n", b"1,x\n"),
        ("INSERT INTO t FORMAT CSV\n1,x\n", b""),
        ("INSERT INTO t (a, s) VALUES", b"(1, 'x')"),
        ("INSERT INTO t (a, s) VALUES (1, concat('', 'x'))", b""),
        ("INSERT INTO t (a, s) SELECT 1, 'x'", b""),
        ("INSERT INTO t", b"FORMAT CSV\n1,x\n"),
        ("", b"INSERT INTO callboard.t (s, a) FORMAT TSV\nx\t1\n"),
    ],
)
def test_the_insert_may_stand_in_the_url(
    store: ThreadedStore, table: str, query: str, body: bytes
) -> None:
    in_url: dict[str, Any] = {"query": query} if query else {}
    reply = store.ask(body, **in_url)
    assert reply.status == 200, reply.text
    assert rows(store) == '1,"x"'


@pytest.mark.parametrize("encoding", ["gzip", "lz4"])
def test_compressed_data_are_taken(store: ThreadedStore, table: str, encoding: str) -> None:
    pack = {"gzip": gzip.compress, "lz4": lz4.frame.compress}[encoding]
    data = b"".join(b"%d,row\n" % n for n in range(20_000))
    reply = store.ask(
        pack(data), query="INSERT INTO t FORMAT CSV", headers={"Content-Encoding": encoding}
    )
    assert reply.status == 200, reply.text
    assert store.value("SELECT count(), sum(a) FROM t") == f"20000\t{sum(range(20_000))}"


def test_a_compressed_body_may_hold_the_statement_too(store: ThreadedStore, table: str) -> None:
    body = gzip.compress(b"INSERT INTO t FORMAT CSV\n1,x\n")
    assert store.ask(body, headers={"Content-Encoding": "gzip"}).status == 200
    assert rows(store) == '1,"x"'


def test_a_large_body_lands_as_one_part(store: ThreadedStore, table: str) -> None:
    data = b"".join(b"%d,a row with some more text in it\n" % n for n in range(200_000))
    assert len(data) > 6_000_000
    assert store.ask(data, query="INSERT INTO t FORMAT CSV").status == 200
    assert store.value("SELECT count(), uniqExact(_part) FROM t") == "200000\t1"


def test_a_bad_row_is_named_and_nothing_of_its_insert_lands(
    store: ThreadedStore, table: str
) -> None:
    good = b'{"a":1,"s":"x"}\n'
    body = b"INSERT INTO t FORMAT JSONEachRow\n" + good * 70_000 + b'{"a":"no"}\n' + good
    reply = store.ask(body)
    assert (reply.status, reply.code) == (400, 27)
    assert "at row 70001" in reply.text
    assert store.value("SELECT count() FROM t") == "0"


def test_an_insert_with_the_same_token_counts_once(store: ThreadedStore, table: str) -> None:
    for body in (b"1,x\n", b"1,x\n", b"2,other\n"):
        reply = store.ask(
            body, query="INSERT INTO t FORMAT CSV", insert_deduplication_token="batch 1"
        )
        assert reply.status == 200
    assert rows(store) == '1,"x"'
    store.ask(b"1,x\n", query="INSERT INTO t FORMAT CSV", insert_deduplication_token="batch 2")
    assert rows(store) == '1,"x"\n1,"x"'


def test_an_insert_is_never_asynchronous(store: ThreadedStore, table: str) -> None:
    asked: dict[str, Any] = {"async_insert": 1, "wait_for_async_insert": 0}
    assert store.ask(b"1,x\n", query="INSERT INTO t FORMAT CSV", **asked).status == 200
    assert rows(store) == '1,"x"'


def test_an_empty_insert_is_fine(store: ThreadedStore, table: str) -> None:
    assert store.ask("INSERT INTO t FORMAT JSONEachRow\n").status == 200
    assert store.value("SELECT count() FROM t") == "0"


# --- errors ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "status", "code", "text"),
    [
        ("SELECT FROM WHERE", 400, 62, "Syntax error"),
        ("", 400, 62, "mpty query"),
        ("SELECT nothing", 404, 47, "nothing"),
        ("SELECT * FROM nowhere", 404, 60, "nowhere"),
        ("SELECT nofunction(1)", 404, 46, "nofunction"),
        ("SELECT 1; SELECT 2", 400, 62, "Multi-statements are not allowed"),
        ("INSERT INTO nowhere FORMAT CSV\n1", 404, 60, "nowhere"),
        ("SET max_threads = 1", 501, 48, "sessions are not kept"),
        ("USE system", 501, 48, "sessions are not kept"),
        ("CREATE TEMPORARY TABLE x (a Int8)", 501, 48, "sessions are not kept"),
        ("SELECT 1 INTO OUTFILE 'x'", 501, 48, "INTO OUTFILE"),
        ("INSERT INTO t FROM INFILE 'x' FORMAT CSV", 501, 48, "FROM INFILE"),
        ("SELECT throwIf(1, 'on purpose')", 500, 395, "on purpose"),
    ],
)
def test_errors_have_clickhouses_code_and_status(
    store: ThreadedStore, sql: str, status: int, code: int, text: str
) -> None:
    reply = store.ask(sql)
    assert (reply.status, reply.code) == (status, code), reply.text
    assert text in reply.text
    assert reply.text.startswith(f"Code: {code}. DB::Exception: ")
    assert reply.text.endswith(f" (version {store.value('SELECT version()')})\n")


def test_an_unknown_setting_is_an_error(store: ThreadedStore) -> None:
    assert store.ask("SELECT 1", no_such_setting=1).code == 115
    odd: dict[str, Any] = {"max_threads` = 1, `final": 1}
    assert store.ask("SELECT 1", **odd).code == 115


def test_a_query_that_fails_in_its_output_leaves_nothing_to_the_next(store: ThreadedStore) -> None:
    failing = "SELECT 'secret', throwIf(number = 900000) FROM numbers(1000000)"
    assert store.ask(failing, max_block_size=1000).status == 500
    assert store.ask("SELECT 1").text == "1\n"


@pytest.mark.parametrize(
    "params",
    [{"compress": 1}, {"decompress": 1}, {"session_id": "s", "session_check": 1}],
)
def test_what_cannot_be_done_is_refused_not_ignored(
    store: ThreadedStore, params: dict[str, Any]
) -> None:
    assert store.ask("SELECT 1", **params).status == 501


def test_native_blocks_of_newer_revisions_are_refused_not_garbled(store: ThreadedStore) -> None:
    newer: dict[str, Any] = {"client_protocol_version": 54460}
    assert store.ask("SELECT 1 FORMAT Native", **newer).status == 501
    assert store.ask("SELECT 1 FORMAT JSON", **newer).status == 200


def test_a_get_changes_nothing(store: ThreadedStore, table: str) -> None:
    for sql in ("INSERT INTO t SELECT 1, 'x'", "DROP TABLE t"):
        assert store.ask(method="GET", query=sql).code == 164
    assert store.value("SELECT count() FROM t") == "0"


def test_a_body_in_an_unknown_encoding_is_refused(store: ThreadedStore) -> None:
    reply = store.ask(b"SELECT 1", headers={"Content-Encoding": "snappy"})
    assert (reply.status, reply.code) == (400, 89)


def test_codes_and_names_are_the_engines(store: ThreadedStore) -> None:
    ours = [code for code in vars(errors).values() if isinstance(code, tuple)]
    assert len(ours) > 10
    for code, name in ours:
        assert store.value(f"SELECT errorCodeToName({code})") == name


@pytest.mark.parametrize(
    ("status", "names"),
    [
        (400, "SYNTAX_ERROR CANNOT_PARSE_NUMBER CANNOT_PARSE_INPUT_ASSERTION_FAILED TYPE_MISMATCH"),
        (400, "INCORRECT_DATA BAD_ARGUMENTS CANNOT_PARSE_DATETIME THERE_IS_NO_COLUMN"),
        (401, "REQUIRED_PASSWORD"),
        (403, "AUTHENTICATION_FAILED UNKNOWN_USER WRONG_PASSWORD ACCESS_DENIED"),
        (404, "UNKNOWN_TABLE UNKNOWN_DATABASE UNKNOWN_IDENTIFIER UNKNOWN_SETTING UNKNOWN_FORMAT"),
        (408, "TIMEOUT_EXCEEDED"),
        (413, "QUERY_IS_TOO_LARGE"),
        (500, "READONLY MEMORY_LIMIT_EXCEEDED TOO_MANY_ROWS_OR_BYTES"),
        (501, "NOT_IMPLEMENTED"),
        (503, "CANNOT_SCHEDULE_TASK SOCKET_TIMEOUT"),
    ],
)
def test_statuses_are_those_of_a_server(store: ThreadedStore, status: int, names: str) -> None:
    wanted = ", ".join(f"'{name}'" for name in names.split())
    codes = store.value(
        f"SELECT number FROM numbers(1100) WHERE errorCodeToName(number) IN ({wanted})"
    ).split()
    assert len(codes) == len(names.split())
    assert {HTTP_STATUS.get(int(code), 500) for code in codes} == {status}


def test_errors_of_the_engine_are_read_through_their_wrappings() -> None:
    error = from_engine(
        "Code: 164. DB::Exception: Code: 164. DB::Exception: Cannot modify 'readonly' setting "
        "in readonly mode. (READONLY) (version 26.9.2.1). (READONLY)"
    )
    assert (error.code, error.name) == (164, "READONLY")
    assert error.message == "Cannot modify 'readonly' setting in readonly mode."
    assert from_engine("something broke").code == 1002


# --- compression of answers, other clients -----------------------------------------------------


def test_answers_are_compressed_when_asked_for(store: ThreadedStore) -> None:
    asked = {"Accept-Encoding": "br, gzip, lz4"}
    plain = store.ask("SELECT number FROM numbers(10000)")
    packed = store.ask(
        "SELECT number FROM numbers(10000)", headers=asked, enable_http_compression=1
    )
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.body) == plain.body
    assert "Content-Encoding" not in store.ask("SELECT 1", headers=asked).headers


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_curl(store: ThreadedStore, table: str) -> None:
    def curl(*arguments: str, data: bytes = b"") -> str:
        login = f"analyst:{PASSWORDS['analyst']}" if "--analyst" in arguments else None
        login = login or f"writer:{PASSWORDS['writer']}"
        rest = [a for a in arguments if a != "--analyst"]
        command = ["curl", "-sS", "--fail-with-body", "-u", login, *rest]
        return subprocess.run(
            command, input=data, capture_output=True, check=True, timeout=30
        ).stdout.decode()

    curl(f"{store.url}?query=INSERT%20INTO%20t%20FORMAT%20CSV", "--data-binary", "@-", data=b"1,x")
    large = b"".join(b"%d,row of a large file\n" % n for n in range(100_000))
    curl(f"{store.url}?query=INSERT%20INTO%20t%20FORMAT%20CSV", "-T", "-", "-X", "POST", data=large)
    assert curl("--analyst", store.url, "-d", "SELECT count() FROM t") == "100001\n"
    assert curl("--analyst", "-G", store.url, "--data-urlencode", "query=SELECT 2") == "2\n"
