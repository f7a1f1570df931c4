"""kill -9 of ingest, of the door and of the broker: every raw record counts exactly once."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from pipeline.ingest.feeding import Fed, journal_folder
from pipeline.ingest.journal import read_journal
from schemas.config import Config
from schemas.topics import RAW
from tests.ingest.broker import (
    PARTITIONS,
    Broker,
    DeadReader,
    Fence,
    FrameReader,
    Reader,
    put_raw,
    raw_headers,
)
from tests.ingest.roles import process, running_ingest, until

pytestmark = pytest.mark.timeout(480)

SITES = ("north", "south")
READING = f"reading {PARTITIONS} partitions"


def clock() -> int:
    return time.time_ns() // 1_000_000


def queued(number: int, site: str, **fields: Any) -> bytes:
    event = {"type": "contact.queued", "site": site, "contact": f"{site}-{number}", "queue": "q"}
    return orjson.dumps({**event, "ts": clock(), **fields})


def payload(number: int, site: str) -> bytes:
    """Mostly events; every tenth is noise, every fifteenth from the future."""
    if number % 10 == 0:
        return b"noise %d" % number
    if number % 15 == 1:
        return queued(number, site, ts=clock() + 10_000_000)
    return queued(number, site)


def is_good(number: int) -> bool:
    return number % 10 != 0 and number % 15 != 1


def assert_each_once(frames: FrameReader, dead: DeadReader, sent: dict[str, int]) -> None:
    """Every number below `sent` of each site went once into its story or its dead letters."""
    for site, count in sent.items():
        fence = Fence(frames.of(site))
        found = sorted(int(event["contact"].rpartition("-")[2]) for event in fence.events)
        assert found == [number for number in range(count) if is_good(number)]
        bad = count - len(found)
        assert len(fence.dead) == bad
        letters = {key[2:]: one for key, one in dead.letters.items() if one.get("site") == site}
        assert letters.keys() >= set(fence.dead)
        assert len(letters) == bad


async def pour(address: str, enough: asyncio.Event) -> dict[str, int]:
    """Raw records of both sites until it is enough; how many of each."""
    numbers = dict.fromkeys(SITES, 0)
    while not enough.is_set():
        records: list[Any] = []
        for site in SITES:
            first, numbers[site] = numbers[site], numbers[site] + 100
            records += [
                (site.encode(), payload(number, site), raw_headers(clock()))
                for number in range(first, numbers[site])
            ]
        await put_raw(address, records)
        await asyncio.sleep(0.1)
    return numbers


@pytest.fixture
async def readers(config: Config) -> AsyncIterator[tuple[FrameReader, DeadReader]]:
    async with FrameReader(config.bootstrap) as frames, DeadReader(config.bootstrap) as dead:
        yield frames, dead


async def test_kill_9_of_ingest_again_and_again(
    config: Config, readers: tuple[FrameReader, DeadReader], tmp_path: Path
) -> None:
    frames, dead = readers
    embedded = config.model_copy(update={"journal": True, "alone": True})
    folder = journal_folder(embedded.data_dir)
    folder.mkdir(parents=True)
    Fed(embedded.epoch, 0, complete=True).write(folder)
    enough = asyncio.Event()
    pouring = asyncio.create_task(pour(config.bootstrap, enough))
    with process("ingest", embedded, tmp_path) as ingest:
        for kill in range(5):
            await until(lambda n=kill: ingest.said(READING) > n, frames, dead)  # type: ignore[misc]
            seen = len(frames.records)
            await until(lambda n=seen: len(frames.records) > n, frames, dead)  # type: ignore[misc]
            await asyncio.sleep(0.13 * kill)
            ingest.kill()
            ingest.start()
        await until(lambda: ingest.said(READING) > 5, frames, dead)
        enough.set()
        sent = await pouring
        last = {f"{site}-{count - 1}" for site, count in sent.items()}
        await until(lambda: last <= contacts(frames), frames, dead)
        await until(lambda: all_buried(frames, dead), frames, dead)
        assert ingest.terminate() == 0
    assert_each_once(frames, dead, sent)


def contacts(frames: FrameReader) -> set[str]:
    return {event["contact"] for site in SITES for event in frames.events(site)}


def all_buried(frames: FrameReader, dead: DeadReader) -> bool:
    counted = sum(len(Fence(frames.of(site)).dead) for site in SITES)
    return len(dead.letters) >= counted


async def test_kill_9_of_a_member_of_the_group_and_a_rebalance(
    config: Config, readers: tuple[FrameReader, DeadReader], tmp_path: Path
) -> None:
    """That all roles know of the door's journal says nothing of how many ingests there are."""
    frames, dead = readers
    config = config.model_copy(update={"journal": True})
    (tmp_path / "second").mkdir()
    enough = asyncio.Event()
    pouring = asyncio.create_task(pour(config.bootstrap, enough))
    with process("ingest", config, tmp_path) as first:
        await until(lambda: len(frames.records) > 5, frames, dead)
        first.kill()
        other = config.model_copy(update={"ingest_port": 0})
        with process("ingest", other, tmp_path / "second") as second:
            await until(lambda: second.said(READING) > 0, frames, dead)
            enough.set()
            sent = await pouring
            last = {f"{site}-{count - 1}" for site, count in sent.items()}
            await until(lambda: last <= contacts(frames), frames, dead)
            await until(lambda: all_buried(frames, dead), frames, dead)
    assert_each_once(frames, dead, sent)


class Caller:
    """Posts until it is told that the events are kept, as a careful client does."""

    def __init__(self, config: Config, http: aiohttp.ClientSession) -> None:
        self._url = f"http://127.0.0.1:{config.door_port}/v1/events"
        self._http = http
        self.kept = dict.fromkeys(SITES, 0)

    async def post(self, site: str, count: int) -> None:
        """Keep the next `count` numbers of a site."""
        first = self.kept[site]
        body = b"\n".join(payload(number, site) for number in range(first, first + count))
        deadline = time.monotonic() + 180
        while not await self._taken(site, body):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.02)
        self.kept[site] += count

    async def _taken(self, site: str, body: bytes) -> bool:
        kind = {"Content-Type": "application/x-ndjson"}
        try:
            async with self._http.post(
                self._url, data=body, params={"site": site}, headers=kind
            ) as response:
                return response.status == 200
        except (aiohttp.ClientError, OSError):
            return False


async def test_kill_9_of_the_door_loses_nothing_it_has_taken(
    config: Config, readers: tuple[FrameReader, DeadReader], tmp_path: Path
) -> None:
    frames, dead = readers
    embedded = config.model_copy(update={"journal": True, "alone": True})
    async with aiohttp.ClientSession() as http, Reader(config.bootstrap, RAW) as raw:
        caller = Caller(embedded, http)
        with process("door", embedded, tmp_path) as door, process("ingest", embedded, tmp_path):
            for kill in range(4):
                posts = [asyncio.create_task(caller.post(site, 40)) for site in SITES]
                await asyncio.gather(*posts)
                posts = [asyncio.create_task(caller.post(site, 30)) for site in SITES]
                await asyncio.sleep(0.002 * kill)
                door.kill()
                door.start()
                await asyncio.gather(*posts)
            last = {f"{site}-{count - 1}" for site, count in caller.kept.items()}
            await until(lambda: last <= contacts(frames), frames, raw)
            await until(lambda: door.said("open at") == 5)
            assert door.terminate() == 0
            await until(lambda: all_buried(frames, dead), frames, dead)
    journalled = dict(read_journal(journal_folder(embedded.data_dir)))
    for site in SITES:
        fence = Fence(frames.of(site))
        assert {int(e["contact"].rpartition("-")[2]) for e in fence.events} == {
            number for number in range(caller.kept[site]) if is_good(number)
        }
        # A caller that heard nothing sent its lines again: they are further records. But what the
        # door itself sent again counts once, so the dead are those of the journal, to the last.
        of_site = [record.payload for record in journalled.values() if record.site == site]
        noise = sum(1 for one in of_site if one.startswith(b"noise") or b"contact" not in one)
        futures = sum(1 for one in of_site if b"contact" in one and is_future(one))
        assert len(fence.dead) == noise + futures


def is_future(event: bytes) -> bool:
    return bool(orjson.loads(event)["ts"] > clock() + 5_000_000)


async def test_a_new_broker_is_fed_from_the_journal_and_nothing_is_late(
    config: Config, broker: Broker, tmp_path: Path
) -> None:
    embedded = config.model_copy(update={"journal": True, "alone": True})
    async with aiohttp.ClientSession() as http:
        caller = Caller(embedded, http)
        with process("door", embedded, tmp_path):
            await asyncio.gather(*(caller.post(site, 500) for site in SITES))
    broker.kill()
    journal = list(read_journal(journal_folder(embedded.data_dir)))
    assert len(journal) == 1000
    north = [seq for seq, record in journal if record.site == "north"]
    restore = {"north": {"snapshot": "none", "journal": north[249]}}
    embedded.data_dir.joinpath("epoch.json").write_bytes(
        orjson.dumps({"epoch": 2, "restore": restore})
    )
    broker.start()
    newer = embedded.model_copy(update={"epoch": 2})
    with process("ingest", newer, tmp_path):
        await asyncio.sleep(0.5)
        with process("door", newer, tmp_path):
            async with FrameReader(config.bootstrap, PARTITIONS) as frames:
                await until(lambda: total(frames, "south") >= 500, frames)
                await until(lambda: total(frames, "north") >= 250, frames)
                await until(lambda: all(frames.of(s)[-1].raw is None for s in SITES), frames)
    assert total(frames, "north") == 250
    assert total(frames, "south") == 500
    received = {seq: record.received for seq, record in journal}
    for site in SITES:
        ticked = itertools.dropwhile(lambda frame: frame.raw is not None, frames.of(site))
        assert all(frame.raw is None for frame in ticked)
        for frame in frames.of(site):
            if frame.raw is not None:
                assert frame.now <= max(received.values())
    assert max(frame.journal for frame in frames.of("north")) == north[-1]


def total(frames: FrameReader, site: str) -> int:
    """Raw records of a site that went into frames."""
    fence = Fence(frames.of(site))
    return len(fence.events) + len(fence.dead)


async def test_a_door_that_restarts_feeds_only_what_the_broker_does_not_have(
    config: Config, tmp_path: Path
) -> None:
    embedded = config.model_copy(update={"journal": True, "alone": True})
    async with aiohttp.ClientSession() as http, Reader(config.bootstrap, RAW) as raw:
        caller = Caller(embedded, http)
        with process("door", embedded, tmp_path) as door:
            await caller.post("north", 300)
            assert door.terminate() == 0
            door.start()
            await caller.post("north", 1)
            await until(lambda: len(raw.records) >= 301, raw)
            assert len(raw.records) == 301
            folder = journal_folder(embedded.data_dir)
            assert Fed.read(folder).complete
    async with running_ingest(embedded) as ingest:
        await until(lambda: ingest.metrics.records._value.get() == 301)
