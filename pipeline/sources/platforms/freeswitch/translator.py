"""Events of mod_callcenter, of the channels it bridges, and what a collector asks after a gap.

All moments are `Event-Date-Timestamp`, the microsecond clock of the event itself. The `CC-*-Time`
headers are the same clock cut to the second; they are not used, so that no interval mixes the two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.sources import values
from pipeline.sources.platforms.freeswitch.agents import Agents
from pipeline.sources.platforms.freeswitch.kinds import OTHERS
from pipeline.sources.platforms.freeswitch.memory import Memory, keep, leg_key, wait_key
from pipeline.sources.platforms.freeswitch.options import FreeSwitchOptions
from pipeline.sources.source import Context, Event, Translator, Unread

SUBCLASS = "callcenter::info"
_IN_CALL = "In a queue call"
_CANCELLED = frozenset({"ORIGINATOR_CANCEL", "LOSE_RACE"})
"""The ring ended by somebody else's doing: the caller left, or a colleague was quicker."""
_REJECTED = frozenset({"CALL_REJECTED", "USER_BUSY"})
_TRANSFERS = ("BLIND_TRANSFER", "ATTENDED_TRANSFER")
_NOTHING = frozenset({"members-count", "agent-contact-change", "agent-max-no-answer",
                      "agent-uuid-get"})  # fmt: skip

Headers = dict[str, Any]
Reader = Callable[[Headers, int], list[Event]]


class FreeSwitchTranslator(Translator):
    """Remembers who waits, who is being bridged, who talks, and what is known of agents."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._options: FreeSwitchOptions = context.options
        self._remembered = Memory()
        self._agents = Agents(context, self._remembered)
        self._actions: dict[str, Reader] = {
            "member-queue-start": self._queued,
            "member-queue-resume": self._queued,
            "member-queue-end": self._queue_end,
            "agent-offering": self._offering,
            "bridge-agent-start": self._bridge_start,
            "bridge-agent-end": self._bridge_end,
            "bridge-agent-fail": self._bridge_fail,
            "agent-status-change": self._status,
            "agent-status-get": self._status,
            "agent-state-change": self._state,
            "agent-state-get": self._state,
            "agent-add": self._added,
        }
        self._rows: dict[str, Reader] = {
            "connected": self._connected,
            "member": self._listed_member,
            "agent": self._listed_agent,
            "complete": self._listed_all,
        }

    def translate(self, payload: bytes) -> list[Event]:
        """See `Translator`."""
        headers = values.load(payload)
        if "Callboard-Action" in headers:
            return self._row(headers)
        name = values.word_at(headers, "Event-Name")
        if name == "CUSTOM":
            return self._custom(headers)
        if name == "CHANNEL_HOLD":
            return self._hold(headers, held=True)
        if name == "CHANNEL_UNHOLD":
            return self._hold(headers, held=False)
        if name in OTHERS:
            return []
        raise Unread("Event-Name", f"{values.shown(name)} is no event of FreeSWITCH")

    def memory(self) -> Any:
        """See `Translator`."""
        return self._remembered.dump()

    def recall(self, memory: Any) -> None:
        """See `Translator`."""
        self._remembered = Memory()
        self._remembered.load(memory)
        self._agents.memory = self._remembered

    def _custom(self, headers: Headers) -> list[Event]:
        if values.word_at(headers, "Event-Subclass") != SUBCLASS:
            return []
        action = values.word_at(headers, "CC-Action")
        read = self._actions.get(action)
        if read is not None:
            return read(headers, _moment(headers))
        if action in _NOTHING:
            return []
        raise Unread("CC-Action", f"{values.shown(action)} is no action of mod_callcenter")

    def _row(self, headers: Headers) -> list[Event]:
        action = values.word_at(headers, "Callboard-Action")
        read = self._rows.get(action)
        if read is None:
            known = ", ".join(self._rows)
            raise Unread("Callboard-Action", f"{values.shown(action)} is none of {known}")
        return read(headers, values.epoch_ms_at(headers, "CallboardReceived"))

    # Waiting

    def _queued(self, headers: Headers, ts: int) -> list[Event]:
        """Also for a caller who abandoned and came back: a new call, with the old one's place."""
        direction = "outbound" if headers.get("Call-Direction") == "outbound" else None
        number = values.name_or_none(headers, "CC-Member-CID-Number")
        return [self._begin_wait(_contact(headers), _queue(headers), ts, number, direction)]

    def _begin_wait(
        self, contact: str, queue: str, ts: int, number: str | None, direction: str | None
    ) -> Event:
        memory = self._remembered
        event = self.context.event(
            "contact.queued",
            ts,
            contact=contact,
            queue=queue,
            customer=number,
            direction=direction,
        )
        known = memory.visits.get(contact)
        if memory.ended.get(wait_key(contact, queue), -1) < ts and not (known and known[1] >= ts):
            memory.begin_wait(contact, queue, ts)
        return event

    def _queue_end(self, headers: Headers, ts: int) -> list[Event]:
        contact, queue = _contact(headers), _queue(headers)
        cause = values.word_at(headers, "CC-Cause")
        if cause == "Terminated":  # the leg has its own event
            return []
        if cause != "Cancel":
            raise Unread("CC-Cause", f"{values.shown(cause)} is neither Terminated nor Cancel")
        reason = self._cancelled(headers, contact)
        if reason is None:
            return []
        kind = "contact.left" if reason else "contact.abandoned"
        event = self.context.event(kind, ts, contact=contact, queue=queue, reason=reason or None)
        self._remembered.end_wait(contact, queue, ts)
        return [event]

    def _cancelled(self, headers: Headers, contact: str) -> str | None:
        """The reason to have left; empty for an abandon, None for a caller who is answered."""
        reason = values.word_at(headers, "CC-Cancel-Reason")
        if reason in ("TIMEOUT", "NO_AGENT_TIMEOUT"):
            return "timeout"
        if reason == "EXIT_WITH_KEY":
            key = values.text_or_none(headers, "variable_cc_exit_key") or ""
            return self._options.exit_keys.get(key, "other")
        if reason == "BREAK_OUT":
            # A caller who is moved out of the queue (uuid_transfer, uuid_break) breaks out, too.
            state = headers.get("Answer-State")
            moved = state not in (None, "hangup") and "Hangup-Cause" not in headers
            return "transfer" if moved else ""
        if reason == "NONE":
            # Gone in the moment of the answer: before the bridge it is an abandon.
            return None if contact in self._remembered.legs else ""
        raise Unread("CC-Cancel-Reason", f"{values.shown(reason)} is no reason of mod_callcenter")

    # Ringing

    def _offering(self, headers: Headers, ts: int) -> list[Event]:
        contact, agent = _contact(headers), _agent(headers)
        return [self.context.event("contact.offered", ts, contact=contact, agent=agent)]

    def _bridge_fail(self, headers: Headers, ts: int) -> list[Event]:
        contact, agent = _contact(headers), _agent(headers)
        cause = values.word_at(headers, "CC-Hangup-Cause")
        if cause in _CANCELLED:
            return []
        return [self._declined(contact, agent, ts, cause in _REJECTED)]

    def _declined(self, contact: str, agent: str, ts: int, rejected: bool) -> Event:
        reason = "rejected" if rejected else "no_answer"
        return self.context.event(
            "contact.declined", ts, contact=contact, agent=agent, reason=reason
        )

    # Talking

    def _bridge_start(self, headers: Headers, ts: int) -> list[Event]:
        """The agent has picked up. The bridge can still fail, which the agent's state tells."""
        contact, agent, queue = _contact(headers), _agent(headers), _queue(headers)
        channel = values.name_or_none(headers, "CC-Agent-UUID") or ""
        answered = self._answered(contact, agent, queue, ts)
        keep(self._remembered.bridging, agent, [contact, queue, ts, channel])
        if self._agents.state_of(agent) != _IN_CALL:
            return []
        self._bridged(agent)
        return [answered]

    def _answered(self, contact: str, agent: str, queue: str, ts: int) -> Event:
        return self.context.event("contact.answered", ts, contact=contact, agent=agent, queue=queue)

    def _bridged(self, agent: str) -> None:
        memory = self._remembered
        contact, queue, at, channel = memory.bridging.pop(agent)
        memory.end_wait(contact, queue, at)
        known = agent in memory.legs.get(contact, {})
        if not known and memory.ended.get(leg_key(contact, agent), -1) < at:
            memory.begin_leg(contact, agent, at, channel)

    def _confirm(self, agent: str, ts: int) -> list[Event]:
        """The bridge of an agent stands: the answer was when it picked up."""
        pending = self._remembered.bridging.get(agent)
        if pending is None or pending[2] > ts:
            return []
        contact, queue, at, _ = pending
        self._bridged(agent)
        return [self._answered(contact, agent, queue, at)]

    def _bridge_end(self, headers: Headers, ts: int) -> list[Event]:
        contact, agent = _contact(headers), _agent(headers)
        bridged = values.word_at(headers, "CC-Agent-Bridged") == "true"
        transferred = headers.get("variable_endpoint_disposition") in _TRANSFERS
        over = self._over(contact, agent, ts, transferred)
        memory = self._remembered
        pending = memory.bridging.get(agent)
        own = pending is not None and pending[0] == contact
        if bridged:
            answered = self._confirm(agent, ts) if own else []
            memory.end_leg(contact, agent, ts)
            return [*answered, *over]
        if own:
            del memory.bridging[agent]
            waits = contact in memory.visits
            return [self._declined(contact, agent, ts, False)] if waits else []
        if agent in memory.legs.get(contact, {}):
            memory.end_leg(contact, agent, ts)
            return over
        return []

    def _over(self, contact: str, agent: str, ts: int, transferred: bool = False) -> list[Event]:
        event, reason = self.context.event, "transferred" if transferred else "completed"
        return [
            event("contact.released", ts, contact=contact, agent=agent, reason=reason),
            event("contact.wrapped", ts, contact=contact, agent=agent),
        ]

    def _hold(self, headers: Headers, held: bool) -> list[Event]:
        channel, ts = values.plain_name_at(headers, "Unique-ID"), _moment(headers)
        found = self._remembered.channels.get(channel)
        if found is None:
            return []
        contact, agent = found
        leg = self._remembered.legs[contact][agent]
        if leg["at"] > ts or leg["held"] == held:
            return []
        leg["held"] = held
        kind = "contact.held" if held else "contact.resumed"
        return [self.context.event(kind, ts, contact=contact, agent=agent)]

    # Agents

    def _status(self, headers: Headers, ts: int) -> list[Event]:
        return self._agents.status(_agent(headers), values.word_at(headers, "CC-Agent-Status"), ts)

    def _state(self, headers: Headers, ts: int) -> list[Event]:
        agent, state = _agent(headers), values.word_at(headers, "CC-Agent-State")
        events = self._agents.state(agent, state, ts)
        return [*self._confirm(agent, ts), *events] if state == _IN_CALL else events

    def _added(self, headers: Headers, ts: int) -> list[Event]:
        return self._agents.status(_agent(headers), "Logged Out", ts)

    # Gaps

    def _connected(self, headers: Headers, ts: int) -> list[Event]:
        self._remembered.resync = {"at": ts, "waiting": [], "talking": []}
        return []

    def _listed_agent(self, headers: Headers, ts: int) -> list[Event]:
        agent, status = values.plain_name_at(headers, "name"), values.word_at(headers, "status")
        state = values.word_at(headers, "state")
        return self._agents.both(agent, status, state, ts)

    def _listed_member(self, headers: Headers, ts: int) -> list[Event]:
        """A row of `callcenter_config queue list members`."""
        state = values.word_at(headers, "state")
        contact = values.name_or_none(headers, "session_uuid")
        if contact is None or state not in ("Waiting", "Trying", "Answered"):
            return []  # the rows of those who abandoned stay for a while
        queue, agent = values.plain_name_at(headers, "queue"), None
        if state == "Answered":
            agent = values.plain_name_at(headers, "serving_agent")
        joined = max(_second(headers, "joined_epoch"), _second(headers, "rejoined_epoch"))
        bridged = _second(headers, "bridge_epoch")
        events = self._seen_waiting(headers, contact, queue, joined)
        if agent is not None:
            events += self._seen_talking(contact, queue, agent, bridged)
        if self._remembered.resync is not None and agent is None:
            self._remembered.resync["waiting"].append(contact)
        elif self._remembered.resync is not None and agent is not None:
            self._remembered.resync["talking"].append([contact, agent])
        return events

    def _seen_waiting(self, headers: Headers, contact: str, queue: str, joined: int) -> list[Event]:
        memory = self._remembered
        visit = memory.visits.get(contact)
        if contact in memory.legs or (visit is not None and visit[0] == queue):
            return []
        # The row has whole seconds: an end within the second before may be the end of this wait.
        if memory.ended.get(wait_key(contact, queue), -1) >= joined - 1000:
            return []
        number = values.name_or_none(headers, "cid_number")
        return [self._begin_wait(contact, queue, joined, number, None)]

    def _seen_talking(self, contact: str, queue: str, agent: str, bridged: int) -> list[Event]:
        """Answered in the gap, at a whole second that may lie before the wait's first moment."""
        memory = self._remembered
        if agent in memory.legs.get(contact, {}):
            return []
        at = max(bridged, memory.visits.get(contact, [queue, bridged])[1])
        if memory.ended.get(leg_key(contact, agent), -1) >= at - 1000:
            return []
        event = self._answered(contact, agent, queue, at)
        memory.end_wait(contact, queue, at)
        memory.begin_leg(contact, agent, at, "")
        return [event]

    def _listed_all(self, headers: Headers, ts: int) -> list[Event]:
        """What waited or talked before the gap and is in no list ended in the gap."""
        memory, resync = self._remembered, self._remembered.resync
        if resync is None:
            return []
        memory.resync = None
        at, waiting, events = resync["at"], set(resync["waiting"]), []
        for contact, (queue, since) in list(memory.visits.items()):
            if since < at and contact not in waiting:
                left = {"contact": contact, "queue": queue, "reason": "lost"}
                events.append(self.context.event("contact.left", at, **left))
                memory.end_wait(contact, queue, at)
        for contact, legs in list(memory.legs.items()):
            for agent, leg in list(legs.items()):
                if leg["at"] < at and [contact, agent] not in resync["talking"]:
                    events += self._over(contact, agent, at)
                    memory.end_leg(contact, agent, at)
        return events


def _moment(headers: Headers) -> int:
    return values.whole_at(headers, "Event-Date-Timestamp") // 1000


def _second(headers: Headers, name: str) -> int:
    return values.epoch_s_at(headers, name) if headers.get(name) else 0


def _contact(headers: Headers) -> str:
    return values.plain_name_at(headers, "CC-Member-Session-UUID")


def _queue(headers: Headers) -> str:
    return values.plain_name_at(headers, "CC-Queue")


def _agent(headers: Headers) -> str:
    return values.plain_name_at(headers, "CC-Agent")
