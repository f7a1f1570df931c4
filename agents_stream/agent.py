"""From frame to result: what happens to a frame, when a checkpoint is made, and in which order.

The order is the promise. Results of all frames up to N are confirmed by the broker; then the state
records are written and confirmed; then the marker; only then are the frames acknowledged. Whatever
is lost in a crash is what came after the last marker, and those frames are read again.

Nothing here knows Faust: state store, outbox and engines come in from outside.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Protocol

from agents_stream.budget import Budget
from agents_stream.checkpoint import NEVER, Ledger, StateKey, recover
from agents_stream.engines import Ack, Changes, Engine, EngineType, Partition
from agents_stream.publish import (
    LivePublisher,
    Outbox,
    late_letter,
    refused_letter,
    row_records,
    send_letter,
)
from agents_stream.snapshots import Restorer
from schemas.config import Config
from schemas.frames import Frame, FrameError, decode_frame
from schemas.settings import SiteSettings
from schemas.topics import FRAMES, ROWS
from service.health import Pulse
from service.logs import about
from sinks.prometheus.figures import WorkerFigures

log = logging.getLogger(__name__)

FRESH_S = 5.0
"""Ingest ticks every second, so a site that is silent for longer says that frames do not flow."""


Earliest = Callable[[int], Awaitable[int]]
"""The first offset that the frames topic still holds of a partition."""


CHECKPOINT_SHARE = 0.25
"""Of a worker's time that checkpoints by the clock may take; those by the number of events cost
the less the more they cover."""


STALLED_TURNS = 50
"""Looks, five a second, at which frames wait and none has come, before the worker starts anew.

Looks and not seconds: on a machine that gives the process too little, its fetches are as slow as
its looks, and a worker that starts anew then would only do the same again.
"""


class WorkerError(RuntimeError):
    """The worker cannot go on; the message says what an operator should do."""


class StateStore(Protocol):
    """Where state records are kept: the Faust tables, or a log in a test."""

    written_bytes: int

    def put(self, key: StateKey, value: bytes) -> None:
        """Write a record, safe once settled."""

    def delete(self, key: StateKey) -> None:
        """Delete a record, safe once settled."""

    async def settle(self) -> None:
        """Wait until everything written is confirmed."""

    def records(self, partition: int) -> Iterator[tuple[StateKey, bytes]]:
        """What was recovered of a partition."""

    async def reread(self, partition: int) -> list[tuple[StateKey, bytes]]:
        """What the log holds of a partition, read by another way than recovery."""

    def forget(self, partition: int) -> None:
        """Drop what is held of a partition that is revoked."""


class FrameAgent:
    """Applies frames to engines, one after another, and sends on what comes of them."""

    def __init__(
        self,
        config: Config,
        engine: EngineType,
        store: StateStore,
        outbox: Outbox,
        figures: WorkerFigures,
        earliest: Earliest,
        restorer: Restorer | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._config = config
        self._engine = engine
        self._store = store
        self._outbox = outbox
        self._figures = figures
        self._earliest = earliest
        self._restorer = restorer
        self._monotonic = monotonic
        self._turn = asyncio.Lock()
        self._stopped = False
        self._revoked = 0
        self._last_frame: float | None = None
        self._moves = 0
        self._watched = (0, 0)
        self.pulse = Pulse("the loop of frames", monotonic=monotonic)
        self._budget = Budget(CHECKPOINT_SHARE, 0.0, monotonic)
        self.live = LivePublisher(outbox, monotonic)
        self.partitions: dict[int, Partition] = {}

    # --- assignment ---------------------------------------------------------------------------

    async def open(self, number: int, member: int) -> None:
        """Rebuild a newly assigned partition from what was recovered of it.

        `member` is the consumer group's generation. Raises `CheckpointError` or `ValueError` for
        state that cannot be read.
        """
        recovered, revoked = recover(self._store.records(number), member), self._revoked
        if recovered.torn or recovered.marker is None:
            recovered = recover(await self._store.reread(number), member)
            if self._revoked != revoked:
                return
        now = self._monotonic()
        partition = Partition(number, Ledger(number, recovered), opened_at=now, checkpointed_at=now)
        for torn in recovered.torn:
            place = about(topic=FRAMES, partition=number)
            log.error("checkpoint %s; an older one is taken", torn, extra=place)
            self._figures.states_lost += 1
        if recovered.marker is not None:
            partition.epoch, partition.offset = recovered.marker.epoch, recovered.marker.offset
        for site, parts in recovered.sites.items():
            self._add_site(partition, self._engine.restore(parts), site)
        self.partitions[number] = partition
        self._moves += 1

    def _add_site(self, partition: Partition, engine: Engine, site: str) -> None:
        partition.sites[site] = engine
        partition.unwritten.add(site)
        self.live.changed(partition.number, site)

    def drop(self, number: int) -> None:
        """Give up a partition that is revoked; a checkpoint under way is abandoned."""
        self._revoked += 1
        partition = self.partitions.pop(number, None)
        if partition is not None:
            partition.dropped = True
        self.live.forget(number)
        self._store.forget(number)

    def holds(self, number: int) -> bool:
        """The partition is open: its state is recovered and its frames may come."""
        return number in self.partitions

    def resume_at(self, number: int, committed: int | None) -> int | None:
        """Where reading goes on, None for the committed offset.

        Raises `WorkerError` if the state is of a later epoch than this process.
        """
        partition = self.partitions.get(number)
        if partition is None:
            return None
        if partition.offset == NEVER:
            return self._without_checkpoint(number, committed)
        if partition.epoch > self._config.epoch:
            raise WorkerError(
                f"partition {number}: the checkpoint is of epoch {partition.epoch} but"
                f" CALLBOARD_EPOCH is {self._config.epoch}; set it to that of the frames topic"
            )
        if partition.epoch < self._config.epoch:
            return None if committed else 0
        partition.began = partition.offset + 1
        return partition.began

    def _without_checkpoint(self, number: int, committed: int | None) -> int:
        """The beginning, and never where the consumer stands: without a committed offset it stays
        behind frames that it has fetched for an assignment that is over."""
        if committed:
            log.error(
                "frames are committed up to here but there is no checkpoint;"
                " all frames still in the topic are read again",
                extra=about(topic=FRAMES, partition=number, offset=committed),
            )
            self._figures.states_lost += 1
        return 0

    def note_ends(self, ends: Mapping[int, int]) -> None:
        """Tell where partitions end; what counts is the first word since the assignment.

        It must come from the answer to a fetch: Tansu's answer to the question counts batches.
        """
        for number, end in ends.items():
            partition = self.partitions.get(number)
            if partition is not None and partition.end is None:
                partition.end = end

    # --- frames -------------------------------------------------------------------------------

    async def on_frame(self, number: int, offset: int, payload: bytes, ack: Ack) -> None:
        """Take one record of the frames topic; `ack` is called once it is safe to forget it."""
        async with self._turn:
            partition = self.partitions.get(number)
            if partition is None or self._stopped:
                return
            partition.unacked.append(ack)
            self._figures.last_frame_at = time.time()
            self._last_frame = self._monotonic()
            # All that may take long in here is the broker's answer.
            with self.pulse.waiting("the broker"):
                await self._take(partition, offset, payload)
                if not partition.dropped:
                    await self._after(partition)
            self.pulse.rest()
            self._moves += 1

    async def _take(self, partition: Partition, offset: int, payload: bytes) -> None:
        try:
            frame = decode_frame(payload)
        except FrameError as error:
            if offset > partition.offset:
                await self._refuse(partition, offset, "", repr(error), payload)
            return
        if (frame.epoch, offset) <= (partition.epoch, partition.offset):
            if frame.epoch == partition.epoch:
                _came_before(partition, offset)
                self._figures.frames_again += 1
                return
            detail = f"epoch {frame.epoch} is over, this is {partition.epoch}"
            await self._refuse(partition, offset, frame.site, detail, payload)
            return
        await self._notice_hole(partition, frame, offset)
        if not partition.dropped:
            await self._apply(partition, frame, offset, payload)

    async def _notice_hole(self, partition: Partition, frame: Frame, offset: int) -> None:
        """Frames may be deleted before they are read. They must not be skipped otherwise: then
        `WorkerError` ends the process, and the next one reads them."""
        expected = partition.offset + 1
        first = partition.offset == NEVER
        if offset == expected or (frame.epoch != partition.epoch and not first):
            return
        hole = f"partition {partition.number}: frames {expected} to {offset - 1}"
        if await self._earliest(partition.number) < offset:
            raise WorkerError(f"{hole} were skipped; they are read again after a restart")
        if first:
            return  # what the topic has let go of was not for this worker
        self._figures.frames_missing += offset - expected
        place = about(topic=FRAMES, partition=partition.number, offset=offset, epoch=frame.epoch)
        log.error("%s are gone from the topic, they were never applied", hole, extra=place)

    async def _apply(self, partition: Partition, frame: Frame, offset: int, payload: bytes) -> None:
        partition.epoch, partition.offset = frame.epoch, offset
        engine = partition.sites.get(frame.site) or self._begin_site(partition, frame)
        try:
            changes = engine.apply(frame, offset)
        except Exception as error:  # a defect met in one frame must not stop the other sites
            place = about(
                site=frame.site,
                topic=FRAMES,
                partition=partition.number,
                offset=offset,
                epoch=frame.epoch,
            )
            log.exception("a frame cannot be applied", extra=place)
            await self._refuse(partition, offset, frame.site, repr(error), payload)
            return
        self._figures.frames += 1
        self._figures.events += len(frame.events)
        partition.events += len(frame.events)
        self.live.changed(partition.number, frame.site)
        await self._send_results(partition, engine, frame, changes)
        if partition.caught_up and self.live.due(frame.site):
            await self.publish_due()

    def _begin_site(self, partition: Partition, frame: Frame) -> Engine:
        engine = self._restorer.restore(frame.site) if self._restorer else None
        if engine is None:
            engine = self._engine(SiteSettings(site=frame.site))
        self._add_site(partition, engine, frame.site)
        return engine

    async def _send_results(
        self, partition: Partition, engine: Engine, frame: Frame, changes: Changes
    ) -> None:
        key = frame.site.encode()
        # Also without a row: the store must learn how far the site's time has gone.
        for record in row_records(engine, changes.rows):
            await self._outbox.send(ROWS, key, record, partition.number)
        for raw_offset, event in changes.late:
            letter = late_letter(engine, frame, raw_offset, event)
            await send_letter(self._outbox, self._figures, letter)

    async def _refuse(
        self, partition: Partition, offset: int, site: str, detail: str, payload: bytes
    ) -> None:
        told = about(site=site or None, topic=FRAMES, partition=partition.number, offset=offset)
        log.error("a frame is dead-lettered: %s", detail, extra=told)
        partition.offset = max(partition.offset, offset)
        self._figures.frames_refused += 1
        place = (max(partition.epoch, self._config.epoch), partition.number, offset)
        letter = refused_letter(place, site, detail, payload)
        await send_letter(self._outbox, self._figures, letter)

    async def _after(self, partition: Partition) -> None:
        if not partition.caught_up and partition.behind == 0:
            self._caught_up(partition)
        if self._checkpoint_due(partition):
            await self.checkpoint(partition)

    def _caught_up(self, partition: Partition) -> None:
        partition.caught_up = True
        self._figures.recoveries += 1
        self._figures.last_recovery_seconds = self._monotonic() - partition.opened_at

    # --- results ------------------------------------------------------------------------------

    async def publish_due(self) -> None:
        """Publish the sites that have changed and whose pace allows it; to be called often.

        Nothing is published of a partition until the frames present at its assignment are read.
        """
        waiting: list[Engine] = []
        for partition in self.partitions.values():
            if not partition.caught_up and partition.behind == 0:
                self._caught_up(partition)
            if partition.caught_up:
                engines = partition.sites.values()
                waiting += [engine for engine in engines if self.live.due(engine.site)]
        for engine in sorted(waiting, key=lambda one: self.live.published_at(one.site)):
            if self.live.affordable():
                await self.live.publish(engine)

    # --- checkpoints --------------------------------------------------------------------------

    def _checkpoint_due(self, partition: Partition) -> bool:
        if partition.events >= self._config.checkpoint_events:
            return True
        elapsed = self._monotonic() - partition.checkpointed_at
        return elapsed * 1000 >= self._config.checkpoint_ms and self._budget.allows()

    async def checkpoint(self, partition: Partition) -> None:
        """Make the partition's frames up to now safe and acknowledge them.

        Returns without an acknowledgement if the partition is revoked meanwhile: the frames belong
        to the next owner then. Raises what the broker answers; the ledger is of no use afterwards.
        """
        began, bytes_before = self._monotonic(), self._store.written_bytes
        await self._outbox.settle()
        if partition.dropped:
            return
        if partition.version == partition.checkpointed:
            # Nothing but frames that came again: a second cut at this version could not be told
            # from the first.
            self._acknowledge(partition)
            return
        parts = self._write_state(partition)
        await self._store.settle()
        if partition.dropped:
            return
        self._store.put(*partition.ledger.marker(partition.epoch, partition.offset))
        await self._store.settle()
        if partition.dropped:
            return
        self._acknowledge(partition)
        for key in partition.ledger.settled():
            self._store.delete(key)
        self._note_checkpoint(parts, self._store.written_bytes - bytes_before, began)

    def _write_state(self, partition: Partition) -> int:
        """Write what changed of every site, without a pause: this is the cut."""
        parts = 0
        for site, engine in partition.sites.items():
            dirty = engine.dirty_parts()
            changed = engine.all_parts() if site in partition.unwritten else dirty
            for part, value in changed.items():
                record = partition.ledger.write(site, part, value, partition.version)
                if record is not None:
                    self._store.put(*record)
                    parts += 1
        partition.unwritten.clear()
        return parts

    def _acknowledge(self, partition: Partition) -> None:
        for ack in partition.unacked:
            ack()
        partition.unacked = []
        partition.events = 0
        partition.checkpointed = partition.version
        partition.checkpointed_at = self._monotonic()

    def _note_checkpoint(self, parts: int, size: int, began: float) -> None:
        figures, now = self._figures, self._monotonic()
        self._budget.spend(now - began)
        figures.checkpoints += 1
        figures.checkpoint_bytes += size
        figures.checkpoint_seconds += now - began
        figures.last_checkpoint_bytes = size
        figures.last_checkpoint_parts = parts
        figures.last_checkpoint_seconds = now - began
        figures.last_checkpoint_at = time.time()

    # --- end ----------------------------------------------------------------------------------

    async def finish(self) -> None:
        """Take no more frames, publish and checkpoint what was taken, and wait until it is safe."""
        async with self._turn:
            self._stopped = True
            for partition in list(self.partitions.values()):
                if partition.caught_up:
                    for engine in partition.sites.values():
                        await self.live.publish(engine)
                if partition.unacked and not partition.dropped:
                    await self.checkpoint(partition)
            await self._outbox.settle()
            await self._store.settle()

    # --- looking ------------------------------------------------------------------------------

    def engines(self) -> list[Engine]:
        """The engines of all partitions held."""
        return [e for partition in self.partitions.values() for e in partition.sites.values()]

    def stalled(self, ends: Mapping[int, int]) -> list[int]:
        """Partitions whose frames should have come long ago: the topic ends at `ends`.

        To be asked five times a second.
        """
        waiting = [
            number
            for number, end in ends.items()
            if number in self.partitions and end > self.partitions[number].offset + 1
        ]
        moves, looks = self._watched
        if not waiting or self._turn.locked() or moves != self._moves:
            looks = -1
        self._watched = (self._moves, looks + 1)
        return waiting if looks + 1 >= STALLED_TURNS else []

    def unready(self) -> list[str]:
        """Why results should not be trusted to be of now; empty when all is well.

        A worker whose partitions never had a site has nothing to wait for.
        """
        reasons = []
        for partition in self.partitions.values():
            left = partition.behind
            if left is None:
                reasons.append(f"partition {partition.number}: nothing fetched yet")
            elif left:
                reasons.append(f"partition {partition.number}: {left} frames left to read")
        if any(p.sites or p.end for p in self.partitions.values()):
            reasons += self._silence()
        return reasons

    def _silence(self) -> list[str]:
        if self._last_frame is None:
            return ["no frame yet"]
        age = self._monotonic() - self._last_frame
        return [f"no frame for {age:.0f} s"] if age >= FRESH_S else []


def _came_before(partition: Partition, offset: int) -> None:
    """A frame may come again, but none from before the place where reading began.

    The end of the topic cannot tell: Tansu answers with a smaller one than it is.
    """
    if partition.began is not None and offset < partition.began:
        raise WorkerError(
            f"partition {partition.number}: frame {offset} came although reading began at"
            f" {partition.began}; the topic was created anew without a higher CALLBOARD_EPOCH"
        )
