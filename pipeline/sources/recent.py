"""What a translator may remember: ids it has lately met, bounded in number and by event time."""

from __future__ import annotations

from typing import Any

_MOST = 2_000
_SPAN_MS = 4 * 3_600_000


class Recent:
    """Ids with the event time (epoch ms) at which each was met first, and what was told of it.

    The oldest are forgotten beyond `most` of them, and once an id is met that is `span_ms` younger.
    """

    __slots__ = ("_met", "_most", "_span_ms")

    def __init__(self, most: int = _MOST, span_ms: int = _SPAN_MS) -> None:
        self._most = most
        self._span_ms = span_ms
        self._met: dict[str, tuple[int, str]] = {}

    def add(self, met: str, at: int, told: str = "") -> None:
        """Remember an id; one that is known stays as it is, so that repeats change nothing."""
        if met in self._met:
            return
        self._met[met] = (at, told)
        for old in list(self._met):
            if len(self._met) <= self._most and self._met[old][0] >= at - self._span_ms:
                return
            del self._met[old]

    def drop(self, met: str) -> None:
        """Forget an id."""
        self._met.pop(met, None)

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
