"""`callboard store` as a process: killed at any moment, stopped, started twice."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import urllib3

from sinks.clickhouse.local import Limits
from sinks.clickhouse.local.turns import Turn
from tests.ports import free_port
from tests.programs import children
from tests.sinks.clickhouse.local_store import (
    ROOT,
    Reply,
    StoreProcess,
    ThreadedStore,
    process,
    threaded,
)

TABLE = (
    "CREATE TABLE IF NOT EXISTS t (batch UInt64, n UInt64) ENGINE = MergeTree ORDER BY (batch, n) "
    "SETTINGS non_replicated_deduplication_window = 1000"
)
ROWS = 2000


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def store(tmp_path: Path, port: int) -> Iterator[StoreProcess]:
    """A store that a test may end."""
    with process(tmp_path, port) as running:
        running.do(TABLE)
        yield running


@pytest.fixture(scope="module")
def lasting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StoreProcess]:
    """A store that the tests leave running."""
    with process(tmp_path_factory.mktemp("data"), free_port()) as running:
        running.do(TABLE)
        yield running


@pytest.fixture(autouse=True)
def empty(request: pytest.FixtureRequest) -> None:
    if "lasting" in request.fixturenames:
        request.getfixturevalue("lasting").do("TRUNCATE TABLE t")


def batch(number: int) -> bytes:
    return b"".join(b"%d,%d\n" % (number, n) for n in range(ROWS))


def insert(store: StoreProcess, number: int) -> bool:
    """Whether the store said that it has the batch."""
    try:
        reply = store.ask(
            batch(number),
            query="INSERT INTO t FORMAT CSV",
            insert_deduplication_token=f"batch {number}",
        )
    except urllib3.exceptions.HTTPError:
        return False
    return reply.status == 200


def engine_of(store: StoreProcess) -> int:
    """Process id of the engine behind a store."""
    (child,) = children(store.process.pid)
    return child


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def counts(store: StoreProcess) -> dict[int, int]:
    reply = store.ask("SELECT batch, count() FROM t GROUP BY batch FORMAT TSV")
    assert reply.status == 200, reply.text
    return {int(b): int(n) for b, n in (line.split("\t") for line in reply.text.splitlines())}


def test_what_was_answered_is_there_after_kill_9(tmp_path: Path, port: int) -> None:
    """Inserts in a row, killed in the middle, thrice; then every batch once more, as a retry."""
    answered: set[int] = set()
    number = 0
    for _ in range(3):
        with process(tmp_path, port) as store:
            store.do(TABLE)
            assert {b for b, n in counts(store).items() if n == ROWS} >= answered
            killer = threading.Timer(0.2, store.process.send_signal, (signal.SIGKILL,))
            enough = len(answered) + 3
            while store.process.poll() is None:
                number += 1
                if insert(store, number):
                    answered.add(number)
                if len(answered) == enough and not killer.is_alive():
                    killer.start()
                    enough = -1
            killer.join()
    assert len(answered) >= 9
    with process(tmp_path, port) as store:
        found = counts(store)
        assert answered <= found.keys()
        assert set(found.values()) == {ROWS}, "a batch landed in part"
        for again in range(1, number + 1):
            assert insert(store, again)
        assert counts(store) == dict.fromkeys(range(1, number + 1), ROWS)


def test_the_engine_dies_with_its_server(store: StoreProcess) -> None:
    engine = engine_of(store)
    assert is_alive(engine)
    store.process.kill()
    wait_until(lambda: not is_alive(engine))


def test_the_engine_is_replaced_when_it_is_killed(lasting: StoreProcess) -> None:
    assert insert(lasting, 1)
    first = engine_of(lasting)
    os.kill(first, signal.SIGKILL)
    if not insert(lasting, 2):  # it may have met the dying engine: then the sink tries again
        assert insert(lasting, 2)
    assert counts(lasting) == {1: ROWS, 2: ROWS}
    assert engine_of(lasting) != first


def test_an_engine_killed_during_a_query_is_an_error_for_that_one_only(tmp_path: Path) -> None:
    with threaded(tmp_path) as store, ThreadPoolExecutor(1) as pool:
        asked = asking(store, pool, "SELECT sleep(3)", "analyst")
        os.kill(store.store.engine.pid, signal.SIGKILL)
        reply = asked.result(60)
        assert (reply.status, reply.code) == (503, 236)
        assert store.analyst("SELECT 1").text == "1\n"


def asking(store: ThreadedStore, pool: ThreadPoolExecutor, sql: str, user: str) -> Future[Reply]:
    """Ask something of a store that has nothing to do; at the end its engine works on it."""
    engine = store.store.engine
    before = engine._commands
    asked = pool.submit(store.ask, sql, user)
    wait_until(lambda: engine._commands > before)
    return asked


def wait_until(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 180
    while not happened():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_sigterm_stops_it_and_its_engine(store: StoreProcess) -> None:
    engine = engine_of(store)
    store.process.terminate()
    assert store.process.wait(60) == 0
    assert not is_alive(engine)


def test_a_stop_refuses_a_query_that_waits_and_finishes_an_insert(tmp_path: Path) -> None:
    with threaded(tmp_path, Limits(stop_s=60)) as store, ThreadPoolExecutor(2) as pool:
        store.do(
            "CREATE TABLE slow (a UInt64, b UInt64 MATERIALIZED sleep(1) + a) "
            "ENGINE = MergeTree ORDER BY a"
        )
        inserted = asking(store, pool, "INSERT INTO slow VALUES (7)", "writer")
        asked = pool.submit(store.analyst, "SELECT sleep(3)")
        wait_until(lambda: store.store.turns.waiting(Turn.ANALYST) == 1 or inserted.done())
        store.stop()
        assert (inserted.result(60).status, asked.result(60).status) == (200, 503)


def test_a_stop_cancels_a_query(tmp_path: Path) -> None:
    with (
        threaded(tmp_path, Limits(analyst_s=600, stop_s=60)) as store,
        ThreadPoolExecutor(1) as pool,
    ):
        endless = "SELECT count() FROM numbers(1000000000000)"
        asked = asking(store, pool, endless, "analyst")
        store.stop()
        assert asked.result(60).status != 200


def test_a_deaf_query_does_not_keep_it_from_stopping(store: StoreProcess) -> None:
    deaf = (
        "SELECT editDistance(repeat('ab', 32000), concat(repeat('ba', 32000), toString(number)))"
        " FROM numbers(1000)"
    )

    def ask() -> None:
        try:
            store.analyst(deaf)
        except urllib3.exceptions.HTTPError:
            return

    thread = threading.Thread(target=ask)
    thread.start()
    time.sleep(0.5)
    engine = engine_of(store)
    store.process.terminate()
    assert store.process.wait(60) == 0
    thread.join()
    assert not is_alive(engine)


def test_a_second_store_on_the_same_data_says_who_has_them(
    lasting: StoreProcess,
) -> None:
    second = StoreProcess(lasting.data_dir, free_port())
    try:
        assert second.process.wait(60) == 1
        output = second.output()
    finally:
        second.end()
    assert f"{lasting.data_dir / 'store'} is in use by process {lasting.process.pid}" in output
    assert "Traceback" not in output
    assert insert(lasting, 1)


def test_a_taken_port_is_a_clear_error(lasting: StoreProcess, tmp_path: Path) -> None:
    second = StoreProcess(tmp_path / "other", lasting.port)
    try:
        assert second.process.wait(60) == 1
        output = second.output()
    finally:
        second.end()
    assert "Address already in use" in output
    assert str(lasting.port) in output
    assert "Traceback" not in output


def test_a_data_directory_may_be_called_anything(tmp_path: Path) -> None:
    odd = tmp_path / "a dir?with=odd&signs 100% 'x' ü *"
    for number in (1, 2):
        with threaded(odd) as store:
            store.do("CREATE TABLE IF NOT EXISTS t (a UInt64) ENGINE = MergeTree ORDER BY a")
            store.do(f"INSERT INTO t VALUES ({number})")
            assert store.value("SELECT count() FROM t") == str(number)


def test_sigterm_during_the_start_ends_it(tmp_path: Path, port: int) -> None:
    for pause in (0.3, 0.8):
        store = StoreProcess(tmp_path, port)
        try:
            time.sleep(pause)
            store.process.terminate()
            store.process.wait(60)
        finally:
            store.end()
    with process(tmp_path, port) as again:
        again.do(TABLE)


def test_an_engine_whose_server_is_killed_while_it_starts_ends(tmp_path: Path, port: int) -> None:
    """Also where it learns so by its first word, before it has begun to listen for the end."""
    with process(tmp_path, port) as store:
        store.do(TABLE)
        assert insert(store, 1)
    ends = [socket.socketpair() for _ in range(2)]
    theirs = [pair[1].fileno() for pair in ends]
    code = (
        "import sys; from sinks.clickhouse.local import engine_process;"
        "engine_process._obey = lambda current, wishes: None; engine_process.main(sys.argv[1:])"
    )
    engine = subprocess.Popen(
        [sys.executable, "-c", code, "callboard", *map(str, theirs)],
        cwd=tmp_path / "store",
        env={**os.environ, "TZ": "UTC", "PYTHONPATH": str(ROOT)},
        pass_fds=theirs,
    )
    for pair in ends:
        pair[0].close()
        pair[1].close()
    try:
        engine.wait(60)
    finally:
        engine.kill()
        engine.wait()
