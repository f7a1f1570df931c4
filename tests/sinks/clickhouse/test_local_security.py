"""What an analyst may not do, each attempt on a running store; and what an analyst may."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from sinks.clickhouse.local import Limits
from tests.sinks.clickhouse.local_store import Address, Reply, ThreadedStore, threaded

MARKER = "the-marker-of-a-secret"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("machine")
    (folder / "secret.txt").write_text(MARKER + "\n")
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory, folder: Path) -> Iterator[ThreadedStore]:
    limits = Limits(analyst_result_rows=10_000, analyst_result_bytes=1_000_000)
    with threaded(tmp_path_factory.mktemp("store"), limits) as running:
        running.do("CREATE TABLE t (a UInt64, s String) ENGINE = MergeTree ORDER BY a")
        running.do("INSERT INTO t SELECT number, toString(number) FROM numbers(100)")
        running.do("CREATE VIEW v AS SELECT sum(a) AS total FROM t WHERE a >= {least:UInt64}")
        running.do("CREATE DATABASE private ENGINE = Atomic")
        running.do("CREATE TABLE private.secret (s String) ENGINE = MergeTree ORDER BY s")
        running.do(f"INSERT INTO private.secret SELECT '{MARKER}'")
        running.do("CREATE VIEW peek AS SELECT * FROM private.secret")
        yield running


def fill(sql: str, folder: Path) -> str:
    return sql.replace("SECRET", str(folder / "secret.txt")).replace("'OUT'", f"'{folder / 'out'}'")


def assert_refused(reply: Reply, *codes: int) -> None:
    said = reply.text[:500]
    assert (reply.status >= 400, MARKER in reply.text) == (True, False), said
    assert reply.code in (codes or (164, 497)), said


READS_FILES = """
SELECT file('SECRET')
SELECT `file`('SECRET')
SELECT "file"('SECRET')
SELECT `fi\\x6ce`('SECRET')
SELECT arrayMap(file, ['SECRET'])
SELECT arrayMap(x -> file(x), ['SECRET'])
SELECT * APPLY(file) FROM (SELECT 'SECRET' AS x)
SELECT * APPLY(x -> file(x)) FROM (SELECT 'SECRET' AS x)
SELECT COLUMNS('x') APPLY file FROM (SELECT 'SECRET' AS x)
WITH file AS f SELECT arrayMap(f, ['SECRET'])
WITH (SELECT file('SECRET')) AS x SELECT x
WITH x AS (SELECT file('SECRET') AS y) SELECT * FROM x
SELECT 1 WHERE file('SECRET') = ''
SELECT (SELECT file('SECRET'))
SELECT 1 LIMIT length(file('SECRET'))
SELECT a FROM t ORDER BY file('SECRET')
SELECT a FROM t GROUP BY a HAVING file('SECRET') = ''
SELECT sum(a) OVER (PARTITION BY file('SECRET')) FROM t
SELECT a FROM t WINDOW w AS (ORDER BY file('SECRET'))
SELECT a FROM t LIMIT 1 BY file('SECRET')
SELECT a FROM t ARRAY JOIN [file('SECRET')] AS x
SELECT a FROM t JOIN (SELECT file('SECRET') AS f) j ON 1 = 1
SELECT a FROM t JOIN t AS u ON t.s = file('SECRET')
SELECT a FROM t PREWHERE s = file('SECRET')
SELECT a FROM t QUALIFY file('SECRET') = ''
SELECT a FROM t ORDER BY a WITH FILL FROM length(file('SECRET'))
SELECT a AS n FROM t ORDER BY n WITH FILL INTERPOLATE (s AS file('SECRET'))
SELECT * REPLACE (file('SECRET') AS s) FROM t
SELECT a IN (SELECT length(file('SECRET'))) FROM t
SELECT a FROM t UNION ALL SELECT length(file('SECRET'))
SELECT a FROM t INTERSECT SELECT length(file('SECRET'))
SELECT CASE file('SECRET') WHEN '' THEN 1 END
SELECT ifNull(NULL, file('SECRET'))
SELECT 'x', /* a comment */ file/* */('SECRET')
SELECT * FROM view(SELECT file('SECRET'))
SELECT * FROM values('x String', file('SECRET'))
SELECT * FROM numbers(length(file('SECRET')))
SELECT * FROM v(least=length(file('SECRET')))
FROM t SELECT file('SECRET')
FROM t |> SELECT file('SECRET')
EXPLAIN SELECT file('SECRET')
EXPLAIN QUERY TREE SELECT file('SECRET')
EXPLAIN SYNTAX SELECT file('SECRET')
DESCRIBE (SELECT file('SECRET'))
DESCRIBE TABLE file('SECRET', 'LineAsString')
DESCRIBE file('SECRET')
SHOW TABLES WHERE name = file('SECRET')
SHOW COLUMNS FROM t WHERE field = file('SECRET')
SHOW INDEX FROM t WHERE key_name = file('SECRET')
SELECT * FROM file('SECRET', 'LineAsString')
SELECT * FROM `SECRET`
SELECT * FROM "SECRET"
SELECT * FROM 'SECRET'
SELECT * FROM default.`SECRET`
DESCRIBE `SECRET`
SELECT * FROM fileCluster('default', 'SECRET', 'LineAsString')
SELECT * FROM filesystem('SECRET')
SELECT * FROM loop(file('SECRET', 'LineAsString')) LIMIT 1
SELECT * FROM sqlite('SECRET', 't')
SELECT * FROM icebergLocal('SECRET')
SELECT * FROM deltaLakeLocal('SECRET')
SELECT * FROM paimonLocal('SECRET')
SELECT * FROM format(LineAsString, file('SECRET'))
SELECT * FROM eval('SELECT file(\\'SECRET\\')')
SELECT catboostEvaluate('SECRET', 1)
""".strip().splitlines()


@pytest.mark.parametrize("sql", READS_FILES)
def test_no_file_of_the_machine_is_read(store: ThreadedStore, folder: Path, sql: str) -> None:
    # 36 and 62: some of these are refused before they are understood.
    assert_refused(store.analyst(fill(sql, folder)), 164, 497, 36, 60, 62, 344)


def test_the_machine_has_a_file_that_could_be_read(store: ThreadedStore, folder: Path) -> None:
    assert MARKER in store.ask(fill("SELECT file('SECRET')", folder)).text


REACHES_OUT = """
SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')
DESCRIBE url('http://127.0.0.1:1/')
SELECT * FROM urlCluster('default', 'http://127.0.0.1:1/')
SELECT * FROM s3('http://127.0.0.1:1/bucket/x', 'LineAsString')
SELECT * FROM s3Cluster('default', 'http://127.0.0.1:1/bucket/x')
SELECT * FROM gcs('http://127.0.0.1:1/bucket/x')
SELECT * FROM azureBlobStorage('a', 'b', 'c')
SELECT * FROM hdfs('hdfs://127.0.0.1:1/x', 'TSV')
SELECT * FROM remote('127.0.0.1:1', 'system.one')
SELECT * FROM remoteSecure('127.0.0.1:1', 'system.one')
SELECT * FROM cluster('default', 'system.one')
SELECT * FROM mysql('127.0.0.1:1', 'a', 'b', 'c', 'd')
SELECT * FROM postgresql('127.0.0.1:1', 'a', 'b', 'c', 'd')
SELECT * FROM mongodb('127.0.0.1:1', 'a', 'b', 'c', 'd', 'a Int8')
SELECT * FROM redis('127.0.0.1:1', 'k', 'k String')
SELECT * FROM jdbc('a', 'b')
SELECT * FROM odbc('a', 'b')
SELECT * FROM iceberg('http://127.0.0.1:1/bucket/x')
SELECT * FROM deltaLake('http://127.0.0.1:1/bucket/x')
SELECT * FROM arrowFlight('127.0.0.1:1', 'x')
SELECT * FROM executable('id', 'TSV', 'a String')
SELECT * FROM python('open')
SELECT * FROM Python(x)
SELECT * FROM input('a String')
SELECT * FROM dictionary('x')
SELECT * FROM generateRandom('a Int8')
SELECT aiGenerate('hello')
SELECT 1 IN (url('http://127.0.0.1:1/'))
""".strip().splitlines()


@pytest.mark.parametrize("sql", REACHES_OUT)
def test_nothing_outside_is_reached(store: ThreadedStore, sql: str) -> None:
    assert_refused(store.analyst(sql), 164, 497, 46, 60)


WRITES = """
SELECT 1 INTO OUTFILE 'OUT'
SELECT * FROM t INTO OUTFILE 'OUT' TRUNCATE FORMAT CSV
EXPLAIN SELECT 1 INTO OUTFILE 'OUT'
INSERT INTO t VALUES (1, 'x')
INSERT INTO t FORMAT CSV 1,x
INSERT INTO t SELECT 1, 'x'
INSERT INTO FUNCTION file('OUT', 'CSV', 'a Int8') SELECT 1
INSERT INTO FUNCTION file('OUT', 'CSV', 'a Int8') VALUES (1)
WITH 1 AS x INSERT INTO t SELECT x, 'x'
CREATE TABLE x (a Int8) ENGINE = Memory
CREATE TEMPORARY TABLE x (a Int8)
CREATE VIEW x AS SELECT 1
CREATE FUNCTION f AS x -> x
CREATE DATABASE x
CREATE USER x
CREATE DICTIONARY d (a UInt64) PRIMARY KEY a SOURCE(NULL()) LAYOUT(FLAT()) LIFETIME(0)
ALTER TABLE t DELETE WHERE 1
DELETE FROM t WHERE 1
UPDATE t SET s = '' WHERE 1
TRUNCATE TABLE t
DROP TABLE t
DROP DATABASE callboard
RENAME TABLE t TO u
EXCHANGE TABLES t AND v
ATTACH TABLE x
DETACH TABLE t
UNDROP TABLE x
OPTIMIZE TABLE t FINAL
GRANT ALL ON *.* TO default
REVOKE ALL ON *.* FROM default
BACKUP TABLE t TO File('OUT')
RESTORE TABLE t FROM File('OUT')
SYSTEM FLUSH LOGS
SYSTEM SHUTDOWN
SYSTEM STOP MERGES
SYSTEM DROP MARK CACHE
KILL QUERY WHERE 1
KILL MUTATION WHERE 1
INSERT INTO system.one VALUES (1)
""".strip().splitlines()


@pytest.mark.parametrize("sql", WRITES)
def test_nothing_is_written(store: ThreadedStore, folder: Path, sql: str) -> None:
    assert_refused(store.analyst(fill(sql, folder)))
    assert not (folder / "out").exists()
    assert store.value("SELECT count(), sum(a) FROM t") == "100\t4950"


LIFTS = """
SET readonly = 0
SET max_execution_time = 0
SET ROLE writer
SET ROLE ALL
SET ROLE NONE
SET DEFAULT ROLE writer TO default
USE system
EXECUTE AS default SELECT 1
BEGIN TRANSACTION
SELECT 1 SETTINGS readonly = 0
SELECT 1 SETTINGS readonly = 2
SELECT 1 SETTINGS max_execution_time = 100
SELECT 1 SETTINGS max_memory_usage = 0
SELECT 1 SETTINGS allow_introspection_functions = 1
SELECT * FROM (SELECT 1 SETTINGS readonly = 0)
SELECT * FROM (SELECT 1 SETTINGS max_execution_time = 0)
SELECT 1 SETTINGS max_threads = 1
EXPLAIN SELECT 1 SETTINGS readonly = 0
SELECT * FROM t SETTINGS format_schema = 'SECRET'
""".strip().splitlines()


@pytest.mark.parametrize("sql", LIFTS)
def test_no_limit_is_lifted_in_the_query(store: ThreadedStore, sql: str) -> None:
    assert_refused(store.analyst(sql))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("readonly", 0),
        ("allow_introspection_functions", 1),
        ("allow_experimental_eval_table_function", 1),
        ("format_schema", "x"),
        ("output_format_schema", "/tmp/x"),
        ("format_template_row", "/etc/passwd"),
        ("additional_result_filter", "file('/etc/passwd') = ''"),
        ("additional_table_filters", "{'t': 'file(\\'/etc/passwd\\')'}"),
        ("max_rows_to_read_leaf", 0),
        ("timeout_overflow_mode", "break"),
        ("dialect", "prql"),
        ("max_bytes_before_external_group_by", 0),
        ("implicit_select", 1),
        ("workload", "x"),
    ],
)
def test_no_limit_is_lifted_in_the_url(store: ThreadedStore, name: str, value: object) -> None:
    assert_refused(store.analyst("SELECT 1", **{name: value}), 164)


def test_two_statements_are_refused(store: ThreadedStore) -> None:
    assert_refused(store.analyst("SELECT 1; SELECT 2"), 62)
    assert_refused(store.analyst("SELECT 1; SET ROLE writer"), 62, 164)
    assert_refused(store.analyst("SELECT 1 PARALLEL WITH SELECT 2"), 62)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM private.secret",
        "SELECT * FROM callboard.peek",
        "SELECT * FROM merge('private', '.*')",
        "SELECT * FROM mergeTreeIndex('private', 'secret')",
        "SELECT * FROM loop('private', 'secret') LIMIT 1",
        "SELECT 'x' IN private.secret",
        "SELECT * FROM {db:Identifier}.{name:Identifier}",
        "SHOW CREATE TABLE private.secret",
        "DESCRIBE private.secret",
        "EXPLAIN SELECT * FROM private.secret",
        "SELECT * FROM view(SELECT * FROM private.secret)",
    ],
)
def test_other_databases_are_closed(store: ThreadedStore, sql: str) -> None:
    assert_refused(store.analyst(sql, param_db="private", param_name="secret"), 497)


def test_another_database_cannot_be_the_current_one(store: ThreadedStore) -> None:
    assert_refused(store.analyst("SELECT * FROM secret", database="private"), 497)
    assert_refused(store.analyst("SELECT * FROM stack_trace", database="system"), 497)


def test_names_of_other_databases_are_not_shown(store: ThreadedStore) -> None:
    for sql in ("SHOW DATABASES", "SELECT database, name FROM system.tables"):
        reply = store.analyst(sql)
        assert reply.status == 200
        assert "private" not in reply.text


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM system.stack_trace",
        "SELECT * FROM `system`.`stack_trace`",
        "SELECT * FROM SYSTEM.STACK_TRACE",
        "SELECT 1 IN system.processes",
        "SELECT * FROM system.{name:Identifier}",
        "SELECT * FROM {db:Identifier}.{name:Identifier}",
        "SELECT * FROM {full:Identifier}",
        "SELECT query FROM system.processes",
        "SELECT * FROM system.server_settings",
        "SELECT * FROM system.users",
        "SELECT * FROM system.grants",
        "SELECT * FROM system.disks",
        "SELECT * FROM merge(system, 'stack')",
    ],
)
def test_system_tables_about_the_process_are_closed(store: ThreadedStore, sql: str) -> None:
    names = {"param_db": "system", "param_name": "stack_trace", "param_full": "system.stack_trace"}
    assert_refused(store.analyst(sql, **names), 497, 60)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT count() FROM t",
        "SELECT * FROM callboard.v(least=90)",
        "SELECT total FROM v(least={n:UInt64})",
        "SELECT * FROM {name:Identifier} LIMIT 1",
        "SELECT a, s AS file_name FROM t WHERE s = 'file' OR s LIKE 'python(%'",
        "WITH x AS (SELECT a FROM t) SELECT max(a) FROM x",
        "SELECT s, sum(a) OVER (ORDER BY a ROWS BETWEEN 3 PRECEDING AND CURRENT ROW) FROM t",
        "SELECT quantile(0.5)(a), uniq(s), groupArray(3)(a) FROM t GROUP BY ALL",
        "SELECT a FROM t ARRAY JOIN [1, 2] AS x WHERE NOT (a IN (SELECT 1)) LIMIT 1 BY a",
        "SELECT * EXCEPT (s) APPLY(x -> x + 1) FROM t ORDER BY a DESC LIMIT 5 WITH TIES",
        "SELECT toStartOfInterval(now(), INTERVAL 5 MINUTE) - INTERVAL 1 HOUR, now64(3)::String",
        "SELECT count() FROM t AS l LEFT JOIN t AS r USING (a) WHERE l.a BETWEEN 1 AND 5",
        "SELECT number FROM numbers(3) UNION ALL SELECT * FROM generate_series(1, 3)",
        "SELECT if(a > 1, 'x', 'y'), multiIf(a = 1, 2, 3), CASE WHEN a > 1 THEN 1 END FROM t",
        "SELECT a > 1 ? 1 : 2, NOT (a = 1), -(a), a NOT IN (1), s IS NOT NULL FROM t",
        "SELECT 18446744073709551615, -1, 1e10, 'it''s', [1, 2][1], map('k', 1)['k'], (1, 'a').2",
        "SELECT grouping(s), count() FROM t GROUP BY GROUPING SETS ((s), ())",
        "SELECT 1 FORMAT JSONCompact",
        "SELECT 1;",
        "-- a comment\nSELECT 1 /* and another */",
        "(SELECT 1) UNION DISTINCT (SELECT 2)",
        "EXPLAIN SELECT * FROM t",
        "EXPLAIN indexes = 1 SELECT * FROM t WHERE a = 1",
        "DESCRIBE t",
        "DESC TABLE callboard.t",
        "EXISTS TABLE t",
        "SHOW TABLES",
        "SHOW TABLES LIKE 't%'",
        "SHOW COLUMNS FROM t",
        "SHOW CREATE TABLE callboard.t",
        "SELECT name, type, comment FROM system.columns WHERE database = 'callboard'",
        "SELECT * FROM information_schema.tables",
        "SELECT name, value, readonly FROM system.settings LIMIT 1",
        "SELECT name FROM system.functions LIMIT 1",
    ],
)
def test_reading_the_database_is_allowed(store: ThreadedStore, sql: str) -> None:
    reply = store.analyst(sql, param_n=90, param_name="t")
    assert reply.status == 200, reply.text


def test_harmless_settings_may_be_given_in_the_url(store: ThreadedStore) -> None:
    reply = store.analyst("SELECT getSetting('max_threads')", max_threads=1, extremes=0)
    assert reply.text == "1\n"
    quoted = {"output_format_json_quote_64bit_integers": 1}
    assert '"1"' in store.analyst("SELECT toUInt64(1) FORMAT JSONEachRow", **quoted).text


def test_a_limit_may_be_lowered_and_never_raised(store: ThreadedStore) -> None:
    limit = "SELECT getSetting('max_execution_time'), getSetting('max_result_rows')"
    assert store.analyst(limit).text == "10\t10000\n"
    lower = {"max_execution_time": 2, "max_result_rows": 5}
    assert store.analyst(limit, **lower).text == "2\t5\n"
    for value in (0, -1, 1_000_000, "x"):
        higher = {"max_execution_time": value, "max_result_rows": value}
        assert store.analyst(limit, **higher).text == "10\t10000\n"


def test_too_many_rows_are_refused(store: Address) -> None:
    assert_refused(store.analyst("SELECT number FROM numbers(100000)"), 396)
    assert_refused(store.analyst("SELECT repeat('x', 10000) FROM numbers(1000)"), 396)
    assert store.analyst("SELECT number FROM numbers(10000)").status == 200


def test_too_much_memory_is_refused(store: Address) -> None:
    assert_refused(store.analyst("SELECT length(groupArray(number)) FROM numbers(1e9)"), 241)
    assert store.analyst("SELECT 1").status == 200


def test_a_longer_query_than_allowed_is_refused(store: Address) -> None:
    reply = store.analyst("SELECT '" + "x" * 300_000 + "'")
    assert (reply.status, reply.code) == (413, 229)


def test_what_the_stores_tables_are_called_is_no_way_around(store: ThreadedStore) -> None:
    store.do("CREATE VIEW numbers_of AS SELECT {x:UInt8} AS n")
    assert store.analyst("SELECT n FROM numbers_of(x=3)").text == "3\n"
    assert_refused(store.analyst("SELECT * FROM callboard.file('x')"), 497, 46, 60)
    assert_refused(store.analyst("SELECT * FROM callboard.url('x')"), 497, 46, 60)
