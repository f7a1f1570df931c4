"""The plain loop beside which the worker is measured: `python -m bench.plain BOOTSTRAP`.

aiokafka's `getmany`, the same engine, and the same results in the same records: rows for each
frame, and the board four times a second once what was there at the start is read. There is no
Faust, no consumer group, no table, no checkpoint and no page: nothing is safe after a crash.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from agents_stream.engines import spare_collector
from agents_stream.publish import LivePublisher, Outbox, row_records
from bench.workload import SITE
from pipeline.engine import Site
from schemas.frames import decode_frame
from schemas.settings import SiteSettings
from schemas.topics import FRAMES, ROWS
from sinks.prometheus.figures import WorkerFigures

_MIB = 1024 * 1024
_PLACE = TopicPartition(FRAMES, 0)


async def run(bootstrap: str) -> None:
    """Go on until killed."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=4 * _MIB,
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap,
        acks="all",
        max_batch_size=_MIB // 2,
        max_request_size=2 * _MIB,
    )
    await consumer.start()
    await producer.start()
    consumer.assign([_PLACE])
    end = (await consumer.end_offsets([_PLACE]))[_PLACE]
    await _Loop(producer, end).run(consumer)


class _Loop:
    def __init__(self, producer: Any, end: int) -> None:
        async def send(topic: str, key: bytes, value: bytes, partition: int | None) -> Any:
            return await producer.send(topic, value, key, partition)

        self._outbox = Outbox(send, WorkerFigures())
        self._live = LivePublisher(self._outbox, time.monotonic)
        self._site = Site(SiteSettings(site=SITE))
        self._end = end

    async def run(self, consumer: Any) -> None:
        while True:
            batches = await consumer.getmany(_PLACE, timeout_ms=50)
            for record in batches.get(_PLACE, []):
                await self._take(record.offset, record.value)
            if self._site.offset >= self._end - 1 and self._live.due(SITE):
                await self._live.publish(self._site)

    async def _take(self, offset: int, payload: bytes) -> None:
        changes = self._site.apply(decode_frame(payload), offset)
        self._live.changed(0, SITE)
        for record in row_records(self._site, changes.rows):
            await self._outbox.send(ROWS, SITE.encode(), record, 0)


if __name__ == "__main__":
    spare_collector()
    asyncio.run(run(sys.argv[1]))
