"""The live topic into the board: every partition, no group, from the earliest record that matters.

Without a group a board commits nothing and can be started as often as one likes; reading what is
retained fills it at once, for the worker repeats everything every ten seconds. The broker may
vanish, or come back empty with a topic of the same name, which leaves a consumer waiting at an
offset that will not exist for hours; after a silence the feed compares and begins again.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from schemas.brokers import Brokers
from schemas.live import LiveRecord, decode_live
from schemas.topics import LIVE
from service.health import Pulse
from service.logs import about
from sinks.kafka import partitions_of

log = logging.getLogger(__name__)

Offsets = dict[TopicPartition, int]

RETRY_S = 1.0
SILENCE_S = 3.0
"""Silence after which the feed asks the broker whether it still stands where the topic ends. The
worker ticks each second, so that is a sign of trouble; shorter only asks more often."""
REQUEST_MS = 5000
TAIL = 20_000
"""Records per partition that are read at the start. They hold minutes of a large site, all of it
many times over; more only delays the moment at which the board is ready."""
BATCH = 500
"""Records taken at once; viewers get nothing meanwhile."""


class FeedLostError(Exception):
    """The topic is not there, or is no longer the one that was being read."""


class LiveFeed:
    """Hands every record of the live topic to `apply`, in order within a site.

    `caught_up` says whether all that was retained at the start has been read and the broker
    answers. Records that cannot be read are counted in `refused` and logged; they stop nothing.
    """

    def __init__(
        self, brokers: Brokers, apply: Callable[[LiveRecord], None], topic: str = LIVE
    ) -> None:
        self._brokers = brokers
        self._apply = apply
        self._topic = topic
        self.caught_up = False
        self.refused = 0
        self.pulse = Pulse("the loop that reads")

    async def run(self) -> None:
        """Follow the topic until cancelled; a lost broker is looked for again."""
        place = about(topic=self._topic)
        while True:
            try:
                await self._follow()
            except (KafkaError, FeedLostError, OSError, TimeoutError) as error:
                with self.pulse.waiting("the broker"):
                    reason = await self._brokers.why_not(create_conn, MetadataRequest([])) or error
                log.warning("live topic lost: %s; trying again", reason, extra=place)
            except Exception:
                # A board that has stopped listening for good would look like a dead pipeline.
                log.exception("live topic: unexpected; trying again", extra=place)
            except asyncio.CancelledError:
                # The client lets its own cancellations out when it stops without a broker.
                task = asyncio.current_task()
                if task is None or task.cancelling():
                    raise
                log.warning("live topic lost: the client gave up; trying again", extra=place)
            finally:
                self.caught_up = False
                self.pulse.turn()
            await asyncio.sleep(RETRY_S)

    async def _follow(self) -> None:
        consumer = AIOKafkaConsumer(
            **self._brokers.arguments(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
            request_timeout_ms=REQUEST_MS,
            metadata_max_age_ms=30_000,
        )
        try:
            with self.pulse.waiting("the broker"):
                await consumer.start()
                partitions = await self._partitions()
                consumer.assign(partitions)
                goal = await _begin(consumer, partitions)
            await self._read(consumer, goal)
        finally:
            with self.pulse.waiting("the broker"):
                await consumer.stop()

    async def _partitions(self) -> list[TopicPartition]:
        numbers = await partitions_of(self._brokers, self._topic)
        if not numbers:
            raise FeedLostError(f"there is no such topic yet{self._brokers.unseen}")
        return [TopicPartition(self._topic, number) for number in numbers]

    async def _read(self, consumer: AIOKafkaConsumer, goal: Offsets) -> None:
        heard = time.monotonic()
        while True:
            self.pulse.turn()
            batches = await consumer.getmany(timeout_ms=200, max_records=BATCH)
            if batches:
                heard = time.monotonic()
                self._take(record for batch in batches.values() for record in batch)
            elif time.monotonic() - heard > SILENCE_S:
                with self.pulse.waiting("the broker"):
                    await self._compare(consumer, list(goal))
                heard = time.monotonic()
            if not self.caught_up:
                with self.pulse.waiting("the broker"):
                    self.caught_up = await _reached(consumer, goal)
            # A long catch-up hands over batch after batch without a pause of its own.
            await asyncio.sleep(0)

    async def _compare(self, consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> None:
        # Asked for the sake of an answer: a consumer does not say that its broker is gone. Not
        # compared with, for some brokers name the start of the last batch as the end.
        await consumer.end_offsets(partitions)
        for partition in partitions:
            end = consumer.highwater(partition)
            if end is not None and await consumer.position(partition) > end:
                raise FeedLostError("the topic has begun anew")

    def _take(self, records: Iterable[ConsumerRecord]) -> None:
        for record in records:
            try:
                self._apply(decode_live(record.value or b""))
            except (ValueError, KeyError, TypeError) as error:
                self.refused += 1
                place = about(topic=record.topic, partition=record.partition, offset=record.offset)
                log.warning("live record refused: %r", error, extra=place)


async def _begin(consumer: AIOKafkaConsumer, partitions: list[TopicPartition]) -> Offsets:
    """Go to where reading starts; returns where the topic ends now."""
    first = await consumer.beginning_offsets(partitions)
    ends: Offsets = await consumer.end_offsets(partitions)
    for partition in partitions:
        consumer.seek(partition, max(first[partition], ends[partition] - TAIL))
    return ends


async def _reached(consumer: AIOKafkaConsumer, goal: Offsets) -> bool:
    for partition, end in goal.items():
        if await consumer.position(partition) < end:
            return False
    return True
