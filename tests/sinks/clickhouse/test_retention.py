"""Retention: TTLs of the tables follow the configuration, and old rows really go."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import pytest

from sinks.clickhouse.metrics import SinkMetrics
from sinks.clickhouse.reconcile import DAY_MS, Reconciler
from sinks.clickhouse.retention import KEPT, RECORDS_LONGER_DAYS, keep
from sinks.clickhouse.tables import TABLES
from sinks.clickhouse.writer import HttpStore
from tests.sinks.clickhouse.store import Database, Server, database


@pytest.fixture
def own(clickhouse: Server) -> Iterator[Database]:
    """A database whose tables this test may change."""
    with database(clickhouse, "kept_for_a_while") as made:
        yield made


def days_of(db: Database) -> dict[str, int]:
    rows = db.rows(
        "SELECT name, create_table_query AS sql FROM system.tables "
        "WHERE database = currentDatabase() AND engine LIKE '%MergeTree'"
    )
    found = {row["name"]: re.search(r"toIntervalDay\((\d+)\)", row["sql"]) for row in rows}
    return {name: int(match[1]) for name, match in found.items() if match}


def test_tables_follow_the_configuration_and_keep_what_views_need(own: Database) -> None:
    changed = keep(own.client, own.name, 400)
    days = days_of(own)
    assert len(changed) == len(days)
    assert days["queue_panes"] == days["team_panes"] == 400
    assert days["visits"] == days["agent_intervals"] == 400 + RECORDS_LONGER_DAYS
    assert set(TABLES) - set(days) == KEPT
    assert "sink_progress" not in days
    assert "schema_migrations" not in days
    assert keep(own.client, own.name, 400) == []
    keep(own.client, own.name, 90)
    assert days_of(own)["queue_panes"] == 90
    keep(own.client, own.name, 0)
    assert days_of(own) == {}


def test_old_rows_go_and_young_ones_stay(own: Database) -> None:
    for day in ("'2020-01-05'", "now()"):
        own.command(
            "INSERT INTO visits (site, contact, queued_at, queue, version) "
            f"VALUES ('s', 'c', toDateTime({day}), 'q', 1)"
        )
    keep(own.client, own.name, 30)
    own.command("OPTIMIZE TABLE visits FINAL")
    deadline = time.monotonic() + 180
    while own.value("SELECT count() FROM visits") != 1:
        assert time.monotonic() < deadline, "the old row is still there"
        time.sleep(0.1)
    assert own.value("SELECT queued_at > now() - INTERVAL 1 DAY FROM visits") == 1


def test_what_may_be_gone_is_not_compared() -> None:
    store = HttpStore.__new__(HttpStore)
    newest = 1_000 * DAY_MS
    ever = Reconciler(store, "d", SinkMetrics(), 1, lambda: None)
    assert ever._expiring(newest) == 0
    bounded = Reconciler(store, "d", SinkMetrics(), 1, lambda: None, 400)
    assert bounded._expiring(newest) == newest - 398 * DAY_MS
