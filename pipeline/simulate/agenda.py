"""The agenda of a discrete-event simulation: what is to happen next, and what time it is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import Any

_Entry = tuple[int, int, Callable[..., None], tuple[Any, ...]]


class Agenda:
    """Actions in order of their moment, those of one moment in the order they were entered."""

    __slots__ = ("_entries", "_serial", "now")

    def __init__(self, now: int) -> None:
        self.now = now
        self._entries: list[_Entry] = []
        self._serial = 0

    def at(self, moment: int, act: Callable[..., None], *args: Any) -> None:
        """Call `act(*args)` at `moment`, or at once when that has passed."""
        self._serial += 1
        heappush(self._entries, (max(moment, self.now), self._serial, act, args))

    def run(self, end: int) -> Iterator[None]:
        """Perform every action before `end`, pausing after each."""
        entries = self._entries
        while entries and entries[0][0] < end:
            self.now, _, act, args = heappop(entries)
            act(*args)
            yield
