"""Faust's Kafka transport, changed so that it starts fast, loses no frame and is quick with many.

- Faust needs a third of a millisecond for a message, whatever is in it. So frames that one fetch
  brought go through it as one message, which holds them all, and how far they are done is told by
  offset and not by message: Faust's own account of messages has no part in it.
- After a rebalance a partition is read on from the frame after its recovered state, not from the
  committed offset. The commit only says how far somebody once was; the state is what must grow
  without a gap.
- Frames are fetched only once that position is set. Faust resumes its partitions before it seeks,
  and clears its queues after it has begun to fetch: a frame that was already in a queue was gone,
  and the next ones were acknowledged all the same. `Flow` does not clear what is under way;
  messages of an earlier assignment are told by their generation.
- A fetch is told once and for all of which partitions. Faust hands over a set that it empties while
  the fetch waits; an empty one means all, and the records of the others were thrown away.
- Nothing more is fetched while two megabytes of frames wait. Faust has a limit of its own, in
  messages; a worker that reaches it sleeps for a second, whatever it has left to do.
- A fetch waits 100 ms for data instead of Faust's fixed 1500, which a restart pays for several
  times, and the tables' manager does not begin with a second of sleep.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, cast
from weakref import WeakSet

from faust.tables import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, AppT
from mode.utils.queues import FlowControlEvent

from service.logs import about

log = logging.getLogger(__name__)

FETCH_MAX_WAIT_MS = 100
BUNDLE_FRAMES = 32
BUNDLE_BYTES = 128 * 1024
"""A bundle ends with the frame that fills it."""
WAITING_BYTES = 2 * 1024 * 1024
ROOM_S = 0.01
"""How often is looked whether there is room again."""


@dataclass(slots=True, weakref_slot=True, eq=False)
class Bundle:
    """Frames that follow one another, each with its offset; `size` is the bytes of those that are
    not taken yet."""

    frames: list[tuple[int, bytes]]
    size: int


class Positions(Protocol):
    """Says where reading goes on."""

    def resume_at(self, number: int, committed: int | None) -> int | None:
        """First offset to read of a partition; None for the committed one."""

    def holds(self, number: int) -> bool:
        """The state of the partition is recovered, so its frames may come."""


class ConsumerThread(driver.AIOKafkaConsumerThread):
    """The thread of the consumer, with a short fetch wait."""

    mundane_level = "debug"

    def _create_worker_consumer(self, transport: driver.Transport) -> Any:
        consumer = super()._create_worker_consumer(transport)
        # aiokafka hands both to its parts when it starts, which is later.
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS  # noqa: SLF001
        if cast(Transport, transport).alone:
            consumer._group_id = f"{consumer._group_id}-{time.time_ns()}"  # noqa: SLF001
        return consumer


class Consumer(driver.Consumer):
    """A consumer that goes on where the state ends."""

    mundane_level = "debug"
    topic: str
    positions: Positions

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._done: dict[TP, int] = {}
        # Queues are cleared when partitions move, and nobody says of which bundles.
        self._waiting: WeakSet[Bundle] = WeakSet()

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Resume changelogs; frames are resumed when their position is set."""
        super().resume_partitions({tp for tp in tps if tp.topic != self.topic})

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        wanted: Any = frozenset(active_partitions or ())
        if not self._has_room():
            wanted = frozenset(tp for tp in wanted if tp.topic != self.topic)
            if not wanted:
                await asyncio.sleep(ROOM_S)
        found = await super()._getmany(wanted, timeout) if wanted else {}
        return {tp: self._bundled(tp, records) for tp, records in found.items()}

    def _has_room(self) -> bool:
        return sum(bundle.size for bundle in self._waiting) < WAITING_BYTES

    def _bundled(self, tp: TP, records: Sequence[Any]) -> Sequence[Any]:
        if tp.topic != self.topic:
            return records
        found = list(bundles(records))
        self._waiting.update(record.value for record in found)
        return found

    # --- how far frames are done ----------------------------------------------------------------

    def done(self, tp: TP, offset: int) -> None:
        """The frames up to this one need not come again; the next commit says so."""
        self._done[tp] = max(self._done.get(tp, 0), offset + 1)

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> Iterator[TP]:
        yield from super()._filter_tps_with_pending_acks(topics)
        for tp in self._done:
            if topics is None or tp in topics or tp.topic in topics:
                yield tp

    def _new_offset(self, tp: TP) -> int | None:
        return self._done.get(tp) if tp.topic == self.topic else super()._new_offset(tp)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if tp.topic != self.topic:
            await super()._add_gap(tp, offset_from, offset_to)

    async def on_partitions_revoked(self, revoked: set[TP]) -> None:
        """As Faust's; what was done of a partition is its next owner's to say."""
        await super().on_partitions_revoked(revoked)
        for tp in revoked:
            self._done.pop(tp, None)

    # --- where reading goes on ------------------------------------------------------------------

    async def perform_seek(self) -> None:
        """Seek to where the state of each partition ends, and let its frames come."""
        await super().perform_seek()
        frames = {tp for tp in self.assignment() if tp.topic == self.topic}
        if not frames:
            return
        moved: dict[TP, int] = {}
        for tp in frames:
            committed = self._committed_offset[tp]
            offset = self.positions.resume_at(tp.partition, committed)
            if offset is not None:
                moved[tp] = offset
        if moved:
            place = about(topic=self.topic)
            log.info("reading on where the state ends: %s", _shown(moved), extra=place)
            await self._thread.seek_wait(moved)
            self._committed_offset.update({tp: at or None for tp, at in moved.items()})
        super().resume_partitions({tp for tp in frames if self.positions.holds(tp.partition)})


def bundles(records: Iterable[Any]) -> Iterator[Any]:
    """Records of one partition as fewer: each has its last one's place and a `Bundle` as value."""
    bundle = Bundle([], 0)
    for record in records:
        value = record.value or b""
        bundle.frames.append((record.offset, value))
        bundle.size += len(value)
        if len(bundle.frames) >= BUNDLE_FRAMES or bundle.size >= BUNDLE_BYTES:
            yield replace(record, value=bundle)
            bundle = Bundle([], 0)
    if bundle.frames:
        yield replace(record, value=bundle)


class Flow(FlowControlEvent):
    """Flow control that leaves in the queues what was put there since they were last cleared."""

    def resume(self) -> None:
        """Let messages through again."""
        self._suspend.clear()
        self._resume.set()


class Transport(driver.Transport):
    """The transport whose consumers go on where the state ends.

    A worker that is `alone`, as in the embedded stack, is a new group every time it starts, and so
    waits for no session of its dead predecessor to end.
    """

    positions: Positions

    def __init__(self, app: AppT, topic: str, *, alone: bool = False) -> None:
        super().__init__(app.conf.broker_consumer, app)
        self._topic = topic
        self.alone = alone

    def create_consumer(self, *args: Any, **kwargs: Any) -> Any:
        """A consumer of the frames topic and the changelogs."""
        consumer = Consumer(self, *args, loop=self.loop, **kwargs)
        consumer.topic, consumer.positions = self._topic, self.positions
        return consumer


class PromptTableManager(TableManager):
    """A table manager that starts at once."""

    mundane_level = "debug"

    async def on_start(self) -> None:
        """As Faust's, without its second of sleep."""
        if not self.should_stop:
            await self._update_channels()
            await self.recovery.start()


def _shown(moved: dict[TP, int]) -> str:
    return ", ".join(f"{tp.partition}@{offset}" for tp, offset in sorted(moved.items()))
