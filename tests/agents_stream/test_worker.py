"""The worker as a process on a real broker: killed, stopped, poisoned, and begun anew."""

from __future__ import annotations

import asyncio
import shutil
import signal
import subprocess
from pathlib import Path

import orjson
import pytest

from agents_stream.app import EMBEDDED_SESSION_S
from agents_stream.snapshots import Snapshot, folder_of, read_snapshot
from schemas.config import Config
from schemas.topics import DEAD
from tests.agents_stream.harness import (
    Feed,
    WorkerProcess,
    board_is_right,
    broker,
    changelogs_hold_the_state,
    committed,
    read_all,
    rows_are_complete,
)

SITES = ("north", "south", "west")


async def _some_frames(feed: Feed, frames: int, pause_s: float = 0.0) -> None:
    for n in range(frames):
        await feed.frame(SITES[n % 3 and n % len(SITES)])
        await asyncio.sleep(pause_s)


@pytest.mark.timeout(480)
async def test_totals_are_exact_after_kills_at_any_moment(
    feed: Feed, worker: WorkerProcess
) -> None:
    await _some_frames(feed, 60)
    worker.start()
    await worker.ready()
    await board_is_right(feed)
    for kill in range(3):
        # Between the checkpoints of every 300 ms, in one, and right after one.
        await _some_frames(feed, 25 + 7 * kill, pause_s=0.03)
        worker.kill()
        await _some_frames(feed, 20)
        worker.start()
        await worker.until("/healthz", 200)
        await _some_frames(feed, 20, pause_s=0.02)
        await worker.ready()
    await _some_frames(feed, 20)
    await board_is_right(feed)
    assert await worker.metric("callboard_worker_states_lost_total") == 0
    assert await worker.metric("callboard_worker_frames_missing_total") == 0
    await rows_are_complete(feed)
    assert await worker.terminate() == 0
    await changelogs_hold_the_state(feed)


@pytest.mark.timeout(480)
async def test_a_worker_that_was_paused_for_longer_than_its_session_is_exact_again(
    feed: Feed, worker: WorkerProcess
) -> None:
    worker.start()
    await _some_frames(feed, 30)
    await worker.ready()
    await board_is_right(feed)
    worker.signal(signal.SIGSTOP)
    await _some_frames(feed, 20)
    await asyncio.sleep(EMBEDDED_SESSION_S + 2)
    worker.signal(signal.SIGCONT)
    # It may find that its group has given it up, or that its state is in doubt, and end at any
    # moment, as it does under a supervisor that starts another one.
    async with worker.supervised():
        for _ in range(20):
            await _some_frames(feed, 2, pause_s=0.05)
        await worker.ready()
        await board_is_right(feed)
        assert await worker.metric("callboard_worker_states_lost_total") == 0
        assert await worker.metric("callboard_worker_frames_missing_total") == 0
    assert await worker.terminate() == 0
    await changelogs_hold_the_state(feed)


@pytest.mark.timeout(480)
async def test_a_stop_leaves_nothing_to_read_again(
    feed: Feed, worker: WorkerProcess, config: Config
) -> None:
    worker.start()
    await _some_frames(feed, 40)
    await worker.ready()
    await _some_frames(feed, 10)
    await board_is_right(feed)
    assert await worker.terminate() == 0
    snapshots = folder_of(Path(config.snapshot_dir), "north").glob("*.snap")
    newest = max((read_snapshot(path) for path in snapshots), key=lambda s: s.version)
    assert newest.at == feed.sites["north"].at
    assert newest.journal == feed.sites["north"].journal

    worker.start()
    await feed.frame("north")
    await worker.ready()
    await board_is_right(feed)
    assert await worker.metric("callboard_worker_frames_total") == 1
    assert await worker.metric("callboard_worker_frames_again_total") == 0


@pytest.mark.timeout(480)
async def test_what_is_committed_at_the_end_is_all_that_was_taken(
    feed: Feed, config: Config, tmp_path: Path
) -> None:
    shared = config.model_copy(update={"alone": False})
    worker = WorkerProcess(shared, tmp_path)
    await _some_frames(feed, 150)
    worker.start()
    try:
        await worker.ready()
        await _some_frames(feed, 7, pause_s=0.05)
        await board_is_right(feed)
        assert await worker.terminate() == 0
    finally:
        worker.kill()
    assert feed.ends().keys() == {0, 1}
    assert await committed(shared) == feed.ends()


@pytest.mark.timeout(480)
async def test_a_new_broker_goes_on_from_the_snapshot(
    feed: Feed, worker: WorkerProcess, config: Config, tmp_path: Path
) -> None:
    await _some_frames(feed, 40)
    worker.start()
    await worker.ready()
    await board_is_right(feed)
    assert await worker.terminate() == 0
    restore = {}
    for site in SITES:
        path = next(folder_of(Path(config.snapshot_dir), site).glob("*.snap"))
        snapshot: Snapshot = read_snapshot(path)
        restore[site] = {"snapshot": str(path), "journal": snapshot.journal}
    text = orjson.dumps({"epoch": 2, "restore": restore})
    (tmp_path / "epoch.json").write_bytes(text)

    with broker() as address:
        second = config.model_copy(update={"bootstrap": address, "epoch": 2})
        later = Feed(second, feed.now, seed=2)
        later.sites = feed.sites
        await later.start()
        again = WorkerProcess(second, tmp_path)
        again.start()
        await _some_frames(later, 30)
        await again.ready()
        await board_is_right(later)
        again.kill()
        again.start()
        await later.frame("south")
        await again.ready()
        await board_is_right(later)
        again.kill()
        await later.stop()


@pytest.mark.timeout(480)
async def test_poison_is_set_aside_and_the_page_tells_the_state(
    feed: Feed, worker: WorkerProcess, config: Config
) -> None:
    worker.start()
    await worker.until("/healthz", 200)
    status, _ = await worker.get("/readyz")
    assert status == 503
    await _some_frames(feed, 3)
    await worker.ready()

    broken = {"v": 1, "site": "north", "epoch": 1, "now": feed.now, "raw": None, "dead": []}
    event = {"type": "contact.queued", "site": "north"}
    await feed.send_raw(0, orjson.dumps({**broken, "events": [event], "offsets": [1]}))
    await feed.send_raw(1, b"no frame at all")
    await _some_frames(feed, 10)
    await board_is_right(feed)

    letters = [(orjson.loads(k), orjson.loads(v)) for k, v in await read_all(config, DEAD)]
    assert {tuple(key[:3]) for key, _ in letters} == {
        (1, "events.frames", 0),
        (1, "events.frames", 1),
    }
    assert {letter["reason"] for _, letter in letters} == {"unreadable"}
    assert await worker.metric("callboard_worker_frames_refused_total") == 2
    _, page = await worker.get("/metrics")
    if shutil.which("promtool"):
        check = subprocess.run(
            ["promtool", "check", "metrics"], input=page.encode(), timeout=30, check=False
        )
        assert check.returncode == 0
    text = await worker.until("/readyz", 503)
    assert "no frame for" in text
