"""Alert history: what Alertmanager and Grafana posted to the door becomes rows of `alert_history`.

A consumer of its own beside that of the rows, so neither waits for the other. Offsets are committed
after the insert; a notification written twice is one row, for its key holds the moment the door
took it. While the store is away the same batch is tried for ever. What cannot be used goes to the
dead letters with its reason, and the rest of the payload goes in.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import md5
from typing import Any

import orjson
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from schemas.config import Config
from schemas.moments import from_datetime
from schemas.topics import ALERTS, DEAD, HEADER_RECEIVED
from service.health import Pulse
from service.logs import about
from sinks.clickhouse.batch import BadRow, Batch, Lines, Place, dead_letter, place_of
from sinks.clickhouse.metrics import ALERT_HISTORY, SinkMetrics
from sinks.clickhouse.tables import FIRST_MS, LAST_MS
from sinks.clickhouse.writer import Stopped, Store, Writer
from sinks.kafka import group_consumer

log = logging.getLogger(__name__)

TABLE = ALERT_HISTORY
GROUP = "callboard-sink-alerts"
POLL_MS = 500
POLL_RECORDS = 200
REQUEST_S = 5.0
PAUSE_S = 1.0
MAX_ALERTS = 5_000
"""Of one payload; what holds more is used by nobody, and would fill memory and dead letters."""
MAX_WORD = 200
"""Longest receiver, and longest part of a text that messages quote."""
TOLD = ("severity", "queue", "channel", "team", "kpi")
"""Labels that have a column."""
FIGURES = ("value", "numerator", "denominator", "target")
"""Annotations that are numbers."""
WATCHDOGS = frozenset({"CallboardWatchdog", "Watchdog"})
"""Alerts that always fire, to show that delivery works: they have no history."""

_PLACE = about(topic=ALERTS)

Row = dict[str, Any]


class AlertError(ValueError):
    """An alert, or a whole payload, that cannot be used; the message says why."""


class BegunAnew(Exception):
    """The topic ends before the place that was being read: its broker has lost it."""


def read_payload(payload: bytes) -> dict[str, Any]:
    """A webhook's body with its list of alerts. Raises `AlertError`."""
    try:
        told = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise AlertError(f"not JSON: {error}") from None
    if not isinstance(told, dict) or not isinstance(told.get("alerts"), list):
        raise AlertError("not the JSON of a webhook: an object with a list `alerts`")
    if len(told["alerts"]) > MAX_ALERTS:
        raise AlertError(f"{len(told['alerts'])} alerts, at most {MAX_ALERTS} are taken")
    return told


def rows_of(told: Mapping[str, Any], received: int) -> Iterator[Row | AlertError]:
    """For each alert of a payload its row, or what is wrong with it; `received` is epoch ms."""
    source = "grafana" if _is_grafana(told) else "alertmanager"
    about = {"source": source, "receiver": _word(told.get("receiver"))[:MAX_WORD]}
    for alert in told["alerts"]:
        try:
            yield _row(alert, received) | about
        except AlertError as error:
            yield error


def _is_grafana(told: Mapping[str, Any]) -> bool:
    """Grafana tells its organisation, and of each alert the values by name of its query."""
    return "orgId" in told or any("valueString" in a for a in told["alerts"] if isinstance(a, dict))


def _row(alert: object, received: int) -> Row:
    if not isinstance(alert, dict):
        raise AlertError("an alert is no object")
    labels, annotations = _texts(alert, "labels"), _texts(alert, "annotations")
    if not labels.get("alertname"):
        raise AlertError("label alertname is missing")
    fired = _moment(alert.get("startsAt"))
    if fired is None:
        raise AlertError(f"startsAt {_word(alert.get('startsAt'))[:MAX_WORD]!r} is no moment")
    resolved, muted = _status(alert)
    ended = (_moment(alert.get("endsAt")) or received) if resolved else None
    row: Row = {
        "site": labels.get("site", ""),
        "alertname": labels["alertname"],
        "fingerprint": _word(alert.get("fingerprint")) or _digest(labels),
        "fired_at": fired / 1000,
        "notified_at": received / 1000,
        "status": "resolved" if resolved else "firing",
        "resolved_at": None if ended is None else max(ended, fired) / 1000,
        "at": _site_time(annotations.get("at")),
        "summary": annotations.get("summary", ""),
        "explain_url": annotations.get("explain_url", ""),
        "labels": labels,
        "annotations": annotations,
        "muted": int(muted or labels.get("muted") == "true" or annotations.get("muted") == "true"),
        "version": received * 2 + resolved,
    }
    row |= {name: labels.get(name, "") for name in TOLD}
    return row | {name: _number(annotations.get(name)) for name in FIGURES}


def _texts(alert: Mapping[str, Any], name: str) -> dict[str, str]:
    found = alert.get(name) or {}
    if not isinstance(found, dict):
        raise AlertError(f"{name} is no object")
    return {key: _word(value) for key, value in found.items()}


def _word(value: object) -> str:
    """A text or a number as text; empty for all else, which may be nested beyond any printing."""
    return str(value) if isinstance(value, str | int | float) else ""


def _status(alert: Mapping[str, Any]) -> tuple[bool, bool]:
    """Whether it has ended, and whether it is muted: webhooks say a word, the API an object."""
    status = alert.get("status")
    if isinstance(status, dict):
        by = ("silencedBy", "inhibitedBy", "mutedBy")
        return status.get("state") == "resolved", any(status.get(name) for name in by)
    if status not in ("firing", "resolved"):
        raise AlertError(f"status {_word(status)[:MAX_WORD]!r} is neither firing nor resolved")
    return status == "resolved", False


def _moment(text: object) -> int | None:
    """Epoch ms; None for the year 1, which stands for no moment, and beyond what a column holds."""
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    ms = from_datetime(moment if moment.tzinfo else moment.replace(tzinfo=UTC))
    return ms if FIRST_MS <= ms <= LAST_MS else None


def _site_time(text: str | None) -> float | None:
    at = _number(text)
    return at / 1000 if at is not None and FIRST_MS <= at <= LAST_MS else None


def _number(text: str | None) -> float | None:
    try:
        number = float(text or "")
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _digest(labels: Mapping[str, str]) -> str:
    text = orjson.dumps(labels, option=orjson.OPT_SORT_KEYS)
    return md5(text, usedforsecurity=False).hexdigest()[:16]


def _dumped(alert: object) -> bytes:
    """The alert as JSON; empty if it is nested deeper than can be written, though it was read."""
    try:
        return orjson.dumps(alert)
    except TypeError:
        return b""


@dataclass(slots=True)
class AlertBatch(Batch):
    """The notifications of a range of offsets, as one insert.

    `since` is when its first record was received, epoch ms; `told` counts notifications by status.
    """

    since: int = 0
    told: Counter[str] = field(default_factory=Counter)

    def take(self, record: Any) -> None:
        """Take the next record of the topic; what is wrong with it goes to `bad`."""
        received = _received(record)
        if self.first < 0:
            self.first, self.since = record.offset, received
        self.last = record.offset
        key = (record.key or b"").decode("utf-8", "replace")
        place = Place(self.partition, record.offset, self.epoch, key, received)
        payload = record.value or b""
        try:
            told = read_payload(payload)
        except AlertError as error:
            self.bad.append(BadRow(place, "payload", str(error), payload))
            return
        lines = self.tables.setdefault(TABLE, Lines())
        for alert, row in zip(told["alerts"], rows_of(told, received), strict=True):
            if isinstance(row, AlertError):
                self.bad.append(BadRow(place, "alert", str(row), _dumped(alert) or payload))
                continue
            if row["alertname"] in WATCHDOGS:
                continue
            lines.lines.append(orjson.dumps(row))
            lines.places.append(place)
            self.told[row["status"]] += 1

    def token(self, table: str) -> str:
        """See `Batch.token`.

        Inserts here are few, so the store still knows the tokens of a topic that was made anew
        since; the moment tells its records from those.
        """
        span = f"{self.first}-{self.last}"
        return f"{self.epoch}:{ALERTS}:{self.partition}:{span}:{self.since}:{table}"

    def parts(self) -> list[tuple[str, Lines]]:
        """See `Batch.parts`."""
        lines = self.tables.get(TABLE)
        return [(TABLE, lines)] if lines is not None and lines.lines else []


def _received(record: Any) -> int:
    """When the door took it; of a foreign producer's record, when the broker did."""
    value = dict(record.headers or ()).get(HEADER_RECEIVED) or b""
    return int(value) if value.isdigit() and len(value) <= 14 else max(0, int(record.timestamp))


class AlertSink:
    """Reads `alerts.raw` beside the sink's own sessions, until stopped."""

    def __init__(
        self, config: Config, store: Store, metrics: SinkMetrics, pulse: Pulse | None = None
    ) -> None:
        self._config = config
        self._pulse = pulse or Pulse("the loop of alerts")
        self._store = store
        self._metrics = metrics
        self._producer: AIOKafkaProducer | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """One session after another; nothing here ends the way of the rows into the store."""
        while not stop.is_set():
            try:
                await self._session(stop)
            except (KafkaError, OSError, TimeoutError, BegunAnew) as error:
                log.warning("session lost, beginning again: %r", error, extra=_PLACE)
            except Exception:
                log.exception("session failed, beginning again", extra=_PLACE)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), PAUSE_S)
        self._pulse.rest()

    async def _session(self, stop: asyncio.Event) -> None:
        consumer = group_consumer(self._config, GROUP, fetch_max_wait_ms=POLL_MS)
        writer = Writer(self._store, self._metrics, stop.is_set, self._pulse)
        try:
            with self._pulse.waiting("the broker"):
                await consumer.start()
            if self._config.alone:
                partitions = range(self._config.partitions)
                consumer.assign([TopicPartition(ALERTS, number) for number in partitions])
            else:
                consumer.subscribe([ALERTS])
            await self._work(consumer, writer, stop)
        except Stopped:
            log.info("the rest is left to the next", extra=_PLACE)
        finally:
            for end in (consumer, self._producer):
                if end is not None:
                    with (
                        self._pulse.waiting("the broker"),
                        contextlib.suppress(KafkaError, OSError, TimeoutError),
                    ):
                        await asyncio.wait_for(end.stop(), REQUEST_S)
            self._producer = None

    async def _work(self, consumer: Any, writer: Writer, stop: asyncio.Event) -> None:
        read: dict[TopicPartition, int] = {}
        while not stop.is_set():
            self._pulse.turn()
            found = await consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
            for tp, records in found.items():
                batch = AlertBatch(tp.partition, epoch=self._config.epoch)
                for record in records:
                    batch.take(record)
                await self._keep(batch, writer)
                with self._pulse.waiting("the broker"):
                    await _commit(consumer, tp, batch.last + 1)
                read[tp] = batch.last + 1
            for tp in consumer.assignment():
                known = consumer.highwater(tp)
                if known is not None and read.get(tp, 0) > known:
                    raise BegunAnew(f"{ALERTS} {tp.partition} ends at {known}")

    async def _keep(self, batch: AlertBatch, writer: Writer) -> None:
        for bad in batch.bad + await writer.write(batch):
            await self._bury(bad)
        for status, count in batch.told.items():
            self._metrics.alerts.labels(status).inc(count)

    async def _bury(self, bad: BadRow) -> None:
        log.error("bad alert: %s", bad.detail, extra=place_of(bad, ALERTS))
        self._metrics.bad_rows.labels(TABLE).inc()
        if self._producer is None:
            self._producer = AIOKafkaProducer(**self._config.brokers.arguments(), acks="all")
            await self._producer.start()
        key, value = dead_letter(bad, ALERTS, "bad_alert")
        with self._pulse.waiting("the broker"):
            await self._producer.send_and_wait(DEAD, value, key=key)


async def _commit(consumer: Any, tp: TopicPartition, offset: int) -> None:
    try:
        await asyncio.wait_for(consumer.commit({tp: offset}), REQUEST_S)
    except (CommitFailedError, IllegalStateError):
        place = about(topic=ALERTS, partition=tp.partition, offset=offset)
        log.info("the partition has gone to another sink", extra=place)
