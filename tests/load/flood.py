"""The flood as a process: `python -m tests.load.flood BROKER DOOR SITE RATE SECONDS CLIENTS`.

Half of the rate goes through the door by several clients, each of which waits for its answer and
sends again what was not kept; the other half is written to the raw topic, as a user's own producer
does. It ends with a line of JSON: what was handed over, and how often the door sent somebody away.
"""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson
from aiokafka import AIOKafkaProducer

from pipeline.simulate.options import MINUTE, Options
from schemas.topics import RAW
from tests.load.stock import Stock

BATCH = 500
TURN_S = 0.05
AGENTS, QUEUES = 400, 40
STOCK = 60_000


def centre(site: str) -> Options:
    """The centre whose events these are."""
    return Options(agents=AGENTS, queues=QUEUES, duration_ms=600 * MINUTE, site=site)


@dataclass(slots=True)
class Told:
    """What was handed over. `sent_away` are answers 503, all with a word when to come again."""

    through_door: int = 0
    written: int = 0
    sent_away: int = 0
    without_word: int = 0
    broken: int = 0
    seconds: float = 0.0
    answers_ms: list[float] = field(default_factory=list)


class Flood:
    """Hands over events at a rate for so many seconds, or as fast as the door takes them."""

    def __init__(self, site: str, rate: float, seconds: float, clients: int) -> None:
        self.told = Told()
        self._site = site
        self._rate = rate
        self._seconds = seconds
        self._clients = clients
        self._began = 0.0

    async def run(self, broker: str, door: str) -> Told:
        """Flood; returns once everything handed over is acknowledged."""
        options = centre(self._site)
        # Simulating takes longer than handing over: no more than there is to hand over.
        stock = min(STOCK, int(self._rate * self._seconds) + 1_000)
        writing = Stock(options, "w", stock)
        posting = [Stock(options, f"p{n}-", stock // 4) for n in range(self._clients)]
        self._began = time.monotonic()
        share = self._rate / 2 if posting else self._rate
        async with aiohttp.ClientSession() as session:
            posts = [self._post(session, door, stock, share / len(posting)) for stock in posting]
            await asyncio.gather(
                self._write(broker, writing, share if posts else self._rate), *posts
            )
        self.told.seconds = time.monotonic() - self._began
        return self.told

    def _due(self, rate: float) -> int:
        """How many events should have been handed over by now."""
        return int(min(time.monotonic() - self._began, self._seconds) * rate)

    @property
    def _over(self) -> bool:
        return time.monotonic() - self._began >= self._seconds

    async def _write(self, broker: str, stock: Stock, rate: float) -> None:
        producer = AIOKafkaProducer(
            bootstrap_servers=broker, acks="all", max_batch_size=500_000, linger_ms=5
        )
        await producer.start()
        sent: set[asyncio.Future[Any]] = set()
        try:
            while not self._over:
                count = min(5_000, self._due(rate) - self.told.written)
                now = time.time_ns() // 1_000_000
                headers = [("format", b"canonical"), ("received", b"%d" % now)]
                for one in stock.take(max(0, count), now):
                    future = await producer.send(
                        RAW, one.payload, self._site.encode(), headers=headers
                    )
                    sent.add(future)
                    future.add_done_callback(sent.discard)
                    self.told.written += 1
                await asyncio.sleep(TURN_S if count < 5_000 else 0)
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def _post(
        self, session: aiohttp.ClientSession, door: str, stock: Stock, rate: float
    ) -> None:
        posted = 0
        while not self._over:
            count = min(BATCH, self._due(rate) - posted)
            if count <= 0:
                await asyncio.sleep(TURN_S)
                continue
            batch = stock.take(count, time.time_ns() // 1_000_000)
            body = b"\n".join(one.payload for one in batch)
            await self._deliver(session, f"{door}/v1/events?site={self._site}", body)
            posted += count
            self.told.through_door += count

    async def _deliver(self, session: aiohttp.ClientSession, url: str, body: bytes) -> None:
        """Send the same again until it is kept, as every client of the door has to."""
        kind = {"Content-Type": "application/x-ndjson"}
        while True:
            began = time.monotonic()
            try:
                async with session.post(url, data=body, headers=kind) as response:
                    await response.read()
                    if response.status == 200:
                        self.told.answers_ms.append((time.monotonic() - began) * 1000)
                        return
                    assert response.status == 503, response.status
                    self.told.sent_away += 1
                    self.told.without_word += "Retry-After" not in response.headers
                    wait = float(response.headers.get("Retry-After", 1))
            except (aiohttp.ClientError, OSError, TimeoutError):
                self.told.broken += 1
                wait = 0.5
            await asyncio.sleep(wait)


def summed_up(told: Told) -> dict[str, Any]:
    """As the line of JSON says it."""
    answers = sorted(told.answers_ms)
    at = min(len(answers) - 1, int(len(answers) * 0.95))
    return {
        "through_door": told.through_door,
        "written": told.written,
        "sent_away": told.sent_away,
        "without_word": told.without_word,
        "broken": told.broken,
        "seconds": round(told.seconds, 1),
        "answer_p50_ms": round(answers[len(answers) // 2]) if answers else None,
        "answer_p95_ms": round(answers[at]) if answers else None,
    }


if __name__ == "__main__":
    broker_, door_, site_, rate_, seconds_, clients_ = sys.argv[1:]
    flood = Flood(site_, float(rate_), float(seconds_), int(clients_))
    done = asyncio.run(flood.run(broker_, door_))
    sys.stdout.write(orjson.dumps(summed_up(done)).decode() + "\n")
