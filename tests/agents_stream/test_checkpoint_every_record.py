"""A crash after every single record of a checkpoint.

A record that was sent and not acknowledged is safe, or it is lost; the worker dies after every one
of them in both ways, in every order that topics allow. Each log that this leaves must hold a
consistent cut, and nothing may be acknowledged beyond it; a successor then has to end with the
right totals, rows and board, without a word of lost state.

At the end real workers do it on Apache Kafka, and kill themselves at chosen records.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from aiokafka.admin import AIOKafkaAdminClient

from agents_stream.checkpoint import recover
from agents_stream.tables import GROUP
from pipeline.engine import Site
from schemas.config import Config
from schemas.frames import encode_frame
from schemas.topics import FRAMES, LIVE, ROWS
from tests.agents_stream.crashing import (
    ACKED,
    BEFORE,
    MARKER,
    RESULT,
    SENT,
    STATE,
    TOMBSTONE,
    Death,
)
from tests.agents_stream.fakes import (
    CountingSite,
    Crash,
    Log,
    LogWorker,
    Write,
    a_morning,
    frame_of,
)
from tests.agents_stream.harness import (
    Feed,
    WorkerProcess,
    board_is_right,
    changelogs_hold_the_state,
    recovered,
    rows_are_complete,
)
from tests.kafka.server import running_kafka
from tests.ports import free_port

PLAIN, PANES = "state", "panes"


@dataclass(slots=True)
class Life:
    """An uninterrupted life: what must be right after each frame, and in the end."""

    frames: list[bytes]
    engine: Any
    figures: list[dict[str, Any]]
    worker: LogWorker

    @property
    def records(self) -> int:
        """How many records the broker was sent."""
        return len(self.worker.log.records)


async def _whole(frames: list[bytes], engine: Any = CountingSite) -> Life:
    log = Log()
    log.frames = frames
    worker = await LogWorker(log, 1, engine).open()
    figures = []
    for offset in range(len(frames)):
        await worker.read_on(offset + 1)
        figures.append(_figures(worker.agent.engines()))
    await _live_on(worker)
    return Life(frames, engine, figures, worker)


async def _live_on(worker: LogWorker) -> None:
    """Read and publish everything, then stop in order."""
    await worker.read_on()
    await worker.agent.publish_due()
    await worker.agent.finish()


def _figures(engines: Iterator[Any] | list[Any]) -> dict[str, Any]:
    """Everything a crash must not change, by site."""
    return {
        engine.site: deepcopy(
            engine.figures() if isinstance(engine, CountingSite) else engine.view()
        )
        for engine in engines
    }


def _rows(log: Log) -> dict[tuple[str, int, int], Any]:
    """The newest record of each frame's rows, as the store would keep them."""
    return {(v["site"], v["version"], v["part"]): v["tables"] for _, v in log.topic(ROWS)}


def _board(log: Log) -> dict[bytes, Any]:
    """The newest record of each part, as the board would show them."""
    return {key: value["data"] for key, value in log.topic(LIVE)}


def _is_consistent(log: Log, life: Life) -> None:
    """What the log holds is the state after one frame, and no later frame is acknowledged."""
    found = recover(log.state().items(), 99)
    assert found.torn == []
    covered = found.marker.offset + 1 if found.marker else 0
    assert log.committed <= covered
    engines = [life.engine.restore(parts) for parts in found.sites.values()]
    assert _figures(engines) == (life.figures[covered - 1] if covered else {})


async def _until_the_end(log: Log, life: Life, crashes: list[int], lives: int = 1) -> None:
    """New owners go on, each dying after so many more records, the last one not; all is right."""
    for member, records in enumerate([*crashes, 0], start=lives + 1):
        log.crash_after = len(log.records) + records if records else None
        try:
            worker = await LogWorker(log, member, life.engine).open()
            assert worker.figures.states_lost == 0
            await _live_on(worker)
        except Crash:
            _is_consistent(log, life)
            continue
        log.crash_after = None
        assert _figures(worker.agent.engines()) == life.figures[-1]
        break
    assert _rows(log) == _rows(life.worker.log)
    assert _board(log) == _board(life.worker.log)
    assert (await LogWorker(log, 99, life.engine).open()).next == len(life.frames)
    _is_consistent(log, life)


async def _dead_after(life: Life, records: int, *, lost: bool = False) -> Log:
    """A log that ends after so many records of a first owner's life; the last may be lost."""
    log = Log(seed=records)
    log.frames, log.crash_after, log.lost = life.frames, records, lost
    worker = await LogWorker(log, 1, life.engine).open()
    with pytest.raises(Crash):
        await _live_on(worker)
    log.lost = False
    return log


@pytest.mark.parametrize("lost", [False, True], ids=["safe", "lost"])
async def test_a_crash_after_any_record_of_a_life(lost: bool) -> None:
    life = await _whole(a_morning())
    assert life.records >= 100
    for records in range(1, life.records + 1):
        log = await _dead_after(life, records, lost=lost)
        _is_consistent(log, life)
        await _until_the_end(log, life, [])


async def test_a_crash_of_the_real_engine_after_any_record() -> None:
    life = await _whole(_calls(), Site)
    assert life.figures[-1]["north"]["all"]["queues"]["windows"]["total"]["handled"] > 3
    for records in range(1, life.records + 1):
        log = await _dead_after(life, records, lost=records % 2 == 0)
        _is_consistent(log, life)
        await _until_the_end(log, life, [])


async def test_a_second_crash_after_any_record_that_the_successor_writes() -> None:
    """The first owner dies in its first checkpoint, in a later one or between; its successor, which
    writes everything anew and deletes what it found, dies after each of its own records."""
    life = await _whole(a_morning(14))
    longest = 0
    for first in range(1, life.records + 1, 7):
        seen = await _dead_after(life, first)
        second = 0
        while True:
            second += 1
            log = deepcopy(seen)
            await _until_the_end(log, life, [second])
            if len(log.records) - len(seen.records) < second:
                break
        longest = max(longest, second)
    assert longest > life.records // 2


@pytest.mark.parametrize("seed", range(40))
async def test_a_series_of_crashes(seed: int) -> None:
    life = await _whole(a_morning(40))
    log = await _dead_after(life, 1 + seed)
    await _until_the_end(log, life, [log.random.randint(1, 30) for _ in range(12)])


# --- every order in which two topics may become safe ----------------------------------------------


class GridLog(Log):
    """A log of which one confirmation is cut: so many records of each topic are safe, then dead."""

    def __init__(self) -> None:
        super().__init__()
        self.confirmations: list[dict[str, int]] = []
        self.cut: tuple[int, dict[str, int]] | None = None

    def confirm(self, writes: list[Write]) -> None:
        """Note how many records of each topic there are, or cut them."""
        counts = {topic: sum(write[0] == topic for write in writes) for topic in (PLAIN, PANES)}
        self.confirmations.append(counts)
        if self.cut is None or self.cut[0] != len(self.confirmations) - 1:
            super().confirm(writes)
            return
        left = dict(self.cut[1])
        for write in writes:
            if left.get(write[0], 0):
                left[write[0]] -= 1
                self.records.append(write)
        self.cut = None
        raise Crash


async def _one_life(log: GridLog, life: Life, member: int) -> None:
    await _live_on(await LogWorker(log, member, life.engine).open())


def _grids(log: GridLog) -> Iterator[tuple[int, dict[str, int]]]:
    """Every subset of each confirmation that holds records of both changelogs."""
    for number, counts in enumerate(log.confirmations):
        if all(counts.values()):
            for state in range(counts[PLAIN] + 1):
                for panes in range(counts[PANES] + 1):
                    yield number, {PLAIN: state, PANES: panes}


@pytest.mark.parametrize("owner", [1, 2], ids=["first owner", "successor"])
async def test_changelogs_that_become_safe_in_any_order(owner: int) -> None:
    life = await _whole(a_morning(16))
    before = GridLog()
    before.frames = life.frames
    if owner == 2:
        before.cut = (7, {})
        with pytest.raises(Crash):
            await _one_life(before, life, 1)
        before.confirmations.clear()
    seen = deepcopy(before)
    await _one_life(seen, life, owner)
    cuts = list(_grids(seen))
    assert len(cuts) > 50
    for cut in cuts:
        log = deepcopy(before)
        log.cut = cut
        with pytest.raises(Crash):
            await _one_life(log, life, owner)
        _is_consistent(log, life)
        await _until_the_end(log, life, [], owner)


def _calls() -> list[bytes]:
    """Calls that wait, talk and end across frames, of two sites."""
    frames, begin = [], 1_700_000_000_000
    for offset in range(12):
        site = "north" if offset % 4 else "south"
        now = begin + offset * 7_000
        events: list[dict[str, Any]] = []
        call, earlier = f"c{offset}", f"c{offset - 1}"
        queued = {"contact": call, "queue": "q", "channel": "voice", "direction": "inbound"}
        events.append({"type": "contact.queued", **queued})
        if offset % 4 > 1:
            answer = {"contact": earlier, "agent": "a", "channel": "voice"}
            events.append({"type": "contact.answered", **answer})
            done = {"contact": earlier, "agent": "a", "reason": "completed"}
            events.append({"type": "contact.released", **done})
            events.append({"type": "contact.wrapped", "contact": earlier, "agent": "a"})
        for i, event in enumerate(events):
            event.update(site=site, ts=now - 3 + i)
        frames.append(encode_frame(frame_of(site, offset, events, now)))
    return frames


# --- real workers on a real broker ----------------------------------------------------------------

DEATHS = (
    # First owners: results, then a full checkpoint where none was before.
    Death(RESULT, 4, 0, ACKED),
    Death(STATE, 9, 0, SENT),
    Death(MARKER, 1, 0, BEFORE),
    Death(MARKER, 1, 0, SENT),
    # Successors: all anew; then what has changed, and tombstones for what they found.
    Death(MARKER, 1, 0, ACKED),
    Death(STATE, 3, 3, SENT),
    Death(TOMBSTONE, 1, 0, ACKED),
    Death(TOMBSTONE, 5, 0, SENT),
)
SITES = ("north", "south", "west")
LONG_AGO = 920_000_000_000


@pytest.mark.timeout(480)
async def test_workers_that_die_at_a_record_leave_a_consistent_cut(tmp_path: Path) -> None:
    with running_kafka(tmp_path / "kafka") as kafka:
        config = Config(
            bootstrap=kafka.address,
            partitions=2,
            epoch=1,
            worker_port=free_port(),
            data_dir=tmp_path,
            checkpoint_ms=300,
        )
        feed, worker = Feed(config, LONG_AGO), WorkerProcess(config, tmp_path)
        await feed.start()
        try:
            for death in DEATHS:
                worker.start("tests.agents_stream.crashing", *death.words())
                await _fed_until_dead(feed, worker)
                await _changelogs_are_consistent(feed)
            worker.start()
            await _fed_until_right(feed, worker)
        finally:
            worker.kill()
            await feed.stop()


async def _some_frames(feed: Feed) -> None:
    for site in SITES:
        await feed.frame(site)


async def _fed_until_dead(feed: Feed, worker: WorkerProcess, patience_s: float = 90) -> None:
    deadline = time.monotonic() + patience_s
    while worker.ended is None:
        assert time.monotonic() < deadline, worker.words()
        await _some_frames(feed)
        await asyncio.sleep(0.15)
    assert worker.ended == -signal.SIGKILL, worker.words()


async def _changelogs_are_consistent(feed: Feed) -> None:
    """What every partition's log holds is its state after one frame; none later is committed."""
    committed = await _committed(feed.config)
    for number in range(feed.config.partitions):
        found = await recovered(feed.config, number)
        assert found.torn == []
        covered = found.marker.offset + 1 if found.marker else 0
        assert committed.get(number, 0) <= covered
        boards = {site: Site.restore(parts).view() for site, parts in found.sites.items()}
        assert boards == feed.right_at(number, covered)


async def _committed(config: Config) -> dict[int, int]:
    """The offsets that the group of the workers has committed, by partition."""
    admin = AIOKafkaAdminClient(bootstrap_servers=config.bootstrap)
    await admin.start()
    try:
        offsets = await admin.list_consumer_group_offsets(GROUP)
    finally:
        await admin.close()
    return {tp.partition: told.offset for tp, told in offsets.items() if tp.topic == FRAMES}


async def _fed_until_right(feed: Feed, worker: WorkerProcess) -> None:
    await _some_frames(feed)
    await worker.ready()
    await _some_frames(feed)
    await board_is_right(feed)
    assert await worker.metric("callboard_worker_states_lost_total") == 0
    assert await worker.metric("callboard_worker_frames_missing_total") == 0
    assert await worker.metric("callboard_worker_frames_refused_total") == 0
    await rows_are_complete(feed)
    assert await worker.terminate() == 0
    await changelogs_hold_the_state(feed)
