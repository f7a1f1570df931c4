"""The sink role: rows from `kpi.rows` into ClickHouse, offsets committed last.

Rows gather by partition for about a second, are written as one batch (a token per range of offsets
and table), then the progress of their sites, then the offset is committed. A crash in between
writes the same rows again, which the tables take as what they have: rows are replaced by key and
version. While the store is away the same batch is tried for ever; Kafka keeps what follows. Rows
the store refuses go to the dead letters and hold up nobody.

What fails with the broker ends a *session*: its consumer and its batches are dropped, and the next
one reads on from what is committed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

from aiokafka import AIOKafkaProducer, ConsumerRebalanceListener, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError

from schemas.config import Config
from schemas.topics import DEAD, ROWS
from service.health import Pulse
from service.logs import about
from service.operator_page import OperatorPage
from sinks.clickhouse.alerts import AlertSink
from sinks.clickhouse.batch import BadRow, Batch, dead_letter, place_of
from sinks.clickhouse.gathering import Gathering
from sinks.clickhouse.metrics import SinkMetrics
from sinks.clickhouse.migrate import MigrationError, load
from sinks.clickhouse.page import serve
from sinks.clickhouse.quality import LiveProducer, Quality
from sinks.clickhouse.reconcile import Reconciler
from sinks.clickhouse.writer import HttpStore, Stopped, Store, Unavailable, Writer
from sinks.kafka import group_consumer, partitions_of

log = logging.getLogger(__name__)

GROUP = "callboard-sink"
POLL_MS = 200
POLL_RECORDS = 100
WATCH_S = 3.0
"""How often the broker is asked where the topic ends."""
REQUEST_S = 5.0
DRAIN_S = 5.0
"""How long a stopping sink tries to write what it has; the next one reads the rest again."""
BUSY_LAG = 1000
"""Records not written, above which the sink asks the store nothing."""
PROBE_S = 5.0
"""How often the store is asked whether it is there while nothing is written."""
FAILING_S = 10.0
"""How long the store may refuse to take rows before the sink says it is not ready."""

Records = dict[TopicPartition, list[Any]]


class SinkError(Exception):
    """The sink cannot run as it is configured; the message says what to change."""


class TopicChanged(Exception):
    """The topic ends before the place that was being read: it has begun anew."""


Prepare = Callable[[], Awaitable[None]]


async def _nothing() -> None:
    """Nothing to prepare."""


class Sink:
    """The role as a process: its page, and one session after another.

    `prepare` is awaited before the broker is asked for anything; whoever starts the sink makes the
    topics there.
    """

    def __init__(
        self, config: Config, store: Store | None = None, prepare: Prepare = _nothing
    ) -> None:
        self.config = config
        self._prepare = prepare
        self.metrics = SinkMetrics()
        self.store = store or HttpStore(config)
        self.stopping: asyncio.Event = asyncio.Event()
        self.session: Session | None = None
        self.pulse = Pulse("the main loop")
        self._alerting = Pulse("the loop of alerts")
        self.operator = OperatorPage(
            "sink", config, lambda: [self.unready()], [self.pulse.stuck, self._alerting.stuck]
        )
        self._waits_for = "the store"
        self._store_silent = ""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set.

        Raises `SinkError` if the topic is not as configured, and what `prepare` raises.
        """
        self.stopping = stop
        looking: list[asyncio.Task[None]] = []
        alerting: asyncio.Task[None] | None = None
        runner = await serve(
            self.metrics, self.operator, self.config.page_host, self.config.sink_port
        )
        self.operator.levels.listen()
        try:
            await self._schema()
            self._waits_for = "the topics"
            with self.pulse.waiting("the topics"):
                await _unless(stop, self._prepare())
            looks = (self._reconcile, self._quality, self._probe)
            looking += [asyncio.create_task(look()) for look in looks]
            alerting = asyncio.create_task(self._alerts())
            while not stop.is_set():
                await self._session()
        finally:
            for task in looking:
                task.cancel()
            if alerting is not None:
                await _ended(alerting, DRAIN_S if stop.is_set() else 0)
            await runner.cleanup()
            if isinstance(self.store, HttpStore):
                await self.store.close()

    def unready(self) -> str:
        """Why the sink is not ready, empty if it is."""
        if self.session is None:
            return f"waiting for {self._waits_for}"
        return self.session.unready() or self._store_silent

    async def _schema(self) -> None:
        """Wait until the tables are as this version needs them."""
        if not isinstance(self.store, HttpStore):
            return
        said = ""
        while not self.stopping.is_set():
            with self.pulse.waiting("the store"):
                problem = await _schema_problem(self.store, self.config.clickhouse_database)
            if not problem:
                return
            if problem != said:
                log.warning("waiting for the store: %s", problem)
                said = problem
            self._waits_for = f"the store: {problem}"
            await _pause(self.stopping, 1.0)

    async def _probe(self) -> None:
        """Ask the store whether it is there, while no insert tells."""
        while isinstance(self.store, HttpStore):
            await asyncio.sleep(PROBE_S)
            session = self.session
            if session is None or session.has_written_within(PROBE_S):
                self._store_silent = ""
                continue
            try:
                await asyncio.wait_for(self.store.check("SELECT 1"), PROBE_S)
                self._store_silent = ""
            except (Unavailable, TimeoutError):
                self._store_silent = "the store does not answer"

    async def _reconcile(self) -> None:
        if isinstance(self.store, HttpStore):
            config = self.config
            database, every_ms = config.clickhouse_database, config.reconcile_ms
            reconciler = Reconciler(
                *(self.store, database, self.metrics, every_ms, self._idle), config.retention_days
            )
            await reconciler.run(self.stopping)

    async def _quality(self) -> None:
        if isinstance(self.store, HttpStore):
            config, live = self.config, LiveProducer(self.config.brokers)
            given = (self.store, config.clickhouse_database, self.metrics, config.quality_ms)
            try:
                await Quality(*given, self._idle, live.send).run(self.stopping)
            finally:
                await live.stop()

    async def _alerts(self) -> None:
        if isinstance(self.store, HttpStore):
            sink = AlertSink(self.config, self.store, self.metrics, self._alerting)
            await sink.run(self.stopping)

    def _idle(self) -> list[int] | None:
        return None if self.session is None else self.session.idle()

    async def _session(self) -> None:
        self._waits_for = "the broker"
        session = Session(self)
        try:
            with self.pulse.waiting("the broker"):
                await session.start()
            self.session = session
            await session.work()
        except (KafkaError, OSError, TimeoutError, TopicChanged) as error:
            log.warning("session lost, beginning again: %r", error, extra=about(topic=ROWS))
            await _pause(self.stopping, 1.0)
        finally:
            self.session = None
            with self.pulse.waiting("the broker"):
                await session.stop()


class Session(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is not typed
    """One life of the consumer and its batches between two faults of the broker."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._metrics = sink.metrics
        self._stop = sink.stopping
        self._pulse = sink.pulse
        self._writer = Writer(sink.store, sink.metrics, self._given_up, sink.pulse)
        self._consumer = group_consumer(
            sink.config, GROUP, fetch_max_wait_ms=POLL_MS, fetch_max_bytes=16 * 1024 * 1024
        )
        self._producer: AIOKafkaProducer | None = None
        self._gathering = Gathering()
        self._written: dict[int, int] = {}
        self._writing = -1
        self._lost = False
        self._deadline = float("inf")
        self._read: dict[int, int] = {}
        self._begun_anew = ""
        self._assigned = False
        self._lag = 0
        self._broker_silent = False

    async def start(self) -> None:
        """Connect and ask for partitions. Raises what the broker raises, or `SinkError`."""
        await self._consumer.start()
        await self._topic()
        config = self._sink.config
        if config.alone:
            # The embedded stack has one sink: no group to wait for after a kill.
            mine = [TopicPartition(ROWS, number) for number in range(config.partitions)]
            self._consumer.assign(mine)
            await self.on_partitions_assigned(mine)
        else:
            self._consumer.subscribe([ROWS], listener=self)

    async def _topic(self) -> None:
        config = self._sink.config
        while not (found := len(await partitions_of(config.brokers, ROWS))):
            if self._stop.is_set():
                return
            await _pause(self._stop, 0.5)
        if found != config.partitions:
            raise SinkError(
                f"topic {ROWS}: expected {config.partitions} partitions, found {found}. "
                "Set CALLBOARD_PARTITIONS to what the topics were made with, the same for every "
                "role."
            )

    async def work(self) -> None:
        """Read, gather and write until the sink stops, then write what is left."""
        watch = asyncio.create_task(self._watch())
        try:
            while not self._stop.is_set():
                self._pulse.turn()
                records = await self._consumer.getmany(timeout_ms=POLL_MS, max_records=POLL_RECORDS)
                self._gather(records)
                await self._write_due(time.monotonic())
                self._check()
            await self._write_due(float("inf"))
        finally:
            watch.cancel()

    async def stop(self) -> None:
        """Leave the group and close the connections, without waiting long for a broker."""
        for end in (self._consumer, self._producer):
            if end is not None:
                # Without its broker a client may end by its own cancellation, which is not ours.
                await _ended(asyncio.ensure_future(end.stop()), REQUEST_S)

    def unready(self) -> str:
        """Why nothing would be written now, empty if it would."""
        failing = self._writer.failing_since
        if failing is not None and time.monotonic() - failing > FAILING_S:
            return "the store takes no rows"
        if self._broker_silent:
            return "the broker does not answer"
        return "" if self._assigned else "no assignment yet"

    def has_written_within(self, seconds: float) -> bool:
        """Whether the store has taken rows a moment ago."""
        return time.monotonic() - self._writer.inserted_at < seconds

    def idle(self) -> list[int] | None:
        """The partitions assigned, None while their rows are more urgent than any question."""
        if self._gathering.full or self._lag > BUSY_LAG or self._writer.failing_since is not None:
            return None
        return [tp.partition for tp in self._consumer.assignment()]

    # --- partitions come and go -----------------------------------------------------------------

    async def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Called by the consumer when it has its partitions."""
        self._assigned = True
        self._metrics.partitions.set(len(list(assigned)))

    async def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Called by the consumer before others may read its partitions: their rows are dropped,
        for whoever has them next reads them again."""
        self._assigned = False
        for partition in [tp.partition for tp in revoked]:
            self._gathering.drop(partition)
            self._written.pop(partition, None)
            self._read.pop(partition, None)
            self._lost = self._lost or partition == self._writing

    def _given_up(self) -> bool:
        now = time.monotonic()
        if self._stop.is_set():
            self._deadline = min(self._deadline, now + DRAIN_S)
        return self._lost or now > self._deadline

    # --- gathering and writing --------------------------------------------------------------------

    def _gather(self, records: Records) -> None:
        for tp, found in records.items():
            self._written.setdefault(tp.partition, found[0].offset)
            self._read[tp.partition] = found[-1].offset + 1
            for record in found:
                value = record.value or b""
                self._gathering.add(tp.partition, record.offset, value, time.monotonic())

    async def _write_due(self, now: float) -> None:
        self._gathering.close_due(now)
        while self._gathering.full:
            await self._write(self._gathering.full.popleft())

    async def _write(self, batch: Batch) -> None:
        self._writing, self._lost = batch.partition, False
        place = about(topic=ROWS, partition=batch.partition, offset=batch.first)
        try:
            bad = batch.bad + await self._writer.write(batch)
            for row in bad:
                await self._bury(row)
            await self._commit(batch)
            self._metrics.batches.inc()
        except Stopped:
            log.info("left to the next", extra=place)
        finally:
            self._writing = -1

    async def _bury(self, bad: BadRow) -> None:
        log.error("bad row of %s: %s", bad.field, bad.detail, extra=place_of(bad, ROWS))
        self._metrics.bad_rows.labels(bad.field).inc()
        if self._producer is None:
            self._producer = AIOKafkaProducer(**self._sink.config.brokers.arguments(), acks="all")
            await self._producer.start()
        key, value = dead_letter(bad, ROWS, "bad_row")
        with self._pulse.waiting("the broker"):
            await self._producer.send_and_wait(DEAD, value, key=key)

    async def _commit(self, batch: Batch) -> None:
        offsets = {TopicPartition(ROWS, batch.partition): batch.last + 1}
        self._check()
        try:
            with self._pulse.waiting("the broker"):
                await asyncio.wait_for(self._consumer.commit(offsets), REQUEST_S)
        except (CommitFailedError, IllegalStateError):
            place = about(topic=ROWS, partition=batch.partition, offset=batch.last)
            log.info("the partition has gone to another sink", extra=place)
            return
        self._written[batch.partition] = batch.last + 1

    # --- looking after the topic ----------------------------------------------------------------

    async def _watch(self) -> None:
        """Measure the lag, also while the store is away, and notice a topic that begins anew.

        A broker in memory comes back empty; a consumer that stands beyond the end of its topic
        would wait there until the topic has grown as long as it was, and miss all before.
        """
        while True:
            await asyncio.sleep(WATCH_S)
            mine = list(self._consumer.assignment())
            # Taken before the question: reading goes on while the broker answers.
            read = dict(self._read)
            try:
                ends = await asyncio.wait_for(self._consumer.end_offsets(mine), REQUEST_S)
                self._broker_silent = False
            except (KafkaError, OSError, TimeoutError) as error:
                self._broker_silent = True
                log.debug("ends of %s unknown: %r", ROWS, error)
                continue
            lag = 0
            for tp, end in ends.items():
                # What a fetch says: in the list some brokers name the start of the last batch.
                known = self._consumer.highwater(tp)
                if known is not None and read.get(tp.partition, 0) > known:
                    self._begun_anew = (
                        f"{ROWS} {tp.partition} ends at {known}, before what was read"
                    )
                lag += max(0, max(end, known or 0) - self._written.get(tp.partition, end))
            self._lag = lag
            self._metrics.lag.set(lag)

    def _check(self) -> None:
        if self._begun_anew:
            raise TopicChanged(self._begun_anew)


async def _schema_problem(store: HttpStore, database: str) -> str:
    """What keeps the tables from being what this version writes to; empty if nothing does."""
    newest = load()[-1]
    try:
        rows = await store.check(
            f"SELECT count() FROM {database}.schema_migrations WHERE number = {newest.number}"
        )
    except (Unavailable, MigrationError) as error:
        return str(error)
    return "" if rows[0][0] else f"{newest.name} is not applied, run `callboard migrate`"


async def _unless(stop: asyncio.Event, work: Awaitable[None]) -> None:
    """Await the work, or give it up when stopped."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopped.cancel()
        task.cancel()
    if task.done() and not task.cancelled():
        task.result()


async def _ended(task: asyncio.Task[None], seconds: float) -> None:
    """Give a task that has been told to stop so long, then end it."""
    await asyncio.wait((task,), timeout=seconds)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)
