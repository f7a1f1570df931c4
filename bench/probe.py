"""The probe: `python -m bench.probe DOOR STREAM SECONDS` prints its latencies as JSON.

Markers are contacts of a queue that nobody else uses, so the count of those offered in it says how
many of them the board has seen.
"""

from __future__ import annotations

import asyncio
import random
import sys
import time
from typing import Any

import aiohttp
import orjson

from pipeline.collect.door_client import DoorClient
from pipeline.simulate.stream import Record

SITE = "default"
QUEUE = "marker"
EVERY_S = 0.4
PATIENCE_S = 10.0


class Probe:
    """Markers posted and seen; `ms` is how long each seen one took."""

    def __init__(self) -> None:
        self.ms: list[float] = []
        self._run = str(time.time_ns())
        self._posted: list[float] = []
        self._before: int | None = None

    @property
    def lost(self) -> int:
        """Markers that have not been seen."""
        return len(self._posted) - len(self.ms)

    async def post(self, door: DoorClient, seconds: float) -> None:
        """Post markers at random moments, so that none keeps step with any timer of the stack."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            await asyncio.sleep(random.uniform(0.5, 1.5) * EVERY_S)
            if self._before is not None:
                payload = self._marker(len(self._posted))
                self._posted.append(time.monotonic())
                await door.send([Record(0, SITE, payload)])

    def _marker(self, number: int) -> bytes:
        event = {"type": "contact.queued", "site": SITE, "ts": int(time.time() * 1000)}
        return orjson.dumps({**event, "contact": f"marker-{self._run}-{number}", "queue": QUEUE})

    async def listen(self, stream: aiohttp.StreamReader) -> None:
        """Follow the board's stream until cancelled."""
        kind = b""
        async for line in _lines(stream):
            if line.startswith(b"event: "):
                kind = line[7:]
            elif line.startswith(b"data: ") and kind != b"beat":
                self._saw(_offered(kind, line[6:]), time.monotonic())

    def _saw(self, offered: int | None, now: float) -> None:
        if offered is None:
            return
        if self._before is None:
            self._before = offered
        seen = min(offered - self._before, len(self._posted))
        for number in range(len(self.ms), seen):
            self.ms.append((now - self._posted[number]) * 1000)


async def _lines(stream: aiohttp.StreamReader) -> Any:
    """Lines of any length: a large board is one."""
    rest = b""
    async for chunk in stream.iter_any():
        *lines, rest = (rest + chunk).split(b"\n") if b"\n" in chunk else (rest + chunk,)
        for line in lines:
            yield line


def _offered(kind: bytes, data: bytes) -> int | None:
    """How many markers the board has counted, None if the message does not say."""
    if kind == b"board":
        return _of_board(orjson.loads(data))
    if b'"' + QUEUE.encode() + b'"' not in data:
        return None
    found = None
    for path, *values in orjson.loads(data)["ops"]:
        if path[:2] == ["queues", QUEUE] and values:
            found = _of_part(path[2:], values[0], found)
    return found


def _of_board(board: Any) -> int:
    queue = board["queues"].get(QUEUE)
    return int(queue["voice"]["windows"]["total"]["offered"]) if queue else 0


def _of_part(path: list[str], value: Any, found: int | None) -> int | None:
    """The count in what stands at a path below the queue; deeper paths lead to single windows."""
    for step in ("voice", "windows", "total", "offered")[len(path) :]:
        if not isinstance(value, dict) or step not in value:
            return found
        value = value[step]
    whole = ("voice", "windows", "total", "offered")[: len(path)]
    return int(value) if tuple(path) == whole and isinstance(value, int) else found


async def run(door: str, stream: str, seconds: float) -> Probe:
    """Probe for so long, and wait a little for the last markers."""
    probe = Probe()
    timeout = aiohttp.ClientTimeout(total=None, sock_read=30)
    async with (
        DoorClient(door) as client,
        aiohttp.ClientSession(timeout=timeout) as session,
        session.get(stream) as response,
    ):
        response.raise_for_status()
        listening = asyncio.create_task(probe.listen(response.content))
        await probe.post(client, seconds)
        deadline = time.monotonic() + PATIENCE_S
        while probe.lost and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        listening.cancel()
    return probe


if __name__ == "__main__":
    done = asyncio.run(run(sys.argv[1], sys.argv[2], float(sys.argv[3])))
    sys.stdout.write(orjson.dumps({"ms": done.ms, "lost": done.lost}).decode() + "\n")
