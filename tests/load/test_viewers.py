"""A board with viewers that never read: the others miss nothing and its memory is bounded."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from bench.workload import SITE, Size, read_frames, write_frames
from pipeline.engine import Site
from pipeline.topics import ensure_topics_patiently, partition_of
from schemas.frames import decode_frame
from schemas.live import encode_live, live_record, record_key
from schemas.settings import SiteSettings
from schemas.topics import LIVE, TOPICS
from tests.load.crowd import Crowd
from tests.load.system import System
from tests.load.viewers import MOST_BOARD_MIB, judged
from tests.load.watching import MIB, usage

READING, STALLED = 40, 20
PARTITIONS = 2


def _publications(folder: Path) -> Iterator[tuple[int, list[Any]]]:
    """A centre's moments, each with the records that the board gets at it."""
    write_frames(Size(300, 40, 9_000, 3), 2_000, folder / "frames")
    site = Site(SiteSettings(site=SITE), rows=False)
    for offset, payload in enumerate(read_frames(folder / "frames")):
        site.apply(decode_frame(payload), offset)
        stamp = (0, offset)
        parts = site.live_parts(offset % 10 == 0)
        yield site.at, [live_record(SITE, stamp, site.at, *part) for part in parts]


async def _send(producer: Any, records: list[Any]) -> None:
    place = partition_of(SITE, PARTITIONS)
    for record in records:
        key = record_key(record["site"], record["kind"], record["part"])
        await producer.send(LIVE, encode_live(record), key, place)
    await producer.flush()


@pytest.mark.timeout(300)
async def test_viewers_that_never_read_cost_the_others_nothing(tmp_path: Path) -> None:
    system = System(tmp_path, PARTITIONS)
    crowd = Crowd("127.0.0.1", system.config.board_port, SITE)
    try:
        system.kafka.start()
        await ensure_topics_patiently(system.config.brokers, PARTITIONS, TOPICS)
        system.roles["board"].start()
        await asyncio.to_thread(system.ready, "board")
        producer = AIOKafkaProducer(bootstrap_servers=system.config.bootstrap)
        await producer.start()
        crowd.come(READING, STALLED)
        last = 0
        for at, records in _publications(tmp_path):
            await _send(producer, records)
            await asyncio.sleep(0.05)
            last = at
        deadline = time.monotonic() + 180
        while len(crowd.shown) < READING or set(crowd.shown.values()) != {last}:
            assert time.monotonic() < deadline, crowd.told()
            await asyncio.sleep(0.1)
        await producer.stop()
        assert crowd.lost == 0
        assert usage(system.roles["board"].pid).rss < MOST_BOARD_MIB * MIB
    finally:
        await crowd.go()
        system.kill()


def _window(viewers: int, worker: float, board_mib: int = 90, lost: int = 0) -> Any:
    cores = dict.fromkeys(("door", "ingest", "sink", "store"), 0.1) | {"agents": worker}
    return {"viewers": viewers, "cores": cores, "board_most": board_mib * MIB, "lost": lost}


@pytest.mark.parametrize(
    ("with_viewers", "broken"),
    [
        (_window(300, 0.21), ""),
        (_window(300, 0.4), "roles but the board use +0.200 cores"),
        (_window(300, 0.2, board_mib=900), "board: at most 900 MiB"),
        (_window(300, 0.2, lost=3), "let go"),
    ],
)
def test_what_viewers_must_not_cost_is_found(with_viewers: Any, broken: str) -> None:
    failed = [what for what, holds in judged([_window(0, 0.2), with_viewers]) if not holds]
    assert len(failed) == bool(broken)
    assert all(broken in what for what in failed)
