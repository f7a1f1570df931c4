"""The dead letters on their topic, for whoever looks: the newest that are wanted, and what comes.

A letter that was written again after a crash is the same one, known by its key. Nothing is
committed and no group is joined: looking changes nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Self

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from pipeline.topics import ends_as_fetched, look_at_topics, why_not
from schemas.brokers import Brokers
from schemas.topics import DEAD, TOPICS

PATIENCE_S = 10.0
"""How long a broker may say nothing before it counts as one that does not answer."""
STOP_S = 3.0
"""How long the Kafka client may take to close."""
_WIDER = 8
_SPEC = next(spec for spec in TOPICS if spec.name == DEAD)

Wanted = Callable[[dict[str, Any]], bool]


class LettersError(RuntimeError):
    """The dead letters cannot be read; the message says why and what may be done."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter: `value` as it stands on the topic, `written` is epoch ms of the broker's."""

    key: bytes
    value: dict[str, Any]
    written: int

    @property
    def at(self) -> int:
        """When it happened, epoch ms of the site's time; when it was written if it says none."""
        at = self.value.get("at")
        return at if isinstance(at, int) and at > 0 else self.written


class Letters:
    """Reads the topic of dead letters; every method may raise `LettersError`."""

    def __init__(self, brokers: Brokers, patience_s: float = PATIENCE_S) -> None:
        self._brokers = brokers
        self._patience_s = patience_s
        self._partitions: list[TopicPartition] = []
        self._consumer: Any = None

    async def __aenter__(self) -> Self:
        try:
            async with asyncio.timeout(self._patience_s):
                await self._start()
        except (KafkaError, OSError) as error:
            await self.__aexit__()
            raise self._silent(await why_not(self._brokers)) from error
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._consumer is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._consumer.stop(), STOP_S)

    async def newest(self, limit: int, wanted: Wanted) -> list[Letter]:
        """The last `limit` letters that are wanted, newest last; what comes later is `coming`."""
        try:
            begins = await self._consumer.beginning_offsets(self._partitions)
            ends = await self._ends()
            found = [
                letter
                for tp in self._partitions
                for letter in await self._tail(tp, begins[tp], ends[tp], limit, wanted)
            ]
            for tp in self._partitions:
                self._consumer.seek(tp, ends[tp])
        except KafkaError as error:
            raise self._silent() from error
        return sorted(found, key=lambda letter: letter.written)[-limit:]

    async def coming(self, wanted: Wanted, stop: asyncio.Event) -> AsyncIterator[Letter]:
        """The letters written from `newest` on, as they come, until it is to stop."""
        # To be cancelled would not do: the Kafka client may swallow it.
        while not stop.is_set():
            batches = await self._consumer.getmany(timeout_ms=1000)
            for letter in map(_letter, (record for batch in batches.values() for record in batch)):
                if wanted(letter.value):
                    yield letter

    async def _start(self) -> None:
        state = (await look_at_topics(self._brokers, 1, [_SPEC]))[0]
        if state.missing:
            raise LettersError(
                f"the broker at {self._brokers} has no topic {DEAD} yet{self._brokers.unseen}"
            )
        self._partitions = [TopicPartition(DEAD, number) for number in range(state.partitions)]
        self._consumer = AIOKafkaConsumer(
            **self._brokers.arguments(),
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
            request_timeout_ms=int(PATIENCE_S * 1000),
        )
        await self._consumer.start()

    async def _ends(self) -> dict[TopicPartition, int]:
        # Once and for all: a consumer stopped just after it was assigned anew may never stop.
        self._consumer.assign(self._partitions)
        try:
            async with asyncio.timeout(self._patience_s):
                return await ends_as_fetched(self._consumer, self._partitions)
        except TimeoutError as error:
            raise self._silent() from error

    async def _tail(
        self, tp: TopicPartition, begin: int, end: int, limit: int, wanted: Wanted
    ) -> list[Letter]:
        """The last wanted letters of a partition: the topic may hold a month, so from the end."""
        reach = limit
        while True:
            start = max(begin, end - reach)
            found = {letter.key: letter for letter in await self._read(tp, start, end, wanted)}
            if start == begin or len(found) >= limit:
                return list(found.values())[-limit:]
            reach *= _WIDER

    async def _read(self, tp: TopicPartition, start: int, end: int, wanted: Wanted) -> list[Letter]:
        found: list[Letter] = []
        if start == end:
            return found
        self._consumer.seek(tp, start)
        deadline = asyncio.get_running_loop().time() + self._patience_s
        while (at := await self._consumer.position(tp)) < end:
            batch = (await self._consumer.getmany(tp, timeout_ms=500)).get(tp, ())
            letters = (_letter(record) for record in batch if record.offset < end)
            found += [letter for letter in letters if wanted(letter.value)]
            if await self._consumer.position(tp) > at:
                deadline = asyncio.get_running_loop().time() + self._patience_s
            elif asyncio.get_running_loop().time() > deadline:
                raise self._silent()
        return found

    def _silent(self, reason: str = "") -> LettersError:
        return LettersError(
            f"no answer from the broker at {self._brokers}: CALLBOARD_BOOTSTRAP names another, "
            f"`callboard up` starts one{reason and f' ({reason})'}"
        )


def _letter(record: Any) -> Letter:
    try:
        value = orjson.loads(record.value)
    except (orjson.JSONDecodeError, TypeError):
        value = None
    if not isinstance(value, dict):
        value = {"payload": (record.value or b"").decode("utf-8", "replace")}
    key = record.key or f"{record.partition}/{record.offset}".encode()
    return Letter(key, value, record.timestamp)
