"""Slow queries: they end at their limit, hold up no insert for longer, and wait in a queue."""

import http.client
import re
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from sinks.clickhouse.local import Limits
from sinks.clickhouse.local.turns import Turn
from tests.sinks.clickhouse.local_store import PASSWORDS, Reply, ThreadedStore, threaded

LIMIT_S = 1.0
# What a busy machine may add; without their limit these queries would run for hours.
SLACK_S = 60.0

ENDLESS = "SELECT count() FROM numbers(1000000000000)"

# One function on one block: the engine asks for limits only between blocks.
DEAF = (
    "SELECT editDistance(repeat('ab', 32000), concat(repeat('ba', 32000), toString(number)))"
    " FROM numbers(1000)"
)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ThreadedStore]:
    # A busy machine takes its time to tell an honest query to stop: it is not to be killed.
    limits = Limits(analyst_s=LIMIT_S, analyst_queue=8, writer_s=300, kill_grace_s=SLACK_S)
    with threaded(tmp_path_factory.mktemp("store"), limits) as running:
        running.do("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
        yield running


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(32) as threads:
        yield threads


def timed(work: Callable[[], Reply]) -> tuple[Reply, float]:
    began = time.monotonic()
    return work(), time.monotonic() - began


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 180
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def wait_until_busy(store: ThreadedStore) -> None:
    wait_until(lambda: store.store.turns.running is not None)


@contextmanager
def held(store: ThreadedStore) -> Iterator[None]:
    """The engine works on something until the block ends: its client hangs up then."""
    connection = ask_and_leave_open(store, ENDLESS)
    wait_until_busy(store)
    try:
        yield
    finally:
        connection.close()


def ask_and_leave_open(store: ThreadedStore, statement: str) -> http.client.HTTPConnection:
    login = b64encode(f"writer:{PASSWORDS['writer']}".encode()).decode()
    connection = http.client.HTTPConnection("127.0.0.1", store.port, timeout=60)
    connection.request("POST", "/", statement, {"Authorization": f"Basic {login}"})
    return connection


@pytest.mark.parametrize(
    "sql",
    [
        ENDLESS,
        "SELECT sleepEachRow(0.5) FROM numbers(60)",
        "SELECT sleep(3) FROM numbers(10)",
        "SELECT uniqExact(sipHash64(number, a.number)) % 7 FROM numbers(1e6) AS a "
        "JOIN numbers(1e6) AS b ON a.number % 3 = b.number % 3",
        "SELECT count() FROM numbers(1000000) AS a, numbers(1000000) AS b, numbers(1000) AS c",
    ],
)
def test_a_slow_query_ends_at_its_limit(store: ThreadedStore, sql: str) -> None:
    restarts = store.store.engine.restarts
    reply, took = timed(lambda: store.analyst(sql))
    assert reply.code in (159, 241, 160), reply.text
    assert took < LIMIT_S + SLACK_S
    assert store.store.engine.restarts == restarts


def test_a_query_that_hears_no_limit_is_killed_and_the_store_goes_on(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    limits = Limits(analyst_s=LIMIT_S, kill_grace_s=0.3)
    with threaded(tmp_path_factory.mktemp("strict"), limits) as strict:
        strict.do("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
        strict.do("INSERT INTO t VALUES (42)")
        reply, took = timed(lambda: strict.analyst(DEAF))
        assert (reply.status, reply.code) == (408, 159)
        assert "did not stop" in reply.text
        assert took < LIMIT_S + SLACK_S
        assert strict.store.engine.restarts == 1
        assert strict.value("SELECT count() FROM t WHERE a = 42") == "1"
        assert strict.get("ping").status == 200


def test_a_slow_analyst_holds_up_no_insert_for_longer_than_the_limit(
    store: ThreadedStore, pool: ThreadPoolExecutor
) -> None:
    """Without its limit they would wait for hours; those behind it have their turn after them."""
    store.do("TRUNCATE TABLE t")
    analysts = [pool.submit(store.analyst, ENDLESS) for _ in range(2)]
    wait_until_busy(store)
    insert = "INSERT INTO t FORMAT CSV\n{}\n"
    inserts = [pool.submit(store.ask, insert.format(n)) for n in range(5)]
    for done in inserts:
        assert done.result(120).status == 200
    assert [analyst.result(120).code for analyst in analysts] == [159] * 2
    assert store.value("SELECT count() FROM t") == "5"


def test_inserts_pass_the_waiting_analysts(store: ThreadedStore, pool: ThreadPoolExecutor) -> None:
    done: list[str] = []

    def note(name: str, sql: str, user: str) -> None:
        reply = store.ask(sql, user)
        assert reply.status == 200, reply.text
        done.append(name)

    turns = store.store.turns
    tasks: list[Future[None]] = []
    with held(store):
        for n in range(3):
            tasks.append(pool.submit(note, f"analyst {n}", "SELECT sleep(0.2)", "analyst"))
        wait_until(lambda: turns.waiting(Turn.ANALYST) == 3)
        tasks.append(pool.submit(note, "insert", "INSERT INTO t VALUES (1)", "writer"))
        wait_until(lambda: turns.waiting(Turn.INSERT) == 1)
    for task in tasks:
        task.result(120)
    assert done[0] == "insert"


def test_eight_wait_and_the_ninth_comes_back_later(
    store: ThreadedStore, pool: ThreadPoolExecutor
) -> None:
    with held(store):
        asked = [pool.submit(store.analyst, f"SELECT {n}") for n in range(12)]
        wait_until(lambda: sum(task.done() for task in asked) == 4)
    replies = [task.result(120) for task in asked]
    refused = [reply for reply in replies if reply.status == 503]
    assert len(refused) == 4
    assert {reply.code for reply in refused} == {202}
    assert {reply.headers["Retry-After"] for reply in refused} == {str(int(LIMIT_S))}
    assert sorted(reply.status for reply in replies) == [200] * 8 + [503] * 4


def test_who_hangs_up_stops_the_query(store: ThreadedStore) -> None:
    with held(store):
        pass
    # It would have run for the writer's limit of five minutes; `ask` waits for one.
    assert store.ask("SELECT 1").text == "1\n"


def test_who_hangs_up_stops_nobody_elses_query(store: ThreadedStore) -> None:
    """The wish to stop may come when the query has just ended and the next one runs."""
    for n in range(200):
        connection = ask_and_leave_open(store, "SELECT sleep(0.005)")
        time.sleep(0.004 + n % 20 * 0.0002)
        connection.close()
        reply = store.ask("SELECT sleep(0.001)")
        assert reply.status == 200, reply.text


def test_an_insert_that_began_is_finished_when_its_client_is_gone(store: ThreadedStore) -> None:
    store.do(
        "CREATE OR REPLACE TABLE slow (a UInt64, b UInt64 MATERIALIZED sleep(1) + a) "
        "ENGINE = MergeTree ORDER BY a"
    )
    connection = ask_and_leave_open(store, "INSERT INTO slow FORMAT CSV\n7\n")
    wait_until_busy(store)
    connection.close()
    assert store.value("SELECT a FROM slow") == "7"


def test_a_body_beyond_the_limit_is_refused(tmp_path_factory: pytest.TempPathFactory) -> None:
    limits = Limits(body_bytes=1_000_000)
    with threaded(tmp_path_factory.mktemp("small"), limits) as small:
        small.do("CREATE TABLE t (a UInt64) ENGINE = MergeTree ORDER BY a")
        reply = small.ask(b"1\n" * 600_000, query="INSERT INTO t FORMAT CSV")
        assert (reply.status, reply.code) == (413, 229)
        assert small.ask(b"1\n" * 400_000, query="INSERT INTO t FORMAT CSV").status == 200


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_engines_memory_is_bounded(store: ThreadedStore) -> None:
    peak = [0]
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.02):
            peak[0] = max(peak[0], own_memory(store.store.engine.pid))

    watcher = threading.Thread(target=watch)
    watcher.start()
    for sql in (
        "SELECT length(groupArray(number)) FROM numbers(1e9)",
        "SELECT uniqExact(number) FROM numbers(1e9)",
        "SELECT number FROM numbers(1e9) ORDER BY sipHash64(number) LIMIT 1e8",
        "SELECT repeat('x', 1000000) FROM numbers(1000)",
    ):
        assert store.analyst(sql).status >= 400
    stop.set()
    watcher.join()
    assert store.get("ping").status == 200
    assert peak[0] < Limits().server_memory_bytes + 300 * 1024 * 1024


def own_memory(pid: int) -> int:
    """Bytes a process holds itself, without the pages of its file that the kernel maps."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.findall(r"RssAnon:\s+(\d+) kB", status)[0]) * 1024
