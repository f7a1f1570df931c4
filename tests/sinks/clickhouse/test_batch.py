"""A batch: records of `kpi.rows` become lines for the tables, a token, and the progress."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.topics import ROWS
from sinks.clickhouse.batch import Batch
from sinks.clickhouse.tables import FIRST_MS, LAST_MS, PROGRESS, TABLES, RowError
from tests.sinks.clickhouse.store import Database, record

T = 1_767_571_200_000


def decline(contact: str = "c", **more: Any) -> dict[str, Any]:
    row = {"site": "s", "contact": contact, "declined_at": T, "agent": "ann", "ordinal": 0}
    return row | {"queue": "sales", "channel": "voice", "reason": "no_answer"} | more


def batch_of(*records: bytes, first: int = 10) -> Batch:
    batch = Batch(partition=3)
    for offset, payload in enumerate(records, start=first):
        batch.add(offset, payload)
    return batch


def progress_of(batch: Batch) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in batch.progress().lines]


def test_the_token_names_epoch_topic_partition_offsets_and_table() -> None:
    batch = batch_of(record({"declines": [decline()]}, at=T, version=(7 << 40) + 1), b"{}")
    assert batch.token("declines") == f"7:{ROWS}:3:10-11:declines"


def test_the_same_records_give_the_same_token_and_bytes() -> None:
    records = [record({"declines": [decline(c)]}, at=T, version=v) for v, c in enumerate("abc", 1)]
    one, two = batch_of(*records), batch_of(*records)
    assert [(t, lines.body(), one.token(t)) for t, lines in one.parts()] == [
        (t, lines.body(), two.token(t)) for t, lines in two.parts()
    ]


def test_panes_are_written_before_records_and_the_progress_last() -> None:
    pane = {"site": "s", "pane_start": T, "queue": "sales", "channel": "voice"}
    first = record({"declines": [decline()]}, at=T)
    batch = batch_of(first, record({"queue_panes": [pane]}, at=T, version=2))
    assert [table for table, _ in batch.parts()] == ["queue_panes", "declines", PROGRESS]


def test_the_progress_of_a_site_is_its_highest_version_with_its_time() -> None:
    batch = batch_of(
        record({}, at=T + 5, version=9),
        record({}, at=T + 1, version=4),
        record({}, site="other", at=T + 2, version=1),
    )
    found = {
        row["site"]: (row["version"], row["at"], row["rows_offset"]) for row in progress_of(batch)
    }
    assert found == {"s": (9, (T + 5) / 1000, 10), "other": (1, (T + 2) / 1000, 12)}


def test_a_frame_in_parts_counts_as_written_with_its_last_part() -> None:
    half = record({"declines": [decline("a")]}, at=T, version=8, part=0, parts=2)
    rest = record({"declines": [decline("b")]}, at=T, version=8, part=1, parts=2)
    before = record({}, at=T - 1, version=7)
    assert [row["version"] for row in progress_of(batch_of(before, half))] == [7]
    assert [row["version"] for row in progress_of(batch_of(before, half, rest))] == [8]


def test_a_site_without_a_time_yet_has_no_progress() -> None:
    assert progress_of(batch_of(record({}, at=-(1 << 62)))) == []


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "cannot be read"),
        (b"\xff\xfe", "cannot be read"),
        (b"[]", "cannot be read"),
        (b'{"v":2}', "version 2 is not known"),
        (b'{"v":1,"site":"s","epoch":1,"version":1,"at":1}', "cannot be read"),
        (b'{"v":1,"site":"s","epoch":1,"version":"1","at":1,"tables":{}}', "version is missing"),
        (b'{"v":1,"site":"s","epoch":1,"version":1,"at":1,"tables":[]}', "tables is missing"),
    ],
)
def test_a_record_that_cannot_be_read_is_bad_as_a_whole_and_stops_nothing(
    payload: bytes, why: str
) -> None:
    batch = batch_of(payload, record({"declines": [decline()]}, at=T))
    (bad,) = batch.bad
    assert (bad.field, bad.payload, bad.place.offset) == ("record", payload, 10)
    assert why in bad.detail
    assert (batch.rows, batch.first, batch.last) == (1, 10, 11)


@pytest.mark.parametrize(
    ("table", "row", "why"),
    [
        ("nonsense", {"a": 1}, "no such table"),
        ("declines", decline(declined_at="yesterday"), "declined_at: 'yesterday' is no moment"),
        ("declines", decline(declined_at=True), "declined_at: True is no moment"),
        ("declines", decline(declined_at=LAST_MS + 1), "1900 to 2299"),
        ("declines", decline(declined_at=-(2**63)), "1900 to 2299"),
        ("declines", "no row", "no object"),
        ("declines", None, "no object"),
    ],
)
def test_a_row_that_cannot_be_written_is_bad_alone(table: str, row: Any, why: str) -> None:
    batch = batch_of(record({table: [row], "visits": []}, at=T))
    (bad,) = batch.bad
    assert bad.field == table
    assert bad.place.site == "s"
    assert why in bad.detail
    assert batch.rows == 0
    assert len(progress_of(batch)) == 1


def test_rows_that_are_no_list_are_bad() -> None:
    batch = batch_of(record({"declines": 7}, at=T))  # type: ignore[dict-item]
    assert [bad.detail for bad in batch.bad] == ["is no object"]


def test_what_a_newer_worker_adds_to_a_row_is_left_out() -> None:
    line = orjson.loads(TABLES["declines"].encode(decline(mood="sour"), 5))
    assert "mood" not in line
    assert line["version"] == 5


def test_absent_moments_stay_null() -> None:
    row = {"site": "s", "agent": "ann", "started_at": T, "ended_at": None, "state": "talk"}
    line = orjson.loads(TABLES["agent_intervals"].encode(row, 1))
    assert (line["started_at"], line["ended_at"]) == (T / 1000, None)


@given(st.integers(FIRST_MS, LAST_MS))
def test_a_moment_travels_as_seconds_with_three_exact_decimals(at: int) -> None:
    text = TABLES["declines"].encode(decline(declined_at=at), 1).decode()
    digits = text.partition('"declined_at":')[2].partition(",")[0]
    whole, _, fraction = digits.partition(".")
    sign = -1 if whole.startswith("-") else 1
    assert int(whole) * 1000 + sign * int(fraction.ljust(3, "0")) == at
    assert len(fraction) <= 3


def test_a_moment_outside_the_years_of_the_column_is_refused() -> None:
    for at in (FIRST_MS - 1, LAST_MS + 1):
        with pytest.raises(RowError):
            TABLES["declines"].encode(decline(declined_at=at), 1)


def test_moments_arrive_in_the_store_to_the_millisecond(db: Database) -> None:
    moments = [FIRST_MS, -1_500, -1, 0, 1, 999, 1_000, T + 7, 1_400_000_000_123, LAST_MS]
    rows = [decline(str(n), declined_at=at) for n, at in enumerate(moments)]
    assert db.write(record({"declines": rows}, at=T)) == []
    found = db.rows(
        "SELECT toUnixTimestamp64Milli(declined_at) AS ms FROM declines ORDER BY toInt32(contact)"
    )
    assert [row["ms"] for row in found] == moments
