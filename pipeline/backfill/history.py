"""Raw history: the records of the raw topic or of the door's journal, in the order they came.

HistoryError    the broker does not answer, or there is nothing to read
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from pipeline.ingest.journal import read_journal, segments_of
from pipeline.ingest.raw import ALERT_FORMAT, read_headers
from pipeline.topics import ends_as_fetched, look_at_topics, why_not
from schemas.brokers import Brokers
from schemas.topics import RAW, TOPICS

PATIENCE_S = 30.0
_SPEC = next(spec for spec in TOPICS if spec.name == RAW)


class HistoryError(Exception):
    """History that cannot be read; the message says what to do."""


@dataclass(slots=True)
class Record:
    """A raw record as ingest reads it; `received` is epoch ms, 0 where nothing tells it."""

    partition: int
    offset: int
    key: bytes | None
    value: bytes
    headers: Sequence[tuple[str, bytes | None]]
    timestamp: int
    received: int = field(default=0)


def journal_records(folder: Path) -> Iterator[Record]:
    """The records of a door's journal. Raises `HistoryError` if the folder holds none."""
    if not segments_of(folder):
        raise HistoryError(f"{folder} holds no journal; --topic reads the broker instead")
    for seq, raw in read_journal(folder):
        if raw.format == ALERT_FORMAT:  # of no story, and for another topic
            continue
        key = raw.site.encode() or None
        headers = raw.headers(seq)
        yield Record(0, seq, key, raw.payload, headers, raw.received, raw.received)


async def topic_records(brokers: Brokers, since: int | None) -> AsyncIterator[Record]:
    """The records of the raw topic up to its present end, received from `since` (epoch ms) on.

    Several partitions are merged by when their records were received: a site whose producer hashes
    its keys in another way comes over two. Raises `HistoryError`.
    """
    try:
        state = (await look_at_topics(brokers, 1, [_SPEC]))[0]
        if state.missing:
            raise HistoryError(f"the broker at {brokers} has no topic {RAW}{brokers.unseen}")
        reader = _Topic(brokers, [TopicPartition(RAW, n) for n in range(state.partitions)])
        try:
            await reader.start(since)
            async for record in reader.merged():
                if since is None or record.received >= since:
                    yield record
        finally:
            await reader.stop()
    except (KafkaError, OSError, TimeoutError) as error:
        reason = await why_not(brokers) or repr(error)
        raise HistoryError(
            f"no answer from the broker at {brokers} ({reason}): CALLBOARD_BOOTSTRAP names another"
        ) from error


class _Topic:
    """Reads all partitions up to where they ended when it started."""

    def __init__(self, brokers: Brokers, partitions: list[TopicPartition]) -> None:
        self._consumer = AIOKafkaConsumer(
            **brokers.arguments(),
            client_id="callboard-backfill",
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=3 * 1024 * 1024,
        )
        self._all = partitions
        self._ends: dict[TopicPartition, int] = {}
        self._waiting: dict[TopicPartition, deque[Record]] = {}

    async def start(self, since: int | None) -> None:
        async with asyncio.timeout(PATIENCE_S):
            await self._consumer.start()
            self._consumer.assign(self._all)
            begins = await self._consumer.beginning_offsets(self._all)
            self._ends = await ends_as_fetched(self._consumer, self._all)
            starts = dict(begins)
            if since is not None:
                times = dict.fromkeys(self._all, max(0, since))
                found = await self._consumer.offsets_for_times(times)
                # A broker may answer nothing; then all is read, and what is too old left out.
                starts |= {tp: max(begins[tp], one.offset) for tp, one in found.items() if one}
        for tp, start in starts.items():
            self._consumer.seek(tp, start)
            if start < self._ends[tp]:
                self._waiting[tp] = deque()

    async def stop(self) -> None:
        await self._consumer.stop()

    async def merged(self) -> AsyncIterator[Record]:
        """The records of all partitions by when they were received, each partition in its order."""
        while self._waiting:
            for tp in [tp for tp, held in self._waiting.items() if not held]:
                if not await self._fill(tp):
                    del self._waiting[tp]
            while self._waiting and all(self._waiting.values()):
                oldest = min(self._waiting.values(), key=lambda held: held[0].received)
                yield oldest.popleft()

    async def _fill(self, tp: TopicPartition) -> bool:
        """Fetch more of a partition; False at its end."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        while await self._consumer.position(tp) < self._ends[tp]:
            batch = (await self._consumer.getmany(tp, timeout_ms=200)).get(tp, ())
            self._waiting[tp].extend(_record(one) for one in batch if one.offset < self._ends[tp])
            if self._waiting[tp]:
                return True
            if asyncio.get_running_loop().time() > deadline:
                raise TimeoutError(f"nothing comes of partition {tp.partition}")
        return False


def _record(record: Any) -> Record:
    received = read_headers(record.headers).received
    return Record(
        record.partition,
        record.offset,
        record.key,
        record.value or b"",
        record.headers,
        record.timestamp,
        received if received > 0 else record.timestamp,
    )
