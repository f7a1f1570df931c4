"""The writer: the same rows under the same token until they are in, and bad rows out of the way."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import generate_latest

from schemas.config import Config
from sinks.clickhouse.batch import Batch
from sinks.clickhouse.metrics import SinkMetrics
from sinks.clickhouse.tables import PROGRESS
from sinks.clickhouse.writer import HttpStore, Refused, Stopped, Unavailable, Writer
from tests.sinks.clickhouse.store import Database, Server, database, record, running, write_batch
from tests.sinks.clickhouse.test_batch import T, decline


class ScriptedStore:
    """A store that fails as told, then takes everything; it notes each insert."""

    def __init__(self, *failures: Exception | None, bad: bytes = b"\0") -> None:
        self.tries: list[tuple[str, bytes, str]] = []
        self.taken: list[tuple[str, bytes, str]] = []
        self._failures = list(failures)
        self._bad = bad

    async def insert(self, table: str, body: bytes, token: str) -> None:
        self.tries.append((table, body, token))
        failure = self._failures.pop(0) if self._failures else None
        if failure is not None:
            raise failure
        if self._bad in body:
            raise Refused("it does not parse")
        self.taken.append((table, body, token))


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sinks.clickhouse.writer.FIRST_PAUSE_S", 0.001)
    monkeypatch.setattr("sinks.clickhouse.writer.LONGEST_PAUSE_S", 0.02)


def batch_of(*rows: dict[str, Any], version: int = 1, first: int = 0) -> Batch:
    batch = Batch(partition=0)
    batch.add(first, record({"declines": list(rows)}, at=T, version=version))
    return batch


def contacts(db: Database) -> list[str]:
    return [row["contact"] for row in db.rows("SELECT contact FROM declines ORDER BY contact")]


# --- with a store that fails as told ---


async def test_an_outage_is_waited_out_with_the_same_rows_under_the_same_token() -> None:
    store = ScriptedStore(*[Unavailable("away")] * 12)
    metrics = SinkMetrics()
    writer = Writer(store, metrics, lambda: False)
    assert await writer.write(batch_of(decline("a"), decline("b"))) == []
    assert len(set(store.tries[:13])) == 1
    assert [table for table, _, _ in store.taken] == ["declines", PROGRESS]
    assert writer.failing_since is None
    shown = generate_latest(metrics.registry).decode()
    assert "callboard_sink_insert_retries_total 12.0" in shown
    assert 'callboard_sink_rows_inserted_total{table="declines"} 2.0' in shown


async def test_while_the_store_is_away_the_writer_knows_since_when() -> None:
    seen: list[float | None] = []
    store = ScriptedStore(*[Unavailable("away")] * 3)
    writer = Writer(store, SinkMetrics(), lambda: bool(seen.append(writer.failing_since)))
    await writer.write(batch_of(decline("a")))
    assert seen[0] is None
    assert len(set(seen[1:4]) - {None}) == 1


async def test_a_writer_that_is_stopped_gives_up_without_writing_the_progress() -> None:
    tries = iter(range(10))
    store = ScriptedStore(*[Unavailable("away")] * 100)
    writer = Writer(store, SinkMetrics(), lambda: next(tries, 10) >= 5)
    with pytest.raises(Stopped):
        await writer.write(batch_of(decline("a")))
    assert store.taken == []


async def test_the_bad_rows_of_a_batch_are_found_and_all_others_written() -> None:
    rows = [decline(f"bad{n}" if n in (3, 4, 11) else f"good{n:02d}") for n in range(20)]
    store = ScriptedStore(bad=b'"bad')
    refused = await Writer(store, SinkMetrics(), lambda: False).write(batch_of(*rows))
    assert [b'"bad' in row.payload for row in refused] == [True] * 3
    assert {row.field for row in refused} == {"declines"}
    assert "it does not parse" in refused[0].detail
    taken = b"\n".join(body for table, body, _ in store.taken if table == "declines")
    assert len(taken.splitlines()) == 17
    tokens = [token for _, _, token in store.taken]
    assert len(set(tokens)) == len(tokens)
    assert store.taken[-1][0] == PROGRESS


async def test_halves_have_the_same_tokens_at_every_try() -> None:
    rows = [decline("bad" if n == 2 else f"good{n}") for n in range(5)]
    one, two = ScriptedStore(bad=b'"bad'), ScriptedStore(bad=b'"bad')
    for store in (one, two):
        await Writer(store, SinkMetrics(), lambda: False).write(batch_of(*rows))
    assert one.tries == two.tries


# --- with the store itself ---


def test_a_batch_written_again_after_a_lost_answer_is_taken_once(db: Database) -> None:
    batch = batch_of(decline("a"), decline("b"))
    for _ in range(3):
        assert asyncio.run(write_batch(db.config(), batch)) == []
    assert contacts(db) == ["a", "b"]


def test_the_same_rows_cut_into_other_batches_count_once_in_the_views(db: Database) -> None:
    rows = [decline("a"), decline("b"), decline("c")]
    batch = batch_of(*rows, first=100)
    asyncio.run(write_batch(db.config(), batch))
    for number, row in enumerate(rows):
        asyncio.run(write_batch(db.config(), batch_of(row, first=200 + number)))
    assert len(contacts(db)) >= 3
    assert db.value("SELECT count() FROM contact_declines") == 3


def test_a_token_of_another_epoch_is_another_batch(db: Database) -> None:
    asyncio.run(write_batch(db.config(), batch_of(decline("a"), version=(1 << 40) + 5)))
    asyncio.run(write_batch(db.config(), batch_of(decline("b"), version=(2 << 40) + 5)))
    assert contacts(db) == ["a", "b"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"channel": "pigeon"},
        {"ordinal": "many"},
        {"is_deleted": "perhaps"},
        {"reason": {"why": "no"}},
    ],
)
def test_the_store_refuses_a_bad_row_and_takes_its_neighbours(
    db: Database, wrong: dict[str, Any]
) -> None:
    rows = [decline("a"), decline("b", **wrong), decline("c"), decline("d")]
    (refused,) = asyncio.run(write_batch(db.config(), batch_of(*rows, first=300)))
    assert b'"b"' in refused.payload
    assert contacts(db) == ["a", "c", "d"]
    assert db.value("SELECT count() FROM progress") == 1


async def test_a_table_that_is_missing_is_an_outage_and_no_bad_row(clickhouse: Server) -> None:
    store = HttpStore(clickhouse.config(clickhouse_database="not_migrated_yet"))
    with pytest.raises(Unavailable):
        await store.insert("visits", b'{"site":"s"}', "t")
    await store.close()


def test_a_column_that_is_missing_is_an_outage_and_no_bad_row(clickhouse: Server) -> None:
    with database(clickhouse) as old:
        old.command("ALTER TABLE declines DROP COLUMN reason")
        store = HttpStore(old.config())
        with pytest.raises(Unavailable, match="reason"):
            asyncio.run(
                store.insert("declines", batch_of(decline()).tables["declines"].body(), "t")
            )


async def test_nobody_at_the_address_is_an_outage() -> None:
    store = HttpStore(Config(clickhouse_url="http://127.0.0.1:9"))
    with pytest.raises(Unavailable):
        await store.insert("visits", b"{}", "t")


async def test_a_wrong_password_is_an_outage_that_says_so(clickhouse: Server) -> None:
    store = HttpStore(clickhouse.config(clickhouse_password="guess"))
    with pytest.raises(Unavailable, match="Authentication failed"):
        await store.insert("visits", b"{}", "t")


def test_rows_of_many_months_in_one_batch_are_written(db: Database) -> None:
    month = 32 * 86_400_000
    rows = [decline(f"{n:03d}", declined_at=n * month) for n in range(150)]
    assert asyncio.run(write_batch(db.config(), batch_of(*rows, first=400))) == []
    assert len(contacts(db)) == 150


async def test_a_store_that_comes_back_gets_what_waited_for_it(tmp_path: Path) -> None:
    with running(tmp_path) as first:
        port = first.port
        with database(first, "callboard") as db:
            config = db.config()
            store = HttpStore(config)
            writer = Writer(store, SinkMetrics(), lambda: False)
            await writer.write(batch_of(decline("a"), first=1))
            await asyncio.to_thread(first.stop)
            waiting = asyncio.create_task(writer.write(batch_of(decline("b"), first=2)))
            async with asyncio.timeout(180):
                while writer.failing_since is None:
                    await asyncio.sleep(0.05)
            again = Server(tmp_path, port)
            await asyncio.to_thread(again.start)
            assert await asyncio.wait_for(waiting, 60) == []
            db.server = again
            assert contacts(db) == ["a", "b"]
            await store.close()
    again.stop()
