"""Where an earlier ingest stopped, from the end of the frames."""

from __future__ import annotations

from typing import Any

import orjson
from aiokafka import AIOKafkaProducer

from pipeline.ingest.framer import Addition, Framer, Mark
from pipeline.ingest.resume import HEADER_RESUME, SitePast, read_past, resume_header
from pipeline.ingest.site_state import SiteState, Told
from schemas.config import Config
from schemas.frames import Frame, encode_frame
from schemas.settings import SiteSettings
from schemas.topics import FRAMES

SETTINGS = SiteSettings(site="north", lateness_ms=7)


def frame(first: int, now: int, site: str = "north", epoch: int = 1, **fields: Any) -> Frame:
    return Frame(site, epoch, now, (0, first, first + 1), **fields)


async def write(
    config: Config, frames: list[Frame], header: bytes | None = None, partition: int = 0
) -> None:
    """Frames in one partition; the header goes on the first."""
    producer = AIOKafkaProducer(bootstrap_servers=config.bootstrap, linger_ms=5)
    await producer.start()
    for number, one in enumerate(frames):
        headers = [(HEADER_RESUME, header)] if header and not number else []
        await producer.send(FRAMES, encode_frame(one), partition=partition, headers=headers)
    await producer.stop()


def header(*framers: Framer, partition: int = 0) -> bytes:
    return resume_header(partition, framers)


def north(mark: Mark, now: int) -> Framer:
    state = SiteState(SETTINGS, now=now, announced=True, told=Told.of(SETTINGS))
    return Framer(state, 1, 0, mark)


async def test_of_an_empty_topic_nothing_is_known(config: Config) -> None:
    assert await read_past(config.brokers, 1, [0, 2]) == {0: {}, 2: {}}
    assert await read_past(config.brokers, 1, []) == {}


async def test_the_last_header_and_the_frames_after_it_tell_all(config: Config) -> None:
    south = Framer(SiteState(SiteSettings(site="south"), now=50), 1, 0, Mark(3, -1))
    south.state.announce()
    await write(config, [frame(10, 100)], header(north(Mark(11, 8), 100), south))
    await write(config, [frame(12, 200, journal=9), Frame("north", 1, 300)])
    past = (await read_past(config.brokers, 1, [0]))[0]
    assert past["north"] == SitePast(Mark(13, 9), 300, Told.of(SETTINGS))
    assert past["south"] == SitePast(Mark(3, -1), 50, Told.of(SiteSettings(site="south")))


async def test_the_header_is_looked_for_far_back(config: Config) -> None:
    await write(config, [frame(1, 1)], header(north(Mark(5, 4), 9)))
    await write(config, [Frame("south", 1, now) for now in range(400)])
    past = (await read_past(config.brokers, 1, [0]))[0]
    assert past["north"].mark == Mark(5, 4)
    assert past["south"].now == 399


async def test_frames_of_an_earlier_epoch_tell_nothing(config: Config) -> None:
    await write(config, [frame(90, 900, epoch=0)], header(north(Mark(91, 80), 900)))
    await write(config, [frame(1, 5)])
    past = (await read_past(config.brokers, 1, [0]))[0]
    assert past["north"] == SitePast(Mark(2, -1), 5)


async def test_headers_about_another_raw_partition_tell_nothing_of_this_one(
    config: Config,
) -> None:
    other = header(north(Mark(99, 99), 9), partition=3)
    await write(config, [Frame("north", 1, 7, (3, 98, 99))], other)
    past = (await read_past(config.brokers, 1, [0]))[0]
    assert past["north"] == SitePast(Mark(), 7)


async def test_frames_without_headers_tell_what_they_carry(config: Config) -> None:
    await write(config, [frame(4, 40, settings=SETTINGS.dump())])
    await write(config, [frame(2 * number, 50 + number) for number in range(5, 300)])
    past = (await read_past(config.brokers, 1, [0]))[0]
    assert past["north"] == SitePast(Mark(599, -1), 349, Told.of(SETTINGS))


async def test_what_is_no_frame_is_passed_over(config: Config) -> None:
    await write(config, [frame(4, 40)])
    producer = AIOKafkaProducer(bootstrap_servers=config.bootstrap)
    await producer.start()
    await producer.send_and_wait(FRAMES, b"noise", partition=0)
    await producer.stop()
    assert (await read_past(config.brokers, 1, [0]))[0]["north"].mark == Mark(5, -1)


def test_an_open_frame_is_not_yet_part_of_the_header() -> None:
    framer = north(Mark(5, 4), 9)
    event = {"type": "clock", "site": "north", "ts": 1}
    framer.add(Addition(6, 10, 5, [event], 10, b""), 0.0)
    assert orjson.loads(header(framer))["sites"]["north"][:2] == [5, 4]
    framer.close()
    assert orjson.loads(header(framer))["sites"]["north"][:2] == [6, 5]
