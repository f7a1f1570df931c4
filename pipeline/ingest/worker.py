"""The ingest role: raw records in, frames and dead letters out, offsets committed last.

One loop reads, frames, ticks and commits. What can fail with the broker fails a *session*: its
consumer, its lanes and its partitions are dropped and built again from what is committed and what
the frames say, so there is one way to recover and it is the same after a crash.

Where ingest is alone (the embedded stack has exactly one) the partitions are assigned by hand:
there is no group to wait for after a kill.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Iterable, Mapping
from typing import Any

from aiohttp import web
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import KafkaError

from pipeline.ingest.customers import Customers
from pipeline.ingest.feeding import FeedGate
from pipeline.ingest.lanes import Lanes
from pipeline.ingest.memory import lowest, read_memories, recall_journal
from pipeline.ingest.metrics import IngestMetrics
from pipeline.ingest.partition import Partition, Surroundings
from pipeline.ingest.resume import read_past
from pipeline.ingest.service import add_operator_routes
from pipeline.ingest.settings_folder import SettingsFolder
from pipeline.ingest.sites import Sites
from pipeline.ingest.ticks import Reading, Ticker, partitions_by_stray
from pipeline.topics import ensure_topics_patiently
from schemas.access import USERS
from schemas.clock import Clock
from schemas.config import Config
from schemas.topics import RAW
from service.health import Pulse
from service.logs import about
from service.operator_page import OperatorPage
from service.serving import serve

log = logging.getLogger(__name__)

POLL_MS = 25
FETCH_WAIT_MS = 50
RECORDS_A_TURN = 1000
COMMIT_EVERY_S = 1.0
COMMIT_TIMEOUT_S = 5.0
MAX_BACKLOG_BYTES = 16 * 1024 * 1024
"""Frames the broker has not acknowledged; above it ingest stops reading."""
SESSION_TIMEOUT_MS = 6_000
"""The shortest that Kafka allows by default: it is how long a killed ingest is waited for."""
DRAIN_S = 3.0
QUIET_S = 10.0
"""Ticks come every second; a longer silence means that time stands still for all sites."""

Records = dict[TopicPartition, list[Any]]


class Ingest:
    """The role as a process: settings, page and one session after another."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.metrics = IngestMetrics()
        self.folder = SettingsFolder(config.settings_dir)
        self.sites = Sites()
        self.metrics.settings_errors.set_function(
            lambda: len(self.folder.errors) + len(self.sites.refused)
        )
        self.clock = Clock.from_file(config.clock_file)
        self.customers = Customers(config.customer_key)
        self.pulse = Pulse("the main loop")
        self.operator = OperatorPage(
            "ingest", config, lambda: [self.unready()], [self.pulse.stuck, self._stuck]
        )
        self.session: Session | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set. Raises `TopicsError` if the topics cannot be used."""
        app = web.Application()
        add_operator_routes(app, self.metrics.registry, self.operator)
        self.operator.levels.listen()
        runner = await serve(app, self.config.page_host, self.config.ingest_port)
        changed = asyncio.Event()
        watcher = asyncio.create_task(self.folder.watch(changed))
        try:
            self.folder.refresh()
            self._take_settings()
            with self.pulse.waiting("the topics"):
                await _unless(
                    stop,
                    ensure_topics_patiently(
                        self.config.brokers, self.config.partitions, USERS["ingest"].topics
                    ),
                )
            while not stop.is_set():
                await self._session(stop, changed)
        finally:
            watcher.cancel()
            await runner.cleanup()

    def unready(self) -> str:
        """Why ingest is not ready, empty if it is."""
        if self.session is None or not self.session.partitions:
            return "no partition assigned"
        return self.pulse.stuck() or self.session.unready()

    def _stuck(self) -> str:
        return "" if self.session is None else self.session.lanes.stuck()

    def turn(self, changed: asyncio.Event) -> float:
        """Begin a turn of the loop; take settings that have changed."""
        self.pulse.turn()
        if changed.is_set():
            changed.clear()
            self._take_settings()
        return time.monotonic()

    def _take_settings(self) -> None:
        self.sites.update(self.folder.sites)
        self.metrics.sites.set(len(self.folder.sites))

    async def _session(self, stop: asyncio.Event, changed: asyncio.Event) -> None:
        self.session = Session(self)
        try:
            with self.pulse.waiting("the broker"):
                await self.session.start()
            await self.session.work(stop, changed)
        except (KafkaError, OSError, TimeoutError) as error:
            log.warning("session lost, beginning again: %r", error, extra=about(topic=RAW))
            self.session.abandon()
        finally:
            with self.pulse.waiting("the broker"):
                await self.session.stop()
            self.session = None
        if not stop.is_set():
            await asyncio.sleep(1.0)


class Session(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is not typed
    """One life of the consumer, the lanes and the partitions between two faults."""

    def __init__(self, ingest: Ingest) -> None:
        config = ingest.config
        self.lanes = Lanes(config.brokers)
        self.partitions: dict[int, Partition] = {}
        self._ingest = ingest
        self._metrics = ingest.metrics
        self._around = Surroundings(
            config.epoch,
            config.partitions,
            self.lanes,
            ingest.sites,
            ingest.clock,
            ingest.metrics,
            ingest.customers,
            config.alone,
        )
        self._consumer = _consumer(config)
        self._ticker = Ticker(ingest.clock, config.tick_ms)
        self._gate = FeedGate(config)
        self._committed: dict[int, int] = {}
        self._commit_at = 0.0
        self._generation = 0
        self._rebalancing = False
        self._opened_at = 0.0
        self._quiet_s = max(QUIET_S, 3 * config.tick_ms / 1000)

    async def start(self) -> None:
        """Connect and ask for partitions. Raises `KafkaError`."""
        await self.lanes.start()
        if self._ingest.config.alone:
            await self._consumer.start()
            numbers = range(self._ingest.config.partitions)
            self._consumer.assign([TopicPartition(RAW, number) for number in numbers])
        else:
            self._consumer.subscribe([RAW], listener=self)
            await self._consumer.start()

    async def work(self, stop: asyncio.Event, changed: asyncio.Event) -> None:
        """Turn until stopped. Raises `KafkaError` when the session cannot go on."""
        while not stop.is_set():
            turn = self._ingest.turn(changed)
            if self.lanes.backlog_bytes > MAX_BACKLOG_BYTES:
                await self.lanes.drain(MAX_BACKLOG_BYTES // 2, 0.5)
                continue
            await self._read(turn)
            for partition in self.partitions.values():
                partition.close_due(turn)
            await self._tick(turn)
            await self._commit_when_due(turn)
            # With input waiting, nothing above suspends; heartbeats and lanes need their share.
            await asyncio.sleep(0)

    def unready(self) -> str:
        """Why no frames and ticks reach the broker, empty if they do."""
        wrong = self.lanes.unready()
        if wrong or not any(partition.residents for partition in self.partitions.values()):
            return wrong
        since = max(self._opened_at, self.lanes.acknowledged_at or 0.0)
        age = time.monotonic() - since
        return f"no frame and no tick for {age:.0f} s" if age > self._quiet_s else ""

    def abandon(self) -> None:
        """Forget the partitions without sending what is open: it will be read again."""
        self.partitions.clear()

    async def stop(self) -> None:
        """Send what is open, commit what is acknowledged and disconnect."""
        await self._release(time.monotonic())
        await _ended(self._consumer.stop(), DRAIN_S)
        await self.lanes.stop(0.0)

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Hand partitions over with nothing open and everything acknowledged committed."""
        del revoked  # all of them: assignors are eager
        self._generation += 1
        self._rebalancing = True
        await self._release(time.monotonic())

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """The loop opens what it finds assigned."""
        del assigned
        self._rebalancing = False

    async def _read(self, turn: float) -> None:
        records: Records = await self._consumer.getmany(
            timeout_ms=POLL_MS, max_records=RECORDS_A_TURN
        )
        # Until the group has decided, the client calls assigned what it has handed over. Opened
        # again, it would stay ours beside its next owner, with what translators knew back then.
        if self._rebalancing:
            return
        generation = self._generation
        await self._open_assigned(records)
        if generation != self._generation:
            return  # revoked meanwhile: whoever owns them now reads these records again
        for tp, batch in records.items():
            self.partitions[tp.partition].take(batch, turn)

    async def _open_assigned(self, records: Records) -> None:
        """Open the partitions assigned since the last turn, beginning at their first record."""
        assigned = self._consumer.assignment()
        fresh = [tp for tp in assigned if tp.partition not in self.partitions]
        if not fresh:
            return
        generation = self._generation
        config = self._ingest.config
        asked = (config.brokers, config.epoch, [tp.partition for tp in fresh])
        with self._ingest.pulse.waiting("the broker"):
            past, memories = await read_past(*asked), await read_memories(*asked)
        begins = {}
        for tp in fresh:
            batch = records.get(tp)
            begins[tp.partition] = batch[0].offset if batch else await self._position(tp)
        if generation != self._generation:
            return
        for number, begin in sorted(begins.items()):
            known = memories[number]
            start = lowest(known, begin)
            if start < begin:
                self._go_back(TopicPartition(RAW, number), start, records)
            self.partitions[number] = Partition(number, self._around, past[number], start, known)
            self._committed[number] = begin
        unread = {n: self.partitions[n].streams for n, begin in begins.items() if not begin}
        if config.alone and unread:
            with self._ingest.pulse.waiting("the journal"):
                await asyncio.to_thread(recall_journal, config, unread)
        self._opened_at = time.monotonic()
        self._metrics.partitions.set(len(self.partitions))
        place = about(topic=RAW, epoch=config.epoch)
        log.info("reading %d partitions of %s", len(self.partitions), RAW, extra=place)

    def _go_back(self, tp: TopicPartition, start: int, records: Records) -> None:
        """Read again what came after a translator's memory was kept."""
        self._consumer.seek(tp, start)
        records.pop(tp, None)

    async def _position(self, tp: TopicPartition) -> int:
        with self._ingest.pulse.waiting("the broker"):
            position: int = await asyncio.wait_for(self._consumer.position(tp), COMMIT_TIMEOUT_S)
        return position

    async def _tick(self, turn: float) -> None:
        if not self.partitions or not self._gate.open():
            return
        readings = await self._readings()
        for number in self._ticker.advance(readings, turn):
            strays = {other.number: other.strays for other in self.partitions.values()}
            detours = partitions_by_stray(strays)
            for site in self.partitions[number].residents:
                others = detours.get(site, ())
                now = self._ticker.moment(number, others)
                for other in others:  # what is read but not yet sent must not come after the tick
                    self.partitions[other].flush_site(site, turn)
                self.partitions[number].tick(site, now, turn)
                self._metrics.last_tick.set(now / 1000)

    async def _readings(self) -> dict[int, Reading]:
        readings, lag = {}, 0
        for number, partition in self.partitions.items():
            reading = await self._reading(TopicPartition(RAW, number), partition.next)
            if reading is not None:
                readings[number] = reading
                lag += max(0, (reading.end or 0) - reading.position)
        self._metrics.lag.set(lag)
        self._metrics.backlog.set(self.lanes.backlog_bytes)
        return readings

    async def _reading(self, tp: TopicPartition, position: int) -> Reading | None:
        """None where the partition is revoked: aiokafka tells nothing of it any more."""
        consumer = self._consumer
        if tp not in consumer.assignment():
            return None
        end = consumer.highwater(tp)
        if end is not None and position < end:
            # Offsets of transaction markers hold no record: the consumer steps over them.
            position = max(position, await self._position(tp))
            if tp not in consumer.assignment():
                return None
        return Reading(position, end, consumer.last_poll_timestamp(tp))

    async def _commit_when_due(self, turn: float) -> None:
        if turn >= self._commit_at:
            self._commit_at = turn + COMMIT_EVERY_S
            await self._commit(self.partitions)

    async def _commit(self, partitions: Mapping[int, Partition]) -> None:
        """Commit what has settled. A failed commit is tried again with the next one."""
        settled = {number: one.settled_offset() for number, one in partitions.items()}
        news = {n: offset for n, offset in settled.items() if offset != self._committed.get(n)}
        if not news:
            return
        offsets = {TopicPartition(RAW, number): offset for number, offset in news.items()}
        try:
            with self._ingest.pulse.waiting("the broker"):
                await asyncio.wait_for(self._consumer.commit(offsets), COMMIT_TIMEOUT_S)
        except (KafkaError, TimeoutError) as error:
            place = about(topic=RAW, partition=min(news), offset=news[min(news)])
            log.warning("offsets not committed, will be again: %r", error, extra=place)
            return
        self._committed.update(news)

    async def _release(self, turn: float) -> None:
        """Flush, wait for acknowledgements, commit, and own nothing any more."""
        partitions, self.partitions = self.partitions, {}
        self._metrics.partitions.set(0)
        self._ticker.forget(partitions)
        for partition in partitions.values():
            partition.flush(turn)
        if partitions:
            await self.lanes.drain(0, DRAIN_S)
            for partition in partitions.values():
                partition.keep_memories(turn)
            await self.lanes.drain(0, DRAIN_S)
            await self._commit(partitions)


def _consumer(config: Config) -> AIOKafkaConsumer:
    return AIOKafkaConsumer(
        **config.brokers.arguments(),
        client_id="callboard-ingest",
        # A new epoch begins empty and needs all of the raw topic again: it is a group of its own.
        group_id=f"callboard-ingest-{config.epoch}",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=FETCH_WAIT_MS,
        fetch_max_bytes=8 * 1024 * 1024,
        max_partition_fetch_bytes=3 * 1024 * 1024,
        session_timeout_ms=SESSION_TIMEOUT_MS,
        heartbeat_interval_ms=SESSION_TIMEOUT_MS // 4,
        rebalance_timeout_ms=30_000,
    )


async def _ended(work: Coroutine[Any, Any, None], seconds: float) -> None:
    """Give a client so long to stop. Without its broker it may end by its own cancellation, which
    must not be taken for ours."""
    task = asyncio.ensure_future(work)
    await asyncio.wait((task,), timeout=seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _unless(stop: asyncio.Event, work: Any) -> None:
    """Await the work, or give it up when stopped."""
    task = asyncio.ensure_future(work)
    waiter = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({task, waiter}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        task.cancel()
        waiter.cancel()
