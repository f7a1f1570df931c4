"""Alert history: webhooks become episodes, whatever is delivered twice, late or broken."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from schemas.topics import ALERTS
from sinks.clickhouse.alerts import AlertError, read_payload, rows_of
from tests.ingest.broker import Broker, DeadReader, running_broker
from tests.sinks.clickhouse.store import Database, Server, database
from tests.sinks.clickhouse.test_sink import PARTITIONS, config_of, sink_running, topics, until

RECEIVED = 1_767_607_200_000
FIRED = "2026-01-05T10:00:00.123456789Z"
ENDED = "2026-01-05T10:10:00.123Z"
NEVER = "0001-01-01T00:00:00Z"


def alert(name: str = "CallboardServiceLevelLow", **more: Any) -> dict[str, Any]:
    """An alert as Alertmanager posts it."""
    labels = {"alertname": name, "site": "s", "queue": "sales", "severity": "critical"}
    annotations = {"summary": "Low.", "value": "0.5", "numerator": "10", "denominator": "20"}
    annotations |= {"target": "0.8000", "at": str(RECEIVED)}
    given = {"status": "firing", "labels": labels, "annotations": annotations}
    return given | {"startsAt": FIRED, "endsAt": NEVER, "fingerprint": "f1"} | more


def webhook(*alerts: Any, **more: Any) -> bytes:
    told = {"version": "4", "receiver": "history", "status": "firing", "alerts": list(alerts)}
    return orjson.dumps(told | more)


def valued(value: str, **more: Any) -> dict[str, Any]:
    found = alert(**more)
    return found | {"annotations": found["annotations"] | {"value": value}}


def rows(payload: bytes, received: int = RECEIVED) -> list[Any]:
    return list(rows_of(read_payload(payload), received))


# --- a payload ---------------------------------------------------------------------------------


def test_an_alert_becomes_a_row_with_its_figures() -> None:
    (row,) = rows(webhook(alert()))
    assert (row["site"], row["queue"], row["team"]) == ("s", "sales", "")
    assert (row["fired_at"], row["resolved_at"]) == (1_767_607_200.123, None)
    assert (row["value"], row["numerator"], row["target"]) == (0.5, 10.0, 0.8)
    assert (row["source"], row["receiver"], row["at"]) == (
        "alertmanager",
        "history",
        RECEIVED / 1e3,
    )


def test_grafana_is_told_by_what_only_it_sends() -> None:
    (row,) = rows(webhook(alert(valueString="[ var='A' ]"), orgId=1))
    assert row["source"] == "grafana"


def test_figures_that_are_none_are_null() -> None:
    (row,) = rows(webhook(valued("NaN")))
    assert row["value"] is None
    (row,) = rows(webhook(alert(annotations={})))
    assert (row["value"], row["at"], row["summary"]) == (None, None, "")


def test_who_mutes_is_heard_where_it_is_told() -> None:
    told = {"state": "active", "silencedBy": ["x"], "inhibitedBy": [], "mutedBy": []}
    assert [row["muted"] for row in rows(webhook(alert(), alert(status=told)))] == [0, 1]


@pytest.mark.parametrize(
    ("bad", "problem"),
    [
        (1, "no object"),
        (alert(labels={}), "alertname is missing"),
        (alert(labels=[1]), "labels is no object"),
        (alert(startsAt=NEVER), "startsAt"),
        (alert(startsAt=7), "startsAt"),
        (alert(status="odd"), "neither firing nor resolved"),
    ],
)
def test_what_cannot_be_used_says_why_and_spares_the_others(bad: Any, problem: str) -> None:
    good, error = rows(webhook(alert(), bad))
    assert good["fingerprint"] == "f1"
    assert isinstance(error, AlertError)
    assert problem in str(error)


@pytest.mark.parametrize("payload", [b"\xff", b"[]", b"{}", b'{"alerts": 3}'])
def test_a_body_that_is_no_webhook_is_refused(payload: bytes) -> None:
    with pytest.raises(AlertError):
        read_payload(payload)


def test_without_a_fingerprint_labels_tell_alerts_apart() -> None:
    one, same, other = rows(
        webhook(
            alert(fingerprint=None), alert(fingerprint=None),
            alert("Other", fingerprint=None),
        )
    )  # fmt: skip
    assert one["fingerprint"] == same["fingerprint"] != other["fingerprint"]


# --- through broker, sink and store ---------------------------------------------------------------


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


# --- the week ---------------------------------------------------------------------------------


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
    body = b"\n".join(orjson.dumps(line) for line in lines)
    history.client.raw_insert("alert_history", insert_block=body, fmt="JSONEachRow")
    (week,) = history.rows("SELECT * FROM alert_weekly")
    assert (week["week"], week["queue"]) == ("2026-01-05", "sales")
    assert (week["episodes"], week["unresolved"]) == (4, 1)
    assert (week["total_s"], week["median_s"], week["longest_s"]) == (780, 120, 600)
    assert week["worst_value"] == 0.4


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()
