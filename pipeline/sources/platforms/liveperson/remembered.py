"""What is remembered of conversations, so that the next notification's difference can be told."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import Any

_DAY = 86_400_000
KEPT = 10_000
"""Open conversations remembered at most, and ended ones: those may be told again for three days."""
MOST_BYTES = {"open": 700_000, "ended": 300_000}
"""What they may take, see `_size`: packed they fit into one message of the broker, whatever their
ids look like. Fewer than `KEPT` are remembered where it is reached."""
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


class _Held:
    """Entries by conversation, the one unchanged for longest first, and what they take."""

    def __init__(self, most_bytes: int, changed: Callable[[Any], int]) -> None:
        self.entries: dict[str, Any] = {}
        self._changed = changed
        self._most_bytes = most_bytes
        self._bytes = 0

    def put(self, contact: str, entry: Any) -> None:
        self.entries[contact] = entry
        self._bytes += _size(contact, entry)

    def drop(self, contact: str) -> None:
        entry = self.entries.pop(contact, None)
        if entry is not None:
            self._bytes -= _size(contact, entry)

    def forget(self, oldest: int) -> None:
        entries = self.entries
        while len(entries) > KEPT or self._bytes > self._most_bytes:
            self.drop(next(iter(entries)))
        for contact in list(islice(entries, MOST_FORGOTTEN)):
            if self._changed(entries[contact]) < oldest:
                self.drop(contact)


class Remembered:
    """The conversations open and ended, each with the one unchanged for longest first."""

    def __init__(self) -> None:
        self._open = _Held(MOST_BYTES["open"], lambda entry: int(entry["t"]))
        self._ended = _Held(MOST_BYTES["ended"], lambda entry: int(entry[0]))

    def as_json(self) -> Any:
        """All of it."""
        return {"open": self._open.entries, "ended": self._ended.entries}

    def recall(self, memory: Any) -> None:
        """Take up what `as_json` gave."""
        for contact, entry in memory["open"].items():
            self._open.put(contact, dict(entry))
        for contact, ended in memory["ended"].items():
            self._ended.put(contact, ended)

    def find(self, contact: str, learnt: dict[str, Entry]) -> Entry | None:
        """A copy of what is known of a conversation; `learnt` is what this payload has told."""
        entry = learnt.get(contact) or self._open.entries.get(contact)
        if entry is not None:
            return dict(entry)
        ended = self._ended.entries.get(contact)
        if ended is None:
            return None
        return {**unheard_of(), "t": ended[0], "e": True, "c": ended[1]}

    def keep(self, learnt: dict[str, Entry]) -> None:
        """Remember what a payload has told, and forget what is too much or too old."""
        for contact, entry in learnt.items():
            self._open.drop(contact)
            self._ended.drop(contact)
            if entry["e"]:
                self._ended.put(contact, [entry["t"], entry["c"]])
            else:
                self._open.put(contact, entry)
        if learnt:
            oldest = max(entry["t"] for entry in learnt.values()) - KEPT_MS
            self._open.forget(oldest)
            self._ended.forget(oldest)


def _size(contact: str, entry: Any) -> int:
    """About what an entry takes once packed: its keys and times little, its ids all they have."""
    size = _length(contact) + 30
    if isinstance(entry, dict):
        for agent in (*entry["a"], *entry["s"]):
            size += _length(agent) + 3
        size += _length(entry["q"] or "") + (_length(entry["r"][0]) + 20 if "r" in entry else 0)
    return size


def _length(text: str) -> int:
    return len(text) if text.isascii() else 4 * len(text)
