"""Zendesk event webhooks: `zen:event-type:ticket.*` and `zen:event-type:agent.*`.

A ticket waits in its group until an agent is assigned to it. It is the agent's until it is solved,
pending, on hold, or somebody else's. Zendesk does not promise an order, so of tickets nothing is
remembered: each event says what it means by itself, from its `previous` and `current` and from the
ticket. Of agents the statuses by channel are, see `statuses`.

The ticket's own `updated_at` is the time, whole seconds: it is the same in all events of one
action (assign, reply and solve in one submit), while the times of their envelopes differ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from pipeline.sources.platforms.zendesk.options import ZendeskOptions
from pipeline.sources.platforms.zendesk.statuses import Statuses
from pipeline.sources.platforms.zendesk.words import (
    CHANNELS,
    OUTBOUND,
    SILENT_AGENT,
    SILENT_DOMAINS,
    SILENT_TICKET,
    STATES,
    TICKET_WORK,
)
from pipeline.sources.source import Context, Event, Source, Translator, Unread, elements_of
from pipeline.sources.values import (
    customer_or_none,
    find,
    iso_at,
    iso_or_none,
    load,
    name_at,
    name_or_none,
    peek,
    text_or_none,
    word_at,
)
from schemas.events import Channel, PlatformState

_PREFIX = "zen:event-type:"
_WORKED = frozenset({"NEW", "OPEN"})
_PAUSED = frozenset({"PENDING", "HOLD"})
_DONE = frozenset({"SOLVED", "CLOSED"})
_KNOWN = _WORKED | _PAUSED | _DONE
_REMOVALS = frozenset({"marked_as_spam", "soft_deleted", "merged"})
"""What is gone may have a status of its own."""


class _Ticket(NamedTuple):
    """A ticket as an event describes it. `status` is in capitals."""

    contact: str
    at: int
    queue: str
    agent: str | None
    status: str
    via: str
    customer: str | None


class ZendeskTranslator(Translator):
    """Events of one account, in any order."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        options: ZendeskOptions = context.options
        self._options = options
        self._channels = {**CHANNELS, **options.channels}
        self._statuses = {name.lower(): state for name, state in options.statuses.items()}
        self._by_channel = Statuses()
        self._csat = {score.lower(): csat for score, csat in options.csat.items()}
        self._ticket_kinds: dict[str, Callable[[Any, _Ticket], list[Event]]] = {
            "created": self._created,
            "agent_assignment_changed": self._reassigned,
            "group_assignment_changed": self._regrouped,
            "status_changed": self._status_changed,
            "comment_added": self._commented,
            "csat_received": self._rated,
            "marked_as_spam": self._removed,
            "soft_deleted": self._removed,
            "merged": self._merged,
        }

    def translate(self, payload: bytes) -> list[Event]:
        """See `Translator`."""
        obj = load(payload)
        type_ = word_at(obj, "type")
        domain, _, kind = type_.removeprefix(_PREFIX).partition(".")
        if type_.startswith(_PREFIX) and kind:
            if domain == "ticket" and (tell := self._ticket_kinds.get(kind)):
                ticket = self._ticket(obj)
                if ticket.status not in _KNOWN and kind not in _REMOVALS:
                    raise Unread("detail.status", f"unknown status {ticket.status[:60]!r}")
                return tell(obj, ticket)
            if domain == "agent" and kind not in SILENT_AGENT:
                return self._agent(kind, obj, type_)
            if domain in SILENT_DOMAINS or kind in (
                SILENT_TICKET if domain == "ticket" else SILENT_AGENT
            ):
                return []
        raise Unread("type", f"unknown kind {type_[:60]!r}")

    def memory(self) -> Any:
        """The statuses of agents by channel."""
        return self._by_channel.memory()

    def recall(self, memory: Any) -> None:
        """Take up what was remembered."""
        self._by_channel.recall(memory)

    # Tickets

    def _ticket(self, obj: Any) -> _Ticket:
        detail = find(obj, "detail")
        at, requester = iso_or_none(detail, "updated_at"), customer_or_none(detail, "requester_id")
        return _Ticket(
            contact=name_at(detail, "id"),
            at=iso_at(obj, "time") if at is None else at,
            queue=_id(detail, "group_id") or self._options.no_group,
            agent=_id(detail, "assignee_id"),
            status=word_at(detail, "status").upper(),
            via=text_or_none(detail, "via.channel") or "",
            customer=None if requester == "0" else requester,
        )

    def _created(self, obj: Any, ticket: _Ticket) -> list[Event]:
        if ticket.status in _DONE:
            return [self._resolved(ticket, True)]
        if ticket.status in _PAUSED:
            return []
        at = iso_or_none(obj, "detail.created_at")
        created = ticket if at is None else ticket._replace(at=at)
        events = [self._queued(created)]
        if created.agent is not None:
            events += self._taken(created, created.agent)
        return events

    def _reassigned(self, obj: Any, ticket: _Ticket) -> list[Event]:
        before, agent = _id(obj, "event.previous"), _id(obj, "event.current")
        events: list[Event] = []
        if before is not None:
            events += self._leg_ends(ticket, before, "transferred")
        if agent is None:
            return events + ([self._queued(ticket)] if ticket.status in _WORKED else [])
        if ticket.status in _WORKED:
            events += self._taken(ticket, agent)
        elif ticket.status in _PAUSED and self._holds:
            events += [*self._taken(ticket, agent), *self._held(ticket, agent, "held")]
        elif before is None:
            # Taken, answered and solved in one submit: it waited until now and is done now.
            events += self._taken(ticket, agent, at_once=True)
        return events

    def _regrouped(self, obj: Any, ticket: _Ticket) -> list[Event]:
        """A ticket that waits goes on waiting in the other group."""
        if ticket.agent is not None or ticket.status not in _WORKED:
            return []
        before = _id(obj, "event.previous") or self._options.no_group
        if before == ticket.queue:
            return []
        return [self._left(ticket, before, "transfer"), self._queued(ticket)]

    def _status_changed(self, obj: Any, ticket: _Ticket) -> list[Event]:
        before = word_at(obj, "event.previous").upper()
        now = word_at(obj, "event.current").upper()
        for path, status in (("event.previous", before), ("event.current", now)):
            if status not in _KNOWN:
                raise Unread(path, f"unknown status {status[:60]!r}")
        if now in _DONE:
            return self._done(ticket, before)
        if now in _PAUSED:
            return self._paused(ticket) if before in _WORKED else []
        if now == "OPEN" and before not in _WORKED:
            reopened = [self._resolved(ticket, False)] if before in _DONE else []
            return [*self._goes_on(ticket, before), *reopened]
        return []

    def _done(self, ticket: _Ticket, before: str) -> list[Event]:
        if before in _DONE:
            return []
        resolved = self._resolved(ticket, True)
        if before in _PAUSED and (ticket.agent is None or not self._holds):
            return [resolved]
        if ticket.agent is None:
            return [self._unanswered(ticket), resolved]
        return [*self._leg_ends(ticket, ticket.agent, "completed"), resolved]

    def _unanswered(self, ticket: _Ticket) -> Event:
        if self._channel(ticket) not in self._options.given_up:
            return self._left(ticket, ticket.queue, "other")
        of = {"contact": ticket.contact, "queue": ticket.queue}
        return self.context.event("contact.abandoned", ticket.at, **of)

    def _paused(self, ticket: _Ticket) -> list[Event]:
        if ticket.agent is None:
            return [self._left(ticket, ticket.queue, "other")]
        if self._holds:
            return self._held(ticket, ticket.agent, "held")
        return self._leg_ends(ticket, ticket.agent, "completed")

    def _goes_on(self, ticket: _Ticket, before: str) -> list[Event]:
        if ticket.agent is None:
            return [self._queued(ticket)]
        if self._answer_only(ticket):
            return []
        if before in _PAUSED and self._holds:
            return self._held(ticket, ticket.agent, "resumed")
        return self._taken(ticket, ticket.agent)

    def _commented(self, obj: Any, ticket: _Ticket) -> list[Event]:
        """A public reply to a ticket that nobody is assigned to ends its wait, no more."""
        staff = find(obj, "event.comment.author.is_staff") is True
        public = find(obj, "event.comment.is_public") is True
        if not (staff and public and ticket.agent is None):
            return []
        agent = name_at(obj, "event.comment.author.id")
        return self._taken(ticket, agent, at_once=True)

    def _rated(self, obj: Any, ticket: _Ticket) -> list[Event]:
        score = name_at(obj, "event.satisfaction_score.score").lower()
        csat = self._csat.get(score)
        if csat is None and score in ("offered", "unoffered"):
            return []
        if csat is None and len(score) == 1 and score in "12345":
            csat = int(score)
        if csat is None:
            raise Unread("event.satisfaction_score.score", f"{score[:60]!r} is not in option csat")
        said = {"queue": ticket.queue, "csat": csat}
        return [self.context.event("survey.answered", ticket.at, contact=ticket.contact, **said)]

    def _removed(self, _: Any, ticket: _Ticket) -> list[Event]:
        return self._gone(ticket, "other")

    def _merged(self, _: Any, ticket: _Ticket) -> list[Event]:
        return self._gone(ticket, "answered_elsewhere")

    def _gone(self, ticket: _Ticket, reason: str) -> list[Event]:
        if ticket.agent is None:
            return [self._left(ticket, ticket.queue, reason)]
        return self._leg_ends(ticket, ticket.agent, "completed")

    # Agents

    def _agent(self, kind: str, obj: Any, type_: str) -> list[Event]:
        if kind == "unified_state_changed":
            return self._unified(obj)
        if kind == "state_changed":
            return self._channel_state(obj)
        if kind in ("work_item_added", "work_item_updated", "work_item_removed"):
            return self._work_item(obj)
        raise Unread("type", f"unknown kind {type_[:60]!r}")

    def _unified(self, obj: Any) -> list[Event]:
        if self._options.status_of not in ("auto", "unified"):
            return []
        name = word_at(obj, "event.new_unified_state.name")
        event = self._state(obj, self._state_of(name), name)
        if self._options.status_of == "auto":
            self._by_channel.unify(event["ts"])
        return [event]

    def _channel_state(self, obj: Any) -> list[Event]:
        channel, name = word_at(obj, "event.channel"), word_at(obj, "event.new_state")
        if self._options.status_of != "auto":
            counts = channel == self._options.status_of
            return [self._state(obj, self._state_of(name), name)] if counts else []
        if len(channel) > _LONGEST_CHANNEL:
            raise Unread("event.channel", f"{channel[:60]!r} is no channel")
        agent, at = name_at(obj, _AGENT), iso_at(obj, "event.updated_at")
        best = self._by_channel.best(agent, channel, at, self._state_of(name))
        if best is None:
            return []
        state, channels = best
        event = self._state(obj, state, name if state == self._state_of(name) else "")
        self._by_channel.keep(agent, channels)
        return [event]

    def _state_of(self, name: str) -> PlatformState:
        return self._statuses.get(name.lower()) or STATES.get(name.lower()) or "not_ready"

    def _state(self, obj: Any, state: PlatformState, name: str) -> Event:
        said = {
            "agent": name_at(obj, _AGENT),
            "state": state,
            "reason": None if name.lower() in ("", "online", "offline") else name,
        }
        return self.context.event("agent.state", iso_at(obj, "event.updated_at"), **said)

    def _work_item(self, obj: Any) -> list[Event]:
        reason = text_or_none(obj, "event.reason")
        if reason not in ("OFFERED", "OFFER_MISSED"):
            return []
        if text_or_none(obj, "event.channel") not in TICKET_WORK:
            return []
        of = {"contact": name_at(obj, "event.work_item_id"), "agent": name_at(obj, _AGENT)}
        # To the second, as tickets are: a ring must not come after the answer to it.
        at = iso_at(obj, "event.updated_at") // 1000 * 1000
        name = "contact.offered" if reason == "OFFERED" else "contact.declined"
        return [self.context.event(name, at, **of)]

    # What is said

    @property
    def _holds(self) -> bool:
        return self._options.pending == "hold"

    def _answer_only(self, ticket: _Ticket) -> bool:
        return self._channel(ticket) in self._options.answer_only

    def _channel(self, ticket: _Ticket) -> Channel:
        return self._channels.get(ticket.via, "task")

    def _queued(self, ticket: _Ticket) -> Event:
        said = {
            "queue": ticket.queue,
            "channel": self._channel(ticket),
            "direction": "outbound" if ticket.via in OUTBOUND else None,
            "customer": ticket.customer,
        }
        return self.context.event("contact.queued", ticket.at, contact=ticket.contact, **said)

    def _taken(self, ticket: _Ticket, agent: str, *, at_once: bool = False) -> list[Event]:
        """An agent has it now; `at_once` is also done with it."""
        said = {"agent": agent, "queue": ticket.queue, "channel": self._channel(ticket)}
        answered = self.context.event("contact.answered", ticket.at, contact=ticket.contact, **said)
        if at_once or self._answer_only(ticket):
            return [answered, *self._ended(ticket, agent, "completed")]
        return [answered]

    def _held(self, ticket: _Ticket, agent: str, kind: str) -> list[Event]:
        if self._answer_only(ticket):
            return []
        return [self._leg(f"contact.{kind}", ticket, agent)]

    def _left(self, ticket: _Ticket, queue: str, reason: str) -> Event:
        said = {"contact": ticket.contact, "queue": queue, "reason": reason}
        return self.context.event("contact.left", ticket.at, **said)

    def _leg(self, name: str, ticket: _Ticket, agent: str, **more: str) -> Event:
        return self.context.event(name, ticket.at, contact=ticket.contact, agent=agent, **more)

    def _leg_ends(self, ticket: _Ticket, agent: str, reason: str) -> list[Event]:
        return [] if self._answer_only(ticket) else self._ended(ticket, agent, reason)

    def _ended(self, ticket: _Ticket, agent: str, reason: str) -> list[Event]:
        """There is no wrap-up."""
        return [
            self._leg("contact.released", ticket, agent, reason=reason),
            self._leg("contact.wrapped", ticket, agent),
        ]

    def _resolved(self, ticket: _Ticket, resolved: bool) -> Event:
        said = {"contact": ticket.contact, "customer": ticket.customer, "resolved": resolved}
        return self.context.event("contact.resolved", ticket.at, **said)


_LONGEST_CHANNEL = 40
_AGENT = "detail.agent_id"


def _id(obj: Any, path: str) -> str | None:
    """An id; nobody and no group are null, empty or 0, by the field."""
    found = name_or_none(obj, path)
    return None if found == "0" else found


def _kind(payload: bytes) -> str:
    type_ = peek(payload).get("type")
    return type_ if isinstance(type_, str) else "?"


SOURCE = Source(
    name="zendesk",
    title="Zendesk",
    translator=ZendeskTranslator,
    kind=_kind,
    options=ZendeskOptions,
    payloads=elements_of,
    stateful=True,
)
