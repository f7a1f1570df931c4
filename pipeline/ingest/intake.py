"""The intake behind the door: raw records in, and a promise when they are safe.

Safe means that the broker has them on all replicas and, with a journal, that they are on disk
before. With a journal a record that is on disk is fed until the broker has it, also after a crash
of the door; without one it is given up with `NotKept`, and the caller sends it again.

Records of one partition reach the broker in the order of their journal sequences. Memory is
bounded: beyond `MAX_IN_FLIGHT_BYTES` not yet safe, nothing is taken.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from pipeline.ingest.feeding import NOTHING, Fed, Restored, journal_folder
from pipeline.ingest.journal import Entry, Journal, JournalError, read_journal
from pipeline.ingest.lanes import Item, Lanes
from pipeline.ingest.metrics import DoorMetrics
from pipeline.ingest.raw import ALERT_FORMAT, RawRecord
from pipeline.topics import partition_of
from schemas.config import Config
from schemas.topics import ALERTS, RAW
from service.health import Pulse
from service.logs import about

log = logging.getLogger(__name__)

T = TypeVar("T")

MAX_IN_FLIGHT_BYTES = 64 * 1024 * 1024
KEEP_WITHIN_S = 8.0
"""How long a caller is held before it is told that its events could not be kept."""
FEED_BYTES = 8 * 1024 * 1024
FEED_RECORDS = 500
MARK_EVERY_S = 0.25
RECORD_OVERHEAD = 300
_STOP_S = 3.0


class NotKept(Exception):
    """The events could not be made safe now; the caller should send them again later."""


class Parcel:
    """Records that were handed in together; `safe` is done when the broker has all of them."""

    def __init__(self, records: Sequence[RawRecord]) -> None:
        self.records = records
        self.size = sum(len(record.payload) + RECORD_OVERHEAD for record in records)
        self.last_seq = NOTHING
        self.missing = len(records)
        self.safe: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def settle(self, error: BaseException | None) -> None:
        """One record has left its lane."""
        self.missing -= 1
        if self.safe.done():
            return
        if error is not None:
            self.refuse(error)
        elif not self.missing:
            self.safe.set_result(None)

    def refuse(self, error: BaseException) -> None:
        """Tell the caller that the parcel is not kept, if it still waits."""
        if not self.safe.done():
            self.safe.set_exception(NotKept(str(error)))
            self.safe.exception()  # a caller that has gone away does not look


class Intake:
    """Keeps raw records, with the journal where the configuration says so."""

    def __init__(self, config: Config, metrics: DoorMetrics) -> None:
        self.open = False
        self._config = config
        self._metrics = metrics
        self._folder = journal_folder(config.data_dir)
        self._journal: Journal | None = None
        # With a journal nothing is given up: what is on disk must reach the broker, in order.
        self.lanes = Lanes(config.brokers, None if config.journal else KEEP_WITHIN_S)
        self._arrived: asyncio.Queue[Parcel] = asyncio.Queue()
        self._under_way: deque[Parcel] = deque()
        self._in_flight = 0
        self._fed = Fed(config.epoch)
        self._written = Fed()
        self._tasks: list[asyncio.Task[None]] = []
        self._writing = Pulse("the journal's writer")
        self._disk = ThreadPoolExecutor(1, "journal")

    async def start(self) -> None:
        """Open the journal, feed what the epoch lacks, then take records.

        Raises `JournalError` if another door holds the journal, `KafkaError` without a broker;
        it may be called again then.
        """
        if self._config.journal and self._journal is None:
            self._journal = await self._on_disk(Journal, self._folder)
        await self.lanes.start()
        self._begin("the probe of the broker", self.lanes.probe())
        if self._journal is not None:
            self._begin("the journal's progress", self._mark_progress())
            await self._feed()
            self._begin("the journal's writer", self._write_journal())
        self.open = True

    def _begin(self, name: str, work: Coroutine[Any, Any, None]) -> None:
        self._tasks.append(asyncio.create_task(work, name=name))

    async def stop(self) -> None:
        """Take no more, deliver what is under way for a moment, and release the journal."""
        self.open = False
        await self.lanes.stop(_STOP_S)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._journal is not None:
            self._mark()
            await self._on_disk(self._journal.close)
        self._disk.shutdown()

    async def keep(self, records: Sequence[RawRecord]) -> None:
        """Return when all records are safe. Raises `NotKept` if that cannot be promised now."""
        if not records:
            return
        parcel = Parcel(records)
        self._admit(parcel)
        if self._journal is None:
            self._send(parcel, NOTHING)
        else:
            self._arrived.put_nowait(parcel)
        try:
            await asyncio.wait_for(asyncio.shield(parcel.safe), KEEP_WITHIN_S + 1)
        except TimeoutError:
            raise NotKept("the broker has not acknowledged the events in time") from None

    def unready(self) -> str:
        """Why nothing is taken now, empty if it is."""
        if not self.open:
            return "the journal is being fed" if self._journal else "not connected to the broker"
        return self.lanes.unready()

    def stuck(self) -> str:
        """What has ended, or hangs, without which nothing is kept; empty if nothing has."""
        ended = [task.get_name() for task in self._tasks if task.done()]
        if ended and self.open:
            return f"{ended[0]} has ended"
        return self._writing.stuck() or self.lanes.stuck()

    def _admit(self, parcel: Parcel) -> None:
        # While the broker is away one parcel at a time finds out whether it is back.
        if not self.open or (self._in_flight and not self.lanes.delivering):
            raise NotKept(self.unready())
        if self._in_flight and self._in_flight + parcel.size > MAX_IN_FLIGHT_BYTES:
            raise NotKept("too much is waiting to be kept")
        self._account(parcel.size)

    def _account(self, size: int) -> None:
        self._in_flight += size
        self._metrics.in_flight.set(self._in_flight)

    def _send(self, parcel: Parcel, first_seq: int) -> None:
        """Queue the records of a parcel; with a journal they have sequences from `first_seq`."""
        journalled = first_seq > NOTHING
        if journalled:
            parcel.last_seq = first_seq + len(parcel.records) - 1
            self._under_way.append(parcel)
        for index, record in enumerate(parcel.records):
            self._put(record, first_seq + index if journalled else -1, parcel)

    def _put(self, record: RawRecord, seq: int, parcel: Parcel) -> None:
        def done(error: BaseException | None) -> None:
            parcel.settle(error)
            if not parcel.missing:
                self._finished(parcel)

        key = record.site.encode() or None
        item = Item(key, record.payload, record.headers(seq), done)
        topic = ALERTS if record.format == ALERT_FORMAT else RAW
        self.lanes.put(topic, partition_of(record.site, self._config.partitions), item)

    def _finished(self, parcel: Parcel) -> None:
        self._account(-parcel.size)
        while self._under_way and not self._under_way[0].missing:
            seq = self._under_way.popleft().last_seq
            self._fed = Fed(self._config.epoch, seq, self._fed.complete)

    async def _write_journal(self) -> None:
        """Write what has arrived together in one go, then hand it to the lanes in that order."""
        assert self._journal is not None
        while True:
            parcels = [await self._arrived.get()]
            while not self._arrived.empty():
                parcels.append(self._arrived.get_nowait())
            records = [record for parcel in parcels for record in parcel.records]
            self._writing.turn()
            try:
                seq = await self._on_disk(self._journal.append, records)
            except Exception as error:  # whatever it is, those who come after it are not refused
                log.error(
                    "%s; events are refused", error, exc_info=not isinstance(error, JournalError)
                )
                for parcel in parcels:
                    parcel.refuse(error)
                    self._account(-parcel.size)
                continue
            finally:
                self._writing.rest()
            for parcel in parcels:
                self._send(parcel, seq)
                seq += len(parcel.records)
            self._metrics.journal.set(seq - 1)

    async def _feed(self) -> None:
        """Send what the journal holds and the epoch has not, under its own `received`."""
        epoch = self._config.epoch
        fed = Fed.read(self._folder)
        after = fed.seq if fed.epoch == epoch else NOTHING
        restored = Restored.read(self._config.data_dir, epoch)
        assert self._journal is not None
        await self._on_disk(self._journal.prune, restored.prune)
        self._fed = Fed(epoch, after)
        self._mark()
        started, count = time.monotonic(), 0
        entries = read_journal(self._folder, after)
        while chunk := await self._on_disk(_next_lacking, entries, restored):
            await self.lanes.drain(FEED_BYTES, float("inf"))
            for seq, record in chunk:
                parcel = Parcel([record])
                self._account(parcel.size)
                self._send(parcel, seq)
            count += len(chunk)
        await self.lanes.drain(0, float("inf"))
        self._fed = Fed(epoch, self._journal.next_seq - 1, complete=True)
        self._mark()
        if count:
            span = time.monotonic() - started
            place = about(topic=RAW, epoch=epoch)
            log.info("fed %d records of the journal in %.1f s", count, span, extra=place)

    async def _mark_progress(self) -> None:
        while True:
            await asyncio.sleep(MARK_EVERY_S)
            self._mark()

    def _mark(self) -> None:
        if self._fed != self._written:
            self._fed.write(self._folder)
            self._written = self._fed
            self._metrics.fed.set(self._fed.seq)

    async def _on_disk(self, work: Callable[..., T], *arguments: Any) -> T:
        """Do blocking work on the journal; one thread, so in the order of the calls."""
        return await asyncio.get_running_loop().run_in_executor(self._disk, work, *arguments)


def _next_lacking(entries: Iterator[Entry], restored: Restored) -> list[Entry]:
    """The next records that the snapshots do not hold; empty at the end."""
    chunk: list[Entry] = []
    for seq, record in entries:
        # No snapshot holds alerts; one that the store has already is the same row.
        if record.format == ALERT_FORMAT or restored.lacks(record.site, seq):
            chunk.append((seq, record))
            if len(chunk) >= FEED_RECORDS:
                break
    return chunk
