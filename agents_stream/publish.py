"""Results on their way out: live parts, rows and dead letters, and the wait until they are safe."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from agents_stream.budget import Budget
from agents_stream.checkpoint import version_of
from agents_stream.engines import Engine
from schemas.frames import Frame
from schemas.live import (
    LiveRecord,
    assemble,
    decode_live,
    encode_live,
    live_record,
    pieces,
    record_key,
)
from schemas.topics import DEAD, FRAMES, LIVE, RAW
from sinks.prometheus.figures import WorkerFigures

VERSION = 1
# Four publishes a second are more than an eye follows; between them changes only gather.
PUBLISH_EVERY_S = 0.25
FULL_EVERY_S = 10.0
SHARE = 0.4
"""Of a worker's time that publishing may take, all sites together; then they are published less
often, the one that has waited longest first."""
BURST_S = 0.5
# Below the topic's limit of 1 MiB, with room for what Kafka adds to a record.
MAX_ROWS_BYTES = 900_000
MAX_PAYLOAD_BYTES = 65_536
# Metrics need neither the agents nor the trend, which are most of what a large site publishes.
_METRIC_KINDS = frozenset({"queues", "teams", "totals"})
_PRUNE_FROM = 512

Send = Callable[[str, bytes, bytes, int | None], Awaitable[asyncio.Future[Any]]]
"""Topic, key, value, partition (None: by key); waits while the producer's buffer is full."""


class Outbox:
    """Sends records and remembers which of them the broker has not confirmed yet."""

    def __init__(self, send: Send, figures: WorkerFigures) -> None:
        self._send = send
        self._figures = figures
        self._unconfirmed: list[asyncio.Future[Any]] = []

    async def send(self, topic: str, key: bytes, value: bytes, partition: int | None) -> None:
        """Hand a record to the producer. It is safe only once `settle` has returned."""
        self._unconfirmed.append(await self._send(topic, key, value, partition))
        self._figures.records[topic] += 1
        self._figures.record_bytes[topic] += len(value)
        if len(self._unconfirmed) > _PRUNE_FROM:
            self._prune()

    def _prune(self) -> None:
        failed_or_pending = [
            future
            for future in self._unconfirmed
            if not future.done() or future.cancelled() or future.exception() is not None
        ]
        self._unconfirmed = failed_or_pending

    async def settle(self) -> None:
        """Wait until the broker has confirmed everything sent so far; raise if it refused any."""
        pending, self._unconfirmed = self._unconfirmed, []
        await asyncio.gather(*pending)


def row_records(engine: Engine, tables: dict[str, list[dict[str, Any]]]) -> list[bytes]:
    """The rows of a frame as one record, or as several where one would be too large.

    A frame without rows is one as well: it tells the store how far the site's time has gone.
    """
    head = {
        "v": VERSION,
        "site": engine.site,
        "epoch": engine.epoch,
        "offset": engine.offset,
        "version": version_of(engine.epoch, engine.offset),
        "at": engine.at,
        "parts": 1,
        "part": 0,
    }
    whole = orjson.dumps({**head, "tables": tables})
    if len(whole) <= MAX_ROWS_BYTES:
        return [whole]
    chunks = list(_fitting([(table, row) for table, rows in tables.items() for row in rows]))
    head["parts"] = len(chunks)
    return [
        orjson.dumps({**head, "part": part, "tables": _by_table(chunk)})
        for part, chunk in enumerate(chunks)
    ]


_Row = tuple[str, dict[str, Any]]


def _by_table(rows: Iterable[_Row]) -> dict[str, list[dict[str, Any]]]:
    tables: dict[str, list[dict[str, Any]]] = {}
    for table, row in rows:
        tables.setdefault(table, []).append(row)
    return tables


def _fitting(rows: list[_Row]) -> Iterator[list[_Row]]:
    """Halve until each chunk fits; a single row always does, its strings are bounded."""
    if len(rows) == 1 or len(orjson.dumps(rows)) <= MAX_ROWS_BYTES:
        yield rows
        return
    middle = len(rows) // 2
    yield from _fitting(rows[:middle])
    yield from _fitting(rows[middle:])


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that is out of the way of the others, and why; its place makes it one letter
    however often it is written."""

    epoch: int
    topic: str
    partition: int
    offset: int
    site: str
    reason: str
    field: str
    detail: str
    at: int
    payload: bytes

    def record(self) -> tuple[bytes, bytes]:
        """Key and value on the topic of dead letters."""
        value = {
            "v": VERSION,
            "site": self.site,
            "reason": self.reason,
            "field": self.field,
            "detail": self.detail,
            "at": self.at,
            "epoch": self.epoch,
            "topic": self.topic,
            "partition": self.partition,
            "offset": self.offset,
            "payload": self.payload[:MAX_PAYLOAD_BYTES].decode(errors="replace"),
        }
        return orjson.dumps([self.epoch, self.topic, self.partition, self.offset]), orjson.dumps(
            value
        )


def late_letter(engine: Engine, frame: Frame, raw_offset: int, event: dict[str, Any]) -> DeadLetter:
    """The letter of an event that came too late to be applied."""
    return DeadLetter(
        epoch=frame.epoch,
        topic=RAW,
        partition=frame.raw[0] if frame.raw else 0,
        offset=raw_offset,
        site=engine.site,
        reason="late",
        field="ts",
        detail="older than the site's lateness allows, and its contact is forgotten",
        at=engine.at,
        payload=orjson.dumps(event),
    )


def refused_letter(
    place: tuple[int, int, int], site: str, detail: str, payload: bytes
) -> DeadLetter:
    """The letter of a frame that could not be applied; `place` is epoch, partition, offset."""
    epoch, partition, offset = place
    return DeadLetter(
        epoch, FRAMES, partition, offset, site, "unreadable", "frame", detail, 0, payload
    )


async def send_letter(outbox: Outbox, figures: WorkerFigures, letter: DeadLetter) -> None:
    """Send a dead letter and count it."""
    key, value = letter.record()
    await outbox.send(DEAD, key, value, None)
    figures.dead_letters[letter.reason] += 1


@dataclass(slots=True)
class _Pace:
    """When a site was last published; `changed` says that it has moved since."""

    partition: int
    published_at: float = float("-inf")
    full_at: float = float("-inf")
    changed: bool = True
    records: dict[tuple[str, str], bytes] = field(default_factory=dict)


class LivePublisher:
    """Publishes what changed of each site, at a bounded pace, and everything now and then.

    It keeps the bytes of what it published last: metrics show exactly that.
    """

    def __init__(self, outbox: Outbox, monotonic: Callable[[], float]) -> None:
        self._outbox = outbox
        self._monotonic = monotonic
        self._paces: dict[str, _Pace] = {}
        self._budget = Budget(SHARE, BURST_S, monotonic)
        self._lock = asyncio.Lock()

    def changed(self, partition: int, site: str) -> None:
        """A frame was applied to the site."""
        pace = self._paces.get(site)
        if pace is None:
            self._paces[site] = _Pace(partition)
        else:
            pace.changed = True

    def forget(self, partition: int) -> None:
        """Stop publishing the sites of a partition that is revoked."""
        self._paces = {s: pace for s, pace in self._paces.items() if pace.partition != partition}

    def affordable(self) -> bool:
        """Publishing has not taken more than its share of the time."""
        return self._budget.allows()

    def published_at(self, site: str) -> float:
        """When a site was last published, by the worker's clock."""
        pace = self._paces.get(site)
        return float("-inf") if pace is None else pace.published_at

    def due(self, site: str) -> bool:
        """The site has changed and was not published a moment ago."""
        pace = self._paces.get(site)
        if pace is None or not pace.changed:
            return False
        return self._monotonic() - pace.published_at >= PUBLISH_EVERY_S

    async def publish(self, engine: Engine) -> None:
        """Publish what changed of a site, everything at first and every 10 s."""
        async with self._lock:
            pace = self._paces.get(engine.site)
            if pace is None:
                return
            # By the worker's clock: the site's goes fast while a backlog is read, and everything
            # is several times as much as what has changed.
            began = self._monotonic()
            full = began - pace.full_at >= FULL_EVERY_S
            parts = engine.live_parts(full)
            if full:
                pace.full_at = began
            pace.published_at, pace.changed = began, False
            stamp, at = (engine.epoch, engine.offset), engine.at
            # All at once: while a record waits for the producer, the engine may take a frame.
            records = [
                live_record(engine.site, stamp, at, *piece)
                for part in parts
                for piece in pieces(*part)
            ]
            encoded = [(record, encode_live(record)) for record in records]
            # Whoever asks for metrics while these are sent must not miss half of the queues.
            kept = {} if full else pace.records
            pace.records = kept | _for_metrics(encoded)
            for record, value in encoded:
                key = record_key(record["site"], record["kind"], record["part"])
                await self._outbox.send(LIVE, key, value, pace.partition)
            self._budget.spend(self._monotonic() - began)

    def published(self) -> list[list[bytes]]:
        """The records last published of each site, as far as metrics need them."""
        return [list(pace.records.values()) for pace in self._paces.values() if pace.records]


def _for_metrics(encoded: list[tuple[LiveRecord, bytes]]) -> dict[tuple[str, str], bytes]:
    return {
        (record["kind"], record["part"]): value
        for record, value in encoded
        if record["kind"] in _METRIC_KINDS
    }


def views_of(published: Iterable[Iterable[bytes]]) -> Iterator[dict[str, Any]]:
    """The board's object of each site, without agents and trend."""
    for records in published:
        view = assemble(map(decode_live, records))
        if view:
            yield view
