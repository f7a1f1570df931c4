"""What translators remember, kept so that a crash or a new owner changes no event.

A memory stands for all payloads below an offset. It is written only when everything that came from
those payloads has settled, and offsets are committed only up to where memories reach. So whoever
reads the partition next takes the memories up, begins at the lowest of their offsets, translates
again what comes after, and frames of that what is not framed yet.

Where the broker itself is lost (the embedded stack keeps it in memory) the journal tells the same:
see `recall_journal`.
"""

from __future__ import annotations

import asyncio
import logging
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from pipeline.ingest.feeding import Restored, journal_folder
from pipeline.ingest.journal import read_journal
from pipeline.ingest.lanes import Item, Lanes
from pipeline.ingest.translate import Remembered, Stream, StreamKey, Streams
from pipeline.sources import SOURCES
from pipeline.topics import ends_as_fetched, partition_of
from schemas.config import Config
from schemas.topics import MEMORY

log = logging.getLogger(__name__)

KEEP_EVERY_S = 5.0
MAX_MEMORY_BYTES = 900_000
_TIMEOUT_S = 30.0

Memories = dict[StreamKey, Remembered]


@dataclass(slots=True)
class _Snapshot:
    """A memory of all payloads below an offset, on its way to the broker."""

    offset: int
    value: bytes
    sent: bool = False


class Keeper:
    """Keeps the memories of one raw partition. `turn` is monotonic time in seconds."""

    def __init__(self, number: int, epoch: int, lanes: Lanes, streams: Streams) -> None:
        self._number = number
        self._epoch = epoch
        self._lanes = lanes
        self._streams = streams
        self._snapshots: dict[StreamKey, _Snapshot] = {}
        self._due = 0.0

    def least(self) -> int | None:
        """The first offset that no kept memory covers, None if all is covered."""
        firsts = [s.since for _, s in self._streams.stateful() if s.since is not None]
        return min(firsts, default=None)

    def keep(self, next_offset: int, settled: int, turn: float, *, now: bool = False) -> None:
        """Take memories when they are due (or `now`), and send those whose payloads have settled.

        `settled` is the offset below which every frame and dead letter is acknowledged.
        """
        if turn >= self._due or now:
            self._due = turn + KEEP_EVERY_S
            for key, stream in self._streams.stateful():
                if stream.since is not None and key not in self._snapshots:
                    self._take(key, stream, next_offset)
        for key, stream in self._streams.stateful():
            snapshot = self._snapshots.get(key)
            if snapshot is not None and not snapshot.sent and settled >= snapshot.offset:
                self._send(key, stream, snapshot)

    def _take(self, key: StreamKey, stream: Stream, offset: int) -> None:
        text = orjson.dumps({"offset": offset, "memory": stream.translator.memory()})
        value = zlib.compress(text, 1)
        if len(value) > MAX_MEMORY_BYTES:
            log.error("site %s: what %s remembers takes %d bytes and is not kept", *key, len(value))
            value = zlib.compress(orjson.dumps({"offset": offset, "memory": None}), 1)
        stream.later = None
        self._snapshots[key] = _Snapshot(offset, value)

    def _send(self, key: StreamKey, stream: Stream, snapshot: _Snapshot) -> None:
        snapshot.sent = True

        def done(error: BaseException | None) -> None:
            if error is None:
                stream.since = stream.later
                self._snapshots.pop(key, None)

        name = orjson.dumps([self._epoch, self._number, *key])
        self._lanes.put(MEMORY, self._number, Item(name, snapshot.value, [], done))


async def read_memories(
    bootstrap: str, epoch: int, partitions: Iterable[int]
) -> dict[int, Memories]:
    """The memories of this epoch by raw partition. Raises `KafkaError`."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=20,
        max_partition_fetch_bytes=2 * 1024 * 1024,
    )
    found: dict[int, Memories] = {number: {} for number in partitions}
    try:
        await consumer.start()
        await asyncio.wait_for(_read(consumer, epoch, found), _TIMEOUT_S)
    finally:
        await consumer.stop()
    return found


async def _read(consumer: Any, epoch: int, found: dict[int, Memories]) -> None:
    places = [TopicPartition(MEMORY, number) for number in found]
    if not places:
        return
    consumer.assign(places)
    begins = await consumer.beginning_offsets(places)
    ends = await ends_as_fetched(consumer, places)
    waiting = {tp for tp in places if begins[tp] < ends[tp]}
    consumer.assign(list(waiting))
    for tp in waiting:
        consumer.seek(tp, begins[tp])
    while waiting:
        for tp, batch in (await consumer.getmany(timeout_ms=20)).items():
            for record in batch:
                take_up(found[tp.partition], epoch, record)
        for tp in list(waiting):
            if await consumer.position(tp) >= ends[tp]:
                waiting.discard(tp)


def take_up(memories: Memories, epoch: int, record: Any) -> None:
    """Add a record of the topic to the memories, if it is of this epoch; the last one counts."""
    try:
        of_epoch, _, site, name = orjson.loads(record.key)
        if of_epoch != epoch:
            return
        told = orjson.loads(zlib.decompress(record.value))
        memories[site, name] = Remembered(told["offset"], told["memory"])
    except (ValueError, TypeError, KeyError, zlib.error) as error:
        log.warning("a record of %s at %d cannot be read: %r", MEMORY, record.offset, error)


def recall_journal(config: Config, streams: Mapping[int, Streams]) -> None:
    """Let translators see the payloads that restored snapshots hold and the epoch lacks.

    Best effort: the journal is pruned, so a contact older than its oldest segment is not known.
    """
    restored = Restored.read(config.data_dir, config.epoch)
    for seq, record in read_journal(journal_folder(config.data_dir)):
        source = SOURCES.get(record.format)
        if source is None or not source.stateful or restored.lacks(record.site, seq):
            continue
        partition = partition_of(record.site, config.partitions)
        if partition in streams:
            streams[partition].remind(record.payload, record.format, record.site)


def lowest(memories: Mapping[StreamKey, Remembered], begin: int) -> int:
    """Where reading has to begin so that no memory misses a payload."""
    return min([begin, *(remembered.offset for remembered in memories.values())])
