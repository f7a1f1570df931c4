"""Payloads on their way to the door: in order, bounded, and gone only when the door has them.

`DoorAway` says that the door has taken nothing for so long that no more can be held.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass
from itertools import islice

from pipeline.collect.door_client import DoorClient

MOST = 20_000
"""Payloads held. More let a longer absence of the door pass without a gap, for more memory."""
MOST_BYTES = 64 << 20
"""Of all payloads held. An event of FreeSWITCH with its channel's variables has 10,000."""
_BATCH = 500

log = logging.getLogger(__name__)


class DoorAway(Exception):
    """Nothing more can be held until the door takes something."""


@dataclass(frozen=True, slots=True)
class Posted:
    """A payload and its site."""

    site: str
    payload: bytes


class Outbox:
    """Holds payloads of one site. `run` sends them, for ever."""

    def __init__(
        self, door: DoorClient, site: str, most: int = MOST, most_bytes: int = MOST_BYTES
    ) -> None:
        self._door = door
        self._site = site
        self._most = most
        self._most_bytes = most_bytes
        self._bytes = 0
        self._waiting: deque[Posted] = deque()
        self._changed = asyncio.Condition()

    def __len__(self) -> int:
        return len(self._waiting)

    async def put(self, payload: bytes, patience_s: float) -> None:
        """Add a payload; if there is no room, wait for it. Raises `DoorAway` when that is in vain.

        While it waits nobody reads from the platform, whose own buffers fill.
        """
        async with self._changed:
            try:
                async with asyncio.timeout(patience_s):
                    await self._changed.wait_for(self._has_room)
            except TimeoutError:
                raise DoorAway(f"{len(self)} payloads wait for the door") from None
            self._waiting.append(Posted(self._site, payload))
            self._bytes += len(payload)
            self._changed.notify_all()

    async def run(self) -> None:
        """Send what comes. Raises `DoorRefused`."""
        while True:
            async with self._changed:
                await self._changed.wait_for(lambda: bool(self._waiting))
                batch = list(islice(self._waiting, _BATCH))
            await self._door.send(batch)
            async with self._changed:
                for _ in batch:
                    self._bytes -= len(self._waiting.popleft().payload)
                self._changed.notify_all()

    async def below(self, share: float) -> None:
        """Return once no more than this share of what can be held waits."""
        async with self._changed:
            await self._changed.wait_for(
                lambda: (
                    len(self._waiting) <= share * self._most
                    and self._bytes <= share * self._most_bytes
                )
            )

    def _has_room(self) -> bool:
        return len(self._waiting) < self._most and self._bytes < self._most_bytes
