"""Contact records: a whole contact after its end, in whole seconds."""

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
from pipeline.sources.platforms.amazon_connect.options import RECORDS, outcome_of
from pipeline.sources.source import Context, Event


class Records:
    """Reads contact records.

    A record comes again when something was added to it. Its moments stay, so that the events of the
    copies are equal ones.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self._options = context.options
        self._waits = self._options.waits == RECORDS
        self._legs = self._options.legs == RECORDS

    def read(self, record: Part) -> list[Event]:
        """The events of one, newest first."""
        initiation = initiation_of(record)
        if initiation == MONITOR:
            return []
        contact = contact_of(record, initiation)
        events = self._recorded(record, contact)
        if self._legs:
            events += self._leg(record, contact, initiation)
        if self._waits:
            events += self._wait(record, contact, initiation)
        return sorted(events, key=_moment, reverse=True)

    def _recorded(self, record: Part, contact: str) -> list[Event]:
        recordings = [*record.parts("Recordings"), record.part("Recording")]
        places = {
            place: None
            for recording in recordings
            if (place := recording.text("Location")) and recording.text("Status") == "AVAILABLE"
        }
        if not places:
            return []
        at = record.at("DisconnectTimestamp")
        event = self._context.event
        return [event("contact.recorded", at, contact=contact, url=place) for place in places]

    def _leg(self, record: Part, contact: str, initiation: str) -> list[Event]:
        agent = record.part("Agent")
        connected = agent.moment("ConnectedToAgentTimestamp")
        if connected is None:
            return []
        started = agent.moment("AfterContactWorkStartTimestamp")
        released = record.at("DisconnectTimestamp") if started is None else started
        ended = agent.moment("AfterContactWorkEndTimestamp")
        who = {"contact": contact, "agent": agent_of(agent.word("ARN"))}
        event = self._context.event
        events = [
            event("contact.wrapped", released if ended is None else ended, **who),
            event("contact.released", released, **who, reason=_transferred(record)),
        ]
        hold = min(agent.seconds("CustomerHoldDuration"), released - connected)
        if hold > 0:
            # How long is told and not when: the hold is put before the release, which ends it.
            events.append(event("contact.held", released - hold, **who))
        queue = queue_in(record.part("Queue"), "ARN")
        channel = channel_of(record, initiation)
        events.append(event("contact.answered", connected, **who, queue=queue, channel=channel))
        return events

    def _wait(self, record: Part, contact: str, initiation: str) -> list[Event]:
        queue = record.part("Queue")
        queued = queue.moment("EnqueueTimestamp")
        if queued is None:
            return []
        events: list[Event] = []
        where = queue_of(queue.word("ARN"))
        if record.part("Agent").moment("ConnectedToAgentTimestamp") is None:
            events += self._unanswered(record, contact, where, initiation)
        channel = channel_of(record, initiation)
        events.append(
            self._context.event(
                "contact.queued",
                queued,
                contact=contact,
                queue=where,
                channel=channel,
                direction=direction_of(channel, initiation),
                customer=record.part("CustomerEndpoint").text("Address"),
            )
        )
        return events

    def _unanswered(
        self, record: Part, contact: str, queue: str | None, initiation: str
    ) -> list[Event]:
        dequeued = record.part("Queue").moment("DequeueTimestamp")
        at = record.at("DisconnectTimestamp") if dequeued is None else dequeued
        outcome = self._outcome(record, initiation)
        left = None if outcome == "abandoned" else outcome
        name = "contact.left" if left else "contact.abandoned"
        return [self._context.event(name, at, contact=contact, queue=queue, reason=left)]

    def _outcome(self, record: Part, initiation: str) -> str:
        reason = record.text("DisconnectReason")
        if record.text("NextContactId") is not None:
            if reason in (None, "TRANSFERRED"):
                return "transfer"
            if channel_of(record, initiation) == "voice":
                # The call has ended and yet goes on as another contact: the caller is called back.
                return "callback"
        return outcome_of(self._options, reason, initiation == CALLBACK)


def _transferred(record: Part) -> str | None:
    moved = record.text("NextContactId") or record.moment("TransferCompletedTimestamp")
    return None if moved is None else "transferred"


def _moment(event: Event) -> int:
    at: int = event["ts"]
    return at
