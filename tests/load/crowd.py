"""Viewers as a process: `python -m tests.load.crowd HOST PORT SITE READING STALLED SECONDS`.

Those that read measure how old each message is when they have it, by the server's clock in it;
those that are stalled ask for the stream and never read. It ends with a line of JSON.
"""

from __future__ import annotations

import asyncio
import re
import socket
import sys
import time
from collections import Counter
from typing import Any

import orjson

_NOW = re.compile(rb'"now":(\d+)')
_AT = re.compile(rb'"at":(\d+)')
_VIEWS = ("wall", "wall", "queues", "agents", "all")
_CHUNK = 65_536
_SMALL = 4_096
_LINE = 64 * 1024 * 1024


class Crowd:
    """All viewers of one board."""

    def __init__(self, host: str, port: int, site: str) -> None:
        self.delays_ms: list[float] = []
        self.events: Counter[str] = Counter()
        self.shown: dict[int, int] = {}
        self._host = host
        self._port = port
        self._site = site
        self._stalled: list[socket.socket] = []
        self._viewers: list[asyncio.Task[None]] = []

    def come(self, reading: int, stalled: int) -> None:
        """Connect all of them; `shown` has the moment that each viewer has seen last."""
        for _ in range(stalled):
            self._stall()
        self._viewers = [asyncio.create_task(self._view(number)) for number in range(reading)]

    @property
    def lost(self) -> int:
        """Viewers that read and were let go."""
        return sum(viewer.done() for viewer in self._viewers)

    async def go(self) -> None:
        """Disconnect."""
        for viewer in self._viewers:
            viewer.cancel()
        await asyncio.gather(*self._viewers, return_exceptions=True)
        for connection in self._stalled:
            connection.close()

    def _request(self, view: str) -> bytes:
        path = f"/stream?site={self._site}&view={view}"
        return f"GET {path} HTTP/1.1\r\nHost: {self._host}\r\n\r\n".encode()

    def _stall(self) -> None:
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _SMALL)
        connection.connect((self._host, self._port))
        connection.sendall(self._request("all"))
        self._stalled.append(connection)

    async def _view(self, number: int) -> None:
        reader, writer = await asyncio.open_connection(self._host, self._port, limit=_LINE)
        try:
            writer.write(self._request(_VIEWS[number % len(_VIEWS)]))
            kind = ""
            while line := await reader.readline():
                if line.startswith(b"event: "):
                    kind = line[7:].decode().strip()
                elif line.startswith(b"data: "):
                    self._saw(number, kind, line)
        finally:
            writer.close()

    def _saw(self, number: int, kind: str, line: bytes) -> None:
        self.events[kind] += 1
        if (at := _AT.search(line)) is not None:
            self.shown[number] = int(at[1])
        # A whole board is made once for many, so its clock may be older than the message.
        found = _NOW.search(line) if kind in ("beat", "change") else None
        if found is not None:
            self.delays_ms.append(time.time_ns() / 1_000_000 - int(found[1]))

    def told(self) -> dict[str, Any]:
        """As the line of JSON says it."""
        delays = sorted(self.delays_ms)
        shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
        at = {
            name: round(delays[min(len(delays) - 1, int(len(delays) * share))], 1)
            for name, share in shares.items()
            if delays
        }
        return {"events": dict(self.events), "delay_ms": at, "lost": self.lost}


async def _watch(crowd: Crowd, reading: int, stalled: int, seconds: float) -> dict[str, Any]:
    crowd.come(reading, stalled)
    await asyncio.sleep(seconds)
    told = crowd.told()
    await crowd.go()
    return told


if __name__ == "__main__":
    host_, port_, site_, reading_, stalled_, seconds_ = sys.argv[1:]
    watching = _watch(
        Crowd(host_, int(port_), site_), int(reading_), int(stalled_), float(seconds_)
    )
    sys.stdout.write(orjson.dumps(asyncio.run(watching)).decode() + "\n")
