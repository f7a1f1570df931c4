"""What the status and the state of an agent say together."""

from __future__ import annotations

from pipeline.sources import values
from pipeline.sources.platforms.freeswitch.memory import Memory, Told, keep
from pipeline.sources.platforms.freeswitch.options import FreeSwitchOptions
from pipeline.sources.source import Context, Event, Unread

_STATUSES = {
    "Logged Out": "offline",
    "Available": "available",
    "Available (On Demand)": "available",
    "On Break": "not_ready",
    "Unknown": "",
}
_STATES = frozenset({"Waiting", "Receiving", "In a queue call", "Idle", "Reserved", "Unknown"})
_IDLE = "Idle"


class Agents:
    """Keeps both of each agent; gives an event when what they say together changes."""

    def __init__(self, context: Context, memory: Memory) -> None:
        self._context = context
        self._options: FreeSwitchOptions = context.options
        self.memory = memory

    def state_of(self, agent: str) -> str:
        """The state told last, empty if none."""
        told = self.memory.agents.get(agent)
        return told["state"] if told else ""

    def status(self, agent: str, status: str, ts: int) -> list[Event]:
        """The status, which people set: whether the agent works."""
        _check_status(status)
        told = self._told(agent)
        if told["status_at"] > ts:
            return []
        told["status"], told["status_at"] = status, ts
        return self._say(agent, told, ts)

    def state(self, agent: str, state: str, ts: int) -> list[Event]:
        """The state, which FreeSWITCH sets: what the agent is doing in a queue."""
        _check_state(state)
        told = self._told(agent)
        if told["state_at"] > ts:
            return []
        told["state"], told["state_at"] = state, ts
        return self._say(agent, told, ts)

    def both(self, agent: str, status: str, state: str, ts: int) -> list[Event]:
        """Status and state as a list has them."""
        _check_status(status)
        _check_state(state)
        told = self._told(agent)
        if max(told["status_at"], told["state_at"]) > ts:
            return []
        told |= {"status": status, "status_at": ts, "state": state, "state_at": ts}
        return self._say(agent, told, ts)

    def _told(self, agent: str) -> Told:
        told = self.memory.agents.get(agent)
        if told is None:
            return Told(status="", status_at=-1, state="", state_at=-1, said="")
        return told.copy()

    def _say(self, agent: str, told: Told, ts: int) -> list[Event]:
        state = _STATUSES.get(told["status"], "")
        reason = None
        if state == "available" and told["state"] == _IDLE and self._options.idle != "available":
            state, reason = self._options.idle, _IDLE
        events = []
        if state and state != told["said"]:
            team = self._options.teams.get(agent)
            said = {"agent": agent, "state": state, "reason": reason, "team": team}
            events.append(self._context.event("agent.state", ts, **said))
            told["said"] = state
        keep(self.memory.agents, agent, told)
        return events


def _check_status(status: str) -> None:
    if status not in _STATUSES:
        raise Unread("CC-Agent-Status", f"{values.shown(status)} is no status")


def _check_state(state: str) -> None:
    if state not in _STATES:
        raise Unread("CC-Agent-State", f"{values.shown(state)} is no state")
