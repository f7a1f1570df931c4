"""What agents are, from lines that speak of one queue at a time.

A member is paused, added and removed queue by queue. An agent is available while one queue may
ring, and offline when the last queue has gone; so their queues are remembered.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

MOST, MOST_QUEUES = 2_000, 40
_MOST_IN_A_SECOND = 999
_DAY_MS = 86_400_000
_READY, _PAUSED, _GONE = 0, 1, 2
"""What an agent is in a queue. That it has gone is kept: a ring may end after that."""

AVAILABLE, NOT_READY, WRAP, OFFLINE = "available", "not_ready", "wrap", "offline"


class Said(NamedTuple):
    """A state, and its place among those of the agent that bear the same time."""

    state: str
    reason: str
    place: int


@dataclass(slots=True)
class _Agent:
    ts: int = -1
    place: int = 0
    state: str = ""
    reason: str = ""
    pause: str = ""
    logged_in: bool | None = None
    queues: dict[str, int] = field(default_factory=dict)

    def as_list(self) -> list[Any]:
        """The fields in their order."""
        queues = dict(self.queues)
        return [self.ts, self.place, self.state, self.reason, self.pause, self.logged_in, queues]


class Agents:
    """Agents of one log by name. Lines of an agent older than its newest are told again: no news.

    Each method gives the state after its line, None if the line is no news.
    """

    def __init__(self, wrap_up_reasons: frozenset[str]) -> None:
        self._wrap_up = wrap_up_reasons
        self._agents: dict[str, _Agent] = {}

    def takes_calls_of(self, name: str, queue: str) -> None:
        """A call of the queue reached the agent: members of queues.conf are never said added."""
        agent = self._agents.get(name)
        if agent is None:
            agent = self._new(name)
        if queue not in agent.queues and len(agent.queues) < MOST_QUEUES:
            agent.queues[queue] = _READY

    def added(self, name: str, queue: str, paused: bool, ts: int) -> Said | None:
        """A member was added to a queue."""
        agent = self._fresh(name, ts)
        if agent is None:
            return None
        if agent.logged_in is False:
            agent.logged_in = None
        if paused and agent.queues.get(queue) != _PAUSED:
            agent.pause = ""
        self._put(agent, queue, _PAUSED if paused else _READY)
        return self._say(agent, ts)

    def removed(self, name: str, queue: str, ts: int) -> Said | None:
        """A member was removed from a queue."""
        agent = self._fresh(name, ts)
        if agent is None:
            return None
        self._put(agent, queue, _GONE)
        return self._say(agent, ts)

    def paused(self, name: str, queue: str, reason: str, ts: int) -> Said | None:
        """A member was paused in a queue."""
        agent = self._fresh(name, ts)
        if agent is None:
            return None
        agent.pause = reason
        self._put(agent, queue, _PAUSED)
        return self._say(agent, ts)

    def unpaused(self, name: str, queue: str, ts: int) -> Said | None:
        """A member was unpaused in a queue."""
        agent = self._fresh(name, ts)
        if agent is None:
            return None
        self._put(agent, queue, _READY)
        return self._say(agent, ts)

    def paused_everywhere(self, name: str, reason: str, ts: int) -> Said | None:
        """A member was paused in all its queues, which need not be known."""
        agent = self._fresh(name, ts)
        if agent is None:
            return None
        agent.pause = reason
        self._put_all(agent, _PAUSED)
        return self._say(agent, ts, *self._pause_of(agent))

    def unpaused_everywhere(self, name: str, ts: int) -> Said | None:
        """A member was unpaused in all its queues."""
        agent = self._fresh(name, ts)
        if agent is None:
            return None
        self._put_all(agent, _READY)
        return self._say(agent, ts, OFFLINE if agent.logged_in is False else AVAILABLE)

    def reason_given(self, name: str, reason: str, ts: int) -> Said | None:
        """Why the agent is paused, told apart from the pause."""
        agent = self._agents.get(name)
        if agent is None or not _is_news(agent, ts) or agent.state not in (NOT_READY, WRAP):
            return None
        agent.pause = reason
        return self._say(agent, ts, *self._pause_of(agent))

    def logged(self, name: str, on: bool, ts: int) -> Said | None:
        """An agent of the agent pool logged in or off."""
        agent = self._fresh(name, ts)
        if agent is None:
            return None
        agent.logged_in = on
        return self._say(agent, ts)

    def wraps_up(self, name: str, ts: int) -> bool:
        """Whether the agent is known to be in wrap-up at `ts`."""
        agent = self._agents.get(name)
        return agent is not None and agent.state == WRAP and _is_news(agent, ts)

    def restarted(self, ts: int, members_stay: bool) -> list[tuple[str, Said]]:
        """Logins of the agent pool are calls, which end with Asterisk; so may memberships."""
        ended = []
        for name, agent in self._agents.items():
            if agent.ts > ts or agent.state in ("", OFFLINE):
                continue
            if not members_stay:
                agent.queues = dict.fromkeys(agent.queues, _GONE)
            elif not agent.logged_in:
                continue
            agent.logged_in = False if agent.logged_in else None
            ended.append((name, self._say(agent, ts)))
        return ended

    def memory(self) -> dict[str, Any]:
        """All of it, as JSON."""
        return {name: agent.as_list() for name, agent in self._agents.items()}

    def recall(self, memory: dict[str, Any]) -> None:
        """The reverse of `memory`."""
        self._agents = {name: _Agent(*values) for name, values in memory.items()}

    def _new(self, name: str) -> _Agent:
        if len(self._agents) >= MOST:
            del self._agents[next(iter(self._agents))]
        agent = self._agents[name] = _Agent()
        return agent

    def _fresh(self, name: str, ts: int) -> _Agent | None:
        """The agent, None if it is known from later lines."""
        agent = self._agents.get(name)
        if agent is None:
            return self._new(name)
        return agent if _is_news(agent, ts) else None

    def _put(self, agent: _Agent, queue: str, standing: int) -> None:
        if queue in agent.queues or len(agent.queues) < MOST_QUEUES:
            agent.queues[queue] = standing

    def _put_all(self, agent: _Agent, standing: int) -> None:
        for queue, now in agent.queues.items():
            if now != _GONE:
                agent.queues[queue] = standing

    def _say(self, agent: _Agent, ts: int, state: str = "", reason: str = "") -> Said:
        if not state:
            state, reason = self._state_of(agent)
        if ts != agent.ts:
            agent.place = 0
        elif (state, reason) != (agent.state, agent.reason):
            agent.place = min(agent.place + 1, _MOST_IN_A_SECOND)
        agent.ts, agent.state, agent.reason = ts, state, reason
        return Said(state, reason, agent.place)

    def _state_of(self, agent: _Agent) -> tuple[str, str]:
        standings = {standing for standing in agent.queues.values() if standing != _GONE}
        if agent.logged_in is False or (not standings and not agent.logged_in):
            return OFFLINE, ""
        if _READY in standings or not standings:
            return AVAILABLE, ""
        return self._pause_of(agent)

    def _pause_of(self, agent: _Agent) -> tuple[str, str]:
        if agent.logged_in is False:
            return OFFLINE, ""
        wraps = agent.pause.casefold() in self._wrap_up
        return WRAP if wraps else NOT_READY, agent.pause


def _is_news(agent: _Agent, ts: int) -> bool:
    # More than a day back is no log read again but a line before it that had a wrong date.
    return ts >= agent.ts or ts < agent.ts - _DAY_MS
