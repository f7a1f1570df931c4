"""Ingest on a real broker: frames, dead letters, ticks, settings and restarts."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from pipeline.ingest.feeding import Fed, FeedGate, journal_folder
from pipeline.ingest.raw import HEADER_TRUNCATED, KEPT_BYTES
from schemas.config import Config
from tests.ingest.broker import (
    PARTITIONS,
    Broker,
    DeadReader,
    Fence,
    FrameReader,
    home,
    late_by,
    put_events,
    put_raw,
    raw_headers,
)
from tests.ingest.roles import running_ingest, until

MINUTE = 60_000
NORTH = b"north"


def clock() -> int:
    return time.time_ns() // 1_000_000


def queued(number: int, site: str = "north", **fields: Any) -> dict[str, Any]:
    event = {"type": "contact.queued", "site": site, "contact": f"{site}-{number}", "queue": "q"}
    return {**event, "ts": clock(), **fields}


def feed_is_complete(config: Config) -> None:
    folder = journal_folder(config.data_dir)
    folder.mkdir(parents=True, exist_ok=True)
    Fed(config.epoch, 0, complete=True).write(folder)


@pytest.fixture
def embedded(config: Config) -> Config:
    """The embedded stack's way: partitions by hand, so that ingest begins at once."""
    feed_is_complete(config)
    return config.model_copy(update={"journal": True, "alone": True})


@pytest.fixture
async def frames(config: Config) -> AsyncIterator[FrameReader]:
    async with FrameReader(config.bootstrap) as reader:
        yield reader


@pytest.fixture
async def dead(config: Config) -> AsyncIterator[DeadReader]:
    async with DeadReader(config.bootstrap) as reader:
        yield reader


async def test_events_become_frames_of_their_site_through_a_consumer_group(
    config: Config, frames: FrameReader
) -> None:
    wanted = {site: [queued(number, site) for number in range(700)] for site in ("north", "south")}
    await put_events(config.bootstrap, [(e, e["ts"]) for e in wanted["north"] + wanted["south"]])
    async with running_ingest(config):
        await until(lambda: sum(len(f.events) for f in frames.frames) >= 1400, frames)
    for site, events in wanted.items():
        complete = [{**e, "channel": "voice", "direction": "inbound"} for e in events]
        assert frames.events(site) == complete
        assert {record.partition for record in frames.records if record.key == site.encode()} == {
            home(site)
        }
        assert all(frame.epoch == config.epoch for frame in frames.of(site))
        assert [f.settings is not None for f in frames.of(site)].index(True) == 0
        assert sum(f.settings is not None for f in frames.of(site)) == 1


HALF_A_PAIR = b'{"type":"clock","site":"\\ud800","ts":1}'

HALF_A_SOURCE = b'{"type":"clock","site":"north","ts":1,"source":"\\ud83d"}'


async def test_each_kind_of_garbage_is_dead_lettered_once_and_nothing_stops(
    embedded: Config, frames: FrameReader, dead: DeadReader
) -> None:
    now = clock()
    noise = bytes(range(256)) * 4096
    garbage: list[tuple[bytes | None, bytes, str, str, str | None, bool]] = [
        # key, payload, reason, field, site of the letter, counted by north
        (NORTH, b"not JSON", "unreadable", "payload", "north", True),
        (NORTH, b"[1, 2]", "unreadable", "payload", "north", True),
        (NORTH, orjson.dumps(queued(1, ts="soon")), "unreadable", "ts", "north", True),
        (NORTH, orjson.dumps(queued(1, type="contact.?")), "unreadable", "type", "north", True),
        (NORTH, orjson.dumps({**queued(1), "site": 7}), "unreadable", "site", "north", True),
        (NORTH, b'{"type":"clock","ts":1}', "unreadable", "site", "north", True),
        (NORTH, orjson.dumps(queued(1, ts=now + 90_000)), "future", "ts", "north", True),
        (NORTH, noise, "unreadable", "payload", "north", True),
        (NORTH, orjson.dumps(queued(1, "south")), "unreadable", "site", "south", True),
        (NORTH, orjson.dumps(queued(1, "ghost")), "unknown_site", "site", "ghost", False),
        (None, orjson.dumps(queued(1, ts="soon")), "unreadable", "ts", "north", True),
        (b"ghost", orjson.dumps(queued(1, "ghost")), "unknown_site", "site", "ghost", False),
        (b"ghost", b"not JSON", "unreadable", "payload", None, False),
        (NORTH, HALF_A_PAIR, "unreadable", "site", "north", True),
        (None, HALF_A_PAIR, "unreadable", "site", None, False),
        (None, HALF_A_SOURCE, "unreadable", "source", "north", True),
        (None, b"\x00\xff", "unreadable", "payload", None, False),
    ]
    records: list[Any] = [
        (key, payload, raw_headers(now)) for key, payload, *_ in garbage for _ in range(2)
    ]
    records.insert(5, (NORTH, orjson.dumps(queued(7)), raw_headers(now)))
    records.append((NORTH, b" \n", raw_headers(now)))
    records.append((NORTH, b"cut", [*raw_headers(now), (HEADER_TRUNCATED, b"5000000")]))
    huge = orjson.dumps({**queued(1), "id": "x" * 100_000})
    records.append((NORTH, huge, raw_headers(now)))
    records.append((NORTH, b"{}", [*raw_headers(now, format="morse")]))
    records.append((NORTH, orjson.dumps(queued(8)), raw_headers(now)))
    counted = 2 * sum(1 for *_, north in garbage if north) + 3
    async with running_ingest(embedded) as ingest:
        await put_raw(embedded.bootstrap, records)
        await until(lambda: len(dead.letters) >= 2 * len(garbage) + 3, dead)
        await until(lambda: len(Fence(frames.of("north")).dead) >= counted, frames)
        nobody = ingest.metrics.nobody._value.get()
        await until(lambda: frames.of("south") != [], frames)
    assert [event["contact"] for event in frames.events("north")] == ["north-7", "north-8"]
    assert len(dead.letters) == 2 * len(garbage) + 3
    assert len(Fence(frames.of("north")).dead) == counted
    assert frames.of("south")[0].dead == []
    assert nobody == 2 * sum(1 for *_, north in garbage if not north)
    found = [
        (one["reason"], one["field"], one.get("site"), one["payload"])
        for one in dead.letters.values()
    ]
    wanted = [
        (reason, field, site, payload[:KEPT_BYTES].decode("utf-8", "replace"))
        for _, payload, reason, field, site, _ in garbage
        for _ in range(2)
    ]
    wanted += [
        ("too_large", "payload", "north", "cut"),
        ("too_large", "payload", "north", huge[:KEPT_BYTES].decode()),
        ("unreadable", "format", "north", "{}"),
    ]
    assert sorted(found, key=str) == sorted(wanted, key=str)
    for (epoch, topic, partition, offset), letter in dead.letters.items():
        place = (letter["epoch"], letter["topic"], letter["partition"], letter["offset"])
        assert place == (epoch, topic, partition, offset)
        assert (epoch, topic) == (1, "events.raw")


async def test_sites_tick_before_their_first_event_and_never_go_back(
    embedded: Config, frames: FrameReader
) -> None:
    started = clock()
    async with running_ingest(embedded):
        await until(lambda: len(frames.of("north")) > 5 and len(frames.of("south")) > 5, frames)
    for site in ("north", "south"):
        nows = [frame.now for frame in frames.of(site)]
        assert nows == sorted(nows)
        assert started <= nows[0] < nows[-1] <= clock()
        assert frames.of(site)[0].settings is not None
        assert all(frame.raw is None and not frame.events for frame in frames.of(site))


def test_a_journal_of_the_door_holds_back_only_an_ingest_that_is_alone(config: Config) -> None:
    """Elsewhere the door's progress lies on another machine, or tells of one door of several."""
    assert FeedGate(config.model_copy(update={"journal": True})).open()
    assert not FeedGate(config.model_copy(update={"alone": True})).open()


async def test_while_the_feed_of_the_journal_is_not_complete_no_site_ticks(
    embedded: Config, frames: FrameReader
) -> None:
    folder = journal_folder(embedded.data_dir)
    Fed(embedded.epoch - 1, 99, complete=True).write(folder)
    old = clock() - 40 * MINUTE
    async with running_ingest(embedded) as ingest:
        await until(lambda: ingest.unready() == "")
        await put_events(embedded.bootstrap, [(queued(1, ts=old), old)])
        await until(lambda: len(frames.events("north")) == 1, frames)
        Fed(embedded.epoch, 50, complete=False).write(folder)
        for _ in range(10):
            await frames.more()
        assert [frame.now for frame in frames.frames] == [old]
        Fed(embedded.epoch, 99, complete=True).write(folder)
        await until(lambda: frames.of("north")[-1].raw is None, frames)
    assert frames.of("north")[-1].now >= old + 40 * MINUTE


def backlog(site: str, minutes: int, step_ms: int) -> list[tuple[dict[str, Any], int]]:
    """Events that came while nobody read, each with the moment it was received."""
    begin = clock() - minutes * MINUTE
    moments = range(begin, begin + minutes * MINUTE, step_ms)
    return [(queued(n, site, ts=moment), moment) for n, moment in enumerate(moments)]


async def test_in_a_backlog_of_half_an_hour_nothing_is_late(
    config: Config, frames: FrameReader
) -> None:
    waiting = backlog("north", 30, 400) + backlog("south", 30, 30_000)
    await put_events(config.bootstrap, waiting)
    async with running_ingest(config):
        await until(lambda: len(frames.events("north")) >= 4500, frames)
        await until(lambda: frames.of("south")[-1].raw is None, frames)
    received = {event["contact"]: moment for event, moment in waiting}
    for site, count in (("north", 4500), ("south", 60)):
        assert len(frames.events(site)) == count
        assert late_by(frames.of(site), received) <= 100


async def test_a_backlog_in_a_partition_that_is_not_the_sites_own_is_waited_for(
    embedded: Config, frames: FrameReader
) -> None:
    waiting = backlog("north", 30, 2000)
    other = (home("north") + 1) % PARTITIONS
    records = [(None, orjson.dumps(event), raw_headers(moment)) for event, moment in waiting]
    await put_raw(embedded.bootstrap, records[:450], partition=other)
    async with running_ingest(embedded):
        await until(lambda: len(frames.events("north")) == 450, frames)
        await put_raw(embedded.bootstrap, records[450:], partition=other)
        await until(lambda: len(frames.events("north")) == 900, frames)
    assert {r.partition for r in frames.records if r.key == NORTH} == {home("north")}
    received = {event["contact"]: moment for event, moment in waiting[:450]}
    first = [f for f in frames.of("north") if all(e["contact"] in received for e in f.events)]
    assert late_by([f for f in first if f.events], received) <= 100


async def test_records_of_foreign_producers_get_a_received_that_can_be_believed(
    embedded: Config, frames: FrameReader
) -> None:
    started = clock()
    absurd = [[], raw_headers(9_999_999_999_999), [("received", b"soon")], [("received", b"0")]]
    records = [(NORTH, orjson.dumps(queued(n)), headers) for n, headers in enumerate(absurd)]
    async with running_ingest(embedded):
        await put_raw(embedded.bootstrap, records)
        await until(lambda: len(frames.events("north")) == 4, frames)
        await until(lambda: frames.of("north")[-1].raw is None, frames)
    assert all(started <= frame.now <= clock() for frame in frames.of("north"))


async def test_changed_settings_take_effect_with_a_tick(
    embedded: Config, frames: FrameReader, settings_dir: Path
) -> None:
    async with running_ingest(embedded):
        await until(lambda: len(frames.of("north")) > 1, frames)
        changed = clock()
        (settings_dir / "north.yml").write_text("site: north\nlateness_ms: 777\npane_ms: 5000\n")
        await until(lambda: sum(f.settings is not None for f in frames.of("north")) == 2, frames)
    frame = [frame for frame in frames.of("north") if frame.settings is not None][1]
    assert frame.settings is not None
    assert (frame.settings["lateness_ms"], frame.settings["pane_ms"]) == (777, 10_000)
    assert frame.raw is None
    assert frame.now >= changed - 1000
    assert sum(f.settings is not None for f in frames.of("south")) == 1


async def test_a_site_comes_and_goes_with_its_file(
    embedded: Config, frames: FrameReader, dead: DeadReader, settings_dir: Path
) -> None:
    async with running_ingest(embedded):
        (settings_dir / "west.yml").write_text("site: west\n")
        await until(lambda: frames.of("west") != [], frames)
        await put_events(embedded.bootstrap, [(queued(1, "west"), clock())])
        await until(lambda: len(frames.events("west")) == 1, frames)
        (settings_dir / "west.yml").unlink()

        def refused() -> bool:
            return any(letter["reason"] == "unknown_site" for letter in dead.letters.values())

        deadline = time.monotonic() + 180
        while not refused():
            assert time.monotonic() < deadline
            await put_events(embedded.bootstrap, [(queued(2, "west"), clock())])
            await dead.more()
        gone = clock()
        await until(lambda: frames.of("north")[-1].now > gone + 500, frames)
        count = len(frames.of("west"))
        await until(lambda: frames.of("north")[-1].now > gone + 2000, frames)
        assert len(frames.of("west")) == count


@pytest.mark.parametrize("by_group", [True, False])
async def test_after_an_orderly_restart_nothing_is_framed_twice(
    config: Config, embedded: Config, frames: FrameReader, by_group: bool
) -> None:
    chosen = config if by_group else embedded
    sent = [(queued(number), clock()) for number in range(300)]
    for part in (sent[:150], sent[150:]):
        await put_events(chosen.bootstrap, part)
        async with running_ingest(chosen):
            await until(lambda n=part[-1][0]["contact"]: n in contacts(frames), frames)  # type: ignore[misc]
    assert [event["contact"] for event in frames.events("north")] == [
        event["contact"] for event, _ in sent
    ]
    nows = [frame.now for frame in frames.of("north")]
    assert nows == sorted(nows)


def contacts(frames: FrameReader) -> set[str]:
    return {event["contact"] for event in frames.events("north")}


async def test_settings_changed_while_ingest_was_down_do_not_date_from_the_backlog(
    embedded: Config, frames: FrameReader, settings_dir: Path
) -> None:
    async with running_ingest(embedded):
        await until(lambda: len(frames.of("north")) > 1, frames)
    (settings_dir / "north.yml").write_text("site: north\nlateness_ms: 777\nanchor: arrival\n")
    waiting = [(queued(n, ts=clock() + n), clock() + n * 300) for n in range(10)]
    await put_events(embedded.bootstrap, waiting)
    async with running_ingest(embedded):
        await until(lambda: sum(f.settings is not None for f in frames.of("north")) == 2, frames)
    frame = [frame for frame in frames.of("north") if frame.settings is not None][1]
    assert frame.settings is not None
    assert (frame.settings["lateness_ms"], frame.settings["anchor"]) == (777, "outcome")
    assert frame.raw is None
    assert len(frames.events("north")) == 10


async def test_what_the_door_sends_again_is_framed_and_counted_once(
    embedded: Config, frames: FrameReader, dead: DeadReader
) -> None:
    def journalled(seq: int) -> tuple[bytes, bytes, list[tuple[str, bytes]]]:
        payload = b"noise" if seq % 2 else orjson.dumps(queued(seq))
        return NORTH, payload, raw_headers(clock(), journal=str(seq))

    first = [journalled(seq) for seq in range(1, 21)]
    async with running_ingest(embedded) as ingest:
        await put_raw(embedded.bootstrap, first + first[10:] + [journalled(21), journalled(22)])
        await until(lambda: "north-22" in contacts(frames), frames)
        await until(lambda: len(dead.letters) >= 11, dead)
        assert ingest.metrics.skipped._value.get() == 10
    async with running_ingest(embedded):
        await put_raw(embedded.bootstrap, [*first, journalled(23), journalled(24)])
        await until(lambda: "north-24" in contacts(frames), frames)
        await until(lambda: len(dead.letters) >= 12, dead)
    assert len(frames.events("north")) == 12
    assert len(Fence(frames.of("north")).dead) == len(dead.letters) == 12
    assert max(frame.journal for frame in frames.of("north")) == 24


async def test_a_broker_that_stops_answering_costs_nothing_but_time(
    embedded: Config, frames: FrameReader, broker: Broker
) -> None:
    sent = [queued(number) for number in range(200)]
    async with running_ingest(embedded) as ingest:
        await put_events(embedded.bootstrap, [(event, clock()) for event in sent[:100]])
        broker.pause()
        await until(lambda: ingest.unready() != "", patience_s=60)
        broker.resume()
        await put_events(embedded.bootstrap, [(event, clock()) for event in sent[100:]])
        await until(lambda: "north-199" in contacts(frames), frames)
        await until(lambda: ingest.unready() == "")
    assert [e["contact"] for e in Fence(frames.of("north")).events] == [e["contact"] for e in sent]


async def test_ingest_waits_for_a_broker_that_comes_late_and_stops_when_asked(
    config: Config, broker: Broker
) -> None:
    broker.kill()
    async with running_ingest(config) as ingest:
        async with aiohttp.ClientSession() as http:
            base = f"http://127.0.0.1:{config.ingest_port}"
            assert await readiness(http, base) == (503, "no partition assigned\n")
            broker.start()
            await until(lambda: ingest.unready() == "")
            assert await readiness(http, base) == (200, "ready\n")
            async with http.get(f"{base}/metrics") as response:
                text = await response.text()
        assert f"callboard_ingest_partitions {float(PARTITIONS)}" in text
        assert 'callboard_ingest_dead_letters_total{reason="future"} 0.0' in text


async def readiness(http: aiohttp.ClientSession, base: str) -> tuple[int, str]:
    """Status and text of the page, once it is served."""
    deadline = time.monotonic() + 180
    while True:
        try:
            async with http.get(f"{base}/readyz") as response:
                return response.status, await response.text()
        except aiohttp.ClientConnectionError:
            assert time.monotonic() < deadline
            await asyncio.sleep(0.05)
