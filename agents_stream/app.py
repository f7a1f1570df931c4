"""The worker process: the Faust app, the agent that feeds it frames, its page, start and stop.

`main` runs until SIGTERM or SIGINT, then takes no more frames, publishes, makes a last checkpoint
and snapshot, commits and leaves the consumer group. Anything that makes the state of this process
doubtful (the broker refuses a record, Faust crashes, state cannot be read) ends the process at once
with an error: what is not checkpointed is read again by the next one, exactly as after a kill.
"""

from __future__ import annotations

import asyncio
import copy
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from pathlib import Path
from typing import Any, cast

import faust
from faust.types import TP
from mode.utils.objects import cached_property
from yarl import URL

from agents_stream.agent import FrameAgent
from agents_stream.consumer import Bundle, Consumer, Flow, PromptTableManager, Transport
from agents_stream.engines import EngineType, spare_collector
from agents_stream.publish import Outbox, views_of
from agents_stream.readiness import StatusPage
from agents_stream.snapshots import Restorer, SnapshotWriter
from agents_stream.tables import GROUP, SettledTable, StateTables
from pipeline.engine import Site
from schemas.brokers import Brokers
from schemas.clock import Clock
from schemas.config import Config
from schemas.topics import FRAMES
from service.health import Pulse
from service.logs import about
from service.operator_page import OperatorPage
from sinks.prometheus.collector import render
from sinks.prometheus.figures import WorkerFigures

log = logging.getLogger(__name__)

# A broker's usual lower limit is 6 s; the embedded broker takes less, and has a single worker.
SESSION_S = 6.0
EMBEDDED_SESSION_S = 4.0
PUBLISH_TURN_S = 0.05
STOP_PATIENCE_S = 15.0
EXIT_DOUBTFUL = 70
_MIB = 1024 * 1024


Prepare = Callable[[], Awaitable[None]]


class _App(faust.App):
    """Faust's app without its data folder, and without its way to go on after an error.

    It would commit and start the agent anew behind the frame at which it failed.
    """

    @cached_property
    def flow_control(self) -> Flow:
        """Pauses the stream during a rebalance."""
        return Flow(loop=self.loop)

    mundane_level = "debug"
    on_doubt: Callable[[BaseException], None]

    def _create_directories(self) -> None:
        return None

    async def _on_agent_error(self, agent: object, exc: BaseException) -> None:
        self.on_doubt(exc)


def build_app(config: Config) -> _App:
    """The Faust app, without agent and tables."""
    session_s = EMBEDDED_SESSION_S if config.alone else SESSION_S
    return _App(
        GROUP,
        broker=[URL(f"kafka://{server.strip()}") for server in config.bootstrap.split(",")],
        broker_credentials=_credentials(config.brokers),
        # They are made before, or by somebody who may; Faust would fail where it may not.
        topic_allow_declare=False,
        store="memory://",
        autodiscover=False,
        web_enabled=False,
        topic_disable_leader=True,
        topic_partitions=config.partitions,
        table_standby_replicas=0,
        Table=SettledTable,
        TableManager=PromptTableManager,
        broker_session_timeout=session_s,
        broker_heartbeat_interval=session_s / 4,
        broker_rebalance_timeout=30.0,
        broker_commit_interval=1.0,
        consumer_auto_offset_reset="earliest",
        consumer_max_fetch_size=4 * _MIB,
        # Out of the way: the consumer has its own limit, in bytes.
        stream_buffer_maxsize=4096,
        # Frames wait for their checkpoint unacknowledged; nobody must wait for that.
        stream_wait_empty=False,
        producer_acks=-1,
        # After a batch the next one waits this long for company: rows of small frames would cost a
        # request each, which is a third of a worker's time. The first record never waits.
        producer_linger=0.02,
        producer_max_batch_size=_MIB // 2,
        producer_max_request_size=2 * _MIB,
        cython_optimizations=True,
        worker_redirect_stdouts=False,
    )


def _credentials(brokers: Brokers) -> faust.SASLCredentials | faust.SSLCredentials | None:
    """What Faust gives to the consumers, producers and clients that it makes."""
    if brokers.sasl:
        return faust.SASLCredentials(
            username=brokers.user,
            password=brokers.password,
            mechanism=brokers.mechanism,
            ssl_context=brokers.context(),
        )
    return faust.SSLCredentials(brokers.context()) if brokers.tls else None


class Worker:
    """One worker process from start to stop."""

    def __init__(self, config: Config, engine: EngineType) -> None:
        self.config = config
        self.figures = WorkerFigures()
        self._clock = Clock.from_file(config.clock_file)
        self._app = build_app(config)
        transport = Transport(self._app, FRAMES, alone=config.alone)
        self._app.transport = transport
        tables = StateTables(self._app, config.brokers, config.partitions)
        outbox = Outbox(self._send, self.figures)
        restorer = Restorer(config, engine)
        self.agent = FrameAgent(
            config, engine, tables, outbox, self.figures, self._earliest, restorer
        )
        transport.positions = self.agent
        self._snapshots = _snapshot_writer(config, self.figures)
        self._watching = Pulse("the main loop")
        self._publishing = Pulse("the loop that publishes")
        checks = [p.stuck for p in (self._watching, self._publishing, self.agent.pulse)]
        self.operator = OperatorPage("worker", config, self._unready, checks)
        self._page = StatusPage(self.operator, self._metrics)
        self._prepared = False
        self._recovered = False
        self._stopping = False
        self._end = asyncio.Event()
        self._doubt: BaseException | None = None
        self._declare()

    def _declare(self) -> None:
        # Raw, or Faust would decode the JSON as well, and skip what it cannot decode.
        topic = self._app.topic(
            FRAMES,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
            partitions=self.config.partitions,
        )
        self._app.agent(topic, name="frames", concurrency=1)(self._frames)
        self._app.on_doubt = self.give_up
        self._app.on_partitions_revoked.connect(self._on_revoked)
        self._app.on_rebalance_complete.connect(self._on_recovered)

    # --- Faust's side -------------------------------------------------------------------------

    async def _frames(self, stream: Any) -> None:
        async for event in stream.noack().events():
            message = event.message
            bundle, message.value = message.value, None
            try:
                await self._take(message.tp, message.generation_id, bundle)
            except Exception as error:
                self.give_up(error)
                # Faust would start the agent anew and go on behind this frame.
                await asyncio.Event().wait()

    async def _take(self, tp: TP, generation: int, bundle: Bundle) -> None:
        """Takes frames as long as the assignment lasts for which they were fetched."""
        consumer = cast(Consumer, self._app.consumer)
        for offset, payload in bundle.frames:
            bundle.size -= len(payload)
            if generation != self._app.consumer_generation_id:
                continue
            done = partial(consumer.done, tp, offset)
            await self.agent.on_frame(tp.partition, offset, payload, done)

    async def _send(
        self, topic: str, key: bytes, value: bytes, partition: int | None
    ) -> asyncio.Future[Any]:
        sent = await self._app.producer.send(topic, key, value, partition, None, None)
        return cast("asyncio.Future[Any]", sent)

    async def _earliest(self, number: int) -> int:
        place = TP(FRAMES, number)
        found = await self._app.consumer.earliest_offsets(place)
        return int(found[place])

    async def _on_revoked(self, _app: Any, /, *args: Any, **_: Any) -> None:
        revoked: set[TP] = args[0]
        self._recovered = False
        for tp in revoked:
            if tp.topic == FRAMES:
                self.agent.drop(tp.partition)

    async def _on_recovered(self, _app: Any, /, *_args: Any, **_: Any) -> None:
        for tp in self._app.consumer.assignment():
            if tp.topic == FRAMES and tp.partition not in self.agent.partitions:
                await self.agent.open(tp.partition, self._app.consumer_generation_id)
        self._recovered = True
        numbers = sorted(self.agent.partitions)
        log.info(
            "recovered partitions %s", numbers, extra=about(topic=FRAMES, epoch=self.config.epoch)
        )

    # --- what the page says -------------------------------------------------------------------

    def _unready(self) -> list[str]:
        if self._stopping:
            return ["stopping"]
        if not self._prepared:
            return ["waiting for the broker and its topics"]
        if not self._recovered or self._app.rebalancing:
            return ["recovering"]
        return self.agent.unready()

    async def _metrics(self) -> bytes:
        self.figures.ready = not self._unready()
        self.figures.partitions = len(self.agent.partitions)
        self.figures.lag_frames = self._lags()
        published = self.agent.live.published()
        figures, now = copy.deepcopy(self.figures), self._clock.now_ms()
        # In a thread: the page of a large site takes a tenth of a second and more.
        return await asyncio.to_thread(lambda: render(views_of(published), figures, now))

    def _lags(self) -> dict[int, int]:
        held = self.agent.partitions
        return {n: max(0, end - held[n].offset - 1) for n, end in self._ends().items()}

    def _ends(self) -> dict[int, int]:
        ends = {number: self._end_of(number) for number in self.agent.partitions}
        return {number: end for number, end in ends.items() if end is not None}

    def _end_of(self, number: int) -> int | None:
        try:
            end: int | None = self._app.consumer.highwater(TP(FRAMES, number))
        except Exception:  # not assigned any more, or nothing fetched yet
            return None
        return end

    # --- running ------------------------------------------------------------------------------

    def give_up(self, error: BaseException) -> None:
        """End the process soon, without a checkpoint."""
        if self._doubt is None:
            self._doubt = error
            log.error("giving up: %r", error, exc_info=error)
        self._end.set()

    async def open(self, prepare: Prepare) -> None:
        """Show the page, then wait until all is prepared or the worker is told to stop.

        A worker whose broker is away is not ready, and not dead. Raises what `prepare` raises.
        """
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end.set)
        self.operator.levels.listen()
        port = await self._page.start(self.config.page_host, self.config.worker_port)
        log.info("metrics and readiness on port %d", port)
        preparing, stopped = asyncio.ensure_future(prepare()), asyncio.create_task(self._end.wait())
        with self._watching.waiting("the topics"):
            await asyncio.wait({preparing, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if preparing.done():
            preparing.result()
            self._prepared = True
        preparing.cancel()

    async def run(self) -> None:
        """Run until told to stop; raises what made the state doubtful. To be opened before."""
        if self._end.is_set():
            await self._page.stop()
            return
        tasks = [
            asyncio.create_task(self._guarded(step))
            for step in (self._start_app(), self._publish(), self._write_snapshots(), self._watch())
        ]
        await self._end.wait()
        if self._doubt is None:
            await self._finish()
        if self._doubt is not None:
            raise self._doubt
        for task in tasks:
            task.cancel()
        await self._leave()

    async def _leave(self) -> None:
        """Leave the group, so that a successor need not wait for the session to end."""
        try:
            async with asyncio.timeout(STOP_PATIENCE_S):
                await self._app.stop()
                await self._page.stop()
        except TimeoutError:
            log.warning("Faust does not stop; everything is safe, the process ends without it")
            logging.shutdown()
            os._exit(0)

    async def _guarded(self, step: Coroutine[Any, Any, None]) -> None:
        try:
            await step
        except Exception as error:
            self.give_up(error)

    async def _start_app(self) -> None:
        # Above this many unsent records Faust holds back every message; a checkpoint is more.
        self._app.producer.buffer.max_messages = 10_000
        await self._app.start()

    async def _publish(self) -> None:
        while True:
            self.agent.note_ends(self._ends())
            # All that may take long in here is the broker's answer.
            with self._publishing.waiting("the broker"):
                await self.agent.publish_due()
            await asyncio.sleep(PUBLISH_TURN_S)

    async def _write_snapshots(self) -> None:
        while self._snapshots is not None:
            await self._snapshots.write_due(self.agent.engines())
            await asyncio.sleep(1.0)

    async def _watch(self) -> None:
        """Faust may crash, or stop to deliver, and the process would go on without a word."""
        while not self._app.crashed:
            self._watching.turn()
            await asyncio.sleep(0.2)
            stalled = self.agent.stalled(self._ends()) if self._recovered else []
            if stalled:
                raise RuntimeError(f"frames of partitions {stalled} wait but do not come")
        raise RuntimeError(f"Faust crashed: {self._app.crash_reason!r}")

    async def _finish(self) -> None:
        log.info("stopping: last checkpoint")
        self._stopping = True
        await self._guarded(self._last_words())

    async def _last_words(self) -> None:
        async with asyncio.timeout(STOP_PATIENCE_S):
            await self.agent.finish()
            if self._recovered:
                await self._app.topics.commit(set(self._app.consumer.assignment()))
            if self._snapshots is not None:
                await self._snapshots.write_all(self.agent.engines())


def _snapshot_writer(config: Config, figures: WorkerFigures) -> SnapshotWriter | None:
    return SnapshotWriter(Path(config.snapshot_dir), figures) if config.snapshot_dir else None


async def _nothing() -> None:
    """Nothing to prepare."""


async def _run(config: Config, engine: EngineType, prepare: Prepare) -> None:
    worker = Worker(config, engine)
    await worker.open(prepare)
    try:
        await worker.run()
    except Exception as error:
        log.critical("the worker ends: %s", error)
        logging.shutdown()
        sys.stderr.flush()
        # Threads of Faust may hang on to a broker that is gone; as after a kill, nothing is lost.
        os._exit(EXIT_DOUBTFUL)


def main(config: Config, engine: EngineType = Site, prepare: Prepare = _nothing) -> None:
    """Run a worker until it is told to stop; ends the process with status 70 when in doubt.

    `prepare` is awaited before the broker is asked for anything; whoever starts the worker makes
    the topics there. Raises what it raises.
    """
    spare_collector()
    asyncio.run(_run(config, engine, prepare))
