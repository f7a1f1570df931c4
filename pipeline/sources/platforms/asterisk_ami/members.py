"""Agents: what the memberships in queues say of an agent, of its holds and of its wrap-up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pipeline.sources.platforms.asterisk_ami.memory import Memory, keep
from pipeline.sources.platforms.asterisk_ami.options import AmiOptions
from pipeline.sources.source import Context, Event

_AWAY = frozenset({"4", "5"})
"""Device states INVALID and UNAVAILABLE: no phone that could ring."""
_IN_USE = frozenset({"2", "3", "7", "8"})
"""INUSE, BUSY, RINGINUSE, ONHOLD. RINGING (6) is an agent who is there and is being called."""
_ON_HOLD = "8"


class Members:
    """Keeps the memberships; gives the events that a change of them means."""

    def __init__(self, context: Context, memory: Memory) -> None:
        self._context = context
        self._options: AmiOptions = context.options
        self._wraps = frozenset(self._options.wrap_up_reasons)
        self.memory = memory

    def told(self, agent: str, queue: str, entry: list[Any], ts: int) -> list[Event]:
        """A membership as it is at `ts`; older news than the last is nothing."""
        known = self.memory.members.get(agent, {})
        if queue in known and known[queue][0] > entry[0]:
            return []
        entries = known | {queue: entry}
        judged = self._judge(entries)
        events = [
            *self._state(agent, judged, ts),
            *self._holds(agent, entry[1], ts),
            *self._wrap_ends(agent, entries, ts),
        ]
        self._commit(agent, entries, judged, ts)
        return events

    def removed(self, agent: str, queue: str, ts: int) -> list[Event]:
        """The agent is no longer a member of the queue."""
        entries = dict(self.memory.members.get(agent, {}))
        entries.pop(queue, None)
        judged = self._judge(entries)
        events = [*self._state(agent, judged, ts), *self._wrap_ends(agent, entries, ts)]
        self._commit(agent, entries, judged, ts)
        return events

    def wraps_up(self, agent: str) -> bool:
        """Whether the agent is paused for wrap-up now."""
        return self._in_wrap(self.memory.members.get(agent, {}).values())

    def forget_wrap(self, contact: str, agent: str) -> None:
        """A wrap-up that something else has ended."""
        wraps = self.memory.wrapping.get(agent)
        if wraps is not None and wraps.pop(contact, None) is not None and not wraps:
            del self.memory.wrapping[agent]

    def _commit(
        self, agent: str, entries: dict[str, list[Any]], judged: tuple[str, str], ts: int
    ) -> None:
        memory = self.memory
        keep(memory.said, agent, "\n".join(judged))
        if entries:
            keep(memory.members, agent, entries)
        else:
            memory.members.pop(agent, None)
        if self._in_wrap(entries.values()):
            self._begin_wraps(agent, ts)

    def _judge(self, entries: Mapping[str, list[Any]]) -> tuple[str, str]:
        """State and reason. Paused in some queues only is available: it can still be called."""
        if not entries:
            return "offline", ""
        _, status, _, reason = max(entries.values())
        if status in _AWAY:
            return "offline", ""
        if all(paused for _, _, paused, _ in entries.values()):
            return ("wrap" if reason in self._wraps else "not_ready"), reason
        return ("busy" if status in _IN_USE else "available"), ""

    def _state(self, agent: str, judged: tuple[str, str], ts: int) -> list[Event]:
        state, reason = judged
        if self.memory.said.get(agent) == f"{state}\n{reason}":
            return []
        team = self._options.teams.get(agent)
        event = self._context.event
        return [
            event("agent.state", ts, agent=agent, state=state, reason=reason or None, team=team)
        ]

    def _holds(self, agent: str, status: str, ts: int) -> list[Event]:
        """Holds by the state of the device, where the channels do not say them."""
        events = []
        for contact in self.memory.talks.get(agent, ()):
            leg = self.memory.legs[contact][agent]
            on_hold = status == _ON_HOLD
            if not leg["own_holds"] and leg["held"] != on_hold and leg["at"] <= ts:
                kind = "contact.held" if on_hold else "contact.resumed"
                events.append(self._context.event(kind, ts, contact=contact, agent=agent))
                leg["held"] = on_hold
        return events

    def _in_wrap(self, entries: Iterable[list[Any]]) -> bool:
        return any(paused and reason in self._wraps for _, _, paused, reason in entries)

    def _begin_wraps(self, agent: str, ts: int) -> None:
        memory = self.memory
        begun = [k for k, (at, _, who) in memory.pending.items() if who == agent and at <= ts]
        for key in begun:
            at, contact, _ = memory.pending.pop(key)
            memory.wrapping.setdefault(agent, {})[contact] = at

    def _wrap_ends(self, agent: str, entries: Mapping[str, list[Any]], ts: int) -> list[Event]:
        return [] if self._in_wrap(entries.values()) else self.end_wraps(agent, ts)

    def end_wraps(self, agent: str, ts: int) -> list[Event]:
        """The agent does something else now."""
        contacts = self.memory.wrapping.pop(agent, {})
        event = self._context.event
        return [event("contact.wrapped", ts, contact=contact, agent=agent) for contact in contacts]
