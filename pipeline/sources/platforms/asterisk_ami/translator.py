"""Events of the Asterisk Manager Interface: one JSON object of headers each.

The order of things in `app_queue.c` decides how they are read. An answered caller leaves the queue
(QueueCallerLeave) before AgentConnect is said; one who gives up, or whom the queue lets go, is
first said to abandon (QueueCallerAbandon) and then to leave; one who leaves by a key only leaves.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.sources import values
from pipeline.sources.platforms.asterisk_ami.kinds import SILENT
from pipeline.sources.platforms.asterisk_ami.members import Members
from pipeline.sources.platforms.asterisk_ami.memory import (
    SIGN_MS,
    Leg,
    Memory,
    Visit,
    keep,
    keep_moment,
    leg_key,
    wait_key,
)
from pipeline.sources.platforms.asterisk_ami.options import AmiOptions
from pipeline.sources.source import Context, Event, Translator, Unread

_CONNECT_WITHIN_MS = 30_000
"""After leaving the queue: a Gosub or AGI on the agent's side may run before AgentConnect."""
_COMPLETE_WITHIN_MS = 10_000
"""After the caller's channel is gone."""
_MOST_MS = 10**15
_OUT_OF_CALLS = frozenset({"1", "4", "5"})
"""Device states NOT_INUSE, INVALID, UNAVAILABLE, for a QueueMember without InCall."""
_UNKNOWN = frozenset({"<unknown>", "unknown"})
_REMEDY = (
    "no time: set timestampevents = yes in manager.conf; greetings and answers to QueueStatus have "
    "none ever, `callboard collect ami` adds it"
)

Headers = dict[str, Any]
Reader = Callable[[Headers, int], list[Event]]


class AmiTranslator(Translator):
    """Remembers who waits, rings, talks and wraps up, and the memberships of agents."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._options: AmiOptions = context.options
        self._agent_header = self._options.agent
        self._remembered = Memory()
        self._members = Members(context, self._remembered)
        self._readers = self._all_readers()

    def translate(self, payload: bytes) -> list[Event]:
        """See `Translator`."""
        headers = values.load(payload)
        name = values.word_at(headers, "Event")
        read = self._readers.get(name)
        if read is None:
            if name in SILENT:
                return []
            raise Unread("Event", f"{values.shown(name)} is no event that Asterisk documents")
        ts = moment_of(headers)
        events = read(headers, ts)
        return [*self._due(ts), *events]

    def memory(self) -> Any:
        """See `Translator`."""
        return self._remembered.dump()

    def recall(self, memory: Any) -> None:
        """See `Translator`."""
        self._remembered = Memory()
        self._remembered.load(memory)
        self._members.memory = self._remembered

    def _all_readers(self) -> dict[str, Reader]:
        return {
            "QueueCallerJoin": self._join,
            "QueueCallerAbandon": self._abandon,
            "QueueCallerLeave": self._leave,
            "AgentCalled": self._called,
            "AgentRingNoAnswer": self._no_answer,
            "AgentDump": self._dumped,
            "DialEnd": self._dial_end,
            "AgentConnect": self._connect,
            "AgentComplete": self._complete,
            "Hold": self._hold,
            "Unhold": self._unhold,
            "HangupRequest": self._hangup_request,
            "SoftHangupRequest": self._hangup_request,
            "Hangup": self._hangup,
            "QueueMemberStatus": self._member,
            "QueueMemberAdded": self._member,
            "QueueMemberPause": self._member,
            "QueueMemberPenalty": self._member,
            "QueueMemberRinginuse": self._member,
            "QueueMemberRemoved": self._removed,
            "FullyBooted": self._connected,
            "CallboardConnected": self._connected,
            "Shutdown": self._shut_down,
            "QueueEntry": self._listed_caller,
            "QueueMember": self._listed_member,
            "QueueStatusComplete": self._listed_all,
        }

    # Waiting

    def _join(self, headers: Headers, ts: int) -> list[Event]:
        contact, queue = _contact(headers), _queue(headers)
        return self._begin_wait(contact, queue, ts, _number(headers))

    def _begin_wait(self, contact: str, queue: str, ts: int, customer: str | None) -> list[Event]:
        memory = self._remembered
        queued = self.context.event(
            "contact.queued", ts, contact=contact, queue=queue, customer=customer
        )
        before = memory.visits.get(contact)
        if memory.ended.get(wait_key(contact, queue), -1) >= ts or (before and before["at"] >= ts):
            return [queued]
        events = [self._ends_unseen(contact, before, ts)] if before else []
        memory.begin_visit(contact, Visit(queue=queue, at=ts, rings=[], left=0))
        return [*events, queued]

    def _ends_unseen(self, contact: str, visit: Visit, ts: int) -> Event:
        """A channel waits in one queue at a time: joining another says that the first is left."""
        if visit["left"]:
            return self._exit(contact, visit["queue"], visit["left"])
        return self._lost(contact, visit["queue"], ts)

    def _abandon(self, headers: Headers, ts: int) -> list[Event]:
        contact, queue = _contact(headers), _queue(headers)
        held = values.whole_or_none(headers, "HoldTime")
        event = self._abandoned(contact, queue, held or 0, ts)
        self._remembered.end_visit(contact, queue, ts)
        return [event]

    def _abandoned(self, contact: str, queue: str, seconds: int, ts: int) -> Event:
        memory = self._remembered
        told = memory.calls and self._options.abandons == "hangup"
        if not told or contact in memory.hangups:
            return self.context.event("contact.abandoned", ts, contact=contact, queue=queue)
        limit = self._options.timeouts.get(queue)
        reason = "timeout" if limit is not None and seconds >= limit else "other"
        return self.context.event("contact.left", ts, contact=contact, queue=queue, reason=reason)

    def _leave(self, headers: Headers, ts: int) -> list[Event]:
        contact, queue = _contact(headers), _queue(headers)
        visit = self._remembered.visits.get(contact)
        if visit is None or visit["queue"] != queue or visit["left"] or visit["at"] > ts:
            return []
        if visit["rings"]:
            visit["left"] = ts
            keep(self._remembered.leaving, contact, ts)
            return []
        event = self._exit(contact, queue, ts)
        self._remembered.end_visit(contact, queue, ts)
        return [event]

    def _exit(self, contact: str, queue: str, ts: int) -> Event:
        reason = self._options.exits.get(queue, "other")
        return self.context.event("contact.left", ts, contact=contact, queue=queue, reason=reason)

    def _lost(self, contact: str, queue: str, ts: int) -> Event:
        return self.context.event("contact.left", ts, contact=contact, queue=queue, reason="lost")

    # Ringing

    def _called(self, headers: Headers, ts: int) -> list[Event]:
        contact, agent = _contact(headers), self._agent(headers)
        event = self.context.event("contact.offered", ts, contact=contact, agent=agent)
        visit = self._remembered.visits.get(contact)
        if visit is not None and agent not in visit["rings"]:
            visit["rings"].append(agent)
        return [event]

    def _no_answer(self, headers: Headers, ts: int) -> list[Event]:
        busy = values.name_or_none(headers, "DestUniqueid") in self._remembered.busy
        return self._declined(headers, ts, "rejected" if busy else "no_answer")

    def _dumped(self, headers: Headers, ts: int) -> list[Event]:
        """The agent picked up, heard who is calling, and hung up; the caller waits on."""
        return self._declined(headers, ts, "rejected")

    def _declined(self, headers: Headers, ts: int, reason: str) -> list[Event]:
        contact, agent = _contact(headers), self._agent(headers)
        event = self.context.event(
            "contact.declined", ts, contact=contact, agent=agent, reason=reason
        )
        visit = self._remembered.visits.get(contact)
        if visit is not None and agent in visit["rings"]:
            visit["rings"].remove(agent)
        return [event]

    def _dial_end(self, headers: Headers, ts: int) -> list[Event]:
        channel = values.name_or_none(headers, "DestUniqueid")
        self._note_calls()
        if channel is not None and headers.get("DialStatus") == "BUSY":
            keep_moment(self._remembered.busy, channel, ts, SIGN_MS)
        return []

    # Talking

    def _connect(self, headers: Headers, ts: int) -> list[Event]:
        contact, queue, agent = _contact(headers), _queue(headers), self._agent(headers)
        event = self.context.event(
            "contact.answered", ts, contact=contact, agent=agent, queue=queue
        )
        channel = headers.get("DestChannel")
        local = isinstance(channel, str) and channel.startswith("Local/")
        leg = Leg(
            queue=queue,
            at=ts,
            channel=values.name_or_none(headers, "DestUniqueid") or "",
            link=(values.name_or_none(headers, "Linkedid") or "") if local else "",
            held=False,
            own_holds=False,
        )
        self._remembered.end_visit(contact, queue, ts)
        return [event, *self._begin_leg(contact, agent, leg)]

    def _begin_leg(self, contact: str, agent: str, leg: Leg) -> list[Event]:
        """A new talk; whoever is paused in one queue may be called by another."""
        memory, key = self._remembered, leg_key(contact, agent)
        known = agent in memory.legs.get(contact, {})
        if known or memory.ended.get(key, -1) >= leg["at"]:
            return []
        # To answer again ends the wrap-up of the same contact by itself.
        memory.pending.pop(key, None)
        self._members.forget_wrap(contact, agent)
        memory.begin_leg(contact, agent, leg)
        return self._members.end_wraps(agent, leg["at"])

    def _complete(self, headers: Headers, ts: int) -> list[Event]:
        contact, agent = _contact(headers), self._agent(headers)
        reason = "transferred" if headers.get("Reason") == "transfer" else "completed"
        released, wrapped = self._over(contact, agent, ts, reason)
        memory, key = self._remembered, leg_key(contact, agent)
        new = memory.ended.get(key, -1) < ts
        memory.end_leg(contact, agent, ts)
        if not self._options.wrap_up_reasons:
            return [released, wrapped]
        if new and self._members.wraps_up(agent):
            memory.wrapping.setdefault(agent, {})[contact] = ts
        elif new:
            keep(memory.pending, key, [ts, contact, agent])
        return [released]

    def _over(self, contact: str, agent: str, ts: int, reason: str) -> list[Event]:
        event = self.context.event
        return [
            event("contact.released", ts, contact=contact, agent=agent, reason=reason),
            event("contact.wrapped", ts, contact=contact, agent=agent),
        ]

    def _cut(self, contact: str, agent: str, ts: int) -> list[Event]:
        """A talk that ended without a word, at the latest now; nobody saw a wrap-up."""
        self._remembered.end_leg(contact, agent, ts)
        return self._over(contact, agent, ts, "completed")

    def _hold(self, headers: Headers, ts: int) -> list[Event]:
        return self._holds(headers, ts, held=True)

    def _unhold(self, headers: Headers, ts: int) -> list[Event]:
        return self._holds(headers, ts, held=False)

    def _holds(self, headers: Headers, ts: int, held: bool) -> list[Event]:
        """A hold of the agent's channel. Behind a Local channel, any but the caller's is his."""
        channel = values.plain_name_at(headers, "Uniqueid")
        link = values.name_or_none(headers, "Linkedid") or ""
        memory = self._remembered
        self._note_calls()
        found = memory.channels.get(channel) or memory.links.get(link)
        if found is None or found[0] == channel:
            return []
        contact, agent = found
        leg = memory.legs[contact][agent]
        if leg["at"] > ts:
            return []
        leg["own_holds"] = True
        if leg["held"] == held:
            return []
        leg["held"] = held
        kind = "contact.held" if held else "contact.resumed"
        return [self.context.event(kind, ts, contact=contact, agent=agent)]

    # Hangups

    def _hangup_request(self, headers: Headers, ts: int) -> list[Event]:
        channel = values.plain_name_at(headers, "Uniqueid")
        self._note_calls()
        keep_moment(self._remembered.hangups, channel, ts, SIGN_MS)
        return []

    def _hangup(self, headers: Headers, ts: int) -> list[Event]:
        channel = values.plain_name_at(headers, "Uniqueid")
        self._note_calls()
        memory = self._remembered
        if channel in memory.visits or channel in memory.legs:
            keep(memory.gone, channel, ts)
        return []

    def _note_calls(self) -> None:
        self._remembered.calls = True

    def _due(self, ts: int) -> list[Event]:
        """What time has decided: nothing more is said of some waits, talks and wrap-ups."""
        memory = self._remembered
        events: list[Event] = []
        while contact := _overdue(memory.leaving, ts - _CONNECT_WITHIN_MS):
            at, visit = memory.leaving.pop(contact), memory.visits.get(contact)
            if visit is not None:
                events.append(self._exit(contact, visit["queue"], at))
                memory.end_visit(contact, visit["queue"], at)
        while contact := _overdue(memory.gone, ts - _COMPLETE_WITHIN_MS):
            events += self._gone(contact, memory.gone.pop(contact))
        within = self._options.wrap_up_within_ms
        while memory.pending:
            key = next(iter(memory.pending))
            at, contact, agent = memory.pending[key]
            if at + within >= ts:
                break
            del memory.pending[key]
            events.append(self.context.event("contact.wrapped", at, contact=contact, agent=agent))
        return events

    def _gone(self, contact: str, ts: int) -> list[Event]:
        """A channel that is no more waits and talks no longer, whatever was left unsaid."""
        events = []
        visit = self._remembered.visits.get(contact)
        if visit is not None and visit["at"] <= ts:
            events.append(self._ends_unseen(contact, visit, ts))
            self._remembered.end_visit(contact, visit["queue"], ts)
        return [*events, *self._cut_all(contact, ts)]

    def _cut_all(self, contact: str, ts: int) -> list[Event]:
        events: list[Event] = []
        for agent, leg in list(self._remembered.legs.get(contact, {}).items()):
            if leg["at"] <= ts:
                events += self._cut(contact, agent, ts)
        return events

    # Agents

    def _member(self, headers: Headers, ts: int) -> list[Event]:
        agent, queue, entry = self._agent(headers), _queue(headers), _membership(headers, ts)
        return self._members.told(agent, queue, entry, ts)

    def _removed(self, headers: Headers, ts: int) -> list[Event]:
        return self._members.removed(self._agent(headers), _queue(headers), ts)

    def _agent(self, headers: Headers) -> str:
        return values.plain_name_at(headers, self._agent_header)

    # Gaps

    def _connected(self, headers: Headers, ts: int) -> list[Event]:
        """Events before this moment may be missing; the answer to QueueStatus is to come."""
        self._remembered.resync = {"at": ts, "waiting": [], "in_call": {}}
        return []

    def _shut_down(self, headers: Headers, ts: int) -> list[Event]:
        """Asterisk ends, and all calls with it."""
        memory = self._remembered
        events: list[Event] = []
        for contact, visit in list(memory.visits.items()):
            if visit["at"] <= ts:
                events.append(self._ends_unseen(contact, visit, ts))
                memory.end_visit(contact, visit["queue"], ts)
        for contact in list(memory.legs):
            events += self._cut_all(contact, ts)
        return events

    def _listed_caller(self, headers: Headers, ts: int) -> list[Event]:
        contact, queue = _contact(headers), _queue(headers)
        joined = ts - 1000 * values.whole_at(headers, "Wait")
        memory = self._remembered
        visit = memory.visits.get(contact)
        known = memory.ended.get(wait_key(contact, queue), -1)
        events: list[Event] = []
        # Wait is in whole seconds: an end of the second before may be the end of this wait.
        if (visit is None or visit["queue"] != queue) and known < joined - 1000:
            events = self._begin_wait(contact, queue, joined, _number(headers))
        if memory.resync is not None and contact not in memory.resync["waiting"]:
            memory.resync["waiting"].append(contact)
        return events

    def _listed_member(self, headers: Headers, ts: int) -> list[Event]:
        agent = values.plain_name_at(
            headers, "Name" if self._agent_header == "MemberName" else "Location"
        )
        queue, entry = _queue(headers), _membership(headers, ts)
        in_call = headers.get("InCall") or ("0" if entry[1] in _OUT_OF_CALLS else "1")
        events = self._members.told(agent, queue, entry, ts)
        resync = self._remembered.resync
        if resync is not None and in_call != "0":
            resync["in_call"].setdefault(agent, []).append(queue)
        return events

    def _listed_all(self, headers: Headers, ts: int) -> list[Event]:
        """What waited or talked before the gap and is not in the answer ended in the gap."""
        memory, resync = self._remembered, self._remembered.resync
        if resync is None:
            return []
        memory.resync = None
        at, waiting, events = resync["at"], set(resync["waiting"]), []
        for contact, visit in list(memory.visits.items()):
            if visit["at"] < at and not visit["left"] and contact not in waiting:
                events.append(self._lost(contact, visit["queue"], at))
                self._remembered.end_visit(contact, visit["queue"], at)
        for contact, legs in list(memory.legs.items()):
            for agent, leg in list(legs.items()):
                if leg["at"] < at and leg["queue"] not in resync["in_call"].get(agent, ()):
                    events += self._cut(contact, agent, at)
        return events


def moment_of(headers: Headers) -> int:
    """Epoch ms of an event: Asterisk's own time, or the collector's. Raises `Unread`."""
    text = headers.get("Timestamp")
    if text is None:
        received = values.whole_or_none(headers, "CallboardReceived")
        if received is None:
            raise Unread("Timestamp", _REMEDY)
        if not 0 <= received < _MOST_MS:
            raise Unread("CallboardReceived", f"{received} is no moment in epoch milliseconds")
        return received
    if isinstance(text, str):
        seconds, _, micros = text.partition(".")
        if seconds.isdecimal() and len(seconds) <= 12 and (not micros or micros.isdecimal()):
            return int(seconds) * 1000 + int(f"{micros}000"[:3])
    raise Unread(
        "Timestamp", f"should be epoch seconds as 1700000100.123456, not {values.shown(text)}"
    )


def _overdue(part: dict[str, int], before: int) -> str | None:
    if not part:
        return None
    oldest = next(iter(part))
    return oldest if part[oldest] < before else None


def _contact(headers: Headers) -> str:
    return values.plain_name_at(headers, "Uniqueid")


def _queue(headers: Headers) -> str:
    return values.plain_name_at(headers, "Queue")


def _number(headers: Headers) -> str | None:
    number = values.name_or_none(headers, "CallerIDNum")
    return None if number in _UNKNOWN else number


def _membership(headers: Headers, ts: int) -> list[Any]:
    status = values.whole_at(headers, "Status")
    reason = values.name_or_none(headers, "PausedReason") or ""
    return [_micros(headers, ts), str(status), values.whole_at(headers, "Paused") != 0, reason]


def _micros(headers: Headers, ts: int) -> int:
    """Several events of a member within a millisecond are in order by their microseconds."""
    text = headers.get("Timestamp")
    micros = text.partition(".")[2] if isinstance(text, str) else ""
    return ts * 1000 + int(f"{micros}000000"[3:6])
