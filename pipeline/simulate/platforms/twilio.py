"""The simulated centre as Twilio TaskRouter tells it, in the CloudEvents of Event Streams.

Written from the events reference. TaskRouter knows no hold. What the centre's application decides
(a callback, voicemail) reaches TaskRouter as a task that is canceled with a reason of the
application's own, and a callback is a task of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from pipeline.simulate.happenings import Happening, Kind, Status
from pipeline.simulate.people import Agent, Contact
from pipeline.simulate.platforms import Writer

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_ACCOUNT = "AC00000000000000000000000000000001"
_WORKSPACE = "WS00000000000000000000000000000001"
_WORKFLOW = "WW00000000000000000000000000000001"
_TASK_CHANNELS = {"voice": "voice", "callback": "callback", "chat": "chat", "email": "email"}
_REMEMBERED = 5_000

Json = dict[str, Any]


@dataclass(slots=True)
class _Task:
    """A task: where it waits, its pending reservation, and who talks in it."""

    sid: str
    contact: Contact
    channel: str
    created: int
    queue: str = ""
    entered: int = 0
    ring: Json | None = None
    reservations: int = 0
    legs: dict[str, str] = field(default_factory=dict)
    leaving: list[Happening] = field(default_factory=list)
    called_back: bool = False


class TwilioWriter:
    """Says what happened at one site."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._serial = 0
        self._tasks: dict[str, _Task] = {}
        self._activities: dict[str, tuple[str, int]] = {}
        self._tellers: dict[Kind, Callable[[Happening], Iterator[Json]]] = {
            Kind.HIRED: self._hired,
            Kind.STATUS: self._status,
            Kind.ENQUEUED: self._enqueued,
            Kind.RINGING: self._ringing,
            Kind.MISSED: self._missed,
            Kind.REFUSED: self._missed,
            Kind.CONNECTED: self._connected,
            Kind.HUNG_UP: self._hung_up,
            Kind.WRAPPED_UP: self._wrapped_up,
            Kind.GAVE_UP: self._gave_up,
            Kind.LEFT: self._left,
        }

    def payloads(self, happening: Happening) -> Iterator[bytes]:
        """What TaskRouter says of it."""
        teller = self._tellers.get(happening.kind)
        if teller is not None:
            yield from map(orjson.dumps, teller(happening))

    # Workers

    def _hired(self, happening: Happening) -> Iterator[Json]:
        agent = happening.agent
        assert agent is not None
        # A worker exists before it signs in, which the centre does in one moment.
        created = happening.at - 1_000
        self._activities[agent.id] = ("Offline", created)
        yield self._event("worker.created", created, self._worker(agent, "Offline"))

    def _status(self, happening: Happening) -> Iterator[Json]:
        agent, at = happening.agent, happening.at
        assert agent is not None
        activity = "Available"
        if happening.note == Status.SIGNED_OUT:
            activity = "Offline"
        elif happening.note == Status.AWAY:
            # An activity does not change because of a task.
            activity = str((happening.facts or {})["reason"])
        before, since = self._activities.get(agent.id, ("Offline", at))
        if activity == before:
            return
        self._activities[agent.id] = (activity, at)
        yield self._event(
            "worker.activity.update",
            at,
            self._worker(agent, activity),
            worker_previous_activity_name=before,
            worker_previous_activity_sid=f"WA-{before}",
            worker_time_in_previous_activity=(at - since) // 1000,
            worker_time_in_previous_activity_ms=at - since,
        )

    def _worker(self, agent: Agent, activity: str = "") -> Json:
        activity = activity or self._activities.get(agent.id, ("Offline", 0))[0]
        return {
            "worker_sid": agent.id,
            "worker_name": f"worker {agent.id}",
            "worker_attributes": orjson.dumps({"team_name": agent.team.id}).decode(),
            "worker_activity_sid": f"WA-{activity}",
            "worker_activity_name": activity,
            "worker_available": activity == "Available",
        }

    # Tasks

    def _enqueued(self, happening: Happening) -> Iterator[Json]:
        contact, at = happening.contact, happening.at
        assert contact is not None
        task = self._tasks.get(contact.id)
        if task is not None and task.leaving:
            yield from self._transfer(task, at, "QUEUE", happening.queue)
            return
        if task is None or task.called_back:
            task = self._create(contact, happening.note, at, again=task is not None)
            yield self._event("task.created", at, self._of(task, "pending", at))
            yield self._event("workflow.entered", at, self._of(task, "pending", at))
        task.queue, task.entered = happening.queue, at
        yield self._event("workflow.target-matched", at, self._of(task, "pending", at))
        yield self._event("task-queue.entered", at, self._of(task, "pending", at))

    def _create(self, contact: Contact, channel: str, at: int, again: bool) -> _Task:
        sid = f"WT{contact.id}{'-callback' if again else ''}"
        task = self._tasks[contact.id] = _Task(
            sid, contact, _TASK_CHANNELS.get(channel, "default"), at
        )
        if len(self._tasks) > _REMEMBERED:
            for old in list(self._tasks)[:-_REMEMBERED]:
                if not (self._tasks[old].legs or self._tasks[old].entered):
                    del self._tasks[old]
        return task

    def _gave_up(self, happening: Happening) -> Iterator[Json]:
        yield from self._cancel(happening, "hangup")

    def _left(self, happening: Happening) -> Iterator[Json]:
        assert happening.contact is not None
        task = self._tasks[happening.contact.id]
        if happening.note == "overflow":
            yield from self._take_back(task, happening.at, "pending")
            yield self._event("task-queue.moved", happening.at, self._of(task, "pending"))
        elif happening.note == "timeout":
            yield from self._cancel(happening, "Task canceled on Workflow timeout")
        else:
            task.called_back = happening.note == "callback"
            yield from self._cancel(happening, f"the caller wants {happening.note}")

    def _cancel(self, happening: Happening, reason: str) -> Iterator[Json]:
        assert happening.contact is not None
        task, at = self._tasks[happening.contact.id], happening.at
        yield from self._take_back(task, at, "canceled")
        fields = self._of(task, "canceled", at)
        yield self._event("task.canceled", at, fields, task_canceled_reason=reason, reason=reason)
        task.entered = 0

    def _take_back(self, task: _Task, at: int, status: str) -> Iterator[Json]:
        if task.ring is None:
            return
        ring, task.ring = task.ring, None
        if status == "canceled":
            yield self._event("reservation.canceled", at, self._of(task, status, at), **ring)
        else:
            # Of a task that moves on while it rings, the reservation is withdrawn.
            yield self._event("reservation.rescinded", at, self._of(task, status, at), **ring)

    # Reservations

    def _reserve(self, task: _Task, agent: Agent) -> Json:
        task.reservations += 1
        return {"reservation_sid": f"WR{task.sid}-{task.reservations}", **self._worker(agent)}

    def _ringing(self, happening: Happening) -> Iterator[Json]:
        assert happening.contact is not None
        assert happening.agent is not None
        task, at = self._tasks[happening.contact.id], happening.at
        task.ring = self._reserve(task, happening.agent)
        yield self._event("reservation.created", at, self._of(task, "reserved", at), **task.ring)

    def _missed(self, happening: Happening) -> Iterator[Json]:
        assert happening.contact is not None
        task, at = self._tasks[happening.contact.id], happening.at
        ring, task.ring = task.ring, None
        assert ring is not None
        name = "rejected" if happening.kind is Kind.REFUSED else "timeout"
        yield self._event(f"reservation.{name}", at, self._of(task, "pending", at), **ring)

    def _connected(self, happening: Happening) -> Iterator[Json]:
        agent, contact, at = happening.agent, happening.contact, happening.at
        assert agent is not None
        assert contact is not None
        task = self._tasks[contact.id]
        if (happening.facts or {}).get("direct"):
            transfer = yield from self._hand_to(task, agent, at)
            task.queue = happening.queue
            task.ring = self._reserve(task, agent) | transfer
            fields = self._of(task, "reserved", at)
            yield self._event("reservation.created", at, fields, **task.ring)
        ring, task.ring = task.ring, None
        assert ring is not None
        task.legs[agent.id] = str(ring["reservation_sid"])
        yield self._event("reservation.accepted", at, self._of(task, "assigned", at), **ring)
        task.entered = 0

    def _hand_to(self, task: _Task, agent: Agent, at: int) -> Generator[Json, None, Json]:
        """A transfer straight to a worker: what its reservation says of it."""
        if task.leaving:
            yield from self._transfer(task, at, "WORKER", agent.id)
            return {"transfer_type": "WORKER", "transfer_mode": "COLD"}
        initiator, reservation = next(iter(task.legs.items()))
        yield self._event(
            "task.transfer-initiated",
            at,
            self._of(task, "assigned", at),
            **self._transfer_fields("WORKER", "WARM", agent.id, initiator, reservation),
        )
        return {"transfer_type": "WORKER", "transfer_mode": "WARM"}

    def _hung_up(self, happening: Happening) -> Iterator[Json]:
        assert happening.contact is not None
        task = self._tasks[happening.contact.id]
        if happening.note == "transferred":
            # Where to is known a moment later, and the transfer is told before the wrap-up.
            task.leaving.append(happening)
        else:
            yield self._ended("reservation.wrapup", task, happening)

    def _wrapped_up(self, happening: Happening) -> Iterator[Json]:
        assert happening.contact is not None
        task = self._tasks[happening.contact.id]
        if task.leaving:
            task.leaving.append(happening)
        else:
            yield from self._finish(task, happening)

    def _finish(self, task: _Task, happening: Happening) -> Iterator[Json]:
        assert happening.agent is not None
        yield self._ended("reservation.completed", task, happening)
        del task.legs[happening.agent.id]
        if not task.legs and not task.entered:
            fields = self._of(task, "completed", happening.at)
            yield self._event("task.completed", happening.at, fields)

    def _ended(self, name: str, task: _Task, happening: Happening) -> Json:
        agent = happening.agent
        assert agent is not None
        fields = self._of(task, "wrapping", happening.at) | self._worker(agent)
        return self._event(name, happening.at, fields, reservation_sid=task.legs[agent.id])

    def _transfer(self, task: _Task, at: int, kind: str, to: str) -> Iterator[Json]:
        """A cold transfer: the task goes on, the first worker wraps up."""
        leaving, task.leaving = task.leaving, []
        agent = leaving[0].agent
        assert agent is not None
        if kind == "QUEUE":
            task.queue, task.entered = to, at
        yield self._event(
            "task.transfer-initiated",
            at,
            self._of(task, "transferring", at),
            **self._transfer_fields(kind, "COLD", to, agent.id, task.legs[agent.id]),
        )
        for happening in leaving:
            if happening.kind is Kind.HUNG_UP:
                yield self._ended("reservation.wrapup", task, happening)
            else:
                yield from self._finish(task, happening)

    def _transfer_fields(self, kind: str, mode: str, to: str, worker: str, own: str) -> Json:
        return {
            "task_transfer_sid": f"TT{own}",
            "transfer_type": kind,
            "transfer_mode": mode,
            "transfer_to": to,
            "transfer_status": "INITIATED",
            "transfer_initiating_worker_sid": worker,
            "transfer_initiating_reservation_sid": own,
        }

    # The envelope

    def _of(self, task: _Task, status: str, at: int | None = None) -> Json:
        told = {"direction": "outbound" if task.contact.outbound else "inbound"}
        if task.contact.customer:
            told["to" if task.contact.outbound else "from"] = task.contact.customer
        fields: Json = {
            "task_sid": task.sid,
            "task_attributes": orjson.dumps(told).decode(),
            "task_date_created": _iso(task.created),
            "task_priority": task.contact.priority,
            "task_assignment_status": status,
            "task_channel_unique_name": task.channel,
            "workflow_sid": _WORKFLOW,
            "workflow_name": "everything",
        }
        if at is not None:
            fields["task_age"] = (at - task.created) // 1000
        if task.queue:
            fields |= {
                "task_queue_sid": task.queue,
                "task_queue_name": task.queue,
                "task_queue_entered_date": _iso(task.entered or task.created),
            }
        return fields

    def _event(self, kind: str, at: int, fields: Json, **more: Any) -> Json:
        self._serial += 1
        group = kind.split(".", 1)[0]
        payload = {
            "sid": f"EV{self._site}-{self._serial}",
            "eventtype": kind,
            "account_sid": _ACCOUNT,
            "timestamp": _iso(at),
            "workspace_sid": _WORKSPACE,
            "workspace_name": self._site,
            **fields,
            **more,
        }
        return {
            "specversion": "1.0",
            "type": f"com.twilio.taskrouter.{kind}",
            "source": _WORKSPACE,
            "id": payload["sid"],
            "dataschema": "https://events-schemas.twilio.com/TaskRouter.WDSEvent/4",
            "datacontenttype": "application/json",
            "time": _iso(at),
            "data": {
                "group": group,
                "level": "INFO",
                "name": kind,
                "payload": payload,
                "payload_type": "application/json",
                "product_name": "TaskRouter",
                "timestamp": _iso(at),
            },
        }


def _iso(at: int) -> str:
    text = (_EPOCH + timedelta(milliseconds=at)).isoformat(timespec="milliseconds")
    return f"{text[:-6]}Z"


WRITER: Callable[[str], Writer] = TwilioWriter
