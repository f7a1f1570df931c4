"""Statuses of agents by channel, brought to the one that counts.

An account with omnichannel routing tells a unified status beside those of the channels; then that
alone counts. One without has only those of the channels: an agent is as available as in the channel
in which it is most available.
"""

from __future__ import annotations

from typing import Any

from schemas.events import PlatformState

_MOST_AGENTS = 2_000
_MOST_CHANNELS = 4
_UNIFIED_MS = 30 * 86_400_000
"""For so long after a unified status those of channels say nothing."""
_RANK: dict[PlatformState, int] = {
    "offline": 0,
    "not_ready": 1,
    "wrap": 2,
    "busy": 3,
    "available": 4,
}


class Statuses:
    """When a unified status was told last, and by agent the newest status of each channel."""

    def __init__(self) -> None:
        self._unified: int | None = None
        self._agents: dict[str, dict[str, tuple[int, PlatformState]]] = {}

    def memory(self) -> Any:
        """All of it as JSON, None if there is nothing."""
        if self._unified is None and not self._agents:
            return None
        return {"unified": self._unified, "agents": self._agents}

    def recall(self, memory: Any) -> None:
        """Take up what `memory` gave."""
        if memory is None:
            return
        self._unified = memory["unified"]
        for agent, channels in memory["agents"].items():
            self._agents[agent] = {name: (at, state) for name, (at, state) in channels.items()}

    def unify(self, at: int) -> None:
        """A unified status was told at `at`: of channels nothing has to be known any more."""
        self._unified = max(at, self._unified or at)
        self._agents.clear()

    def best(
        self, agent: str, channel: str, at: int, state: PlatformState
    ) -> tuple[PlatformState, dict[str, tuple[int, PlatformState]]] | None:
        """The agent's state with this status, and its channels to `keep`; None if it says nothing.

        One that comes again, or behind a later one of its channel, says nothing.
        """
        if self._unified is not None and at <= self._unified + _UNIFIED_MS:
            return None
        channels = dict(self._agents.get(agent, {}))
        known = channels.pop(channel, None)
        if known is not None and at <= known[0]:
            return None
        channels[channel] = (at, state)
        while len(channels) > _MOST_CHANNELS:
            del channels[next(iter(channels))]
        states = (each for _, each in channels.values())
        return max(states, key=lambda each: _RANK[each]), channels

    def keep(self, agent: str, channels: dict[str, tuple[int, PlatformState]]) -> None:
        """Remember an agent's channels, the agent unchanged for longest first."""
        self._agents.pop(agent, None)
        self._agents[agent] = channels
        while len(self._agents) > _MOST_AGENTS:
            del self._agents[next(iter(self._agents))]
