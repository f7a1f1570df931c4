"""Alert history through a real broker, sink and store: what is delivered twice, late or broken."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from schemas.config import Config
from schemas.topics import ALERTS
from sinks.clickhouse.alerts import GROUP
from tests.ingest.broker import Broker, DeadReader, running_broker
from tests.sinks.clickhouse.store import Database, Server, database, running
from tests.sinks.clickhouse.test_alerts import ENDED, RECEIVED, alert, rows, valued, webhook
from tests.sinks.clickhouse.test_sink import (
    PARTITIONS,
    committed,
    config_of,
    metrics,
    sink_running,
    topics,
    until,
)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(tmp_path_factory.mktemp("alerts")) as broker:
        yield broker


@pytest.fixture
def history(clickhouse: Server) -> Iterator[Database]:
    with database(clickhouse) as db:
        yield db


_epochs = iter(range(5000, 6000))


@pytest.fixture
def epoch() -> int:
    return next(_epochs)


async def put(broker: Broker, *payloads: bytes, start: int = RECEIVED, step: int = 60_000) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=broker.address, acks="all")
    await producer.start()
    try:
        for number, payload in enumerate(payloads):
            headers = [("received", b"%d" % (start + number * step))]
            await producer.send_and_wait(ALERTS, payload, b"s", 0, headers=headers)
    finally:
        await producer.stop()


def mine(epoch: int, *told: dict[str, Any]) -> bytes:
    """A webhook of alerts whose fingerprint is of this test: the broker is shared."""
    return webhook(*[one | {"fingerprint": f"{epoch}-{one['fingerprint']}"} for one in told])


def review(db: Database, epoch: int) -> list[dict[str, Any]]:
    where = f"WHERE startsWith(fingerprint, '{epoch}-') ORDER BY fired_at, fingerprint"
    return db.rows(f"SELECT * FROM alert_review {where}")


async def test_an_episode_fires_gets_worse_and_ends(
    broker: Broker, history: Database, epoch: int
) -> None:
    config = config_of(broker, history, epoch)
    resolved = valued("0.7", status="resolved", endsAt=ENDED)
    async with sink_running(config):
        await put(broker, *[mine(epoch, one) for one in (valued("0.6"), valued("0.4"))])
        await until(lambda: [r["notifications"] for r in review(history, epoch)] == [2])
        (now,) = history.rows(
            "SELECT * FROM alert_history_now WHERE queue = 'sales' AND worst_value = 0.4"
        )
        assert now["last_value"] == 0.4
        await put(broker, mine(epoch, resolved), start=RECEIVED + 600_000)
        await until(lambda: [r["notifications"] for r in review(history, epoch)] == [3])
    (row,) = review(history, epoch)
    assert (row["worst_value"], row["last_value"], row["target"]) == (0.4, 0.7, 0.8)
    assert (row["duration_s"], row["resolved_at"]) == (600.0, "2026-01-05 10:10:00.123")


async def test_what_is_delivered_again_is_one_row_and_an_old_firing_wakes_nobody(
    broker: Broker, history: Database, epoch: int
) -> None:
    config = config_of(broker, history, epoch)
    name = "CallboardLongestWait"
    fires = mine(epoch, valued("9", name=name))
    story = [fires, mine(epoch, valued("3", name=name, status="resolved", endsAt=ENDED))]
    async with sink_running(config):
        await put(broker, *story)
        await put(broker, *story)
        await put(broker, story[0])
        await put(broker, mine(epoch, alert("Last", fingerprint="z")), start=RECEIVED + 999_000)
        await until(lambda: len(review(history, epoch)) == 2)
    row = next(r for r in review(history, epoch) if r["alertname"] == "CallboardLongestWait")
    assert (row["notifications"], row["worst_value"]) == (2, 9)
    assert row["resolved_at"] is not None


async def test_bad_alerts_become_dead_letters_and_the_rest_goes_in(
    broker: Broker, history: Database, epoch: int
) -> None:
    config = config_of(broker, history, epoch)
    await topics(config)
    async with sink_running(config), DeadReader(broker.address, PARTITIONS) as letters:
        await put(broker, mine(epoch, alert(), alert(startsAt="never")), b"noise")
        await until(lambda: len(review(history, epoch)) == 1)

        async def found() -> set[tuple[str, str]]:
            await letters.more()
            told = [orjson.loads(one.value) for one in letters.records]
            return {(one["reason"], one["field"]) for one in told if one["epoch"] == epoch}

        async with asyncio.timeout(90):
            while len(await found()) < 2:
                await asyncio.sleep(0.1)
        assert await found() == {("bad_alert", "alert"), ("bad_alert", "payload")}


async def test_written_but_not_committed_it_is_written_again_and_counts_once(
    broker: Broker, history: Database, epoch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = config_of(broker, history, epoch)
    await topics(config)
    await put(broker, mine(epoch, alert()), mine(epoch, valued("0.4")))

    async def dies(self: Any, offsets: Any = None) -> None:
        raise TimeoutError("the sink dies here")

    with monkeypatch.context() as crash:
        crash.setattr("aiokafka.AIOKafkaConsumer.commit", dies)
        async with sink_running(config):
            await until(lambda: [r["notifications"] for r in review(history, epoch)] == [2])
    assert await _committed(config) is None
    async with sink_running(config):
        await until(lambda: asyncio.run(_committed(config)) is not None)
        shown = await metrics(config)
    assert [r["notifications"] for r in review(history, epoch)] == [2]
    assert float(shown['callboard_sink_alerts_total{status="firing"}']) >= 2


async def test_while_the_store_is_away_nothing_is_lost_and_rows_are_not_told_to_be_new(
    broker: Broker, tmp_path: Path, epoch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sinks.clickhouse.writer.LONGEST_PAUSE_S", 0.3)
    with running(tmp_path) as server, database(server, "callboard") as db:
        config = config_of(broker, db, epoch)
        async with sink_running(config):
            await put(broker, mine(epoch, alert(fingerprint="a")))
            await until(lambda: len(review(db, epoch)) == 1)
            shown = await metrics(config)
            assert float(shown["callboard_sink_last_insert_timestamp_seconds"]) == 0
            await until(lambda: asyncio.run(_committed(config)) is not None)
            before = await _committed(config)
            await asyncio.to_thread(server.stop)
            await put(broker, mine(epoch, alert(fingerprint="b")), mine(epoch, alert()))

            async def retried() -> bool:
                return float((await metrics(config))["callboard_sink_insert_retries_total"]) > 2

            async with asyncio.timeout(90):
                while not await retried():
                    await asyncio.sleep(0.1)
            assert await _committed(config) == before
            again = Server(tmp_path, server.port)
            await asyncio.to_thread(again.start)
            await until(lambda: len(review(db, epoch)) == 3)
        assert await _committed(config) != before
    again.stop()


async def _committed(config: Config) -> int | None:
    return await committed(config, topic=ALERTS, group=GROUP)


async def test_a_kill_at_any_moment_loses_and_doubles_nothing(
    broker: Broker, history: Database, epoch: int
) -> None:
    config = config_of(broker, history, epoch)
    await topics(config)
    environ = {**os.environ, **config.to_env()}
    wanted = 30

    def life() -> subprocess.Popen[bytes]:
        code = "from pipeline.cli.sink import sink; sink()"
        return subprocess.Popen([sys.executable, "-c", code], env=environ)

    payloads = [mine(epoch, alert(fingerprint=f"{n:02d}")) for n in range(wanted)]
    process = await asyncio.to_thread(life)
    try:
        for part in range(3):
            before = len(review(history, epoch))
            await put(broker, *payloads[part * 10 : part * 10 + 10], start=RECEIVED + part)
            await until(lambda seen=before: len(review(history, epoch)) > seen)  # type: ignore[misc]
            process.send_signal(signal.SIGKILL)
            await asyncio.to_thread(process.wait)
            process = await asyncio.to_thread(life)
        await until(lambda: len(review(history, epoch)) == wanted)
    finally:
        process.kill()
        process.wait()
    assert {row["notifications"] for row in review(history, epoch)} == {1}


# --- episodes without an end, and the week -----------------------------------------------------


def test_what_fires_anew_has_ended_before_though_nobody_told(history: Database) -> None:
    later = RECEIVED + 7_200_000
    fill(
        history,
        *rows(webhook(alert()), RECEIVED + 5_000),
        *rows(webhook(alert()), RECEIVED + 65_000),
        *rows(webhook(alert(startsAt=_iso(later))), later + 5_000),
        *rows(webhook(alert(fingerprint="another")), RECEIVED + 5_000),
    )
    found = history.rows("SELECT * FROM alert_review WHERE fingerprint = 'f1' ORDER BY fired_at")
    assert [(r["resolved_at"], r["duration_s"], r["notifications"]) for r in found] == [
        ("2026-01-05 10:01:05.000", 64.877, 2),
        (None, None, 1),
    ]
    firing = history.rows("SELECT fired_at FROM alert_history_now ORDER BY fired_at")
    assert [row["fired_at"] for row in firing] == [
        "2026-01-05 10:00:00.123",
        "2026-01-05 12:00:00.000",
    ]


def test_a_week_in_review(history: Database) -> None:
    lengths = (60, 120, 600)
    lines = []
    for number, seconds in enumerate(lengths):
        fired = RECEIVED + number * 3_600_000
        told = valued(f"0.{number + 4}", startsAt=_iso(fired), fingerprint="w")
        lines += rows(webhook(told), fired + 30_000)
        told |= {"status": "resolved", "endsAt": _iso(fired + seconds * 1000)}
        lines += rows(webhook(told), fired + seconds * 1000)
    lines += rows(webhook(alert(startsAt=_iso(RECEIVED + 9_000_000), fingerprint="w")), RECEIVED)
    fill(history, *lines)
    (week,) = history.rows("SELECT * FROM alert_weekly")
    assert (week["week"], week["queue"]) == ("2026-01-05", "sales")
    assert (week["episodes"], week["unresolved"]) == (4, 1)
    assert (week["total_s"], week["median_s"], week["longest_s"]) == (780, 120, 600)
    assert week["worst_value"] == 0.4


def test_the_queries_of_the_page_run_and_find_the_episode(history: Database) -> None:
    page = (Path(__file__).parents[3] / "docs" / "explain.md").read_text(encoding="utf-8")
    told = alert()
    fill(history, *rows(webhook(told | {"labels": told["labels"] | {"site": "bank"}})))
    queries = re.findall(r"```sql\n(.*?)```", page.partition("# Alert history")[2], re.DOTALL)
    assert [len(history.rows(query)) for query in queries] == [1, 1]


def test_who_may_see_one_site_sees_its_episodes_only(history: Database) -> None:
    mine, other = (alert(labels=alert()["labels"] | {"site": site}) for site in ("s", "t"))
    fill(history, *rows(webhook(mine, other)), *rows(webhook(alert(labels={"alertname": "P"}))))
    assert len(history.rows("SELECT * FROM alert_review")) == 3
    # What a row policy does, which needs users; the test of users has those.
    table = f"{history.name}.alert_history"
    allowed = f"SETTINGS additional_table_filters = {{'{table}': 'site = \\'s\\''}}"
    for view in ("alert_review", "alert_history_now", "alert_weekly"):
        found = history.rows(f"SELECT site FROM {view} {allowed}")
        assert [row["site"] for row in found] == ["s"], view


def fill(db: Database, *lines: Any) -> None:
    body = b"\n".join(orjson.dumps(line) for line in lines)
    db.client.raw_insert("alert_history", insert_block=body, fmt="JSONEachRow")


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()
