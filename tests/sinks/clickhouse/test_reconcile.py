"""The metric of reconciliation: what the sink finds part by part, and when it does not ask."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

import pytest

from sinks.clickhouse import reconcile
from sinks.clickhouse.metrics import SinkMetrics
from sinks.clickhouse.reconcile import CELL_MS, WIDEST_MS, Reconciler
from sinks.clickhouse.writer import HttpStore, Unavailable
from tests.engine.stories import DAY, HOUR, MINUTE, SITE, site
from tests.ingest.broker import Broker, running_broker
from tests.sinks.clickhouse.engine_rows import EngineRows
from tests.sinks.clickhouse.store import Database
from tests.sinks.clickhouse.test_reconciliation import AT, T, bump, story, told
from tests.sinks.clickhouse.test_sink import config_of, page, sink_running, until


@pytest.fixture(scope="module")
def shared_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    with running_broker(tmp_path_factory.mktemp("broker")) as broker:
        yield broker


class Looking:
    """A reconciler on a database, looked with one look at a time."""

    def __init__(self, db: Database) -> None:
        self.metrics = SinkMetrics()
        self.asked: list[str] = []
        self._db = db
        self._reconciler: Reconciler | None = None

    def look(self, *partitions: int) -> None:
        asyncio.run(self._look(partitions or (0,)))

    async def _look(self, partitions: tuple[int, ...]) -> None:
        store = HttpStore(self._db.config())
        check = store.check

        async def noted(sql: str, settings: Any = None) -> list[list[object]]:
            if "reconciliation_between" in sql:
                self.asked.append(sql)
            return await check(sql, settings)

        store.check = noted  # type: ignore[method-assign]
        if self._reconciler is None:
            self._reconciler = Reconciler(store, self._db.name, self.metrics, 1000, lambda: [0])
        self._reconciler._store = store
        try:
            await self._reconciler.look(partitions)
        finally:
            await store.close()

    def differences(self) -> dict[str, float]:
        (family,) = self.metrics.reconciliation_differences.collect()
        return {sample.labels["site"]: sample.value for sample in family.samples}

    def failures(self) -> float:
        return self.value("callboard_reconciliation_failures_total")

    def checked(self) -> float:
        return self.value("callboard_reconciliation_checked_timestamp_seconds")

    def value(self, name: str) -> float:
        found = self.metrics.registry.get_sample_value(name)
        assert found is not None
        return found


def test_a_row_altered_by_hand_is_counted_and_gone_when_it_is_put_right(db: Database) -> None:
    told(db, story(), T + 5 * MINUTE)
    looking, began = Looking(db), time.time()
    looking.look()
    assert looking.differences() == {SITE: 0}
    assert looking.checked() >= began
    bump(db, "queue_panes", "offered + 1 AS offered, handled + 1 AS handled", f"pane_start = {AT}")
    looking.look()
    assert looking.differences() == {SITE: 2}
    bump(db, "queue_panes", "offered - 1 AS offered, handled - 1 AS handled", f"pane_start = {AT}")
    looking.look()
    assert looking.differences() == {SITE: 0}
    assert looking.failures() == 0


def test_only_sites_of_the_own_partitions_count(db: Database) -> None:
    for number in range(2):
        engine = EngineRows(site(site=f"s{number}"))
        records = [engine.apply([event]) for event in story()]
        db.write(*records, engine.tick(T + 5 * MINUTE), partition=number)
        bump(db, "queue_panes", "offered + 1 AS offered", f"site = 's{number}' AND offered = 1")
    looking = Looking(db)
    looking.look(1)
    assert set(looking.differences()) == {"s1"}
    looking.look(0, 1)
    assert looking.differences()["s0"] == looking.differences()["s1"] > 0
    looking.look(2)
    assert looking.differences() == {}


def test_older_history_is_gone_through_span_by_span_and_remembered(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One older span a look: the clock says that the time of a look is over after the first."""
    engine = told(db, story(), T + 5 * MINUTE)
    bump(db, "queue_panes", "offered + 1 AS offered", f"pane_start = {AT}")
    db.write(engine.tick(T + DAY))
    looking = Looking(db)
    monkeypatch.setattr(reconcile, "LOOK_S", 0.0)
    looking.look()
    assert (looking.differences(), len(looking.asked)) == ({SITE: 0}, 1)
    monkeypatch.setattr(reconcile, "LOOK_S", 600.0)
    looking.look()
    assert looking.differences() == {SITE: 1}
    # Asked is every span once: from the newest two to that of the oldest pane.
    assert len(looking.asked) == 2 + (DAY - WIDEST_MS) // WIDEST_MS
    monkeypatch.setattr(reconcile, "LOOK_S", 0.0)
    looking.look()
    assert looking.differences() == {SITE: 1}


def test_what_is_late_by_hours_is_found_in_the_newest_spans_at_once(
    db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = told(db, story(), T + 5 * MINUTE)
    db.write(engine.tick(T + 5 * HOUR))
    bump(db, "queue_panes", "offered + 1 AS offered", f"pane_start = {AT}")
    monkeypatch.setattr(reconcile, "LOOK_S", 0.0)
    looking = Looking(db)
    looking.look()
    assert looking.differences() == {SITE: 1}


class Refusing:
    """A store that cannot compare more than an hour at once."""

    def __init__(self, code: int) -> None:
        self.code = code
        self.tries = 0

    async def check(self, sql: str, settings: Any = None) -> list[list[object]]:
        assert settings["readonly"] == 1
        assert settings["max_execution_time"] == 10
        if "progress" in sql:
            return [["s", T, 0]]
        self.tries += 1
        raise Unavailable("too much", self.code)


def test_a_comparison_that_fails_is_a_metric_and_too_much_is_asked_in_halves() -> None:
    metrics, store = SinkMetrics(), Refusing(241)
    reconciler = Reconciler(store, "d", metrics, 1, lambda: [0])  # type: ignore[arg-type]
    for _ in range(8):
        asyncio.run(reconciler.look([0]))
    value = metrics.registry.get_sample_value
    assert value("callboard_reconciliation_failures_total") == 8
    assert value("callboard_reconciliation_checked_timestamp_seconds") == 0
    assert reconciler._width == CELL_MS
    other = Reconciler(Refusing(60), "d", metrics, 1, lambda: [0])  # type: ignore[arg-type]
    asyncio.run(other.look([0]))
    assert other._width == WIDEST_MS


async def test_a_busy_sink_does_not_ask_and_no_interval_means_never() -> None:
    store, stop = Refusing(241), asyncio.Event()
    asked = 0

    def busy() -> None:
        nonlocal asked
        asked += 1
        if asked == 3:
            stop.set()

    await Reconciler(store, "d", SinkMetrics(), 1, busy).run(stop)  # type: ignore[arg-type]
    await Reconciler(store, "d", SinkMetrics(), 0, busy).run(asyncio.Event())  # type: ignore[arg-type]
    assert (asked, store.tries) == (3, 0)


async def test_the_sink_shows_the_difference_on_its_page(
    shared_broker: Broker, db: Database
) -> None:
    engine = await asyncio.to_thread(told, db, story(), T + 5 * MINUTE)
    await asyncio.to_thread(bump, db, "queue_panes", "offered + 1 AS offered", f"pane_start = {AT}")
    assert engine.site.at == T + 5 * MINUTE
    config = config_of(shared_broker, db, 1, reconcile_ms=50)
    async with sink_running(config) as sink:

        def shown() -> float | None:
            name, labels = "callboard_reconciliation_differences", {"site": SITE}
            return sink.metrics.registry.get_sample_value(name, labels)

        await until(lambda: shown() == 1)
        _, text = await page(config, "metrics")
    assert f'callboard_reconciliation_differences{{site="{SITE}"}} 1.0' in text
