"""Faust's Kafka transport, changed so that it starts fast and loses no frame on the way.

- After a rebalance a partition is read on from the frame after its recovered state, not from the
  committed offset. The commit only says how far somebody once was; the state is what must grow
  without a gap.
- Frames are fetched only once that position is set. Faust resumes its partitions before it seeks,
  and clears its queues after it has begun to fetch: a frame that was already in a queue was gone,
  and the next ones were acknowledged all the same. `Flow` does not clear what is under way;
  messages of an earlier assignment are told by their generation.
- A fetch is told once and for all of which partitions. Faust hands over a set that it empties while
  the fetch waits; an empty one means all, and the records of the others were thrown away.
- A fetch waits 100 ms for data instead of Faust's fixed 1500, which a restart pays for several
  times, and the tables' manager does not begin with a second of sleep.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any, Protocol, cast

from faust.tables import TableManager
from faust.transport.drivers import aiokafka as driver
from faust.types import TP, AppT
from mode.utils.queues import FlowControlEvent

from service.logs import about

log = logging.getLogger(__name__)

FETCH_MAX_WAIT_MS = 100


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

    def _new_consumer_thread(self) -> ConsumerThread:
        return ConsumerThread(self, loop=self.loop, beacon=self.beacon)

    def resume_partitions(self, tps: Iterable[TP]) -> None:
        """Resume changelogs; frames are resumed when their position is set."""
        super().resume_partitions({tp for tp in tps if tp.topic != self.topic})

    async def _getmany(self, active_partitions: set[TP] | None, timeout: float) -> Any:
        wanted: Any = frozenset(active_partitions or ())
        return await super()._getmany(wanted, timeout) if wanted else {}

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
