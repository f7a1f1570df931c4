"""The feeder: events when they come due, in small batches, none lost over failures and restarts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path

import orjson
import pytest
from aiohttp import web

from pipeline.collect.door_client import DoorClient
from pipeline.simulate.feed import (
    MAX_BYTES,
    MAX_RECORDS,
    PAUSE_S,
    Feeder,
    Position,
    Upcoming,
    pause_of,
)
from pipeline.simulate.stream import Record
from schemas.clock import Clock
from tests.simulate.clocks import StepClock
from tests.simulate.fake_door import FakeDoor, open_door


def records_every(step_ms: int, count: int, start: int = 0) -> list[Record]:
    return [
        Record(start + n * step_ms, "s", orjson.dumps({"type": "clock", "site": "s", "ts": n}))
        for n in range(count)
    ]


def source_of(records: list[Record], after: int | None) -> Iterator[Record]:
    if after is None:
        return iter(records)
    return dropwhile(lambda record: record.at < after, records)


def feeder(
    client: DoorClient,
    records: list[Record],
    position: Position,
    clock: Clock | StepClock | None = None,
) -> Feeder:
    now = clock.now_ms if clock else None
    return Feeder(client, lambda after: source_of(records, after), now, position, 0.02)


def client_of(door: FakeDoor) -> DoorClient:
    return DoorClient(door.address, first_delay_s=0.01)


async def test_events_are_posted_when_they_come_due_and_not_before() -> None:
    start = 1_000_000
    clock = StepClock(start, 30)
    records = records_every(20, 40, start)
    early: list[int] = []

    def verdict(number: int, request: web.Request, body: bytes) -> None:
        moments = [start + orjson.loads(line)["ts"] * 20 for line in body.splitlines()]
        early.extend(moment for moment in moments if moment > clock.last)

    async with open_door(FakeDoor(verdict)) as door, client_of(door) as client:
        await asyncio.wait_for(feeder(client, records, Position(None), clock).run(), 90)
    assert door.payloads == [r.payload for r in records]
    assert early == []
    assert door.posts > 5
    assert clock.last >= records[-1].at


async def test_a_fast_clock_feeds_a_day_in_seconds() -> None:
    clock = Clock(int(time.time() * 1000), 0, 43_200.0)
    records = records_every(60_000, 1440)
    async with open_door(FakeDoor()) as door, client_of(door) as client:
        await asyncio.wait_for(feeder(client, records, Position(None), clock).run(), 90)
    assert door.payloads == [r.payload for r in records]


async def test_without_a_clock_everything_goes_at_once_in_full_batches() -> None:
    records = records_every(3_600_000, 1203)
    async with open_door(FakeDoor()) as door, client_of(door) as client:
        receipt = await feeder(client, records, Position(None)).run()
    assert receipt.taken == 1203
    assert door.sizes == [MAX_RECORDS, MAX_RECORDS, 203]


def test_a_batch_is_bounded_in_bytes_but_holds_at_least_one() -> None:
    payloads = [b"x" * (MAX_BYTES // 3), b"y" * (MAX_BYTES // 3), b"z" * (MAX_BYTES // 3)]
    records = [Record(0, "s", payload) for payload in (*payloads, b"!" * (2 * MAX_BYTES))]
    upcoming = Upcoming(iter(records), None)
    sizes = []
    while not upcoming.exhausted:
        sizes.append(len(upcoming.due()))
    assert sizes == [2, 1, 1]


def test_upcoming_knows_what_is_due() -> None:
    now = 10
    upcoming = Upcoming(iter(records_every(10, 3)), lambda: now)
    assert [record.at for record in upcoming.due()] == [0, 10]
    assert upcoming.idle
    assert upcoming.due() == []
    now = 20
    assert not upcoming.idle
    assert [record.at for record in upcoming.due()] == [20]
    assert upcoming.exhausted
    assert not upcoming.idle


async def test_nothing_is_lost_while_the_door_fails_now_and_then() -> None:
    def verdict(number: int, request: web.Request, body: bytes) -> web.Response | None:
        return web.Response(status=503) if number % 3 != 2 else None

    records = records_every(1, 2500)
    async with open_door(FakeDoor(verdict)) as door, client_of(door) as client:
        receipt = await feeder(client, records, Position(None)).run()
    assert receipt.taken == 2500
    assert door.payloads == [r.payload for r in records]


async def test_a_restart_goes_on_where_it_stopped_and_loses_nothing(tmp_path: Path) -> None:
    """Killed at any batch, also between the door's answer and its note, the rest still comes."""
    records = records_every(1, 3000)
    state = tmp_path / "feeder.json"
    async with open_door(FakeDoor()) as door:
        for stop_after in (1, 2, 1, 100):
            posts = door.posts

            def stopped(posts: int = posts, stop_after: int = stop_after) -> bool:
                return door.posts - posts >= stop_after

            async with client_of(door) as client:
                run = asyncio.create_task(feeder(client, records, Position(state)).run())
                while not run.done() and not stopped():
                    await asyncio.sleep(0)
                run.cancel()
                await asyncio.gather(run, return_exceptions=True)
    sent = door.payloads
    assert set(sent) == {r.payload for r in records}
    assert len(sent) - len(set(sent)) <= 3 * (MAX_RECORDS + 1)
    assert Position(state).at == records[-1].at


async def test_after_the_end_a_restart_repeats_only_the_last_millisecond(tmp_path: Path) -> None:
    records = records_every(1, 700)
    state = tmp_path / "feeder.json"
    async with open_door(FakeDoor()) as door, client_of(door) as client:
        await feeder(client, records, Position(state)).run()
        again = await feeder(client, records, Position(state)).run()
    assert again.taken == 1
    assert len(door.payloads) == 701


def test_a_position_is_that_of_its_feed_only(tmp_path: Path) -> None:
    path = tmp_path / "feeder.json"
    Position(path, {"day": "1999-01-03"}).save(17)
    assert Position(path, {"day": "1999-01-03"}).at == 17
    assert Position(path, {"day": "1999-01-04"}).at is None
    assert Position(path).about == {"day": "1999-01-03"}
    assert [p.name for p in tmp_path.iterdir()] == ["feeder.json"]


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"at": "x"}', b'{"at": null}'])
def test_a_broken_position_counts_as_none(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "feeder.json"
    path.write_bytes(content)
    assert Position(path).at is None


def test_a_fast_clock_shortens_the_pause_within_bounds() -> None:
    assert pause_of(Clock()) == PAUSE_S == 0.2
    assert pause_of(Clock(pace=2)) == 0.1
    assert pause_of(Clock(pace=1000)) == 0.05
    assert pause_of(Clock(pace=0.1)) == 0.2
