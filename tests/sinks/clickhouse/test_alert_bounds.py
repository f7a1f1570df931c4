"""Webhooks that would fill memory or stop the history: nested, crowded, wordy."""

from __future__ import annotations

import orjson
import pytest
from aiokafka import ConsumerRecord

from pipeline.ingest.alerts import MAX_ALERTS as MAX_AT_THE_DOOR
from pipeline.ingest.alerts import TooManyAlerts, take_alerts
from schemas.topics import ALERTS
from sinks.clickhouse.alerts import MAX_ALERTS, MAX_WORD, AlertBatch
from sinks.clickhouse.batch import dead_letter

RECEIVED = 1_767_607_200_000
GOOD = b'{"status":"firing","labels":{"alertname":"A"},"startsAt":"2026-01-05T10:00:00Z"}'


def taken(payload: bytes) -> AlertBatch:
    batch = AlertBatch(0)
    record: ConsumerRecord[bytes, bytes] = ConsumerRecord(
        *(ALERTS, 0, 7, RECEIVED, 0, b"s", payload, None, 1, len(payload)),
        headers=(("received", b"%d" % RECEIVED),),
    )
    batch.take(record)
    return batch


def written(batch: AlertBatch) -> list[bytes]:
    return [line for _, lines in batch.parts() for line in lines.lines]


@pytest.mark.parametrize("depth", [300, 1000, 1015])
@pytest.mark.parametrize(
    ("alert", "rows"),
    [
        (
            b'{"status":"odd","labels":{"alertname":"A"},"startsAt":"2026-01-05T10:00:00Z","x":%s}',
            0,
        ),
        (b'{"status":"firing","labels":{"alertname":"A"},"startsAt":%s}', 0),
        (b'{"status":%s,"labels":{"alertname":"A"},"startsAt":"2026-01-05T10:00:00Z"}', 0),
        (GOOD[:-1] + b',"annotations":{"value":%s}}', 1),
        (GOOD[:-1] + b',"fingerprint":%s}', 1),
    ],
)
def test_nothing_nested_stops_the_reading(alert: bytes, rows: int, depth: int) -> None:
    nested = alert % (b"[" * depth + b"]" * depth)
    payload = b'{"alerts":[' + GOOD + b"," + nested + b"]}"
    take_alerts(payload, RECEIVED)  # the door lets it in
    batch = taken(payload)
    assert len(written(batch)) == 1 + rows
    assert len(batch.bad) == 1 - rows
    for bad in batch.bad:
        assert orjson.loads(dead_letter(bad, ALERTS, "bad_alert")[1])["payload"]


def test_a_crowd_is_one_dead_letter_and_refused_at_the_door() -> None:
    def crowd(size: int) -> bytes:
        return b'{"alerts":[' + b",".join([b"0"] * size) + b"]}"

    assert MAX_AT_THE_DOOR == MAX_ALERTS
    batch = taken(crowd(MAX_ALERTS + 1))
    assert [bad.field for bad in batch.bad] == ["payload"]
    assert len(taken(crowd(MAX_ALERTS)).bad) == MAX_ALERTS
    with pytest.raises(TooManyAlerts):
        take_alerts(crowd(MAX_ALERTS + 1), RECEIVED)
    assert take_alerts(crowd(MAX_ALERTS), RECEIVED)[1] == MAX_ALERTS


def test_what_all_rows_share_is_short() -> None:
    payload = b'{"receiver":"%s","alerts":[%s]}' % (b"r" * 500_000, b",".join([GOOD] * 100))
    lines = written(taken(payload))
    assert len(lines) == 100
    assert {orjson.loads(line)["receiver"] for line in lines} == {"r" * MAX_WORD}
