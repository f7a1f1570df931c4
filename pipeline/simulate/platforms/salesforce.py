"""Writes happenings as Salesforce's change events, in the shape of the Streaming API.

Times are whole seconds. Omni-Channel knows assignments, work that waits, presence and the work
after a conversation; not holds. An agent's presence does not change with the work at hand. Work
that leaves a queue unanswered is deleted from the waiting ones, whatever the reason.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import orjson

from pipeline.simulate.happenings import Happening, Kind, Status

_ITEM_PREFIX = {"voice": "0LQ", "chat": "570", "email": "500", "callback": "00T"}
_SENTIMENT_SPAN = 5


@dataclass(slots=True)
class _Pending:
    id: str
    item: str
    group: str
    asked: int
    pushed: bool = False


@dataclass(slots=True)
class _Work:
    id: str
    item: str
    group: str | None
    asked: int
    accepted: int = 0
    released: int = 0
    status: str = "Assigned"


@dataclass(slots=True)
class _Presence:
    id: str
    status: str
    since: int


@dataclass(slots=True)
class SalesforceWriter:
    """One org."""

    _serial: int = 0
    _commit: int = 74_487_681_550
    _items: dict[str, str] = field(default_factory=dict)
    _pending: dict[str, _Pending] = field(default_factory=dict)
    _works: dict[tuple[str, str], _Work] = field(default_factory=dict)
    _ringing: dict[str, tuple[str, str]] = field(default_factory=dict)
    _presence: dict[str, _Presence] = field(default_factory=dict)

    def payloads(self, happening: Happening) -> list[bytes]:
        """The change events of one happening, each a JSON object."""
        self._commit += 7
        told = _TELL.get(happening.kind)
        if told is None:
            return []
        changes = enumerate(told(self, happening), 1)
        return [orjson.dumps(self._event(one, happening.at, number)) for number, one in changes]

    def status(self, happening: Happening) -> list[Any]:
        """A presence ends and another begins; being busy is none of its own."""
        assert happening.agent is not None
        agent, now = f"005{happening.agent.id}", _second(happening.at)
        status = _status_id(happening)
        current = self._presence.get(agent)
        if (current.status if current else "") == status:
            return []
        changes = []
        if current:
            ended = {"IsCurrentState": False, "StatusEndDate": _iso(now), **_modified(now)}
            ended["StatusDuration"] = (now - current.since) // 1000
            changes.append(("UserServicePresence", current.id, "UPDATE", ended))
            del self._presence[agent]
        if status:
            fresh = self._presence[agent] = _Presence(self._id("0N5"), status, now)
            begun = {
                "OwnerId": agent, "UserId": agent, "ServicePresenceStatusId": status,
                "IsAway": happening.note == Status.AWAY, "IsCurrentState": True,
                "StatusStartDate": _iso(now), "ConfiguredCapacity": 6, **_created(now),
            }  # fmt: skip
            changes.append(("UserServicePresence", fresh.id, "CREATE", begun))
        return changes

    def enqueued(self, happening: Happening) -> list[Any]:
        """Work begins to wait."""
        assert happening.contact is not None
        contact, now = happening.contact.id, _second(happening.at)
        item = self._item(contact, happening.note)
        pending = _Pending(self._id("0JR"), item, happening.queue, now)
        self._pending[contact] = pending
        fields = {
            "WorkItemId": item, "GroupId": pending.group, "QueueId": pending.group,
            "IsPushed": False, "IsReadyForRouting": True, "RoutingType": "QueueBased",
            **_created(now),
        }  # fmt: skip
        return [("PendingServiceRouting", pending.id, "CREATE", fields)]

    def ringing(self, happening: Happening) -> list[Any]:
        """An assignment is made and pushed to the agent."""
        assert happening.contact is not None
        assert happening.agent is not None
        contact, now = happening.contact.id, _second(happening.at)
        pending = self._pending[contact]
        work = _Work(self._id("0Bz"), pending.item, pending.group, pending.asked)
        key = (contact, happening.agent.id)
        self._works[key], self._ringing[contact] = work, key
        pending.pushed = True
        fields = self._assigned(work, happening.agent.id, now)
        fields |= {"PendingServiceRoutingId": pending.id, "RequestDateTime": _iso(work.asked)}
        return [
            ("AgentWork", work.id, "CREATE", fields),
            ("PendingServiceRouting", pending.id, "UPDATE", {"IsPushed": True, **_modified(now)}),
        ]

    def missed(self, happening: Happening) -> list[Any]:
        """The agent declined, or the push timed out: the work waits on."""
        assert happening.contact is not None
        assert happening.agent is not None
        contact, now = happening.contact.id, _second(happening.at)
        pending = self._pending[contact]
        pending.pushed = False
        work = self._works.pop(self._ringing.pop(contact))
        if happening.kind is Kind.REFUSED:
            fields = {"Status": "Declined", "DeclineDateTime": _iso(now)}
        else:
            fields = {"Status": "DeclinedOnPushTimeout", "PushTimeoutDateTime": _iso(now)}
        return [
            ("AgentWork", work.id, "UPDATE", {**fields, **_modified(now)}),
            ("PendingServiceRouting", pending.id, "UPDATE", {"IsPushed": False, **_modified(now)}),
        ]

    def connected(self, happening: Happening) -> list[Any]:
        """The agent accepts; work that goes from agent to agent never waits."""
        assert happening.contact is not None
        assert happening.agent is not None
        contact, agent = happening.contact.id, happening.agent.id
        now, changes = _second(happening.at), list[Any]()
        if happening.facts:
            work = _Work(self._id("0Bz"), self._item(contact, happening.note), None, now)
            self._works[contact, agent] = work
            changes.append(("AgentWork", work.id, "CREATE", self._assigned(work, agent, now)))
        else:
            work = self._works[self._ringing.pop(contact)]
        work.accepted, work.status = now, "Opened"
        fields = {
            "Status": "Opened", "AcceptDateTime": _iso(now),
            "SpeedToAnswer": (now - work.asked) // 1000, **_modified(now),
        }  # fmt: skip
        changes.append(("AgentWork", work.id, "UPDATE", fields))
        if not happening.facts:
            changes.append(("PendingServiceRouting", self._pending.pop(contact).id, "DELETE", {}))
        return changes

    def hung_up(self, happening: Happening) -> list[Any]:
        """Nothing is told before the agent has finished."""
        assert happening.contact is not None
        assert happening.agent is not None
        work = self._works[happening.contact.id, happening.agent.id]
        work.released = happening.at
        work.status = "Transferred" if happening.note == "transferred" else "Closed"
        return []

    def wrapped_up(self, happening: Happening) -> list[Any]:
        """The assignment closes, with how long the work afterwards took."""
        assert happening.contact is not None
        assert happening.agent is not None
        work = self._works.pop((happening.contact.id, happening.agent.id))
        now = _second(happening.at)
        fields = {
            "Status": work.status, "CloseDateTime": _iso(now),
            "HandleTime": (now - work.accepted) // 1000,
            "AfterConversationActualTime": (happening.at - work.released) // 1000,
            **_modified(now),
        }  # fmt: skip
        return [("AgentWork", work.id, "UPDATE", fields)]

    def gone(self, happening: Happening) -> list[Any]:
        """The work is not needed any more: the customer, or the routing, took it away."""
        assert happening.contact is not None
        contact, now = happening.contact.id, _second(happening.at)
        changes: list[Any] = []
        if contact in self._ringing:
            work = self._works.pop(self._ringing.pop(contact))
            canceled = {"Status": "Canceled", "CancelDateTime": _iso(now), **_modified(now)}
            changes.append(("AgentWork", work.id, "UPDATE", canceled))
        changes.append(("PendingServiceRouting", self._pending.pop(contact).id, "DELETE", {}))
        return changes

    def resolved(self, happening: Happening) -> list[Any]:
        """A case is written, closed at once where all is settled."""
        assert happening.contact is not None
        assert happening.facts is not None
        now, closed = _second(happening.at), bool(happening.facts["resolved"])
        fields = {
            "Status": "Closed" if closed else "New", "IsClosed": closed, "Origin": "Phone",
            "ContactId": happening.facts["customer"] or None,
            "ClosedDate": _iso(now) if closed else None,
            "Work_Item__c": self._items[happening.contact.id], **_created(now),
        }  # fmt: skip
        return [("Case", self._id("500"), "CREATE", fields)]

    def judged(self, happening: Happening) -> list[Any]:
        """The sentiment of a call; other work has none."""
        assert happening.contact is not None
        assert happening.facts is not None
        item, now = self._items[happening.contact.id], _second(happening.at)
        if not item.startswith(_ITEM_PREFIX["voice"]):
            return []
        score = happening.facts["score"] * _SENTIMENT_SPAN
        fields = {"CallEndDateTime": _iso(now), "CustomerSentimentScore": score, **_modified(now)}
        return [("VoiceCall", item, "UPDATE", fields)]

    def _assigned(self, work: _Work, agent: str, now: int) -> dict[str, Any]:
        return {
            "WorkItemId": work.item, "UserId": f"005{agent}", "OwnerId": f"005{agent}",
            "OriginalGroupId": work.group, "OriginalQueueId": work.group, "Status": "Assigned",
            "AssignedDateTime": _iso(now), "CapacityModel": "StatusBased", "CapacityWeight": 1,
            "ServiceChannelId": f"0N9{work.item[:3]}", **_created(now),
        }  # fmt: skip

    def _item(self, contact: str, channel: str) -> str:
        return self._items.setdefault(contact, f"{_ITEM_PREFIX[channel]}{contact}")

    def _id(self, prefix: str) -> str:
        self._serial += 1
        return f"{prefix}{self._serial:012d}AAA"

    def _event(self, change: Any, at: int, number: int) -> dict[str, Any]:
        entity, record_id, kind, fields = change
        header = {
            "commitNumber": self._commit, "commitUser": "005000000000001AAA",
            "sequenceNumber": number, "entityName": entity, "changeType": kind,
            "changedFields": list(fields) if kind == "UPDATE" else [], "changeOrigin": "",
            "transactionKey": f"{self._commit:08x}", "commitTimestamp": _second(at),
            "recordIds": [record_id],
        }  # fmt: skip
        return {
            "schema": "I8b-dYxvxs5wOtCBr4qsew",
            "payload": {**fields, "ChangeEventHeader": header},
            "event": {"replayId": self._commit * 10 + number},
        }


def _second(at: int) -> int:
    return at - at % 1000


def _iso(ms: int) -> str:
    moment = datetime.fromtimestamp(ms / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.000Z")


def _created(now: int) -> dict[str, Any]:
    return {"CreatedDate": _iso(now), "LastModifiedDate": _iso(now)}


def _modified(now: int) -> dict[str, Any]:
    return {"LastModifiedDate": _iso(now)}


def _status_id(happening: Happening) -> str:
    if happening.note == Status.SIGNED_OUT:
        return ""
    if happening.note == Status.AWAY:
        return f"0N6{(happening.facts or {}).get('reason', 'away')}"
    return "0N6online"


_TELL: dict[Kind, Callable[[SalesforceWriter, Happening], list[Any]]] = {
    Kind.STATUS: SalesforceWriter.status,
    Kind.ENQUEUED: SalesforceWriter.enqueued,
    Kind.RINGING: SalesforceWriter.ringing,
    Kind.MISSED: SalesforceWriter.missed,
    Kind.REFUSED: SalesforceWriter.missed,
    Kind.CONNECTED: SalesforceWriter.connected,
    Kind.HUNG_UP: SalesforceWriter.hung_up,
    Kind.WRAPPED_UP: SalesforceWriter.wrapped_up,
    Kind.GAVE_UP: SalesforceWriter.gone,
    Kind.LEFT: SalesforceWriter.gone,
    Kind.RESOLVED: SalesforceWriter.resolved,
    Kind.JUDGED: SalesforceWriter.judged,
}


def WRITER(site: str) -> SalesforceWriter:  # noqa: N802  # the name that writers are found by
    """A writer; an org names no site."""
    return SalesforceWriter()
