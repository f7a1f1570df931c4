"""Wrap-up by pauses: where every call is followed by a pause, the leg ends with that pause."""

from __future__ import annotations

from typing import Any

MOST = 2_000
_DAY_MS = 86_400_000
_CALL, _RELEASED, _PAUSED, _OPEN = range(4)

Ended = tuple[str, str, int]
"""The call, its agent and when its wrap-up was over (epoch ms)."""


class Wraps:
    """By agent the call released last, and whether its wrap-up goes on.

    Lines older than that release, by up to a day, are a log read again and change nothing.
    """

    def __init__(self) -> None:
        self._last: dict[str, list[Any]] = {}

    def begin(self, agent: str, call: str, ts: int, paused: bool) -> list[Ended]:
        """A call was released; `paused` if the agent's pause stands in the log already.

        Gives the wrap-up that is over by that.
        """
        last = self._last.get(agent)
        if last is not None and (_is_old(last, ts) or last[:_PAUSED] == [call, ts]):
            return []
        before = self.end(agent, ts)
        self._last.pop(agent, None)
        self._last[agent] = [call, ts, paused, True]
        if len(self._last) > MOST:
            del self._last[next(iter(self._last))]
        return before

    def paused(self, agent: str) -> None:
        """The agent is in the pause that means wrap-up."""
        last = self._last.get(agent)
        if last is not None and last[_OPEN]:
            last[_PAUSED] = True

    def end(self, agent: str, ts: int) -> list[Ended]:
        """The agent did something else: its wrap-up is over; without a pause there was none."""
        last = self._last.get(agent)
        if last is None or not last[_OPEN] or _is_old(last, ts):
            return []
        last[_OPEN] = False
        call, released = last[_CALL], last[_RELEASED]
        return [(call, agent, max(ts, released) if last[_PAUSED] else released)]

    def memory(self) -> dict[str, Any]:
        """All of it, as JSON."""
        return {agent: list(last) for agent, last in self._last.items()}

    def recall(self, memory: dict[str, Any]) -> None:
        """The reverse of `memory`."""
        self._last = {agent: list(last) for agent, last in memory.items()}


def _is_old(last: list[Any], ts: int) -> bool:
    return bool(last[_RELEASED] - _DAY_MS <= ts < last[_RELEASED])
