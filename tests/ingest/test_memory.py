"""What translators remember survives a crash at any moment: nothing is folded twice or missed."""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import orjson
import pytest

from pipeline.ingest.customers import Customers
from pipeline.ingest.journal import Journal
from pipeline.ingest.lanes import Item, Lanes
from pipeline.ingest.memory import Memories, lowest, read_memories, recall_journal, take_up
from pipeline.ingest.metrics import IngestMetrics
from pipeline.ingest.partition import Partition, Surroundings
from pipeline.ingest.raw import RawRecord
from pipeline.ingest.resume import past_of
from pipeline.ingest.sites import Sites
from pipeline.ingest.translate import Streams
from pipeline.sources import SOURCES
from pipeline.sources.source import Context, Event, Source, Translator, Unread
from schemas.clock import Clock
from schemas.config import Config
from schemas.frames import decode_frame
from schemas.settings import SiteSettings
from schemas.topics import FRAMES, MEMORY
from tests.ingest.broker import FrameReader, put_raw, raw_headers
from tests.ingest.roles import process, running_ingest, until

NAME = "counting"
SITE = "north"


class Counting(Translator):
    """Says how many payloads came before each: wrong at once if one is folded twice or missed."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._count = 0

    def translate(self, payload: bytes) -> list[Event]:
        if payload == b"bad":
            raise Unread("payload", "is bad")
        self._count += 1
        if payload == b"quiet":
            return []
        contact = f"{payload.decode()}-{self._count}"
        return [self.context.event("contact.queued", int(payload), contact=contact, queue="q")]

    def memory(self) -> int:
        return self._count

    def recall(self, memory: Any) -> None:
        self._count = memory or 0


@pytest.fixture(autouse=True)
def counting(monkeypatch: pytest.MonkeyPatch) -> None:
    source = Source(NAME, "Counting", Counting, lambda payload: "x", stateful=True)
    monkeypatch.setitem(SOURCES, NAME, source)


def payloads(count: int, rng: random.Random) -> list[bytes]:
    kinds = [b"bad", b"quiet", b"", b""]
    return [rng.choice(kinds) or str(1_000 + number).encode() for number in range(count)]


def contacts_of(lines: list[bytes]) -> list[str]:
    translator = Counting(Context(SITE, NAME))
    found = []
    for line in lines:
        if line != b"bad":
            found += [event["contact"] for event in translator.translate(line)]
    return found


@dataclass
class Record:
    """A record as a consumer gives it."""

    offset: int
    value: bytes
    key: bytes = SITE.encode()
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    timestamp: int = 0


class Broker:
    """In the broker's place: acknowledges what was put, each lane in its order, when told to."""

    def __init__(self) -> None:
        self.acknowledged: dict[str, list[Record]] = {FRAMES: [], MEMORY: []}
        self._under_way: dict[str, list[Item]] = {}

    def put(self, topic: str, partition: int, item: Item) -> None:
        self._under_way.setdefault(topic, []).append(item)

    def acknowledge(self, rng: random.Random) -> None:
        for topic, items in self._under_way.items():
            for _ in range(rng.randint(0, len(items))):
                item = items.pop(0)
                kept = self.acknowledged.setdefault(topic, [])
                headers = [(name, value) for name, value in item.headers]
                kept.append(Record(len(kept), item.value, item.key or b"", headers))
                item.done(None)

    def crash(self) -> None:
        """Nobody hears of what is under way any more; some of it may have arrived."""
        self._under_way.clear()


def sites() -> Sites:
    found = Sites()
    found.update({SITE: SiteSettings(site=SITE)})
    return found


def opened(broker: Broker, committed: int) -> Partition:
    """A partition as a new process opens it."""
    around = Surroundings(
        1, 1, cast(Lanes, broker), sites(), Clock(), IngestMetrics(), Customers("key")
    )
    past, _ = past_of(cast(Any, broker.acknowledged[FRAMES]), 0, 1)
    memories: Memories = {}
    for record in broker.acknowledged[MEMORY]:
        take_up(memories, 1, record)
    return Partition(0, around, past, lowest(memories, committed), memories)


@pytest.mark.parametrize("seed", range(60))
def test_a_crash_at_any_moment_changes_no_event(seed: int) -> None:
    rng = random.Random(seed)
    lines = payloads(rng.randint(50, 250), rng)
    headers = [("format", NAME.encode()), ("received", b"5000")]
    records = [Record(n, line, headers=headers) for n, line in enumerate(lines)]
    broker, committed, turn = Broker(), 0, 0.0
    partition = opened(broker, committed)
    while partition.next < len(records) or committed < len(records):
        turn += rng.choice([0.01, 0.2, 2.0, 6.0])
        until_ = partition.next + rng.randint(0, 12)
        partition.take(records[partition.next : until_], turn)
        partition.close_due(turn)
        broker.acknowledge(rng)
        if rng.random() < 0.7:
            committed = max(committed, partition.settled_offset())
        if rng.random() < 0.1:
            broker.crash()
            partition = opened(broker, committed)
        if partition.next >= len(records):
            partition.flush(turn)
            partition.keep_memories(turn)
    frames = [decode_frame(record.value) for record in broker.acknowledged[FRAMES]]
    told = [event["contact"] for frame in frames for event in frame.events]
    assert told == contacts_of(lines)


def test_nothing_is_committed_that_no_memory_covers() -> None:
    broker = Broker()
    partition = opened(broker, 0)
    headers = [("format", NAME.encode()), ("received", b"5000")]
    partition.take([Record(0, b"1000", headers=headers)], 0.0)
    partition.flush(0.0)
    all_of_it = random.Random()
    all_of_it.randint = lambda a, b: b  # type: ignore[method-assign]
    broker.acknowledge(all_of_it)
    assert partition.settled_offset() == 0
    partition.keep_memories(1.0)
    broker.acknowledge(all_of_it)
    assert partition.settled_offset() == 1


def test_settings_that_change_keep_the_memory() -> None:
    known = sites()
    streams = Streams(known, Customers(""), {})
    assert streams.translate(b"1000", NAME, SITE, 0)[0]["contact"] == "1000-1"
    known[SITE].settings = SiteSettings(site=SITE, name="North")
    assert streams.translate(b"1001", NAME, SITE, 1)[0]["contact"] == "1001-2"


def test_after_the_loss_of_the_broker_the_journal_tells(tmp_path: Path) -> None:
    """Records that a restored snapshot holds come to no new epoch: only the journal has them."""
    config = Config(data_dir=tmp_path, epoch=2, partitions=1)
    journal = Journal(tmp_path / "journal")
    journal.append([RawRecord(SITE, b"%d" % n, 5, format=NAME) for n in (1000, 1001, 1002)])
    journal.close()
    restored = {"epoch": 2, "restore": {SITE: {"journal": 2}}, "prune": 0}
    (tmp_path / "epoch.json").write_bytes(orjson.dumps(restored))
    streams = Streams(sites(), Customers(""), {})
    recall_journal(config, {0: streams})
    assert streams.translate(b"1002", NAME, SITE, 0)[0]["contact"] == "1002-3"


def test_without_a_journal_there_is_nothing_to_recall(tmp_path: Path) -> None:
    streams = Streams(sites(), Customers(""), {})
    recall_journal(Config(data_dir=tmp_path, epoch=2, partitions=1), {0: streams})
    assert streams.translate(b"1000", NAME, SITE, 0)[0]["contact"] == "1000-1"


LOG = b"%d|%d.%d|support|NONE|ENTERQUEUE||%d|1"


@pytest.mark.timeout(300)
async def test_ingest_that_is_killed_still_knows_who_waits(config: Config, tmp_path: Path) -> None:
    """Callers of before the kill are lost at the restart of their Asterisk, told after it."""
    start = int(time.time()) - 60
    waits = [LOG % (start + n, start, n, n) for n in range(20)]
    headers = raw_headers(int(time.time() * 1000), format="asterisk-queue-log")
    async with FrameReader(config.bootstrap) as frames:
        with process("ingest", config, tmp_path) as ingest:
            await put_raw(config.bootstrap, [(SITE.encode(), line, headers) for line in waits])
            await until(lambda: len(frames.events(SITE)) == 20, frames)
            asked = (config.bootstrap, config.epoch, range(config.partitions))
            while not any((await read_memories(*asked)).values()):
                assert frames.events(SITE)
            ingest.kill()
        async with running_ingest(config):
            restart = b"%d|NONE|NONE|NONE|QUEUESTART|" % (start + 30)
            await put_raw(config.bootstrap, [(SITE.encode(), restart, headers)])
            await until(lambda: len(frames.events(SITE)) == 40, frames)
    lost = frames.events(SITE)[20:]
    assert {event["type"] for event in lost} == {"contact.left"}
    assert {event["contact"] for event in lost} == {f"{start}.{n}" for n in range(20)}
