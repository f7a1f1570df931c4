"""Posts a stream of records to the door when they come due, and remembers how far it got."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from pipeline.collect.door_client import DoorClient, Receipt
from pipeline.simulate.stream import Record
from schemas.clock import Clock

MAX_RECORDS = 500
MAX_BYTES = 256 * 1024
PAUSE_S = 0.2
_LEAST_PAUSE_S = 0.05

Source = Callable[[int | None], Iterator[Record]]
"""Gives the records that are handed over at or after a moment (None: all of them), in order."""


class Position:
    """How far a feed got, in a small file: every record before `at` (epoch ms) is safe.

    `about` says what the feed is a feed of. Without a path nothing is kept. A file that cannot be
    read counts as none: feeding again from the start does no harm.
    """

    def __init__(self, path: Path | None, about: dict[str, str | int] | None = None) -> None:
        self._path = path
        self.about: dict[str, str | int] = about or {}
        self.at: int | None = None
        try:
            state = orjson.loads(path.read_bytes()) if path else {}
            at, known = state.get("at"), state.get("about", {})
        except (OSError, ValueError, AttributeError):
            return
        if isinstance(at, int) and (about is None or about == known):
            self.at, self.about = at, known

    def save(self, at: int) -> None:
        """Note that every record before `at` is safe, replacing the file at once."""
        self.at = at
        if self._path is None:
            return
        fresh = self._path.with_name(self._path.name + ".new")
        fresh.write_bytes(orjson.dumps({"at": at, "about": self.about}))
        fresh.replace(self._path)


def pause_of(clock: Clock) -> float:
    """Seconds between two batches: 0.2, less when the clock runs fast, so that events are fresh."""
    return max(_LEAST_PAUSE_S, min(PAUSE_S, PAUSE_S / clock.pace))


class Upcoming:
    """A stream of records, handed out in batches as they come due. `now` None: all are due."""

    def __init__(self, records: Iterator[Record], now: Callable[[], int] | None) -> None:
        self._records = records
        self._now = now
        self._head = next(records, None)

    @property
    def exhausted(self) -> bool:
        """Whether nothing is left, due or not."""
        return self._head is None

    @property
    def idle(self) -> bool:
        """Whether something is left, but not due yet."""
        return self._head is not None and self._now is not None and self._head.at > self._now()

    def due(self) -> list[Record]:
        """What is due now, up to the size of a batch."""
        now = self._now() if self._now is not None else None
        batch: list[Record] = []
        size = 0
        while (head := self._head) is not None and (now is None or head.at <= now):
            size += len(head.payload) + 1
            if batch and (len(batch) == MAX_RECORDS or size > MAX_BYTES):
                break
            batch.append(head)
            self._head = next(self._records, None)
        return batch


class Feeder:
    """Feeds the door from a source. `now` gives the present in epoch ms; None sends all at once.

    A restart continues at the position; records of its very millisecond are sent again, so none is
    lost and some come twice.
    """

    def __init__(
        self,
        door: DoorClient,
        source: Source,
        now: Callable[[], int] | None,
        position: Position,
        pause_s: float = PAUSE_S,
        on_sent: Callable[[Record], None] | None = None,
    ) -> None:
        self._door = door
        self._source = source
        self._now = now
        self._position = position
        self._pause_s = pause_s
        self._on_sent = on_sent
        self.receipt = Receipt()

    async def run(self) -> Receipt:
        """Feed until the source ends; an endless one until cancelled. Raises `DoorRefused`."""
        upcoming = Upcoming(self._source(self._position.at), self._now)
        while not upcoming.exhausted:
            batch = upcoming.due()
            if batch:
                self.receipt.add(await self._door.send(batch))
                self._position.save(batch[-1].at)
                if self._on_sent is not None:
                    self._on_sent(batch[-1])
            if upcoming.idle:
                await asyncio.sleep(self._pause_s)
        return self.receipt
