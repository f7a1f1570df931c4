"""A worker that kills itself at one chosen record: `python -m tests.agents_stream.crashing …`.

It is the worker as it is; only where records leave the process something stands by and counts them.
Arguments are what kind of record, the how many-eth one of it, after how many finished checkpoints,
and when: `before` it is sent but all earlier ones are acknowledged, `sent` when its bytes have left
and no answer has come, `acked` when the broker has answered for it. Nothing is sent after it.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import astuple, dataclass
from typing import Any

from aiokafka.conn import AIOKafkaConnection
from aiokafka.protocol.produce import ProduceRequest
from faust.transport.drivers.aiokafka import Producer

import agents_stream.app
from agents_stream.changelog import key_of
from agents_stream.checkpoint import MARKER_PART
from agents_stream.tables import CHANGELOGS
from pipeline.cli.agents import agents

RESULT, STATE, MARKER, TOMBSTONE = "result", "state", "marker", "tombstone"
BEFORE, SENT, ACKED = "before", "sent", "acked"
_CHANGELOGS = frozenset(spec.name for spec in CHANGELOGS)


@dataclass(frozen=True, slots=True)
class Death:
    """Where a worker dies."""

    kind: str
    number: int
    checkpoints: int
    when: str

    def words(self) -> list[str]:
        """As arguments of this program."""
        return [str(word) for word in astuple(self)]


def die() -> None:
    """As kill -9 does it: no handler, no flush."""
    os.kill(os.getpid(), signal.SIGKILL)


class Blade:
    """Stands where records leave the process, and falls at the chosen one."""

    def __init__(self, death: Death) -> None:
        self._death = death
        self._markers = 0
        self._seen = 0
        self._fallen = False
        self._armed = False
        self._under_way: set[asyncio.Future[Any]] = set()

    def install(self) -> None:
        """Stand by in the Kafka clients of this process."""
        client: Any = Producer
        produce, write = client.send, AIOKafkaConnection.send

        async def send(producer: Any, topic: str, key: Any, value: Any, *more: Any, **named: Any
                       ) -> asyncio.Future[Any]:  # fmt: skip
            if self._fallen:
                return asyncio.get_running_loop().create_future()
            kind = _kind_of(topic, key, value)
            chosen = self._falls(kind)
            if chosen:
                await self._fall()
            sent: asyncio.Future[Any] = await produce(producer, topic, key, value, *more, **named)
            self._follow(sent, kind, chosen=chosen)
            return sent

        def send_request(connection: Any, request: Any, *more: Any, **named: Any) -> Any:
            answer = write(connection, request, *more, **named)
            if self._armed and isinstance(request, ProduceRequest):
                die()
            return answer

        client.send = send
        AIOKafkaConnection.send = send_request

    def _falls(self, kind: str) -> bool:
        if kind != self._death.kind or self._markers < self._death.checkpoints:
            return False
        self._seen += 1
        return self._seen == self._death.number

    async def _fall(self) -> None:
        """Let nothing else out, and wait as the moment of death asks."""
        self._fallen = True
        if self._death.when != ACKED and self._under_way:
            await asyncio.wait(self._under_way)
        if self._death.when == BEFORE:
            die()
        # All earlier ones are answered: the next request that carries records carries this one.
        self._armed = self._death.when == SENT

    def _follow(self, sent: asyncio.Future[Any], kind: str, *, chosen: bool) -> None:
        self._under_way.add(sent)
        sent.add_done_callback(self._under_way.discard)
        if kind == MARKER:
            sent.add_done_callback(self._count_marker)
        if chosen:
            sent.add_done_callback(lambda _: die())

    def _count_marker(self, _: asyncio.Future[Any]) -> None:
        self._markers += 1


def _kind_of(topic: str, key: bytes, value: bytes | None) -> str:
    if topic not in _CHANGELOGS:
        return RESULT
    if value is None:
        return TOMBSTONE
    return MARKER if key_of(key).part == MARKER_PART else STATE


if __name__ == "__main__":
    kind, number, checkpoints, when = sys.argv[1:]
    # The successor waits for the session of the dead to end.
    agents_stream.app.SESSION_S = 1.5
    Blade(Death(kind, int(number), int(checkpoints), when)).install()
    agents()
