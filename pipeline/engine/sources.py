"""How far the sources of a site have told."""

from __future__ import annotations

from pipeline.engine.books import UNSET


class Sources:
    """The newest moment (ms) that each source has told of.

    One source tells many events in a row, so the one heard last is kept out of the dict.
    """

    __slots__ = ("_heard", "_newest", "_others")

    def __init__(self) -> None:
        self._others: dict[str, int] = {}
        self._heard: str = ""
        self._newest: int = UNSET

    def hear(self, source: str, at: int) -> None:
        """Takes note of an event of a source at its moment."""
        if source != self._heard:
            self._turn_to(source)
        if at > self._newest:
            self._newest = at

    def _turn_to(self, source: str) -> None:
        if self._newest != UNSET:
            self._others[self._heard] = self._newest
        self._heard = source
        self._newest = self._others.get(source, UNSET)

    def newest(self) -> dict[str, int]:
        """The newest moment by source, for the caller to keep."""
        newest = self._others.copy()
        if self._newest != UNSET:
            newest[self._heard] = self._newest
        return newest

    def restore(self, newest: dict[str, int]) -> None:
        """Is what `newest` gave when it was saved."""
        self._others = newest.copy()
        self._heard, self._newest = "", newest.get("", UNSET)
