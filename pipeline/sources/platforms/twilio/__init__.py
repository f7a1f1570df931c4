"""Twilio TaskRouter: event callbacks of a workspace, and Event Streams.

A task is the contact, a reservation its ring and its leg. A task waits in one queue at a time, so
that whatever ends its wait names none: the platform's own naming of the queue that is left differs
from event to event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pipeline.sources.platforms.twilio.messages import Message, attribute, messages
from pipeline.sources.platforms.twilio.options import ACTIVITIES, CHANNELS, REASONS, Options
from pipeline.sources.recent import Recent
from pipeline.sources.source import Context, Event, Source, Translator, Unread
from pipeline.sources.values import shown

UNTOLD = frozenset(
    {
        "activity.created",
        "activity.updated",
        "activity.deleted",
        "reservation.rescinded",
        "reservation.failed",
        "task.created",
        "task.updated",
        "task.wrapup",
        "task.completed",
        "task.transfer-attempt-failed",
        "task-channel.created",
        "task-channel.updated",
        "task-channel.deleted",
        "task-queue.created",
        "task-queue.deleted",
        "task-queue.expression.updated",
        "task-queue.expression-updated",
        "worker.capacity.update",
        "worker.channel.availability.update",
        "workflow.created",
        "workflow.updated",
        "workflow.deleted",
        "workflow.target-matched",
        "workflow.entered",
        "workflow.timeout",
        "workflow.skipped",
        "workflow.rejected",
        "workspace.created",
        "workspace.updated",
        "workspace.deleted",
    }
)
"""Kinds that are understood and say nothing here; the page of the source gives the reasons."""

_WAITING = frozenset({"pending", "reserved"})


class Twilio(Translator):
    """Reads both ways in which TaskRouter tells.

    What is remembered are reservations that a transfer ended: what ends them afterwards does not
    say why.
    """

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        self._options: Options = context.options
        self._reasons = REASONS | {
            reason.casefold(): outcome for reason, outcome in self._options.canceled_reasons.items()
        }
        self._released = Recent()
        self._handed_over = Recent()
        self._readers: dict[str, Callable[[Message, int], list[Event]]] = {
            "task-queue.entered": self._entered,
            "task-queue.moved": self._moved,
            "task-queue.timeout": self._timed_out,
            "task.canceled": self._canceled,
            "task.deleted": self._deleted,
            "task.system-deleted": self._timed_out_if_waiting,
            "task.transfer-initiated": self._transfer_initiated,
            "task.transfer-completed": self._transfer_completed,
            "task.transfer-failed": self._transfer_ended,
            "task.transfer-canceled": self._transfer_ended,
            "reservation.created": self._offered,
            "reservation.accepted": self._accepted,
            "reservation.rejected": self._rejected,
            "reservation.timeout": self._missed,
            "reservation.canceled": self._reservation_canceled,
            "reservation.wrapup": self._wrapping,
            "reservation.completed": self._completed,
            "worker.created": self._activity,
            "worker.activity.update": self._activity,
            "worker.attributes.update": self._attributes,
            "worker.deleted": self._worker_deleted,
        }

    @property
    def kinds(self) -> frozenset[str]:
        """The kinds that say something here."""
        return frozenset(self._readers)

    def translate(self, payload: bytes) -> list[Event]:
        """The events of a payload; of an array of CloudEvents those of all that can be read.

        An array is refused only if nothing in it can be read: it holds events of many tasks, and
        one of a kind unheard of must not hide the others.
        """
        told = messages(payload)
        events: list[Event] = []
        odd: list[Unread] = []
        for message in told:
            if isinstance(message, Unread):
                odd.append(message)
                continue
            try:
                events += self._read(message)
            except Unread as error:
                odd.append(error)
        if odd and len(odd) == len(told):
            raise odd[0]
        return events

    def memory(self) -> Any:
        """The reservations that a transfer ended, and those that one will end."""
        released, handed_over = self._released.memory(), self._handed_over.memory()
        return None if not (released or handed_over) else [released, handed_over]

    def recall(self, memory: Any) -> None:
        """Take up what an earlier translator remembered."""
        released, handed_over = memory or (None, None)
        self._released.recall(released)
        self._handed_over.recall(handed_over)

    def _read(self, message: Message) -> list[Event]:
        reader = self._readers.get(message.kind)
        if reader is not None:
            return reader(message, message.at())
        if message.kind in UNTOLD:
            return []
        raise Unread(message.named_in, f"unknown event type {shown(message.kind)}")

    def _contact(self, message: Message) -> str:
        if self._options.contact_attribute:
            attributes = message.attributes("task_attributes")
            found = attribute(attributes, self._options.contact_attribute)
            if found is not None:
                return found
        return message.sid("task_sid")

    # Waiting

    def _entered(self, message: Message, at: int) -> list[Event]:
        return [self._queued(message, at, message.sid("task_queue_sid"))]

    def _queued(self, message: Message, at: int, queue: str) -> Event:
        attributes = message.attributes("task_attributes")
        outbound = attributes.get("direction") == "outbound"
        options = self._options
        places = options.outbound_attributes if outbound else options.customer_attributes
        found = (attribute(attributes, place) for place in places)
        return self.context.event(
            "contact.queued",
            at,
            contact=self._contact(message),
            queue=queue,
            channel=self._channel(message),
            direction="outbound" if outbound else "inbound",
            customer=next((customer for customer in found if customer), None),
            priority=message.whole("task_priority"),
        )

    def _channel(self, message: Message) -> str:
        name = message.text("task_channel_unique_name") or ""
        told: str | None = self._options.channels.get(name)
        return told or CHANNELS.get(name.casefold(), "task")

    def _left(self, message: Message, at: int, reason: str) -> list[Event]:
        contact = self._contact(message)
        if reason == "abandoned":
            return [self.context.event("contact.abandoned", at, contact=contact)]
        return [self.context.event("contact.left", at, contact=contact, reason=reason)]

    def _moved(self, message: Message, at: int) -> list[Event]:
        return self._left(message, at, "overflow")

    def _timed_out(self, message: Message, at: int) -> list[Event]:
        return self._left(message, at, "timeout")

    def _canceled(self, message: Message, at: int) -> list[Event]:
        reason = message.text("task_canceled_reason") or message.text("reason") or ""
        return self._left(message, at, self._reasons.get(reason.casefold(), "other"))

    def _deleted(self, message: Message, at: int) -> list[Event]:
        waits = message.text("task_assignment_status") in _WAITING
        return self._left(message, at, "other") if waits else []

    def _timed_out_if_waiting(self, message: Message, at: int) -> list[Event]:
        waits = message.text("task_assignment_status") in _WAITING
        return self._left(message, at, "timeout") if waits else []

    # Transfers

    def _transfer_initiated(self, message: Message, at: int) -> list[Event]:
        events: list[Event] = []
        cold = message.text("transfer_mode") == "COLD"
        if cold:
            events.append(
                self.context.event(
                    "contact.released",
                    at,
                    contact=self._contact(message),
                    agent=message.sid("transfer_initiating_worker_sid"),
                    reason="transferred",
                )
            )
        if message.text("transfer_type") == "QUEUE":
            events.append(self._queued(message, at, message.sid("transfer_to")))
        if cold:
            # A cold transfer is left at once; the wrap-up that follows tells it a second time.
            self._released.add(message.sid("transfer_initiating_reservation_sid"), at)
        return events

    def _transfer_completed(self, message: Message, at: int) -> list[Event]:
        if message.text("transfer_mode") == "WARM":
            # Both may go on talking: the first agent's part ends with the own reservation.
            self._handed_over.add(message.sid("transfer_initiating_reservation_sid"), at)
        return []

    def _transfer_ended(self, message: Message, at: int) -> list[Event]:
        if message.text("transfer_type") != "QUEUE":
            return []
        reason = (message.text("transfer_failed_reason") or "").casefold()
        return self._left(message, at, self._reasons.get(reason, "other"))

    # Reservations

    def _of_worker(self, name: str, message: Message, at: int, reason: str | None = None) -> Event:
        return self.context.event(
            name,
            at,
            contact=self._contact(message),
            agent=message.sid("worker_sid"),
            reason=reason,
        )

    def _offered(self, message: Message, at: int) -> list[Event]:
        if message.text("transfer_type") == "WORKER":
            # Straight to a colleague: the task waits in no queue that could be rung from.
            return []
        return [self._of_worker("contact.offered", message, at)]

    def _accepted(self, message: Message, at: int) -> list[Event]:
        return [
            self.context.event(
                "contact.answered",
                at,
                contact=self._contact(message),
                agent=message.sid("worker_sid"),
                queue=message.text("task_queue_sid"),
                channel=self._channel(message),
            )
        ]

    def _rejected(self, message: Message, at: int) -> list[Event]:
        return [self._of_worker("contact.declined", message, at, "rejected")]

    def _missed(self, message: Message, at: int) -> list[Event]:
        return [self._of_worker("contact.declined", message, at, "no_answer")]

    def _reservation_canceled(self, message: Message, at: int) -> list[Event]:
        if message.text("task_assignment_status") != "pending":
            # The task itself was canceled, and the ring ends with its wait. A task that is reserved
            # may be one whose caller hangs up at this moment.
            return []
        return self._missed(message, at)

    def _wrapping(self, message: Message, at: int) -> list[Event]:
        reservation = message.sid("reservation_sid")
        if reservation in self._released:
            return []
        reason = "transferred" if reservation in self._handed_over else None
        return [self._of_worker("contact.released", message, at, reason)]

    def _completed(self, message: Message, at: int) -> list[Event]:
        return [self._of_worker("contact.wrapped", message, at)]

    # Workers

    def _activity(self, message: Message, at: int) -> list[Event]:
        activity = message.text("worker_activity_name")
        if activity is None:
            raise Unread(message.path("worker_activity_name"), "is required")
        state = self._state(message, activity)
        return [
            self.context.event(
                "agent.state",
                at,
                agent=message.sid("worker_sid"),
                state=state,
                reason=None if state in ("available", "offline") else activity,
                team=self._team(message),
            )
        ]

    def _state(self, message: Message, activity: str) -> str:
        available = message.flag("worker_available")
        told: str | None = self._options.activities.get(activity)
        if told is not None:
            return told
        named = ACTIVITIES.get(activity.casefold(), "not_ready")
        if available is None:
            return named
        if available:
            return "available"
        return "not_ready" if named == "available" else named

    def _team(self, message: Message) -> str | None:
        place = self._options.team_attribute
        return attribute(message.attributes("worker_attributes"), place) if place else None

    def _attributes(self, message: Message, at: int) -> list[Event]:
        team = self._team(message)
        if team is None:
            return []
        return [self.context.event("agent.profile", at, agent=message.sid("worker_sid"), team=team)]

    def _worker_deleted(self, message: Message, at: int) -> list[Event]:
        agent = message.sid("worker_sid")
        return [self.context.event("agent.state", at, agent=agent, state="offline")]


def _kind(payload: bytes) -> str:
    try:
        told = messages(payload)
    except Unread:
        return "unreadable"
    if not told:
        return "empty array"
    return "unreadable" if isinstance(told[0], Unread) else told[0].kind[:60]


SOURCE = Source(
    name="twilio",
    title="Twilio TaskRouter",
    translator=Twilio,
    kind=_kind,
    options=Options,
    stateful=True,
)
