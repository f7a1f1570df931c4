"""The embedded broker for a benchmark, and what is written to and read from it."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from bench.workload import SITE
from pipeline.stack.ports import bind_free
from pipeline.stack.roles import broker_command, port_is_open
from pipeline.topics import ensure_topics_patiently
from schemas.brokers import Brokers
from schemas.live import LiveParts, decode_live
from schemas.topics import FRAMES, LIVE, ROWS

PATIENCE_S = 20.0
QUIET_MS = 500
_MIB = 1024 * 1024


def free_port() -> int:
    """A port nobody listens on at the moment."""
    with socket.socket() as probe:
        return bind_free(probe)


@contextmanager
def broker(log: Path, core: int) -> Iterator[str]:
    """A Tansu broker in memory, kept on a core; yields its address."""
    address = f"127.0.0.1:{free_port()}"
    with log.open("ab") as output:
        process = subprocess.Popen(broker_command(address), stdout=output, stderr=output)
    os.sched_setaffinity(process.pid, {core})
    try:
        _wait_for(address)
        yield address
    finally:
        process.kill()
        process.wait(10)


def _wait_for(address: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not port_is_open(address):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the broker does not answer at {address}")
        time.sleep(0.05)


async def preload(address: str, frames: list[bytes]) -> None:
    """Create the topics, with one partition each, and write all frames."""
    await ensure_topics_patiently(Brokers(address), 1)
    producer = AIOKafkaProducer(
        bootstrap_servers=address,
        acks="all",
        max_batch_size=900_000,
        max_request_size=2 * _MIB,
        linger_ms=20,
    )
    await producer.start()
    try:
        sent = [await producer.send(FRAMES, frame, SITE.encode(), 0) for frame in frames]
        await asyncio.gather(*sent)
    finally:
        await producer.stop()


@dataclass(frozen=True, slots=True)
class Results:
    """What came of the frames.

    `first_ms` is when the first rows were handed to the producer, `last_ms` when the last part of
    the last board was (epoch ms). `digest` is of all rows in their order and of that board.
    """

    first_ms: int
    last_ms: int
    row_records: int
    row_bytes: int
    rows: str
    board: str


async def results(address: str, last: int, patience_s: float) -> Results:
    """Wait until the board of frame `last` is published, then look at everything.

    Raises `TimeoutError` if it is not.
    """
    consumer = AIOKafkaConsumer(
        bootstrap_servers=address,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=4 * _MIB,
    )
    await consumer.start()
    try:
        async with asyncio.timeout(patience_s):
            board, last_ms = await _last_board(consumer, last)
        rows = await _all_rows(consumer)
    finally:
        await consumer.stop()
    return Results(
        rows[0].timestamp,
        last_ms,
        len(rows),
        sum(len(row.value) for row in rows),
        _digest(row.value for row in rows),
        _digest([orjson.dumps(board, option=orjson.OPT_SORT_KEYS)]),
    )


def _digest(parts: Iterable[bytes]) -> str:
    digest = blake2b(digest_size=8)
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


async def _last_board(consumer: Any, last: int) -> tuple[dict[str, Any], int]:
    """The board of a frame, complete once nothing more has come for a while."""
    consumer.assign([TopicPartition(LIVE, 0)])
    parts, last_ms = LiveParts(), 0
    while True:
        records = [
            one for some in (await consumer.getmany(timeout_ms=QUIET_MS)).values() for one in some
        ]
        if not records and last_ms:
            return parts.assemble(), last_ms
        for record in records:
            live = decode_live(record.value)
            parts.take(live)
            if live["offset"] >= last:
                last_ms = max(last_ms, record.timestamp)


async def _all_rows(consumer: Any) -> list[Any]:
    place = TopicPartition(ROWS, 0)
    consumer.assign([place])
    end = (await consumer.end_offsets([place]))[place]
    rows: list[Any] = []
    while await consumer.position(place) < end:
        rows += (await consumer.getmany(place, timeout_ms=500)).get(place, [])
    return rows
