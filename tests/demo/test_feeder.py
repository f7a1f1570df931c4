"""The demo's feeder against a real HTTP server that fails, vanishes and comes back."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from pipeline.demo.day import DemoError, DemoPlan
from pipeline.demo.feeder import PLAN_FILE, POSITION_FILE, feed_demo, position_of, run
from pipeline.simulate.options import HOUR, MINUTE
from schemas.clock import Clock
from schemas.config import Config
from tests.demo.played import morning_records
from tests.ports import free_port
from tests.simulate.clocks import StepClock
from tests.simulate.fake_door import FakeDoor, open_door

NOW = int(datetime(2026, 11, 23, 12, 20, tzinfo=UTC).timestamp() * 1000)
PACE = 3600.0
"""An hour of the demo passes in a second."""


def clock_from(site_ms: int, pace: float = PACE) -> Clock:
    return Clock(int(time.time() * 1000), site_ms, pace)


def due(plan: DemoPlan, first: int, last: int) -> list[bytes]:
    records = takewhile(lambda record: record.at <= last, plan.records(first))
    return [record.payload for record in records]


async def feed_until(
    plan: DemoPlan, clock: Clock | StepClock, door: FakeDoor, state: Path, moment: int
) -> int:
    """Feed until everything up to `moment` is safe; returns the position."""
    feeding = asyncio.create_task(feed_demo(plan, clock, door.address, state))
    try:
        async with asyncio.timeout(180):
            while (position_of(plan, state).at or 0) < moment:
                assert not feeding.done(), feeding.result()
                await asyncio.sleep(0.02)
    finally:
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
    at = position_of(plan, state).at
    assert at is not None
    return at


def start(tmp_path: Path, now: int = NOW) -> tuple[DemoPlan, Path]:
    """A demo whose morning is kept already, as the stack leaves it."""
    plan, state = DemoPlan.choose(now), tmp_path / POSITION_FILE
    position_of(plan, state).save(now + 1)
    return plan, state


def assert_all_came(plan: DemoPlan, door: FakeDoor, first: int, position: int) -> None:
    """Every event that was due before the position, in order: what it promises to be safe."""
    expected = due(plan, first, position - 1)
    came = list(dict.fromkeys(door.payloads))
    assert came[: len(expected)] == list(dict.fromkeys(expected))


async def test_the_afternoon_follows_the_morning(tmp_path: Path) -> None:
    plan, state = start(tmp_path)
    async with open_door(FakeDoor()) as door:
        position = await feed_until(plan, clock_from(NOW), door, state, NOW + 2 * HOUR)
    assert_all_came(plan, door, NOW + 1, position)
    assert len(door.payloads) == len(set(door.payloads)) > 500
    assert {site for site, _ in door.taken} == {"bank"}
    morning = {payload for _, payload in morning_records(plan, NOW)}
    assert morning.isdisjoint(door.payloads)


async def test_no_event_is_posted_before_its_time(tmp_path: Path) -> None:
    plan, state = start(tmp_path)
    clock = StepClock(NOW, MINUTE // 2, 600.0)
    early: list[int] = []

    def verdict(number: int, request: web.Request, body: bytes) -> None:
        moments = [orjson.loads(line)["ts"] for line in body.splitlines()]
        early.extend(ts for ts in moments if ts > clock.last)

    async with open_door(FakeDoor(verdict)) as door:
        await feed_until(plan, clock, door, state, NOW + 15 * MINUTE)
    assert door.posts > 5
    assert early == []


async def test_a_door_that_fails_two_times_in_three_loses_nothing(tmp_path: Path) -> None:
    plan, state = start(tmp_path)

    def verdict(number: int, request: web.Request, body: bytes) -> web.Response | None:
        status = (503, 500, 200)[number % 3]
        return None if status == 200 else web.Response(status=status)

    async with open_door(FakeDoor(verdict)) as door:
        position = await feed_until(plan, clock_from(NOW), door, state, NOW + HOUR)
    assert door.posts >= 3
    assert_all_came(plan, door, NOW + 1, position)


async def test_it_waits_for_a_door_that_is_away_for_a_while(tmp_path: Path) -> None:
    plan, state = start(tmp_path)
    door = FakeDoor()
    door.port = port = free_port()
    clock = clock_from(NOW)
    feeding = asyncio.create_task(feed_demo(plan, clock, door.address, state))
    await asyncio.sleep(0.5)
    assert not feeding.done()
    assert position_of(plan, state).at == NOW + 1
    async with open_door(door, port), asyncio.timeout(180):
        while (position_of(plan, state).at or 0) < NOW + 2 * HOUR:
            await asyncio.sleep(0.02)
    feeding.cancel()
    await asyncio.gather(feeding, return_exceptions=True)
    assert_all_came(plan, door, NOW + 1, NOW + 2 * HOUR)


async def test_a_restart_goes_on_where_it_stopped(tmp_path: Path) -> None:
    plan, state = start(tmp_path)
    clock = clock_from(NOW)
    async with open_door(FakeDoor()) as door:
        for hours in (1, 2, 3):
            position = await feed_until(plan, clock, door, state, NOW + hours * HOUR)
    assert_all_came(plan, door, NOW + 1, position)
    # Cut short between the door's answer and its note, a batch comes twice at most a restart.
    assert len(door.payloads) - len(set(door.payloads)) <= 2 * 500


async def test_at_the_end_of_the_day_the_next_bank_day_follows(tmp_path: Path) -> None:
    evening = DemoPlan.choose(NOW).midnight(1) - 2 * HOUR
    plan = DemoPlan.choose(NOW)
    state = tmp_path / POSITION_FILE
    position_of(plan, state).save(evening)
    async with open_door(FakeDoor()) as door:
        # Fast enough that the night, in which nobody calls, takes a second.
        clock = clock_from(evening, 6 * PACE)
        position = await feed_until(plan, clock, door, state, plan.midnight(1) + 8 * HOUR)
    assert_all_came(plan, door, evening, position)
    contacts = [orjson.loads(payload).get("contact", "") for payload in door.payloads]
    dates = [contact[:6] for contact in contacts if contact]
    assert (dates[0], dates[-1]) == ("990103", "990104")


def test_a_position_of_another_plan_counts_for_nothing(tmp_path: Path) -> None:
    plan, state = start(tmp_path)
    later = DemoPlan.choose(NOW + 24 * HOUR)
    assert position_of(plan, state).at == NOW + 1
    assert position_of(later, state).at is None


async def test_without_a_plan_the_process_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DemoError, match=r"demo\.json"):
        await run(Config(data_dir=tmp_path))


async def test_the_clock_is_the_one_that_runs_when_the_door_is_there(tmp_path: Path) -> None:
    plan, state = start(tmp_path)
    plan.save(tmp_path / PLAN_FILE)
    file, door = tmp_path / "clock.json", FakeDoor()
    door.port = port = free_port()
    clock_from(NOW + 5 * HOUR, 1.0).write(file)
    config = Config(data_dir=tmp_path, door_port=port, clock_file=str(file))
    feeding = asyncio.create_task(run(config))
    await asyncio.sleep(0)  # it has read all it wants to read before there is a door
    clock_from(NOW + HOUR, 1.0).write(file)
    async with open_door(door, port), asyncio.timeout(180):
        while (position_of(plan, state).at or 0) < NOW + HOUR // 2:
            assert not feeding.done(), feeding.result()
            await asyncio.sleep(0.02)
    feeding.cancel()
    await asyncio.gather(feeding, return_exceptions=True)
    assert max(orjson.loads(payload)["ts"] for payload in door.payloads) < NOW + 2 * HOUR


async def test_as_a_process_it_reads_the_environment_and_stops_when_told(tmp_path: Path) -> None:
    plan, state = start(tmp_path)
    plan.save(tmp_path / PLAN_FILE)
    clock_file = tmp_path / "clock.json"
    clock_from(NOW).write(clock_file)
    async with open_door(FakeDoor()) as door:
        config = Config(
            data_dir=tmp_path, door_port=door.port, clock_file=str(clock_file), door_token="t"
        )
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pipeline.demo.feeder", env={**os.environ, **config.to_env()}
        )
        try:
            async with asyncio.timeout(180):
                while len(door.payloads) < 50:
                    await asyncio.sleep(0.05)
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
        finally:
            if process.returncode is None:
                process.kill()
    position = position_of(plan, state).at
    assert position is not None
    assert position > NOW
    assert_all_came(plan, door, NOW + 1, position)


async def test_a_door_that_nobody_serves_is_asked_for_ever(tmp_path: Path) -> None:
    plan, state = start(tmp_path)
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{held.getsockname()[1]}"
        feeding = asyncio.create_task(feed_demo(plan, clock_from(NOW), address, state))
        done, _ = await asyncio.wait({feeding}, timeout=1)
        assert not done
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
    assert position_of(plan, state).at == NOW + 1
