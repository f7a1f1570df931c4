"""Contact events: the detail of what EventBridge brings under "Amazon Connect Contact Event"."""

from __future__ import annotations

from pipeline.sources.platforms.amazon_connect.fields import (
    CALLBACK,
    MONITOR,
    Part,
    agent_of,
    channel_of,
    contact_of,
    direction_of,
    initiation_of,
    queue_in,
    queue_of,
)
from pipeline.sources.platforms.amazon_connect.options import CONTACT_EVENTS, outcome_of
from pipeline.sources.recent import Recent
from pipeline.sources.source import Context, Event
from pipeline.sources.values import shown

KINDS = frozenset(
    {
        "INITIATED",
        "CONNECTED_TO_SYSTEM",
        "CONTACT_DATA_UPDATED",
        "QUEUED",
        "CONNECTED_TO_AGENT",
        "DISCONNECTED",
        "PAUSED",
        "RESUMED",
        "COMPLETED",
        "AMD_DISABLED",
        "WEBRTC_API",
    }
)
_NOT_OF_LEGS = frozenset({"INITIATED", "QUEUED", "DISCONNECTED"})
# How a contact goes on as the next one of its chain, and what its wait ends by.
_GOES_ON = {"TRANSFER": "transfer", "QUEUE_TRANSFER": "transfer", CALLBACK: "callback"}


class ContactEvents:
    """Reads contact events.

    `moved` remembers the contacts that went on as another one, and `ended` the queues of those
    whose wait has ended: either may come first.
    """

    def __init__(self, context: Context, moved: Recent, ended: Recent) -> None:
        self._context = context
        self._options = context.options
        self._moved = moved
        self._ended = ended
        self._waits = self._options.waits == CONTACT_EVENTS
        self._legs = self._options.legs == CONTACT_EVENTS

    def read(self, detail: Part, envelope: Part) -> list[Event]:
        """The events of one; its envelope may be the detail itself."""
        kind = detail.word("eventType")
        if kind not in KINDS:
            raise detail.refuse("eventType", f"unknown event type {shown(kind)}")
        if not self._legs and kind not in _NOT_OF_LEGS:
            return []
        initiation = initiation_of(detail)
        if initiation == MONITOR:
            # A supervisor who listens: no leg of the customer's.
            return []
        contact = contact_of(detail, initiation)
        if kind == "INITIATED":
            return self._initiated(detail, initiation)
        events: list[Event] = []
        if kind == "QUEUED":
            events = self._queued(detail, contact, initiation) if self._waits else []
        elif kind == "DISCONNECTED":
            events = self._disconnected(detail, contact, initiation)
        elif self._legs:
            events = self._leg(kind, detail, contact, initiation, envelope)
        return events

    def _initiated(self, detail: Part, initiation: str) -> list[Event]:
        previous = detail.id_or_none("previousContactId")
        reason = _GOES_ON.get(initiation)
        if previous is None or reason is None:
            return []
        at = detail.at("initiationTimestamp")
        events: list[Event] = []
        ended = self._ended.get(previous)
        if ended is not None and at < ended[0]:
            # The end came first, with a reason of its own. It is later, and this one stands.
            chain = detail.text("initialContactId") or previous
            events.append(self._left(at, chain, ended[1], reason))
        self._moved.add(previous, at, reason)
        return events

    def _left(self, at: int, contact: str, queue: str, reason: str) -> Event:
        return self._context.event("contact.left", at, contact=contact, queue=queue, reason=reason)

    def _queued(self, detail: Part, contact: str, initiation: str) -> list[Event]:
        queue = detail.part("queueInfo")
        channel = channel_of(detail, initiation)
        event = self._context.event(
            "contact.queued",
            queue.at("enqueueTimestamp"),
            contact=contact,
            queue=queue_of(queue.word("queueArn")),
            channel=channel,
            direction=direction_of(channel, initiation),
            customer=detail.part("customerEndpoint").text("address"),
        )
        return [event]

    def _disconnected(self, detail: Part, contact: str, initiation: str) -> list[Event]:
        agent = detail.part("agentInfo")
        at = detail.at("disconnectTimestamp")
        # Read before anything is remembered, as it may be refused.
        previous = detail.id_or_none("previousContactId")
        events: list[Event] = []
        if agent.moment("connectedToAgentTimestamp") is None:
            if self._waits:
                events = self._unanswered(detail, contact, initiation, at)
        elif self._legs:
            events = self._released(detail, contact, agent, at)
        if initiation == "TRANSFER" and previous is not None:
            # Who was asked or brought in is gone again: if the first agent still talks, what was
            # begun as a transfer was a consultation or a conference.
            self._moved.drop(previous)
        return events

    def _released(self, detail: Part, contact: str, agent: Part, at: int) -> list[Event]:
        event = self._context.event
        who = {"contact": contact, "agent": agent_of(agent.word("agentArn"))}
        reason = "transferred" if detail.word("contactId") in self._moved else None
        events = [event("contact.released", at, **who, reason=reason)]
        hold = min(
            agent.seconds("agentInitiatedHoldDuration"),
            at - agent.at("connectedToAgentTimestamp"),
        )
        if hold > 0:
            # How long is told and not when: the hold is put before the release, which ends it.
            events.append(event("contact.held", at - hold, **who))
        return events

    def _unanswered(self, detail: Part, contact: str, initiation: str, at: int) -> list[Event]:
        info = detail.part("queueInfo")
        if info.moment("enqueueTimestamp") is None:
            return []
        own, queue = detail.word("contactId"), queue_of(info.word("queueArn"))
        moved = self._moved.get(own)
        if moved is not None:
            event = self._left(min(at, moved[0]), contact, queue, moved[1])
        else:
            outcome = outcome_of(
                self._options, detail.text("disconnectReason"), initiation == CALLBACK
            )
            if outcome == "abandoned":
                event = self._context.event("contact.abandoned", at, contact=contact, queue=queue)
            else:
                event = self._left(at, contact, queue, outcome)
        self._ended.add(own, at, queue)
        return [event]

    def _leg(
        self, kind: str, detail: Part, contact: str, initiation: str, envelope: Part
    ) -> list[Event]:
        agent = detail.part("agentInfo")
        connected = agent.moment("connectedToAgentTimestamp")
        if connected is None:
            return []
        event = self._context.event
        who = agent_of(agent.word("agentArn"))
        if kind == "CONNECTED_TO_AGENT":
            queue = queue_in(detail.part("queueInfo"), "queueArn")
            channel = channel_of(detail, initiation)
            return [
                event(
                    "contact.answered",
                    connected,
                    contact=contact,
                    agent=who,
                    queue=queue,
                    channel=channel,
                )
            ]
        if kind == "COMPLETED":
            # Without wrap-up it has the data of DISCONNECTED.
            at = agent.moment("afterContactWorkEndTimestamp")
            ended = detail.at("disconnectTimestamp") if at is None else at
            return [event("contact.wrapped", ended, contact=contact, agent=who)]
        if kind in ("PAUSED", "RESUMED"):
            time = envelope.moment("time")
            if time is None:
                raise envelope.refuse("time", "is required: a pause has no time of its own")
            name = "contact.held" if kind == "PAUSED" else "contact.resumed"
            return [event(name, time, contact=contact, agent=who)]
        return []
