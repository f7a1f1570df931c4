"""A disk that fills: the engine says that it has written what it has not, the store does not.

A limit on the size of files makes writes fail as a full disk or a used-up quota does, and can be
taken away again. It falls on the engine alone where the disk is to fill in the middle of an insert.
"""

from __future__ import annotations

import resource
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from sinks.clickhouse.local import process as engine_process
from sinks.clickhouse.local.disk import Disk, broken_parts
from tests.ports import free_port
from tests.programs import children
from tests.sinks.clickhouse.local_store import (
    Address,
    Reply,
    StoreProcess,
    ThreadedStore,
    process,
    threaded,
)

TABLE = (
    "CREATE TABLE IF NOT EXISTS t (n UInt64, version UInt64) "
    "ENGINE = ReplacingMergeTree(version) ORDER BY n "
    "SETTINGS non_replicated_deduplication_window = 1000"
)
NOT_ENOUGH_SPACE = 243
FULL = 1
ROWS = 500


def limit(pids: list[int], size: int = resource.RLIM_INFINITY) -> None:
    for pid in pids:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def insert(store: Address, number: int) -> Reply:
    rows = b"".join(b"%d,1\n" % (number * ROWS + n) for n in range(ROWS))
    token = f"batch {number}"
    return store.ask(rows, query="INSERT INTO t FORMAT CSV", insert_deduplication_token=token)


def rows(store: Address) -> int:
    return int(store.value("SELECT sum(version) FROM t FINAL"))


def disk_says(
    store: ThreadedStore, monkeypatch: pytest.MonkeyPatch, refusal: Callable[[], str]
) -> None:
    """Answer for the disk of this store alone: stores of other tests in this process look too."""
    monkeypatch.setattr(store.store.engine._disk, "refuses", lambda _body_bytes: refusal())


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def store(tmp_path: Path, port: int) -> Iterator[StoreProcess]:
    with process(tmp_path, port) as running:
        running.do(TABLE)
        yield running


def test_inserts_are_refused_while_the_disk_is_full_and_taken_afterwards(
    store: StoreProcess, tmp_path: Path, port: int
) -> None:
    assert insert(store, 0).status == 200
    everybody = [store.process.pid, *children(store.process.pid)]
    limit(everybody, FULL)
    for _ in range(2):
        assert insert(store, 1).code == NOT_ENOUGH_SPACE
    assert store.ask("SELECT 1").status == 200
    limit([store.process.pid, *children(store.process.pid)])
    assert insert(store, 1).status == 200
    assert insert(store, 1).status == 200
    assert rows(store) == 2 * ROWS
    store.process.send_signal(signal.SIGKILL)
    store.process.wait()
    with process(tmp_path, port) as again:
        assert rows(again) == 2 * ROWS


def test_an_insert_in_whose_middle_the_disk_fills_is_refused_and_written_when_sent_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals = iter(["", "No space left on device"])
    # The store also looks by itself, as often as time goes by: here only inserts are to ask.
    monkeypatch.setattr(engine_process, "LOOK_S", 3600.0)
    with threaded(tmp_path) as store:
        disk_says(store, monkeypatch, lambda: next(refusals, ""))
        store.do(TABLE)
        limit([store.store.engine.pid], FULL)
        assert insert(store, 0).code == NOT_ENOUGH_SPACE
        assert insert(store, 0).status == 200
        assert rows(store) == ROWS


def test_an_engine_that_ran_while_the_disk_was_full_is_replaced_before_the_next_insert(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A merge may have met it, and what was merged is kept only for a while."""
    full = threading.Event()
    with threaded(tmp_path) as store:
        disk_says(store, monkeypatch, lambda: "full" if full.is_set() else "")
        store.do(TABLE)
        for number in range(3):
            assert insert(store, number).status == 200
        engine = store.store.engine
        full.set()
        limit([engine.pid], FULL)
        store.ask("OPTIMIZE TABLE t FINAL")
        deadline = time.monotonic() + 60
        while not engine._doubtful and time.monotonic() < deadline:
            time.sleep(0.05)
        full.clear()
        assert insert(store, 3).status == 200
        assert engine.restarts == 1
        assert rows(store) == 4 * ROWS


def test_a_store_killed_right_after_such_an_insert_takes_it_again(
    store: StoreProcess, tmp_path: Path, port: int
) -> None:
    """Nobody could note anything on the full disk: the broken part itself tells."""
    limit(children(store.process.pid), FULL)
    insert(store, 0)
    store.process.send_signal(signal.SIGKILL)
    store.process.wait()
    with process(tmp_path, port) as again:
        assert broken_parts(tmp_path / "store")
        assert insert(again, 0).status == 200
        assert rows(again) == ROWS


def test_a_quota_is_asked_and_not_what_is_said_to_be_free(tmp_path: Path) -> None:
    disk = Disk(tmp_path)
    assert disk.refuses(10) == ""
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) == 0
    assert Disk(tmp_path / "absent").refuses(10) == "No such file or directory"
