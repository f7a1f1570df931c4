"""Which calls wait and which are talked to, so that a restart of Asterisk ends them.

Asterisk writes nothing of the calls it loses when it stops: the next line is QUEUESTART.
"""

from __future__ import annotations

from typing import Any

MOST = 4_000
"""More calls than one Asterisk carries; the oldest is forgotten first."""
_DAY_MS = 86_400_000

Entry = list[Any]
"""The queue or the agent, and since when (epoch ms)."""


class Calls:
    """Calls of one log by their unique id."""

    def __init__(self) -> None:
        self.waiting: dict[str, Entry] = {}
        self.talking: dict[str, Entry] = {}
        self._started = 0

    def waits(self, call: str, queue: str, ts: int) -> None:
        """A call waits in a queue."""
        _put(self.waiting, call, [queue, ts])

    def answered(self, call: str, agent: str, ts: int) -> None:
        """A call is talked to and waits no more."""
        self.waiting.pop(call, None)
        _put(self.talking, call, [agent, ts])

    def waits_no_more(self, call: str) -> None:
        """A call has left its queue."""
        self.waiting.pop(call, None)

    def ended(self, call: str) -> None:
        """A talk has ended."""
        self.talking.pop(call, None)

    def waiting_since(self, call: str) -> int:
        """When a call began to wait (epoch ms), 0 if that is not known."""
        entry = self.waiting.get(call)
        return int(entry[1]) if entry else 0

    def lost(self, ts: int) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
        """Calls that a start of Asterisk at `ts` ends: those waiting, those talked to.

        A start that has been read before is a piece of the log sent again; of the calls of its own
        second those after it cannot be told from those before, and are left.
        """
        last = ts if ts > self._started else ts - 1
        self._started = max(ts, self._started)
        return _take(self.waiting, last), _take(self.talking, last)

    def memory(self) -> dict[str, Any]:
        """All of it, as JSON."""
        talking = dict(self.talking)
        return {"waiting": dict(self.waiting), "talking": talking, "started": self._started}

    def recall(self, memory: dict[str, Any]) -> None:
        """The reverse of `memory`."""
        self.waiting = dict(memory["waiting"])
        self.talking = dict(memory["talking"])
        self._started = memory["started"]


def _put(held: dict[str, Entry], call: str, entry: Entry) -> None:
    held.pop(call, None)
    held[call] = entry
    first = next(iter(held))
    # One at a time: a line with a wrong date must not sweep all away.
    if len(held) > MOST or entry[1] - held[first][1] > _DAY_MS:
        del held[first]


def _take(held: dict[str, Entry], last: int) -> list[tuple[str, str]]:
    taken = [(call, name) for call, (name, ts) in held.items() if ts <= last]
    for call, _ in taken:
        del held[call]
    return taken
