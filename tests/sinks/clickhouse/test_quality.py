"""What the sink tells of quality: the figures of the view in parts, nothing while it may not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from schemas.live import QUALITY, QUALITY_WINDOWS, LiveParts, decode_live
from schemas.topics import LIVE
from sinks.board.state import SiteState
from sinks.clickhouse import quality
from sinks.clickhouse.metrics import SinkMetrics
from sinks.clickhouse.quality import COUNTS, FIGURES, MOST, PARTS, RATIOS, Quality
from sinks.clickhouse.writer import HttpStore, Unavailable
from tests.ingest.broker import Broker, running_broker
from tests.sinks.board.centre import bank
from tests.sinks.clickhouse.quality_rows import DAY_MS, HOUR, fact, handled, tables
from tests.sinks.clickhouse.store import Database, record
from tests.sinks.clickhouse.test_sink import config_of, page, sink_running, until
from tests.sinks.clickhouse.view_rows import TEN, site_settings

Sent = list[tuple[bytes, bytes, int]]


@pytest.fixture(scope="module")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


class StoreOf:
    """A store that answers from memory; `broken` names the windows it cannot count."""

    def __init__(self, rows: list[list[Any]] | None = None) -> None:
        self.rows = rows or []
        self.broken: set[str] = set()
        self.away = False
        self.asked: list[str] = []

    async def check(self, sql: str, _settings: Any = None) -> list[list[Any]]:
        self.asked.append(sql)
        if self.away or any(f"'{window}'" in sql for window in self.broken):
            raise Unavailable("away")
        if ".progress" in sql:
            return [["s", 5000, 0, 3, 17], ["other", 6000, 1, 3, 18]]
        return [[0, 10_000]] if "quality_bounds" in sql else self.rows


def told(store: StoreOf, metrics: SinkMetrics | None = None) -> tuple[Sent, SinkMetrics]:
    sent: Sent = []

    async def send(key: bytes, value: bytes, partition: int) -> None:
        sent.append((key, value, partition))

    metrics = metrics or SinkMetrics()
    looking = Quality(store, "d", metrics, 1000, lambda: [0], send)  # type: ignore[arg-type]
    asyncio.run(looking.look([0]))
    return sent, metrics


def row(scope: str, queue: str = "", channel: str = "", team: str = "", **said: Any) -> list[Any]:
    figures = {**dict.fromkeys(COUNTS, 0), **dict.fromkeys(RATIOS), **said}
    return [scope, queue, channel, team, *(figures[name] for name in FIGURES)]


def failures(metrics: SinkMetrics) -> float | None:
    return metrics.registry.get_sample_value("callboard_quality_failures_total")


def test_each_window_is_so_many_parts_of_the_own_sites_with_the_stores_moment() -> None:
    sent, _ = told(StoreOf([row("all", csat_n=4, csat=0.5), row("team", team="red", nps_n=1)]))
    assert len(sent) == PARTS * len(QUALITY_WINDOWS)
    records = [decode_live(value) for _, value, _ in sent]
    assert {(r["site"], r["epoch"], r["offset"], r["at"], r["kind"]) for r in records} == {
        ("s", 3, 17, 5000, QUALITY)
    }
    assert {partition for *_, partition in sent} == {0}
    keys = {key for key, *_ in sent}
    assert keys == {f"s|quality|{w}.{n}".encode() for w in QUALITY_WINDOWS for n in range(PARTS)}


def test_what_is_gone_from_the_store_is_gone_from_the_board() -> None:
    parts = LiveParts()
    for centre in bank().records(5000):
        parts.take(centre)
    for queue in ("a", "b"):
        sent, _ = told(StoreOf([row("queue", queue, "voice")]))
        for _, value, _ in sent:
            parts.take(decode_live(value))
    window = parts.assemble()[QUALITY]["windows"]["7d"]
    assert list(window["queues"]) == ["b"]
    assert window["all"]["csat"] is None
    assert window["all"]["csat_n"] == 0


def test_a_site_of_many_queues_is_told_in_bounded_records() -> None:
    figures: Any = dict.fromkeys(COUNTS, 123_456_789) | dict.fromkeys(RATIOS, 0.123_456_789_012)
    rows = [row("queue", f"queue {n:>180}", "voice", **figures) for n in range(MOST + 5)]
    rows += [row("team", team=f"team {n:>180}", **figures) for n in range(MOST + 7)]
    sent, _ = told(StoreOf(rows))
    assert max(len(value) for _, value, _ in sent) < 900_000
    window = orjson.loads(next(value for key, value, _ in sent if key == b"s|quality|7d.0"))
    assert window["data"]["7d"]["left_out"] == 12


def test_a_window_the_store_cannot_count_leaves_the_others_alone() -> None:
    store = StoreOf([row("all")])
    store.broken = {"30d"}
    sent, metrics = told(store)
    assert len(sent) == PARTS * (len(QUALITY_WINDOWS) - 1)
    assert failures(metrics) == 1


def test_without_a_store_nothing_is_told_and_it_is_counted() -> None:
    store = StoreOf()
    store.away = True
    sent, metrics = told(store)
    assert (sent, failures(metrics)) == ([], 1)


def test_a_ratio_without_data_is_absent_from_the_metrics_also_afterwards() -> None:
    def ratio(metrics: SinkMetrics) -> float | None:
        labels = {"site": "s", "window": "7d"}
        return metrics.registry.get_sample_value("callboard_quality_csat_ratio", labels)

    store = StoreOf([row("all", csat_n=2, csat_top=1, csat=0.5)])
    _, metrics = told(store)
    assert ratio(metrics) == 0.5
    store.rows = [row("all")]
    told(store, metrics)
    assert ratio(metrics) is None
    labels = {"site": "s", "window": "7d"}
    assert metrics.registry.get_sample_value("callboard_quality_csat_answers", labels) == 0


async def test_a_sink_with_better_things_to_do_does_not_ask(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    store, stop, turns = StoreOf(), asyncio.Event(), 0
    monkeypatch.setattr(quality, "FIRST_S", 0.001)

    def busy() -> None:
        nonlocal turns
        turns += 1
        if turns == 3:
            stop.set()

    async def send(*_: Any) -> None: ...

    await Quality(store, "d", SinkMetrics(), 1, busy, send).run(stop)  # type: ignore[arg-type]
    assert (turns, store.asked) == (3, [])
    await Quality(store, "d", SinkMetrics(), 0, busy, send).run(asyncio.Event())  # type: ignore[arg-type]
    assert turns == 3


def test_a_long_look_is_followed_by_a_longer_rest() -> None:
    assert quality.rest(60, 0.5) == 60
    assert quality.rest(60, 12) == 240


async def test_the_board_shows_the_figures_of_the_view_through_a_broker(
    shared_broker: Broker, db: Database
) -> None:
    said = [fact("a", TEN + HOUR, csat=5, nps=9, ces=6, resolved=True), fact("ghost", TEN, csat=2)]
    contacts = [handled("a", TEN, "x", team="red"), handled("b", TEN + HOUR, "x")]
    rows = {"pane_settings": [site_settings(repeat_window_ms=DAY_MS)]}
    rows |= tables(*contacts, feedback=said)
    write = record(rows, version=5, at=TEN + 2 * HOUR)
    assert await asyncio.to_thread(db.write, write) == []
    config = config_of(shared_broker, db, 1, quality_ms=50, reconcile_ms=0)
    state = SiteState()
    for centre in bank().records(TEN + 2 * HOUR):
        state.apply(centre | {"site": "s"})
    async with sink_running(config):
        await hear(config.bootstrap, state)
        _, text = await page(config, "metrics")
    windows = state.board[QUALITY]["windows"]
    assert set(windows) == set(QUALITY_WINDOWS)
    for window, shown in windows.items():
        asked = f"SELECT * FROM kpi_quality_window(site = 's', window = '{window}', at = NULL)"
        found: dict[str, Any] = {"all": {}, "channels": {}, "queues": {}, "teams": {}}
        for one in await asyncio.to_thread(db.rows, asked):
            place(found, one)
        assert {key: shown[key] for key in found} == found
        assert (shown["at"], shown["all"]["csat"]) == (TEN + 2 * HOUR, 0.5)
        assert (shown["all"]["repeat_repeated"], shown["all"]["unmatched"]) == (1, 1)
    assert 'callboard_quality_csat_ratio{site="s",window="7d"} 0.5' in text
    assert 'callboard_quality_repeat_contacts{site="s",window="today"} 2.0' in text


def place(found: dict[str, Any], one: dict[str, Any]) -> None:
    figures = {name: one[name] for name in FIGURES}
    if one["scope"] == "all":
        found["all"] = figures
    elif one["scope"] == "queue":
        found["queues"].setdefault(one["queue"], {})[one["channel"]] = figures
    elif one["scope"] != "agent":
        found[f"{one['scope']}s"][one[one["scope"]]] = figures


async def hear(bootstrap: str, state: SiteState) -> None:
    """Take records of quality from the live topic until every window is there."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        consumer.assign([TopicPartition(LIVE, 0)])
        seen: set[str] = set()
        async with asyncio.timeout(90):
            while len(seen) < PARTS * len(QUALITY_WINDOWS):
                record_ = decode_live((await consumer.getone()).value)
                if record_["kind"] == QUALITY and record_["site"] == "s":
                    state.apply(record_)
                    seen.add(record_["part"])
    finally:
        await consumer.stop()


async def test_after_the_store_has_been_away_it_is_told_again(
    shared_broker: Broker, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = {"pane_settings": [site_settings()], "feedback": [fact("a", TEN, csat=5)]}
    assert await asyncio.to_thread(db.write, record(rows, at=TEN + HOUR)) == []
    check, away = HttpStore.check, True

    async def sometimes(self: HttpStore, sql: str, settings: Any = None) -> list[list[object]]:
        if away and "quality" in sql:
            raise Unavailable("away")
        return await check(self, sql, settings)

    monkeypatch.setattr(HttpStore, "check", sometimes)
    config = config_of(shared_broker, db, 2, quality_ms=50, reconcile_ms=0)
    async with sink_running(config) as sink:
        await until(lambda: (failures(sink.metrics) or 0) >= len(QUALITY_WINDOWS))
        away = False
        name, labels = "callboard_quality_csat_answers", {"site": "s", "window": "today"}
        await until(lambda: sink.metrics.registry.get_sample_value(name, labels) == 1)
