"""LivePerson conversations: `cqm.ExConversationChangeNotification`, routing tasks, agents' states.

A notification is not a transition but the whole conversation as it is now, so the translator
remembers what it was and says the difference. What it was is also what tells a repeated or a late
notification from a new one: nothing older than what is remembered is read.

What LivePerson tells of agents is in two other places. A ring names its conversation and not the
agent whose socket it came through (option `ring_agent`); an agent's state with its time is in the
status changes of the Agent Activity API, under another id than the one conversations use
(option `agents`).
"""

from __future__ import annotations

from typing import Any

from pipeline.sources.platforms.liveperson.conversation import (
    NO_SKILL,
    Conversation,
    LivePersonOptions,
    Reader,
)
from pipeline.sources.platforms.liveperson.remembered import Entry, Remembered, unheard_of
from pipeline.sources.source import Context, Event, Source, Translator, Unread, elements_of
from pipeline.sources.values import (
    epoch_ms_at,
    find,
    iso_at,
    items_at,
    load,
    name_at,
    name_or_none,
    peek,
    text_or_none,
    whole_at,
    whole_or_none,
    word_at,
)

_CHANGES = "ExConversationChangeNotification"
_RINGS = "RoutingTaskNotification"
_STATUSES = "stateChanges"
_SILENT = {
    # Neither says which agent it is nor when: it goes to that agent's own socket.
    "AgentStateNotification",
    # Messages, typing and read marks; they come below this name in webhooks.
    "MessagingEventNotification",
    "ContentEvent",
    "RichContentEvent",
    "AcceptStatusEvent",
    "ChatStateEvent",
}
_LOGIN, _LOGOUT, _STATUS = 3, 4, 1
_SUBTYPES = {1: "offline", 2: "available", 3: "busy", 4: "not_ready"}
_LEFT = {"TIMEOUT": "timeout"}


class LivePersonTranslator(Translator):
    """Notifications and status changes of one account, in the order in which they came."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._options: LivePersonOptions = context.options
        self._reader = Reader(self._options)
        self._remembered = Remembered()

    def memory(self) -> Any:
        """The conversations open and ended, each with the one unchanged for longest first."""
        return self._remembered.as_json()

    def recall(self, memory: Any) -> None:
        """Take up what was remembered."""
        self._remembered.recall(memory)

    def translate(self, payload: bytes) -> list[Event]:
        """See `Translator`."""
        obj = load(payload)
        if "stateChanges" in obj:
            return self._statuses(obj)
        type_ = word_at(obj, "type")
        kind = _kind_of(type_)
        if kind in _SILENT:
            return []
        if kind not in (_CHANGES, _RINGS):
            raise Unread("type", f"unknown kind {type_[:60]!r}")
        tell = self._conversation if kind == _CHANGES else self._task
        events: list[Event] = []
        learnt: dict[str, Entry] = {}
        for change in items_at(obj, "body.changes"):
            events += tell(change, learnt)
        self._remembered.keep(learnt)
        return events

    # Conversations

    def _conversation(self, change: Any, learnt: dict[str, Entry]) -> list[Event]:
        type_ = word_at(change, "type")
        if type_ not in ("UPSERT", "DELETE"):
            raise Unread("type", f"should be UPSERT or DELETE, not {type_[:60]!r}")
        contact = name_at(change, "result.convId")
        if find(change, "result.conversationDetails") is None:
            if type_ == "UPSERT":
                raise Unread("result.conversationDetails", "is required")
            return []  # out of the subscription's view, which has no time and says nothing
        now = self._reader.read(contact, change["result"])
        before = self._remembered.find(contact, learnt)
        if before is not None and now.at < before["t"]:
            return self._overtaken(now, before, learnt)
        entry = before or unheard_of()
        events = self._ring_over(now.contact, now.at, entry)
        if before is None:
            events += self._first(now, entry)
        elif now.ended is None:
            events += self._changed(now, entry)
        elif not entry["e"]:
            events += self._closed(now, now.ended, entry)
        events += self._survey(now, change["result"]["conversationDetails"], entry)
        entry["t"] = now.at
        learnt[contact] = entry
        return events

    def _first(self, now: Conversation, entry: Entry) -> list[Event]:
        """What is seen for the first time: who talks already began nobody knows when."""
        if now.ended is not None:
            entry["e"] = True
            return []
        if now.agents or now.bot:
            entry.update(a=now.agents, s=now.suggested, n=True)
            return [self._answered(now, agent) for agent in now.agents]
        entry.update(q=now.queue, s=now.suggested)
        queued = self._queued(now, now.started)
        return [queued, *(self._offered(now, agent) for agent in now.suggested)]

    def _overtaken(self, now: Conversation, entry: Entry, learnt: dict[str, Entry]) -> list[Event]:
        """Late, and read only for a beginning that nobody has told yet."""
        begins = now.at == now.started and not (now.agents or now.bot)
        if not (begins and entry.pop("n", False)):
            return []
        learnt[now.contact] = entry
        return [self._queued(now, now.started)]

    def _changed(self, now: Conversation, entry: Entry) -> list[Event]:
        gone = [agent for agent in entry["a"] if agent not in now.agents]
        came = [agent for agent in now.agents if agent not in entry["a"]]
        event, waited = self.context.event, entry["q"]
        events = self._legs_end(now.contact, gone, now.at, "transferred")
        events += [self._answered(now, agent) for agent in came]
        waits = None if now.agents or now.bot else now.queue
        if waited and not came and waits != waited:
            reason = "transfer" if waits else "other"
            left = {"contact": now.contact, "queue": waited, "reason": reason}
            events.append(event("contact.left", now.at, **left))
        if waits and waits != waited:
            events.append(self._queued(now, now.at))
        events += self._suggestions(now, entry, waited, waits)
        entry.update(q=waits, a=now.agents, s=now.suggested, e=False)
        return events

    def _suggestions(
        self, now: Conversation, entry: Entry, waited: str | None, waits: str | None
    ) -> list[Event]:
        """An agent to whom it was passed and who does not take it has let it ring."""
        events: list[Event] = []
        if waits:
            new = [agent for agent in now.suggested if agent not in entry["s"]]
            events += [self._offered(now, agent) for agent in new]
        if waited:
            for agent in entry["s"]:
                if agent not in now.suggested and agent not in now.agents:
                    lost = {"contact": now.contact, "agent": agent}
                    events.append(self.context.event("contact.declined", now.at, **lost))
        return events

    def _closed(self, now: Conversation, ended: int, entry: Entry) -> list[Event]:
        events: list[Event] = []
        taken = [agent for agent in now.agents if agent not in entry["a"]]
        if entry["q"] and taken:
            events += [self._answered(now, agent, ended) for agent in taken]
            events += self._legs_end(now.contact, taken, ended, "completed")
        elif entry["q"]:
            events.append(self._wait_ends(now, ended, entry["q"]))
        events += self._legs_end(now.contact, entry["a"], ended, "completed")
        entry.update(q=None, a=[], s=[], e=True)
        return events

    def _wait_ends(self, now: Conversation, ended: int, queue: str) -> Event:
        of = {"contact": now.contact, "queue": queue}
        if now.ended_by == "CONSUMER":
            return self.context.event("contact.abandoned", ended, **of)
        of["reason"] = _LEFT.get(now.ended_by, "other")
        return self.context.event("contact.left", ended, **of)

    def _survey(self, now: Conversation, details: Any, entry: Entry) -> list[Event]:
        if text_or_none(details, "csat.status") != "FILLED":
            return []
        rate = whole_or_none(details, "csat.csatRate")
        resolved = find(details, "csat.csatResolutionConfirmation")
        said = [rate, resolved if isinstance(resolved, bool) else None]
        if rate is None or said == entry["c"]:
            return []
        entry["c"] = said
        answers = {"queue": now.queue, "csat": rate, "resolved": said[1]}
        return [self.context.event("survey.answered", now.at, contact=now.contact, **answers)]

    # Rings

    def _task(self, change: Any, learnt: dict[str, Entry]) -> list[Event]:
        """The ring runs out at a moment known from its start; that it did is seen afterwards."""
        if not self._options.ring_agent or word_at(change, "type") != "UPSERT":
            return []
        contact = name_at(change, "result.conversationId")
        entry = self._remembered.find(contact, learnt)
        events: list[Event] = []
        for ring in items_at(change, "result.ringsDetails"):
            events += self._ring(contact, ring, entry)
        if entry is not None:
            learnt[contact] = entry
        return events

    def _ring(self, contact: str, ring: Any, entry: Entry | None) -> list[Event]:
        state, ring_id = word_at(ring, "ringState"), name_at(ring, "ringId")
        if state == "ACCEPTED":
            if entry is not None:
                entry.pop("r", None)
            return []
        if state != "WAITING":
            raise Unread("ringState", f"should be WAITING or ACCEPTED, not {state[:60]!r}")
        expires = epoch_ms_at(ring, "ringExpirationTs")
        began = expires - whole_at(ring, "ringExpiration")
        events = self._ring_over(contact, began, entry) if entry else []
        if entry is not None:
            entry["r"] = [ring_id, expires]
        agent = self._options.ring_agent
        return [*events, self.context.event("contact.offered", began, contact=contact, agent=agent)]

    def _ring_over(self, contact: str, at: int, entry: Entry) -> list[Event]:
        """At `at` something else happens: the ring had run out by then, or it has ended with it."""
        ring = entry.pop("r", None)
        if ring is None:
            return []
        if ring[1] > at:
            entry["r"] = ring
            return []
        missed = {"contact": contact, "agent": self._options.ring_agent}
        return [self.context.event("contact.declined", ring[1], **missed)] if entry["q"] else []

    # Agents

    def _statuses(self, obj: Any) -> list[Event]:
        events = [self._status(record) for record in items_at(obj, _STATUSES)]
        return [event for event in events if event is not None]

    def _status(self, record: Any) -> Event | None:
        agent, at = name_at(record, "agentId"), iso_at(record, "time")
        type_ = whole_at(record, "statusType")
        if type_ == _LOGIN:
            return None  # the state that it begins with is a record of its own
        if type_ not in (_STATUS, _LOGOUT):
            raise Unread("statusType", f"unknown type {type_}")
        state = "offline" if type_ == _LOGOUT else _SUBTYPES.get(whole_at(record, "statusSubType"))
        if state is None:
            raise Unread("statusSubType", "unknown subtype")
        group = name_or_none(record, "agentGroupId")
        said = {
            "agent": agent,
            "state": state,
            "reason": text_or_none(record, "statusReasonText"),
            "team": None if group == NO_SKILL else group,
        }
        return self.context.event("agent.state", at, **said)

    # What is said

    def _queued(self, now: Conversation, at: int) -> Event:
        said = {"queue": now.queue, "channel": self._options.channel, "customer": now.customer}
        return self.context.event("contact.queued", at, contact=now.contact, **said)

    def _offered(self, now: Conversation, agent: str) -> Event:
        return self.context.event("contact.offered", now.at, contact=now.contact, agent=agent)

    def _answered(self, now: Conversation, agent: str, at: int | None = None) -> Event:
        said = {"agent": agent, "queue": now.queue, "channel": self._options.channel}
        at = now.at if at is None else at
        return self.context.event("contact.answered", at, contact=now.contact, **said)

    def _legs_end(self, contact: str, agents: list[str], at: int, reason: str) -> list[Event]:
        """There is no wrap-up."""
        event, events = self.context.event, []
        for agent in agents:
            of = {"contact": contact, "agent": agent}
            events.append(event("contact.released", at, **of, reason=reason))
            events.append(event("contact.wrapped", at, **of))
        return events


def _kind_of(type_: str) -> str:
    """`cqm.`, `aam.`, `.ams.aam.`: what stands before the name has changed over the years."""
    return type_.rpartition(".")[2]


def _kind(payload: bytes) -> str:
    obj = peek(payload)
    if "stateChanges" in obj:
        return _STATUSES
    type_ = obj.get("type")
    return type_ if isinstance(type_, str) else "?"


SOURCE = Source(
    name="liveperson",
    title="LivePerson Conversational Cloud",
    translator=LivePersonTranslator,
    kind=_kind,
    options=LivePersonOptions,
    payloads=elements_of,
    stateful=True,
)
