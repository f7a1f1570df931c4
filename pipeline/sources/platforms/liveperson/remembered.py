"""What is remembered of conversations, so that the next notification's difference can be told."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

_DAY = 86_400_000
KEPT = 10_000
"""Open conversations remembered at most, and ended ones: those may be told again for three days."""
KEPT_MS = 14 * _DAY
"""How long a conversation without any change is remembered."""
MOST_FORGOTTEN = 2
"""Forgotten at most for one payload, so that a wrong clock does not empty the memory."""

Entry = dict[str, Any]
"""Of one conversation: last change `t`, waiting queue `q`, agents `a`, suggested ones `s`, whether
it has ended `e`, the answer to the survey `c`, the open ring `r` (its id and when it expires), and
`n` where its beginning has not been told."""


def unheard_of() -> Entry:
    """The entry of a conversation that is seen for the first time."""
    return {"q": None, "a": [], "s": [], "e": False, "c": None}


class Remembered:
    """The conversations open and ended, each with the one unchanged for longest first."""

    def __init__(self) -> None:
        self._open: dict[str, Entry] = {}
        self._ended: dict[str, list[Any]] = {}

    def as_json(self) -> Any:
        """All of it."""
        return {"open": self._open, "ended": self._ended}

    def recall(self, memory: Any) -> None:
        """Take up what `as_json` gave."""
        self._open = {contact: dict(entry) for contact, entry in memory["open"].items()}
        self._ended = dict(memory["ended"])

    def find(self, contact: str, learnt: dict[str, Entry]) -> Entry | None:
        """A copy of what is known of a conversation; `learnt` is what this payload has told."""
        entry = learnt.get(contact) or self._open.get(contact)
        if entry is not None:
            return dict(entry)
        ended = self._ended.get(contact)
        if ended is None:
            return None
        return {**unheard_of(), "t": ended[0], "e": True, "c": ended[1]}

    def keep(self, learnt: dict[str, Entry]) -> None:
        """Remember what a payload has told, and forget what is too much or too old."""
        for contact, entry in learnt.items():
            self._open.pop(contact, None)
            self._ended.pop(contact, None)
            if entry["e"]:
                self._ended[contact] = [entry["t"], entry["c"]]
            else:
                self._open[contact] = entry
        if learnt:
            oldest = max(entry["t"] for entry in learnt.values()) - KEPT_MS
            _forget(self._open, oldest, lambda entry: int(entry["t"]))
            _forget(self._ended, oldest, lambda entry: int(entry[0]))


def _forget(held: dict[str, Any], oldest: int, changed: Callable[[Any], int]) -> None:
    while len(held) > KEPT:
        del held[next(iter(held))]
    for contact in list(islice(held, MOST_FORGOTTEN)):
        if changed(held[contact]) < oldest:
            del held[contact]
