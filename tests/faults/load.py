"""Sends what centres say, through the door and beside it, until each payload is acknowledged."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Iterable

import aiohttp
from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from pipeline.topics import partition_of
from schemas.topics import RAW
from tests.faults.cluster import Cluster
from tests.faults.sites import PARTITIONS
from tests.faults.stories import Centre, Message

_TURN_S = 0.1
_AGAIN_S = 0.3
_BODY = 200


class Load:
    """All centres of a run. `book` is what was handed over, by payload and key."""

    def __init__(
        self, cluster: Cluster, sites: Iterable[str], seed: str, rate: float, strays: bool = True
    ) -> None:
        self.centres = {site: Centre(site, seed, rate, strays) for site in sites}
        self.book: dict[bytes, list[Message]] = defaultdict(list)
        self.acknowledged: list[Message] = []
        self.tries: Counter[str] = Counter()
        """How many posts and records were tried, by what came of them."""
        self._cluster = cluster
        self._waiting: dict[tuple[str, str | None], list[Message]] = defaultdict(list)
        self._senders: dict[tuple[str, str | None], asyncio.Task[None]] = {}
        self._session: aiohttp.ClientSession | None = None
        self._producer: AIOKafkaProducer | None = None
        self._connecting = asyncio.Lock()

    async def run(self, seconds: float, sending_s: float) -> None:
        """Let the centres live so long, then send what is left; fails if that takes too long."""
        timeout = aiohttp.ClientTimeout(total=30)
        self._session = aiohttp.ClientSession(timeout=timeout)
        self._connecting, self._senders = asyncio.Lock(), {}
        for centre in self.centres.values():
            centre.wake(time.time_ns() // 1_000_000)
        try:
            until = time.monotonic() + seconds
            while time.monotonic() < until:
                self._turn()
                await asyncio.sleep(_TURN_S)
            deadline = time.monotonic() + sending_s
            while any(not sender.done() for sender in self._senders.values()):
                assert time.monotonic() < deadline, f"events are not taken: {self.tries}"
                await asyncio.sleep(_TURN_S)
            for sender in self._senders.values():
                sender.result()
        finally:
            for sender in self._senders.values():
                sender.cancel()
            await self._session.close()
            if self._producer is not None:
                await self._producer.stop()
                self._producer = None

    def _turn(self) -> None:
        now = time.time_ns() // 1_000_000
        for centre in self.centres.values():
            for message in centre.happen(now):
                self.book[message.payload].append(message)
                self._waiting[message.way, message.key].append(message)
        for way in list(self._waiting):
            sender = self._senders.get(way)
            if self._waiting[way] and (sender is None or sender.done()):
                if sender is not None:
                    sender.result()
                self._senders[way] = asyncio.create_task(self._send(*way))

    async def _send(self, way: str, key: str | None) -> None:
        """Send what waits for one way, in order, each until it is taken."""
        waiting = self._waiting[way, key]
        while waiting:
            batch = waiting[:_BODY]
            taken = await (self._post(key, batch) if way == "door" else self._produce(batch))
            if not taken:
                await asyncio.sleep(_AGAIN_S)
                continue
            del waiting[: len(batch)]
            self.acknowledged += batch
            for message in batch:
                if message.site in self.centres:
                    self.centres[message.site].acknowledged([message])

    async def _post(self, site: str | None, batch: list[Message]) -> bool:
        assert self._session is not None
        body = b"\n".join(message.payload for message in batch)
        headers = {"Content-Type": "application/x-ndjson"}
        address = f"{self._cluster.door_url}?site={site}"
        try:
            async with self._session.post(address, data=body, headers=headers) as answer:
                await answer.read()
                self.tries[f"post {answer.status}"] += 1
                assert answer.status in (200, 503), answer.status
                return answer.status == 200
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            self.tries[f"post {type(error).__name__}"] += 1
            return False

    async def _produce(self, batch: list[Message]) -> bool:
        """As a user's own producer: its time, its headers, all replicas."""
        sent: list[asyncio.Future[object]] = []
        try:
            async with self._connecting:
                if self._producer is None:
                    self._producer = await self._connect()
            for message in batch:
                sent.append(await self._record(message))
            await asyncio.gather(*sent)
        except (KafkaError, OSError, TimeoutError, AssertionError) as error:
            # The last is what aiokafka raises for a partition its metadata do not show yet.
            await asyncio.gather(*sent, return_exceptions=True)
            self.tries[f"record {type(error).__name__}"] += 1
            return False
        self.tries["record taken"] += len(batch)
        return True

    async def _connect(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(
            bootstrap_servers=self._cluster.kafka.address,
            acks="all",
            request_timeout_ms=5_000,
            max_request_size=2_000_000,
        )
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer

    async def _record(self, message: Message) -> asyncio.Future[object]:
        assert self._producer is not None
        home = partition_of(message.site or message.key or "", PARTITIONS)
        partition = (home + 3) % PARTITIONS if message.way == "stray" else home
        received = str(time.time_ns() // 1_000_000).encode()
        future: asyncio.Future[object] = await self._producer.send(
            RAW,
            message.payload,
            key=None if message.key is None else message.key.encode(),
            headers=[("format", b"canonical"), ("source", b"own"), ("received", received)],
            partition=partition,
        )
        return future
