"""Rows gather for a moment, by partition, and never more of them than memory should hold."""

from __future__ import annotations

import pytest

from sinks.clickhouse import gathering as module
from sinks.clickhouse.gathering import GATHER_MORE_S, GATHER_S, Gathering
from tests.sinks.clickhouse.store import record
from tests.sinks.clickhouse.test_batch import T, decline

MAX_ROWS = 50


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bounds that take no time to reach."""
    monkeypatch.setattr(module, "MAX_ROWS", MAX_ROWS)
    monkeypatch.setattr(module, "HELD_ROWS", 2 * MAX_ROWS)


def _rows(count: int) -> bytes:
    return record({"declines": [decline(contact=f"c{n}") for n in range(count)]}, at=T)


def _offsets(gathering: Gathering) -> list[tuple[int, int, int]]:
    return [(batch.partition, batch.first, batch.last) for batch in gathering.full]


def test_rows_of_a_partition_gather_for_a_second() -> None:
    gathering = Gathering()
    gathering.add(3, 7, _rows(1), 100.0)
    gathering.add(3, 8, _rows(2), 100.9)
    gathering.close_due(100.0 + GATHER_S - 0.01)
    assert _offsets(gathering) == []
    gathering.close_due(100.0 + GATHER_S)
    assert _offsets(gathering) == [(3, 7, 8)]


def test_with_more_partitions_they_gather_longer() -> None:
    gathering = Gathering()
    for partition in range(3):
        gathering.add(partition, 0, _rows(1), 100.0)
    gathering.close_due(100.0 + GATHER_S + 2 * GATHER_MORE_S - 0.01)
    assert _offsets(gathering) == []
    gathering.close_due(100.0 + GATHER_S + 2 * GATHER_MORE_S)
    assert len(gathering.full) == 3


def test_a_batch_that_is_large_enough_waits_for_nothing() -> None:
    gathering = Gathering()
    gathering.add(0, 5, _rows(MAX_ROWS), 100.0)
    assert _offsets(gathering) == [(0, 5, 5)]
    gathering.add(0, 6, _rows(1), 100.0)
    assert _offsets(gathering) == [(0, 5, 5)]


def test_a_backlog_in_many_partitions_is_bounded_and_the_largest_goes_first() -> None:
    gathering, rows = Gathering(), _rows(5)
    gathering.add(9, 0, _rows(20), 100.0)
    for offset in range(4):
        for partition in range(4):
            gathering.add(partition, offset, rows, 100.0)
    assert _offsets(gathering) == []
    gathering.add(5, 0, rows, 100.0)
    assert _offsets(gathering) == [(9, 0, 0)]
    held = sum(batch.rows for batch in gathering._open.values())
    assert held == 17 * 5 <= 2 * MAX_ROWS


def test_rows_of_a_partition_that_goes_elsewhere_are_dropped() -> None:
    gathering = Gathering()
    gathering.add(0, 0, _rows(MAX_ROWS), 100.0)
    for partition in (0, 1):
        gathering.add(partition, 1, _rows(1), 100.0)
    gathering.drop(0)
    gathering.close_due(200.0)
    assert _offsets(gathering) == [(1, 1, 1)]
