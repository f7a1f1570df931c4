"""The agent event stream: what an agent's snapshot says that the one before it did not."""

from __future__ import annotations

from typing import Any

from pipeline.sources.platforms.amazon_connect.fields import (
    MONITOR,
    Part,
    agent_of,
    channel_of,
    contact_of,
    direction_of,
    initiation_of,
    is_outward,
    queue_in,
    queue_of,
)
from pipeline.sources.platforms.amazon_connect.options import AGENT_EVENTS
from pipeline.sources.recent import Recent
from pipeline.sources.source import Context, Event, Unread
from pipeline.sources.values import shown, whole

KINDS = frozenset({"STATE_CHANGE", "HEART_BEAT", "LOGIN", "LOGOUT"})
STATES = frozenset(
    {
        "INCOMING",
        "PENDING",
        "CONNECTING",
        "CONNECTED",
        "CONNECTED_ONHOLD",
        "PAUSED",
        "MISSED",
        "REJECTED",
        "ERROR",
        "ENDED",
    }
)
_RINGS = frozenset({"INCOMING", "CONNECTING"})
_BEFORE_TALK = frozenset({"INCOMING", "PENDING", "CONNECTING"})
_HOLDS = frozenset({"CONNECTED_ONHOLD", "PAUSED"})
_TALKS = _HOLDS | {"CONNECTED"}
_AFTER = frozenset({"ENDED", "ERROR"})
_DECLINES = {"MISSED": "no_answer", "REJECTED": "rejected"}
_BY_TYPE = {"ROUTABLE": "available", "CUSTOM": "not_ready", "OFFLINE": "offline"}
# Early versions of the stream have no type, and these two statuses cannot be renamed.
_BY_NAME = {"Available": "available", "Offline": "offline"}


class AgentEvents:
    """Reads agent events. `moved` has the contacts that went on as another one.

    A snapshot tells of all contacts of an agent. One that cannot be read, such as one in a state of
    a name unheard of, says nothing, and the others are taken. If they say nothing new, the payload
    is refused.
    """

    def __init__(self, context: Context, moved: Recent) -> None:
        self._context = context
        self._options = context.options
        self._moved = moved
        self._waits = self._options.waits == AGENT_EVENTS
        self._legs = self._options.legs == AGENT_EVENTS

    def read(self, told: Part) -> list[Event]:
        """The events of one."""
        kind = told.word("EventType")
        if kind not in KINDS:
            raise told.refuse("EventType", f"unknown event type {shown(kind)}")
        if kind == "HEART_BEAT":
            # Says again what holds, also for an hour after the agent went home.
            return []
        agent = agent_of(told.word("AgentARN"))
        at = told.at("EventTimestamp")
        now, before = told.part("CurrentAgentSnapshot"), told.part("PreviousAgentSnapshot")
        odd: list[Unread] = []
        events = self._profile(agent, at, kind, now, before)
        events += self._status(agent, at, kind, now, before, odd)
        events += self._contacts(agent, at, now, before, odd)
        if odd and not events:
            raise odd[0]
        return events

    # The agent

    def _status(
        self, agent: str, at: int, kind: str, now: Part, before: Part, odd: list[Unread]
    ) -> list[Event]:
        if kind == "LOGOUT":
            return [self._context.event("agent.state", at, agent=agent, state="offline")]
        if kind != "LOGIN" and now.get("AgentStatus") == before.get("AgentStatus"):
            return []
        status, old = now.part("AgentStatus"), before.part("AgentStatus")
        name = status.text("Name")
        if name is None:
            return []
        since = status.at("StartTimestamp")
        if kind == "LOGIN":
            # The status may be days old; from the login on it is true of this agent.
            since = at
        elif name == old.text("Name") and since == old.moment("StartTimestamp"):
            return []
        state = self._state(status, name)
        if state is None:
            odd.append(status.refuse("Type", f"unknown type {shown(status.text('Type'))}"))
            return []
        if kind == "LOGIN" and state == "offline":
            # Who was offline still is; a status that follows at once would have no order with it.
            return []
        return [
            self._context.event(
                "agent.state",
                since,
                agent=agent,
                state=state,
                reason=None if state in ("available", "offline") else name,
                team=self._team(now),
            )
        ]

    def _state(self, status: Part, name: str) -> str | None:
        kind = status.text("Type")
        told: str | None = self._options.statuses.get(name)
        if told is not None:
            return told
        if kind is None:
            return _BY_NAME.get(name, "not_ready")
        return _BY_TYPE.get(kind)

    def _team(self, snapshot: Part) -> str | None:
        team = self._options.team
        if team == "none":
            return None
        configuration = snapshot.part("Configuration")
        if team == "routing-profile":
            return configuration.part("RoutingProfile").text("Name")
        groups = configuration.part("AgentHierarchyGroups")
        return groups.part(f"Level{team[-1]}").text("Name")

    def _profile(self, agent: str, at: int, kind: str, now: Part, before: Part) -> list[Event]:
        if now.get("Configuration") is None or kind == "LOGOUT":
            return []
        if kind != "LOGIN" and (
            now.get("Configuration") == before.get("Configuration")
            or self._set_up(now) == self._set_up(before)
        ):
            return []
        routing = now.part("Configuration").part("RoutingProfile")
        queues = [queue_of(queue.word("ARN")) for queue in routing.parts("InboundQueues")]
        return [
            self._context.event(
                "agent.profile",
                at,
                agent=agent,
                team=self._team(now),
                queues=queues,
                capacity=_capacity(routing),
            )
        ]

    def _set_up(self, snapshot: Part) -> tuple[Any, ...]:
        routing = snapshot.part("Configuration").part("RoutingProfile")
        return self._team(snapshot), routing.get("InboundQueues"), _capacity(routing)

    # Contacts

    def _contacts(
        self, agent: str, at: int, now: Part, before: Part, odd: list[Unread]
    ) -> list[Event]:
        if now.get("Contacts") == before.get("Contacts"):
            return []
        held = {contact.word("ContactId"): contact for contact in now.parts("Contacts")}
        old = {contact.word("ContactId"): contact for contact in before.parts("Contacts")}
        events: list[Event] = []
        for native, contact in held.items():
            try:
                events += self._contact(agent, contact, old.get(native))
            except Unread as error:
                odd.append(error)
        if self._legs:
            for native, was in old.items():
                if native not in held and initiation_of(was) != MONITOR:
                    events += self._gone(agent, at, was)
        return events

    def _contact(self, agent: str, contact: Part, before: Part | None) -> list[Event]:
        state = contact.word("State")
        was = "" if before is None else before.word("State")
        if state == was or initiation_of(contact) == MONITOR:
            return []
        if state not in STATES:
            raise contact.refuse("State", f"unknown state {shown(state)}")
        return self._changed(agent, contact, state, was)

    def _changed(self, agent: str, contact: Part, state: str, was: str) -> list[Event]:
        initiation = initiation_of(contact)
        since = contact.at("StateStartTimestamp")
        who = {"contact": contact_of(contact, initiation), "agent": agent}
        events: list[Event] = []
        if self._waits and not was and not is_outward(initiation):
            events += self._queued(contact, who["contact"], initiation)
        if not is_outward(initiation):
            if state in _RINGS and was not in _BEFORE_TALK:
                events.append(self._context.event("contact.offered", since, **who))
            elif state in _DECLINES:
                reason = _DECLINES[state]
                events.append(self._context.event("contact.declined", since, **who, reason=reason))
        if self._legs:
            events += self._leg(contact, state, was, since, who)
        # Newest first: who waited or talked longer than lateness allows is known by what is new.
        return sorted(events, key=_moment, reverse=True)

    def _queued(self, contact: Part, chain: str, initiation: str) -> list[Event]:
        queued = contact.moment("QueueTimestamp")
        queue = queue_in(contact.part("Queue"), "ARN")
        if queued is None or queue is None:
            return []
        channel = channel_of(contact, initiation)
        return [
            self._context.event(
                "contact.queued",
                queued,
                contact=chain,
                queue=queue,
                channel=channel,
                direction=direction_of(channel, initiation),
            )
        ]

    def _leg(
        self, contact: Part, state: str, was: str, since: int, who: dict[str, str]
    ) -> list[Event]:
        connected = contact.moment("ConnectedToAgentTimestamp")
        if connected is None and state == "CONNECTED":
            connected = since
        if state not in _TALKS | _AFTER or not (
            was in _TALKS or connected is not None or _untold(contact, state)
        ):
            return []
        event = self._context.event
        events: list[Event] = []
        if was not in _TALKS | _AFTER and connected is not None:
            channel = channel_of(contact, initiation_of(contact))
            queue = queue_in(contact.part("Queue"), "ARN")
            events.append(event("contact.answered", connected, **who, queue=queue, channel=channel))
        if state in _HOLDS and was not in _HOLDS:
            events.append(event("contact.held", since, **who))
        elif state == "CONNECTED" and (was in _HOLDS or (was and was not in STATES)):
            events.append(event("contact.resumed", since, **who))
        elif state in _AFTER and was not in _AFTER:
            events.append(event("contact.released", since, **who, reason=self._reason(contact)))
        return events

    def _gone(self, agent: str, at: int, was: Part) -> list[Event]:
        initiation = initiation_of(was)
        state = was.word("State")
        connected = was.moment("ConnectedToAgentTimestamp") is not None
        if state in STATES - _TALKS - _AFTER or not (
            state in _TALKS or connected or _untold(was, state)
        ):
            return []
        who = {"contact": contact_of(was, initiation), "agent": agent}
        events: list[Event] = []
        if state not in _AFTER:
            reason = self._reason(was)
            events.append(self._context.event("contact.released", at, **who, reason=reason))
        events.append(self._context.event("contact.wrapped", at, **who))
        return events

    def _reason(self, contact: Part) -> str | None:
        return "transferred" if contact.word("ContactId") in self._moved else None


def _untold(contact: Part, state: str) -> bool:
    """Whether wrap-up is told and not when the talk began: whoever wraps up has talked."""
    return state == "ENDED" and not contact.has("ConnectedToAgentTimestamp")


def _moment(event: Event) -> int:
    at: int = event["ts"]
    return at


def _capacity(routing: Part) -> int | None:
    """The most contacts of one channel at a time."""
    slots = (concurrency.get("MaximumSlots") for concurrency in routing.parts("Concurrency"))
    return max((whole(told, "MaximumSlots") for told in slots if told is not None), default=None)
