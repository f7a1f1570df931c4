"""Records on a partition that is not their site's own: a crash between two lanes loses none."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any, cast

import orjson
import pytest

from pipeline.ingest.customers import Customers
from pipeline.ingest.lanes import Item, Lanes
from pipeline.ingest.metrics import IngestMetrics
from pipeline.ingest.partition import Partition, Surroundings
from pipeline.ingest.resume import past_of
from pipeline.ingest.sites import Sites
from pipeline.topics import partition_of
from schemas.clock import Clock
from schemas.frames import decode_frame
from schemas.settings import SiteSettings
from schemas.topics import FRAMES
from tests.ingest.broker import Fence

PARTITIONS = 2
RAW_PARTITION = 0
NAMES = [f"site{number}" for number in range(8)]
HOME = next(name for name in NAMES if partition_of(name, PARTITIONS) == RAW_PARTITION)
STRAY = next(name for name in NAMES if partition_of(name, PARTITIONS) != RAW_PARTITION)


@dataclass
class Record:
    """A record as a consumer gives it."""

    offset: int
    value: bytes
    key: bytes
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    timestamp: int = 0


class Broker:
    """In the broker's place: each partition takes what comes by its own lane, in its own time."""

    def __init__(self, dice: random.Random) -> None:
        self.frames: dict[int, list[Record]] = {number: [] for number in range(PARTITIONS)}
        self._under_way: dict[int, list[Item]] = {number: [] for number in range(PARTITIONS)}
        self._dice = dice

    def put(self, topic: str, partition: int, item: Item) -> None:
        assert topic == FRAMES
        self._under_way[partition].append(item)

    def take(self, *, all_of_it: bool = False, told: bool = True) -> None:
        """Take some of what is under way; a sender that has crashed is not told."""
        for partition, items in self._under_way.items():
            count = len(items) if all_of_it else self._dice.randint(0, len(items))
            for item in items[:count]:
                kept = self.frames[partition]
                headers = [(name, value) for name, value in item.headers]
                kept.append(Record(len(kept), item.value, item.key or b"", headers))
                if told:
                    item.done(None)
            del items[:count]

    def crash(self) -> None:
        """The sender is gone: some of what it sent arrives, the rest never."""
        self.take(told=False)
        for items in self._under_way.values():
            items.clear()


def opened(broker: Broker, committed: int) -> Partition:
    """The raw partition as a new process opens it."""
    sites = Sites()
    sites.update({name: SiteSettings(site=name) for name in (HOME, STRAY)})
    shared = (sites, Clock(), IngestMetrics(), Customers(""))
    around = Surroundings(1, PARTITIONS, cast(Lanes, broker), *shared)
    past, _ = past_of(cast(Any, broker.frames[RAW_PARTITION]), RAW_PARTITION, 1)
    return Partition(RAW_PARTITION, around, past, committed)


def records(dice: random.Random) -> list[Record]:
    headers = [("format", b"canonical"), ("received", b"5000")]
    found = []
    for offset in range(dice.randint(40, 120)):
        site = dice.choice([HOME, HOME, STRAY])
        event = {"type": "contact.queued", "site": site, "ts": 5_000, "queue": "q"}
        payload = orjson.dumps({**event, "contact": f"c{offset}"})
        found.append(Record(offset, payload, site.encode(), headers))
    return found


@pytest.mark.parametrize("seed", range(40))
def test_a_crash_at_any_moment_loses_and_doubles_none(seed: int) -> None:
    dice = random.Random(seed)
    raw, broker, committed, turn = records(dice), Broker(dice), 0, 0.0
    partition = opened(broker, committed)
    while committed < len(raw):
        turn += 0.2
        partition.take(raw[partition.next : partition.next + dice.randint(1, 9)], turn)
        partition.close_due(turn + 0.1 * dice.randint(0, 2))
        broker.take()
        committed = max(committed, partition.settled_offset())
        if dice.random() < 0.15:
            broker.crash()
            partition = opened(broker, committed)
        if partition.next == len(raw):
            partition.flush(turn)
            broker.take(all_of_it=True)
            committed = partition.settled_offset()
    for site in (HOME, STRAY):
        own = broker.frames[partition_of(site, PARTITIONS)]
        frames = [frame for frame in (decode_frame(one.value) for one in own) if frame.site == site]
        told = [event["contact"] for event in Fence(frames).events]
        assert told == [f"c{one.offset}" for one in raw if one.key == site.encode()], site
