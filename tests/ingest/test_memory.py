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
from pipeline.ingest.translate import Remembered, Streams
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
        self._count = int(memory or 0)


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


def opened(broker: Broker, committed: int, *, alone: bool = False) -> Partition:
    """A partition as a new process opens it."""
    lanes, metrics = cast(Lanes, broker), IngestMetrics()
    around = Surroundings(1, 1, lanes, sites(), Clock(), metrics, Customers("key"), alone)
    past, _ = past_of(cast(Any, broker.acknowledged[FRAMES]), 0, 1)
    memories: Memories = {}
    for record in broker.acknowledged[MEMORY]:
        take_up(memories, 1, record)
    return Partition(0, around, past, lowest(memories, committed), memories)


ALL = random.Random()
ALL.randint = lambda a, b: b  # type: ignore[method-assign]


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
    broker.acknowledge(ALL)
    assert partition.settled_offset() == 0
    partition.keep_memories(1.0)
    broker.acknowledge(ALL)
    assert partition.settled_offset() == 1


def kept_at(broker: Broker) -> int:
    """Where a successor begins that finds all committed."""
    return opened(broker, 10**9).next


def test_a_stream_that_falls_silent_is_not_read_again_from_where_it_did() -> None:
    broker, headers = Broker(), [("format", NAME.encode()), ("received", b"5000")]
    partition = opened(broker, 0)
    partition.take([Record(0, b"1000", headers=headers)], 0.0)
    partition.flush(0.0)
    for turn, offset in enumerate((1, 70_000, 140_000, 210_000)):
        partition.take([Record(offset, b'{"type": "clock", "site": "north", "ts": 1}')], turn * 9.0)
        broker.acknowledge(ALL)
        for _ in range(2):
            partition.close_due(turn * 9.0 + 1)
            broker.acknowledge(ALL)
    assert kept_at(broker) > 200_000
    partition = opened(broker, 210_001)
    for turn, offset in enumerate((300_000, 400_000)):
        partition.take([Record(offset, b'{"type": "clock", "site": "north", "ts": 1}')], turn * 9.0)
        partition.close_due(turn * 9.0)
        broker.acknowledge(ALL)
    assert kept_at(broker) > 390_000
    partition.take([Record(400_001, b"1001", headers=headers)], 50.0)
    partition.flush(50.0)
    broker.acknowledge(ALL)
    frames = [decode_frame(record.value) for record in broker.acknowledged[FRAMES]]
    assert frames[-1].events[0]["contact"] == "1001-2"


def test_what_a_source_remembered_that_does_not_any_more_holds_nothing_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    broker = Broker()
    partition = opened(broker, 0)
    partition.take([Record(0, b"quiet", headers=[("format", NAME.encode())])], 0.0)
    partition.keep_memories(1.0)
    broker.acknowledge(ALL)
    assert kept_at(broker) == 1
    monkeypatch.delitem(SOURCES, NAME)
    assert kept_at(broker) == 10**9


def test_what_cannot_be_recalled_costs_no_payload() -> None:
    """An earlier version may have written it otherwise."""
    remembered = {(SITE, NAME): Remembered(5, {"of": "old"})}
    streams = Streams(sites(), Customers(""), remembered)
    assert streams.translate(b"1000", NAME, SITE, 7)[0]["contact"] == "1000-1"
    assert streams.translate(b"1001", NAME, SITE, 8)[0]["contact"] == "1001-2"


def test_what_the_door_sends_again_is_remembered_once() -> None:
    broker = Broker()
    partition = opened(broker, 0, alone=True)

    def sent(offset: int, seq: int) -> Record:
        line = b"quiet" if seq % 3 == 0 else b"%d" % (1_000 + seq)
        named = {"format": NAME, "received": "5000", "journal": str(seq)}
        return Record(offset, line, headers=[(key, text.encode()) for key, text in named.items()])

    partition.take([sent(n, n + 1) for n in range(6)], 0.0)
    partition.flush(0.0)
    broker.acknowledge(ALL)
    partition.keep_memories(1.0)
    broker.acknowledge(ALL)
    partition = opened(broker, 6, alone=True)
    partition.take([sent(6 + n, n + 1) for n in range(7)], 2.0)
    partition.flush(2.0)
    broker.acknowledge(ALL)
    frames = [decode_frame(record.value) for record in broker.acknowledged[FRAMES]]
    assert [event["contact"] for frame in frames for event in frame.events] == [
        *("1001-1", "1002-2", "1004-4", "1005-5"),
        "1007-7",
    ]


def test_a_large_memory_is_kept_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    """The embedded broker never forgets a memory that was replaced."""

    def written(memory: Any) -> int:
        monkeypatch.setattr(Counting, "memory", lambda self: memory)
        broker = Broker()
        partition = opened(broker, 0)
        for turn in range(600):
            partition.take([Record(turn, b"quiet", headers=[("format", NAME.encode())])], turn)
            partition.close_due(turn)
            broker.acknowledge(ALL)
        return len(broker.acknowledged[MEMORY])

    rng = random.Random(1)
    assert written(7) == 120
    assert written(rng.randbytes(12_000).hex()) < 60
    assert written(rng.randbytes(400_000).hex()) == 10


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


def test_what_the_journal_told_survives_a_crash_of_ingest_alone(tmp_path: Path) -> None:
    """Nothing comes of the stream, so that only others' payloads could be committed."""
    config = Config(data_dir=tmp_path, epoch=1, partitions=1)
    journal = Journal(tmp_path / "journal")
    journal.append([RawRecord(SITE, b"1000", 5, format=NAME)])
    journal.close()
    restored = {"epoch": 1, "restore": {SITE: {"journal": 1}}, "prune": 0}
    (tmp_path / "epoch.json").write_bytes(orjson.dumps(restored))
    broker = Broker()
    partition = opened(broker, 0)
    recall_journal(config, {0: partition.streams})
    partition.take([Record(0, b'{"type": "clock", "site": "north", "ts": 1}')], 0.0)
    partition.flush(0.0)
    broker.acknowledge(ALL)
    assert partition.settled_offset() == 0
    partition.close_due(1.0)
    broker.acknowledge(ALL)
    committed = partition.settled_offset()
    assert committed == 1
    streams = opened(broker, committed).streams
    assert streams.translate(b"1001", NAME, SITE, 1)[0]["contact"] == "1001-2"


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
            asked = (config.brokers, config.epoch, range(config.partitions))
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
