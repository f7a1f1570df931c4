"""Ordered delivery to Kafka: a lane per topic and partition, one batch under way at a time.

Ingest and the door resume by the highest position that has arrived, so nothing may arrive before
what was handed in before it. A producer's own queue does not promise that: a batch that expires
fails while later ones succeed. A lane sends the next batch only when the one before it is
acknowledged by all replicas, and sends the same one again until it is. What arrives twice, because
an acknowledgement was lost, is recognised downstream by the position it carries.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from pipeline.ingest.raw import Headers
from schemas.brokers import Brokers
from service.logs import about

log = logging.getLogger(__name__)

MAX_BATCH_BYTES = 900_000
"""Below the smallest `max.message.bytes` of the topics, which limits whole batches."""
REQUEST_TIMEOUT_MS = 5_000
_RETRY_S = (0.05, 1.0)
_LOG_EVERY_S = 10.0
SLOW_S = 3.0
"""A broker that is well acknowledges within milliseconds."""
PROBE_EVERY_S = 5.0
_OVERHEAD = 100
# AssertionError: what aiokafka raises for a partition that its metadata does not (yet) show.
_FAILURES = (KafkaError, OSError, AssertionError)

Done = Callable[[BaseException | None], None]


class NotDelivered(Exception):
    """The broker did not take a record within the patience of the lanes."""


class Item(NamedTuple):
    """A record to send; `done` is called once, with None when the broker has it for good."""

    key: bytes | None
    value: bytes
    headers: Headers
    done: Done

    @property
    def size(self) -> int:
        """Bytes it takes in memory and on the wire, roughly."""
        return len(self.value) + _OVERHEAD


class Lanes:
    """All lanes of a process, over one producer.

    With `patience_s` a record that could not be delivered for so long is given up (`NotDelivered`);
    without it records are tried for ever, and `backlog_bytes` is what the caller has to bound.
    """

    def __init__(self, brokers: Brokers, patience_s: float | None = None) -> None:
        self._brokers = brokers
        self.patience_s = patience_s
        self.backlog_bytes = 0
        self.failing_since: float | None = None
        self.acknowledged_at: float | None = None
        """`time.monotonic` of the broker's last acknowledgement."""
        self._silent = ""
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._producer: AIOKafkaProducer | None = None
        self._renewal = asyncio.Lock()
        self._drained = asyncio.Event()
        self._logged_at = -_LOG_EVERY_S

    async def start(self) -> None:
        """Connect. Raises `KafkaError` if no broker answers."""
        self._producer = await self._connect()

    async def stop(self, timeout_s: float = 5.0) -> None:
        """Deliver what is under way, up to the timeout, and disconnect; the rest is dropped."""
        await self.drain(0, timeout_s)
        for lane in self._lanes.values():
            lane.task.cancel()
        await asyncio.gather(*(lane.task for lane in self._lanes.values()), return_exceptions=True)
        if self._producer is not None:
            await _close(self._producer)

    def put(self, topic: str, partition: int, item: Item) -> None:
        """Queue a record at the end of its lane."""
        lane = self._lanes.get((topic, partition))
        if lane is None:
            lane = self._lanes[topic, partition] = _Lane(self, topic, partition)
        self.backlog_bytes += item.size
        lane.put(item)

    async def drain(self, below: int, timeout_s: float) -> bool:
        """Wait until at most `below` bytes are under way; say whether that came in time."""
        deadline = time.monotonic() + timeout_s
        while self.backlog_bytes > below:
            self._drained.clear()
            try:
                await asyncio.wait_for(self._drained.wait(), max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                return False
        return True

    @property
    def delivering(self) -> bool:
        """Whether the last attempt succeeded."""
        return self.failing_since is None

    def unready(self) -> str:
        """Why the broker does not keep what is sent, empty if it does."""
        waits = max((lane.waits_s() for lane in self._lanes.values()), default=0.0)
        if waits > SLOW_S:
            return f"the broker has not acknowledged for {waits:.0f} s"
        if not self.delivering:
            return "the broker does not take what is sent"
        return self._silent

    def stuck(self) -> str:
        """A lane that has ended without being told to; nothing in it would ever be sent."""
        ended = [lane.task.get_name() for lane in self._lanes.values() if lane.task.done()]
        return f"{ended[0]} has ended" if ended else ""

    async def probe(self) -> None:
        """Ask the broker again and again while nothing is sent; until cancelled.

        What is sent tells by itself how the broker is.
        """
        while True:
            await asyncio.sleep(PROBE_EVERY_S)
            if self.backlog_bytes or self._producer is None:
                self._silent = ""
                continue
            try:
                await asyncio.wait_for(self._producer.client.fetch_all_metadata(), PROBE_EVERY_S)
                self._silent = ""
            except (KafkaError, OSError, TimeoutError):
                self._silent = "the broker does not answer"

    async def send(self, batch: Any, topic: str, partition: int) -> None:
        """Deliver one batch. Raises one of `_FAILURES`; replaces a producer beyond repair."""
        producer = self._producer
        assert producer is not None
        try:
            await (await producer.send_batch(batch, topic, partition=partition))
        except _FAILURES as error:
            self._failed(topic, partition, error)
            if not getattr(error, "retriable", True):
                await self._renew(producer)
            raise
        self._succeeded()

    def builder(self) -> Any:
        """An empty batch."""
        assert self._producer is not None
        return self._producer.create_batch()

    def settled(self, item: Item, error: BaseException | None) -> None:
        """Account for a record that has left its lane and tell its owner."""
        self.backlog_bytes -= item.size
        self._drained.set()
        item.done(error)

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            **self._brokers.arguments(),
            acks="all",
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=2 * 1024 * 1024,
            request_timeout_ms=REQUEST_TIMEOUT_MS,
        )
        try:
            await producer.start()
        except BaseException:
            await _close(producer)
            raise
        return producer

    async def _renew(self, broken: AIOKafkaProducer) -> None:
        async with self._renewal:
            if self._producer is not broken:
                return
            try:
                self._producer = await self._connect()
            except (KafkaError, OSError):
                return
            await _close(broken)

    def _failed(self, topic: str, partition: int, error: BaseException) -> None:
        now = time.monotonic()
        if self.failing_since is None:
            self.failing_since = now
        if now - self._logged_at >= _LOG_EVERY_S:
            self._logged_at = now
            place = about(topic=topic, partition=partition)
            log.warning("cannot deliver, trying again: %r", error, extra=place)

    def _succeeded(self) -> None:
        self.acknowledged_at = time.monotonic()
        if self.failing_since is not None:
            log.info("delivering again after %.1f s", time.monotonic() - self.failing_since)
            self.failing_since = None


class _Lane:
    """One partition's queue and the task that empties it."""

    def __init__(self, lanes: Lanes, topic: str, partition: int) -> None:
        self._lanes = lanes
        self._topic = topic
        self._partition = partition
        self._items: deque[tuple[Item, float]] = deque()
        self._filled = asyncio.Event()
        self._acknowledged_at = float("-inf")
        self.task = asyncio.create_task(self._run(), name=f"lane {topic}/{partition}")

    def waits_s(self) -> float:
        """For how long there was no acknowledgement, though something waits for one."""
        if not self._items:
            return 0.0
        return time.monotonic() - max(self._items[0][1], self._acknowledged_at)

    def put(self, item: Item) -> None:
        self._items.append((item, time.monotonic()))
        self._filled.set()

    async def _run(self) -> None:
        wait_s = _RETRY_S[0]
        while True:
            if not self._items:
                self._filled.clear()
                await self._filled.wait()
            batch, count = self._batch()
            try:
                await self._lanes.send(batch, self._topic, self._partition)
            except _FAILURES as error:
                self._give_up(error)
                await asyncio.sleep(wait_s)
                wait_s = min(wait_s * 2, _RETRY_S[1])
                continue
            wait_s = _RETRY_S[0]
            self._acknowledged_at = time.monotonic()
            for _ in range(count):
                self._lanes.settled(self._items.popleft()[0], None)

    def _batch(self) -> tuple[Any, int]:
        """As many records from the front as a batch takes; a large one goes alone."""
        builder, count, size = self._lanes.builder(), 0, 0
        for item, _ in self._items:
            size += item.size
            if count and size > MAX_BATCH_BYTES:
                break
            added = builder.append(
                timestamp=None, key=item.key, value=item.value, headers=item.headers
            )
            if added is None:  # full by the builder's own count, which knows keys and headers
                break
            count += 1
        builder.close()
        return builder, count

    def _give_up(self, error: BaseException) -> None:
        """Drop what has waited too long; the rest keeps its order."""
        patience_s = self._lanes.patience_s
        if patience_s is None:
            return
        before = time.monotonic() - patience_s
        while self._items and self._items[0][1] < before:
            self._lanes.settled(self._items.popleft()[0], NotDelivered(repr(error)))


async def _close(producer: AIOKafkaProducer) -> None:
    """Close a producer; one that cannot flush is left to the connection's end."""
    try:
        await asyncio.wait_for(producer.stop(), 2.0)
    except (TimeoutError, KafkaError, OSError) as error:
        log.debug("a producer did not close in order: %r", error)
