"""What a translator may remember: ids it has lately met, bounded in number, size and event time."""

from __future__ import annotations

from typing import Any

_MOST = 2_000
_MOST_BYTES = 320_000
"""Enough for 2,000 ids of 40 characters and what is told of each. Two of these fit into one kept
memory, whatever their ids look like."""
_SPAN_MS = 4 * 3_600_000
_OVERHEAD = 32


class Recent:
    """Ids with the event time (epoch ms) at which each was met first, and what was told of it.

    The oldest are forgotten beyond `most` of them, beyond `most_bytes`, and once an id is met that
    is `span_ms` younger.
    """

    __slots__ = ("_bytes", "_met", "_most", "_most_bytes", "_span_ms")

    def __init__(
        self, most: int = _MOST, span_ms: int = _SPAN_MS, most_bytes: int = _MOST_BYTES
    ) -> None:
        self._most = most
        self._span_ms = span_ms
        self._most_bytes = most_bytes
        self._met: dict[str, tuple[int, str]] = {}
        self._bytes = 0

    def add(self, met: str, at: int, told: str = "") -> None:
        """Remember an id; one that is known stays as it is, so that repeats change nothing."""
        if met in self._met:
            return
        self._met[met] = (at, told)
        self._bytes += _size(met, told)
        while self._met:
            old = next(iter(self._met))
            within = len(self._met) <= self._most and self._bytes <= self._most_bytes
            if within and self._met[old][0] >= at - self._span_ms:
                return
            self.drop(old)

    def drop(self, met: str) -> None:
        """Forget an id."""
        known = self._met.pop(met, None)
        if known is not None:
            self._bytes -= _size(met, known[1])

    def get(self, met: str) -> tuple[int, str] | None:
        """When an id was met and what was told of it; None if it is not known."""
        return self._met.get(met)

    def __contains__(self, met: str) -> bool:
        return met in self._met

    def memory(self) -> Any:
        """The ids as JSON, None if there are none."""
        return [[met, at, told] for met, (at, told) in self._met.items()] or None

    def recall(self, memory: Any) -> None:
        """Take up what `memory` gave."""
        self._met = {met: (at, told) for met, at, told in memory or ()}
        self._bytes = sum(_size(met, told) for met, (_, told) in self._met.items())


def _size(met: str, told: str) -> int:
    return len(met.encode()) + len(told.encode()) + _OVERHEAD
