"""Wrap-up by pauses: where every call is followed by a pause, the leg ends with that pause."""

from __future__ import annotations

from typing import Any

MOST = 2_000

Ended = tuple[str, str, int]
"""The call, its agent and when its wrap-up was over (epoch ms)."""


class Wraps:
    """Released calls whose agents have yet to say that they are ready again, by agent."""

    def __init__(self) -> None:
        self._open: dict[str, list[Any]] = {}

    def begin(self, agent: str, call: str, ts: int, paused: bool) -> None:
        """A call was released; `paused` if the agent's pause stands in the log already."""
        self._open[agent] = [call, ts, paused]
        if len(self._open) > MOST:
            del self._open[next(iter(self._open))]

    def paused(self, agent: str) -> None:
        """The agent is in the pause that means wrap-up."""
        entry = self._open.get(agent)
        if entry is not None:
            entry[2] = True

    def end(self, agent: str, ts: int) -> list[Ended]:
        """The agent did something else: its wrap-up is over; without a pause there was none."""
        entry = self._open.pop(agent, None)
        if entry is None:
            return []
        call, released, paused = entry
        return [(call, agent, max(ts, released) if paused else released)]

    def memory(self) -> dict[str, Any]:
        """All of it, as JSON."""
        return {agent: list(entry) for agent, entry in self._open.items()}

    def recall(self, memory: dict[str, Any]) -> None:
        """The reverse of `memory`."""
        self._open = {agent: list(entry) for agent, entry in memory.items()}
