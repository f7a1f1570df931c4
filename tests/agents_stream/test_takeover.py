"""Two owners of one partition: one was paused, its successor went on, and the first one wakes."""

from __future__ import annotations

import asyncio

import pytest

from agents_stream.changelog import key_of
from agents_stream.checkpoint import StateKey
from tests.agents_stream.fakes import Log, LogWorker, a_morning


async def _right(frames: list[bytes]) -> LogWorker:
    log = Log()
    log.frames = frames
    worker = await LogWorker(log, 1).open()
    await worker.read_on()
    await worker.agent.finish()
    return worker


async def _pause(
    worker: LogWorker, settles: int, until: int
) -> tuple[asyncio.Event, asyncio.Task[None]]:
    """Let a worker read on until it is about to settle for the n-th time; the event wakes it, and
    the task ends when it has read as far as it may."""
    settle, wake, seen = worker.store.settle, asyncio.Event(), 0

    async def pausing() -> None:
        nonlocal seen
        seen += 1
        if seen == settles:
            paused.set()
            await wake.wait()
        await settle()

    paused = asyncio.Event()
    worker.store.settle = pausing  # type: ignore[method-assign]
    reading = asyncio.create_task(worker.read_on(until))
    await paused.wait()
    return wake, reading


@pytest.mark.parametrize("settles", range(1, 7))
async def test_a_paused_owner_that_wakes_in_a_checkpoint_damages_nothing(settles: int) -> None:
    """It may wake before or after it has written state or marker, early or late in its life."""
    frames = a_morning(40)
    right = await _right(frames)
    log = Log(seed=settles)
    log.frames = frames
    paused = await LogWorker(log, 1).open()
    wake, reading = await _pause(paused, settles, until=30)

    successor = await LogWorker(log, 2).open()
    await successor.read_on(36)
    wake.set()
    await reading

    third = await LogWorker(log, 3).open()
    assert third.figures.states_lost == 0
    assert third.next <= 36
    await third.read_on()
    await third.agent.finish()
    assert third.figures_by_site() == right.figures_by_site()
    fourth = await LogWorker(log, 4).open()
    assert fourth.figures_by_site() == right.figures_by_site()
    assert fourth.next == len(frames)


async def test_what_a_paused_owner_left_behind_is_tombstoned_by_a_later_one() -> None:
    frames = a_morning(60)
    log = Log(seed=5)
    log.frames = frames
    paused = await LogWorker(log, 1).open()
    wake, reading = await _pause(paused, 3, until=30)
    successor = await LogWorker(log, 2).open()
    await successor.read_on(40)
    wake.set()
    await reading
    third = await LogWorker(log, 3).open()
    await third.read_on()
    await third.agent.finish()
    assert {key.generation for key in log.state()} == {"3.3"}


def test_a_windowed_key_of_the_changelog_is_the_state_key_in_it() -> None:
    plain = b'[1,"2.5","north","meta"]'
    windowed = b'[[1,"2.5","north","pane:10000"],[10.0,19.9]]'
    assert key_of(plain) == StateKey(1, "2.5", "north", "meta")
    assert key_of(windowed) == StateKey(1, "2.5", "north", "pane:10000")
