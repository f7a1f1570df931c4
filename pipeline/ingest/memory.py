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
from dataclasses import dataclass, replace
from typing import Any

import orjson
from aiokafka import TopicPartition

from pipeline.ingest.feeding import Restored, journal_folder
from pipeline.ingest.journal import read_journal
from pipeline.ingest.lanes import Done, Item, Lanes
from pipeline.ingest.ranges import range_reader, read_ranges
from pipeline.ingest.translate import Remembered, Stream, StreamKey, Streams
from pipeline.sources import SOURCES
from pipeline.topics import ends_as_fetched, partition_of
from schemas.brokers import Brokers
from schemas.config import Config
from schemas.topics import MEMORY
from service.logs import about

log = logging.getLogger(__name__)

KEEP_EVERY_S = (5.0, 60.0)
"""How often at most, and at least, what a stream remembers is kept while payloads come."""
KEPT_BYTES_A_S = 1000
"""Between these two a stream adds so much to the topic: a large memory is kept less often."""
FAR = 50_000
"""Records after which a memory is kept again although nothing came of its stream: whoever reads the
partition next reads all of them again."""
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
        self._due: dict[StreamKey, float] = {}

    def least(self) -> int | None:
        """The first offset that no kept memory covers, None if all is covered."""
        firsts = [s.since for _, s in self._streams.stateful() if s.since is not None]
        return min(firsts, default=None)

    def keep(self, next_offset: int, settled: int, turn: float, *, now: bool = False) -> None:
        """Take memories when they are due (or `now`), and send those whose payloads have settled.

        `settled` is the offset below which every frame and dead letter is acknowledged.
        """
        for key, stream in self._streams.stateful():
            snapshot = self._snapshots.get(key)
            if snapshot is None and (now or turn >= self._due.get(key, 0.0)):
                snapshot = self._take(key, stream, next_offset, turn)
            if snapshot is not None and not snapshot.sent and settled >= snapshot.offset:
                self._send(key, stream, snapshot)
        for key, remembered in self._streams.silent():
            if next_offset - remembered.offset > FAR and key not in self._snapshots:
                self._carry(key, replace(remembered, offset=next_offset))

    def _take(self, key: StreamKey, stream: Stream, offset: int, turn: float) -> _Snapshot | None:
        if stream.since is None and offset - stream.kept <= FAR:
            return None
        memory = stream.translator.memory()
        value = _packed(key, Remembered(offset, memory, stream.journal))
        shortest, longest = KEEP_EVERY_S
        self._due[key] = turn + min(max(shortest, len(value) / KEPT_BYTES_A_S), longest)
        stream.later = None
        snapshot = self._snapshots[key] = _Snapshot(offset, value)
        return snapshot

    def _send(self, key: StreamKey, stream: Stream, snapshot: _Snapshot) -> None:
        snapshot.sent = True

        def done(error: BaseException | None) -> None:
            if error is None:
                stream.since, stream.kept = stream.later, snapshot.offset
                self._snapshots.pop(key, None)

        self._put(key, snapshot.value, done)

    def _carry(self, key: StreamKey, remembered: Remembered) -> None:
        """Keep the memory of a stream of which nothing came at a later offset."""
        value = _packed(key, remembered)
        self._snapshots[key] = _Snapshot(remembered.offset, value, sent=True)

        def done(error: BaseException | None) -> None:
            if error is None:
                self._streams.carry(key, remembered)
                self._snapshots.pop(key, None)

        self._put(key, value, done)

    def _put(self, key: StreamKey, value: bytes, done: Done) -> None:
        name = orjson.dumps([self._epoch, self._number, *key])
        self._lanes.put(MEMORY, self._number, Item(name, value, [], done))


def _packed(key: StreamKey, held: Remembered) -> bytes:
    told = {"offset": held.offset, "journal": held.journal, "memory": held.memory}
    value = zlib.compress(orjson.dumps(told), 1)
    if len(value) <= MAX_MEMORY_BYTES:
        return value
    site, source = key
    place = about(site=site, offset=held.offset)
    log.error("what %s remembers takes %d bytes and is not kept", source, len(value), extra=place)
    return zlib.compress(orjson.dumps({**told, "memory": None}), 1)


async def read_memories(
    brokers: Brokers, epoch: int, partitions: Iterable[int]
) -> dict[int, Memories]:
    """The memories of this epoch by raw partition. Raises `KafkaError`."""
    found: dict[int, Memories] = {number: {} for number in partitions}
    async with range_reader(brokers) as consumer:
        records = await asyncio.wait_for(_read(consumer, found), _TIMEOUT_S)
    for tp, of_partition in records.items():
        for record in of_partition:
            take_up(found[tp.partition], epoch, record)
    return found


async def _read(consumer: Any, partitions: Iterable[int]) -> dict[TopicPartition, list[Any]]:
    places = [TopicPartition(MEMORY, number) for number in partitions]
    if not places:
        return {}
    consumer.assign(places)
    begins = await consumer.beginning_offsets(places)
    ends = await ends_as_fetched(consumer, places)
    return await read_ranges(
        consumer, {tp: begins[tp] for tp in places if begins[tp] < ends[tp]}, ends
    )


def take_up(memories: Memories, epoch: int, record: Any) -> None:
    """Add a record of the topic to the memories, if it is of this epoch; the last one counts.

    What a source remembered that does so no more would hold the reading back for ever.
    """
    try:
        of_epoch, _, site, name = orjson.loads(record.key)
        if of_epoch != epoch:
            return
        told = orjson.loads(zlib.decompress(record.value))
        if name in SOURCES and SOURCES[name].stateful:
            held = Remembered(told["offset"], told["memory"], told.get("journal", -1))
            memories[site, name] = held
    except (ValueError, TypeError, KeyError, zlib.error) as error:
        place = about(topic=MEMORY, partition=record.partition, offset=record.offset, epoch=epoch)
        log.warning("a record cannot be read: %r", error, extra=place)


def recall_journal(config: Config, streams: Mapping[int, Streams]) -> None:
    """Let translators see the payloads that restored snapshots hold and the epoch lacks.

    `streams` are those of partitions of which nothing was ever committed.

    Best effort: the journal is pruned, so a contact older than its oldest segment is not known.
    """
    restored = Restored.read(config.data_dir, config.epoch)
    for seq, record in read_journal(journal_folder(config.data_dir)):
        source = SOURCES.get(record.format)
        if source is None or not source.stateful or restored.lacks(record.site, seq):
            continue
        partition = partition_of(record.site, config.partitions)
        if partition in streams:
            streams[partition].remind(record.payload, record.format, record.site, seq, 0)


def lowest(memories: Mapping[StreamKey, Remembered], begin: int) -> int:
    """Where reading has to begin so that no memory misses a payload."""
    return min([begin, *(remembered.offset for remembered in memories.values())])
