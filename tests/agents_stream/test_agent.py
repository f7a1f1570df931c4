"""From frame to result: order, crashes, poison, late events, revocation and pace."""

from __future__ import annotations

import asyncio
from typing import Any

import orjson
import pytest

from agents_stream.agent import FRESH_S, STALLED_TURNS, WorkerError
from agents_stream.checkpoint import MARKER_PART
from schemas.frames import encode_frame
from schemas.topics import DEAD, LIVE, ROWS
from tests.agents_stream.fakes import (
    CONFIG,
    POISON,
    Log,
    LogWorker,
    a_morning,
    frame,
    frame_of,
)

# --- the order of promises ----------------------------------------------------------------------


async def test_results_are_safe_before_state_and_state_before_the_marker() -> None:
    log = Log()
    log.frames = a_morning(12)
    worker = await LogWorker(log, 1).open()
    await worker.read_on()
    topics = ["marker" if _is_marker(key) else topic for topic, key, _ in log.records]
    first = topics.index("marker")
    assert {"state", "panes", ROWS} <= set(topics[:first])
    last_row = max(i for i, topic in enumerate(topics[:first]) if topic in (ROWS, LIVE))
    assert last_row < min(topics.index("state"), topics.index("panes"))


def _is_marker(key: object) -> bool:
    return isinstance(key, tuple) and key[-1] == MARKER_PART


async def test_frames_are_acknowledged_only_by_a_checkpoint_that_covers_them() -> None:
    log = Log()
    log.frames = [frame("s", n, ["a"], 1_000_000 + n) for n in range(7)]
    worker = await LogWorker(log, 1).open()
    await worker.read_on(4)
    assert (log.committed, worker.figures.checkpoints) == (0, 0)
    await worker.read_on(5)
    assert (log.committed, worker.figures.checkpoints) == (5, 1)


async def test_a_checkpoint_is_due_by_time_too() -> None:
    log = Log()
    log.frames = [frame("s", n, [], 1_000_000 + n) for n in range(2)]
    worker = await LogWorker(log, 1).open()
    await worker.read_on(1)
    worker.now = CONFIG.checkpoint_ms / 1000
    await worker.read_on()
    assert log.committed == 2


async def test_frames_that_come_again_change_nothing_and_are_acknowledged() -> None:
    log = Log()
    log.frames = [frame("s", n, ["a"], 1_000_000 + n) for n in range(5)]
    worker = await LogWorker(log, 1).open()
    await worker.read_on()
    written = len(log.records)
    acks: list[int] = []
    await worker.agent.on_frame(0, 2, log.frames[2], lambda: acks.append(2))
    await worker.agent.finish()
    assert acks == [2]
    assert worker.figures.frames_again == 1
    assert worker.figures_by_site()["s"]["total"] == 5
    assert [topic for topic, _, _ in log.records[written:] if topic in ("state", "panes")] == []


async def test_a_revoked_partition_is_not_acknowledged_even_in_mid_checkpoint() -> None:
    log = Log()
    log.frames = [frame("s", n, ["a"], 1_000_000 + n) for n in range(5)]
    worker = await LogWorker(log, 1).open()
    settle, settled = worker.store.settle, asyncio.Event()

    async def slow() -> None:
        await settled.wait()
        await settle()

    worker.store.settle = slow  # type: ignore[method-assign]
    reading = asyncio.create_task(worker.read_on())
    await asyncio.sleep(0)
    worker.agent.drop(0)
    settled.set()
    await reading
    assert log.committed == 0
    assert worker.agent.engines() == []


async def test_frames_of_a_partition_that_is_not_ours_are_left_alone() -> None:
    worker = await LogWorker(Log(), 1).open()
    acks: list[int] = []
    await worker.agent.on_frame(5, 0, frame("s", 0, ["a"], 1), lambda: acks.append(0))
    assert (acks, worker.figures.frames) == ([], 0)


# --- what cannot be applied ---------------------------------------------------------------------


async def test_a_frame_that_breaks_the_engine_is_dead_lettered_and_the_others_go_on() -> None:
    log = Log()
    bad = [{"type": POISON, "site": "s", "ts": 1_000_001, "contact": "x"}]
    log.frames = [
        frame("s", 0, ["a"], 1_000_000),
        encode_frame(frame_of("s", 1, bad, 1_000_001)),
        b"\xff not a frame",
        frame("s", 3, ["b"], 1_000_002),
    ]
    worker = await LogWorker(log, 1).open()
    await worker.read_on()
    await worker.agent.finish()

    letters = log.topic(DEAD)
    assert [orjson.loads(key) for key, _ in letters] == [
        [1, "events.frames", 0, 1],
        [1, "events.frames", 0, 2],
    ]
    assert {letter["reason"] for _, letter in letters} == {"unreadable"}
    assert "a defect in the engine" in letters[0][1]["detail"]
    assert worker.figures_by_site()["s"]["contacts"] == {"a": 1, "b": 1}
    assert (worker.figures.frames_refused, log.committed) == (2, 4)


async def test_a_refused_frame_is_not_refused_again_after_a_restart() -> None:
    log = Log()
    log.frames = [b"{}", frame("s", 1, ["a"], 1_000_000)]
    worker = await LogWorker(log, 1).open()
    await worker.read_on()
    await worker.agent.finish()
    again = await LogWorker(log, 2).open()
    await again.read_on()
    await again.agent.finish()
    assert len(log.topic(DEAD)) == 1
    assert again.figures_by_site() == worker.figures_by_site()


async def test_a_late_event_is_dead_lettered_under_its_raw_place() -> None:
    log = Log()
    late = [{"type": "contact.queued", "site": "s", "ts": 5, "contact": "old", "queue": "q"}]
    log.frames = [frame("s", 0, ["a"], 1_000_000), encode_frame(frame_of("s", 1, late, 1_000_001))]
    worker = await LogWorker(log, 1).open()
    await worker.read_on()
    await worker.agent.finish()
    [(key, letter)] = log.topic(DEAD)
    assert orjson.loads(key) == [1, "events.raw", 0, 100]
    assert (letter["reason"], letter["site"], letter["field"]) == ("late", "s", "ts")
    assert orjson.loads(letter["payload"]) == late[0]
    assert worker.figures.dead_letters == {"late": 1}


async def test_a_frame_of_an_epoch_that_is_over_is_refused() -> None:
    log = Log()
    log.frames = [frame("s", 0, ["a"], 1, epoch=3), frame("s", 1, ["b"], 2, epoch=2)]
    worker = await LogWorker(log, 1, config=CONFIG.model_copy(update={"epoch": 3})).open()
    await worker.read_on()
    await worker.agent.finish()
    assert worker.figures_by_site()["s"]["contacts"] == {"a": 1}
    assert "epoch 2 is over" in log.topic(DEAD)[0][1]["detail"]


async def test_frames_that_retention_has_deleted_are_counted() -> None:
    log = await _checkpointed()
    worker = await LogWorker(log, 2).open()
    worker.earliest = 8
    await worker.agent.on_frame(0, 8, frame("s", 8, ["a"], 1_000_000), lambda: None)
    assert worker.figures.frames_missing == 3
    assert worker.figures_by_site()["s"]["total"] == 6


async def test_frames_that_the_consumer_skips_end_the_process_and_are_read_by_the_next() -> None:
    log = Log()
    log.frames = [frame("s", n, ["a"], 1_000_000 + n) for n in range(9)]
    worker = await LogWorker(log, 1).open()
    await worker.read_on(6)
    worker.next = 7
    with pytest.raises(WorkerError, match="frames 6 to 6 were skipped"):
        await worker.read_on()
    again = await LogWorker(log, 2).open()
    await again.read_on()
    assert again.figures_by_site()["s"]["total"] == 9


async def test_frames_skipped_at_the_very_beginning_end_the_process() -> None:
    log = Log()
    log.frames = [frame("s", n, ["a"], 1_000_000 + n) for n in range(4)]
    worker = await LogWorker(log, 1).open()
    worker.next = 2
    with pytest.raises(WorkerError, match="frames 0 to 1 were skipped"):
        await worker.read_on()


async def test_frames_that_were_gone_before_the_first_worker_came_are_not_missed() -> None:
    log = Log()
    log.frames = [frame("s", n, ["a"], 1_000_000 + n) for n in range(4)]
    worker = await LogWorker(log, 1).open()
    worker.next = worker.earliest = 2
    await worker.read_on()
    assert worker.figures.frames_missing == 0
    assert worker.figures_by_site()["s"]["total"] == 2


# --- where reading goes on ----------------------------------------------------------------------


async def _checkpointed(frames: int = 5) -> Log:
    log = Log()
    log.frames = [frame("s", n, ["a"], 1_000_000 + n) for n in range(frames)]
    await (await LogWorker(log, 1).open()).read_on()
    return log


async def test_reading_goes_on_where_the_state_ends_whatever_is_committed() -> None:
    log = await _checkpointed()
    for committed in (None, 2, 5, 9):
        assert (await LogWorker(log, 2).open()).agent.resume_at(0, committed) == 5


async def test_without_a_checkpoint_reading_begins_at_the_beginning_wherever_a_consumer_stood() -> (
    None
):
    """It stays behind what it fetched for an assignment that is over if nothing is committed."""
    worker = await LogWorker(Log(), 1).open()
    assert worker.agent.resume_at(0, None) == 0
    assert worker.figures.states_lost == 0
    assert worker.agent.resume_at(0, 7) == 0
    assert worker.figures.states_lost == 1


async def test_in_a_new_epoch_reading_begins_anew_or_where_something_was_committed() -> None:
    log = await _checkpointed()
    worker = await LogWorker(log, 2, config=CONFIG.model_copy(update={"epoch": 2})).open()
    assert worker.agent.resume_at(0, None) == 0
    assert worker.agent.resume_at(0, 3) is None


@pytest.mark.parametrize("kept", [0, 1, 3])
async def test_where_recovery_lacks_records_the_log_itself_is_read(kept: int) -> None:
    log = await _checkpointed()
    worker = LogWorker(log, 2)
    worker.store.recovered = dict(list(log.state().items())[-kept:] if kept else [])
    await worker.open()
    assert worker.figures_by_site()["s"]["total"] == 5
    assert (worker.next, worker.figures.states_lost) == (5, 0)


async def test_state_that_is_damaged_in_the_log_is_counted_and_frames_are_read_again() -> None:
    log = await _checkpointed()
    topic, key, _ = next(r for r in log.records if r[0] == "panes")
    log.records.append((topic, key, None))
    worker = await LogWorker(log, 2).open()
    assert (worker.next, worker.figures.states_lost) == (0, 2)
    await worker.read_on()
    assert worker.figures_by_site()["s"]["total"] == 5


async def test_a_partition_revoked_while_its_log_is_read_again_is_not_opened() -> None:
    worker = LogWorker(await _checkpointed(), 2)
    worker.store.recovered = {}
    reread = worker.store.reread

    async def revoked(partition: int) -> Any:
        worker.agent.drop(partition)
        return await reread(partition)

    worker.store.reread = revoked  # type: ignore[method-assign]
    await worker.agent.open(0, 2)
    assert worker.agent.partitions == {}


async def test_a_higher_epoch_begins_at_the_committed_offset() -> None:
    log = await _checkpointed()
    config = CONFIG.model_copy(update={"epoch": 2})
    log.committed, log.frames = 0, [frame("s", 0, ["b"], 2_000_000, epoch=2)]
    worker = await LogWorker(log, 2, config=config).open()
    assert worker.next == 0
    await worker.read_on()
    assert worker.figures_by_site()["s"]["contacts"] == {"a": 5, "b": 1}
    assert worker.figures.frames_missing == 0


async def test_a_topic_made_anew_under_the_same_epoch_is_refused() -> None:
    worker = await LogWorker(await _checkpointed(), 2).open()
    with pytest.raises(WorkerError, match="without a higher CALLBOARD_EPOCH"):
        await worker.agent.on_frame(0, 0, frame("s", 0, ["a"], 2_000_000), lambda: None)


async def test_an_epoch_below_that_of_the_state_is_refused() -> None:
    log = await _checkpointed()
    with pytest.raises(WorkerError, match="CALLBOARD_EPOCH is 0"):
        await LogWorker(log, 2, config=CONFIG.model_copy(update={"epoch": 0})).open()


# --- publishing ---------------------------------------------------------------------------------


def _published(worker: LogWorker) -> int:
    return worker.figures.records[LIVE]


async def test_nothing_is_published_until_the_frames_present_at_assignment_are_read() -> None:
    log = Log()
    log.frames = [frame("s", n, ["a"], 1_000_000 + n) for n in range(4)]
    worker = await LogWorker(log, 1).open()
    await worker.read_on(3)
    await worker.agent.publish_due()
    assert _published(worker) == 0
    assert worker.agent.unready() == ["partition 0: 1 frames left to read"]
    await worker.read_on()
    await worker.agent.publish_due()
    assert _published(worker) == 1
    assert worker.agent.unready() == []


async def test_nothing_is_published_before_it_is_known_how_many_frames_were_present() -> None:
    """State is recovered before the first fetch has told where the topic ends."""
    log = await _checkpointed()
    worker = LogWorker(log, 2)
    await worker.agent.open(0, 2)
    await worker.agent.publish_due()
    assert _published(worker) == 0
    assert "partition 0: nothing fetched yet" in worker.agent.unready()
    worker.agent.note_ends({0: 7})
    worker.agent.note_ends({0: 5})
    await worker.agent.publish_due()
    assert _published(worker) == 0
    assert worker.agent.unready() == ["partition 0: 2 frames left to read", "no frame yet"]


async def test_rows_are_sent_for_every_frame_also_before_that() -> None:
    log = Log()
    log.frames = [frame("s", n, ["a"], 1_000_000 + n) for n in range(4)]
    worker = await LogWorker(log, 1).open()
    await worker.read_on(3)
    assert worker.figures.records[ROWS] == 3


async def test_a_frame_in_which_nothing_happens_tells_the_store_how_far_time_has_gone() -> None:
    log = Log()
    log.frames = [frame("s", 0, ["a"], 1_000_000), frame("s", 1, [], 1_007_000)]
    worker = await LogWorker(log, 1).open()
    await worker.read_on()
    await worker.agent.finish()
    [_, (key, tick)] = log.topic(ROWS)
    assert (key, tick["tables"], tick["at"], tick["offset"]) == (b"s", {}, 1_007_000, 1)


async def test_a_busy_site_is_published_four_times_a_second() -> None:
    log = Log()
    log.frames = [frame("s", n, ["a"], 1_000_000 + n) for n in range(200)]
    worker = await LogWorker(log, 1).open()
    worker.agent.partitions[0].end = 0
    await worker.agent.publish_due()
    for n in range(200):
        worker.now = n / 100
        await worker.read_on(n + 1)
    assert _published(worker) == 8
    await worker.agent.publish_due()
    assert _published(worker) == 8
    worker.now += 0.25
    await worker.agent.publish_due()
    assert _published(worker) == 9
    await worker.agent.publish_due()
    assert _published(worker) == 9


async def test_a_recovered_site_is_published_without_a_new_frame() -> None:
    log = await _checkpointed()
    worker = await LogWorker(log, 2).open()
    await worker.agent.publish_due()
    await worker.agent.finish()
    live = [value for _, value in log.topic(LIVE)]
    assert live[-1]["data"] == {"total": 5}


async def test_everything_is_published_every_ten_seconds_however_fast_the_sites_time_goes() -> None:
    worker = await LogWorker(Log(), 1).open()
    seen: list[bool] = []
    for n, now in enumerate((0.0, 1.0, 9.9, 10.2, 11.0, 20.3)):
        worker.now = now
        await worker.agent.on_frame(0, n, frame("s", n, [], 1_000_000 * (n + 1)), lambda: None)
        [engine] = worker.agent.engines()
        engine.live_parts = lambda full: seen.append(full) or []  # type: ignore[method-assign, func-returns-value]
        await worker.agent.publish_due()
    assert seen == [True, False, False, True, False, True]


async def _slow_to_publish(worker: LogWorker, site: str, seconds: float, told: list[str]) -> None:
    """Make a site that takes so long to publish."""
    await worker.agent.on_frame(0, worker.next, frame(site, worker.next, [], 1_000_000), _nothing)
    worker.next += 1
    engine = next(e for e in worker.agent.engines() if e.site == site)

    def live_parts(full: bool) -> list[Any]:
        del full
        worker.now += seconds
        told.append(site)
        return []

    engine.live_parts = live_parts  # type: ignore[method-assign]


def _nothing() -> None:
    """An acknowledgement that nobody looks at."""


async def test_publishing_leaves_time_for_frames_and_passes_over_no_site() -> None:
    told: list[str] = []
    worker = await LogWorker(Log(), 1).open()
    for site in ("a", "b", "c"):
        await _slow_to_publish(worker, site, 2.0, told)
    told.clear()
    began, turns = worker.now, 0
    while worker.now < began + 300:
        turns += 1
        worker.now += 0.05
        for site in ("a", "b", "c"):
            worker.agent.live.changed(0, site)
        await worker.agent.publish_due()
    spent = 2.0 * len(told)
    assert 0.3 < spent / (worker.now - began) < 0.45
    assert max(told.count(site) for site in "abc") - min(told.count(site) for site in "abc") <= 1


async def test_checkpoints_by_the_clock_leave_time_for_frames() -> None:
    log = Log()
    log.frames = [frame("s", n, [], 1_000_000 + n) for n in range(2_000)]
    config = CONFIG.model_copy(update={"checkpoint_events": 1_000_000, "checkpoint_ms": 1_000})
    worker = await LogWorker(log, 1, config=config).open()
    settle = worker.store.settle

    async def slow() -> None:
        worker.now += 5.0
        await settle()

    worker.store.settle = slow  # type: ignore[method-assign]
    while worker.next < len(log.frames):
        worker.now += 0.1
        await worker.read_on(worker.next + 1)
    spent = 10.0 * worker.figures.checkpoints
    assert 0.15 < spent / worker.now < 0.3


# --- readiness ----------------------------------------------------------------------------------


async def test_silence_makes_a_worker_with_sites_unready() -> None:
    worker = await LogWorker(Log(), 1).open()
    worker.now += 100
    assert worker.agent.unready() == []
    await worker.agent.on_frame(0, 0, frame("s", 0, [], 1_000), lambda: None)
    worker.now += FRESH_S
    assert worker.agent.unready() == ["no frame for 5 s"]


async def test_frames_that_wait_without_coming_are_noticed() -> None:
    worker = await LogWorker(Log(), 1).open()
    await worker.agent.on_frame(0, 0, frame("s", 0, [], 1_000), lambda: None)
    for _ in range(2 * STALLED_TURNS):
        assert worker.agent.stalled({0: 1}) == []
    seen = [worker.agent.stalled({0: 2, 7: 100}) for _ in range(STALLED_TURNS)]
    assert seen == [[]] * (STALLED_TURNS - 1) + [[0]]
    await worker.agent.on_frame(0, 1, frame("s", 1, [], 1_000), lambda: None)
    assert worker.agent.stalled({0: 3}) == []


async def test_a_slow_machine_is_no_reason_to_start_anew() -> None:
    """The clock runs while the process does not: looks are few, and fetches as slow as they."""
    worker = await LogWorker(Log(), 1).open()
    await worker.agent.on_frame(0, 0, frame("s", 0, [], 1_000), lambda: None)
    for _ in range(STALLED_TURNS):
        worker.now += 10.0
        assert worker.agent.stalled({0: 2}) == []
