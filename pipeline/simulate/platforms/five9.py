"""The simulated centre as a Five9 domain: frames of the supervisor WebSocket, rows of the Call Log.

The WebSocket tells states of agents as they change and how many calls wait, nothing of single
calls. A row comes when an agent's part in a call is over, or the call has left the queue without
one: whole seconds, sums only, no missed rings. Every contact is a call here. A colleague who is
called into a call has a row without a skill.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import orjson

from pipeline.simulate.happenings import Happening, Kind, Status

Item = dict[str, Any]

_REASONS = {"break": "367541", "lunch": "367542", "no_answer": "367543", "rejected": "367544"}
_SINCE = {
    "ACW": "afterCallWorkState",
    "LOGGED_OUT": "loggedOutState",
    "NOT_READY": "notReadyState",
    "ON_CALL": "onCallState",
    "READY": "readyState",
}
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
_LEFT = {"voicemail": "Sent To Voicemail", "callback": "Queue Callback Requested"}


class _Call:
    """What the platform keeps of a call's stay in a skill and with an agent."""

    def __init__(self, skill: str, kind: str, start: int) -> None:
        self.skill = skill
        self.kind = kind
        self.start = start
        self.ring_since = 0
        self.answered = 0
        self.held_since = 0
        self.hold = 0
        self.holds = 0
        self.released = 0
        self.transfers = 0


class Five9Writer:
    """Says what happened at one site as Five9 would."""

    def __init__(self, site: str) -> None:
        self._tenant = site
        self._serial = 0
        self._met = False
        self._states: dict[str, str] = {}
        self._rings: dict[str, set[str]] = {}
        self._queues = Counter[str]()
        self._waiting: dict[str, _Call] = {}
        self._legs: dict[tuple[str, str], _Call] = {}
        self._write: dict[Kind, Callable[[Happening], list[bytes]]] = {
            Kind.STATUS: self._status,
            Kind.ENQUEUED: self._enqueued,
            Kind.RINGING: self._ringing,
            Kind.MISSED: self._missed,
            Kind.REFUSED: self._missed,
            Kind.CONNECTED: self._connected,
            Kind.HELD: self._held,
            Kind.RETRIEVED: self._retrieved,
            Kind.HUNG_UP: self._hung_up,
            Kind.WRAPPED_UP: self._wrapped_up,
            Kind.GAVE_UP: self._wait_over,
            Kind.LEFT: self._wait_over,
        }

    def payloads(self, happening: Happening) -> Iterable[bytes]:
        """The frames and rows for a happening."""
        write = self._write.get(happening.kind)
        out = self._greeting(happening.at)
        return out if write is None else [*out, *write(happening)]

    # Frames

    def _greeting(self, at: int) -> list[bytes]:
        if self._met:
            return []
        self._met = True
        return [
            self._frame("1010", "Successful WebSocket Connection", at, None),
            self._frame("5000", "UPDATED", at, [{"dataSource": "AGENT_STATE", "data": []}]),
        ]

    def _status(self, happening: Happening) -> list[bytes]:
        reason = (happening.facts or {}).get("reason", "")
        state = {
            Status.READY.value: "READY",
            Status.ENGAGED.value: "ON_CALL",
            Status.AFTER_CALL.value: "ACW",
            Status.AWAY.value: "NOT_READY",
            Status.SIGNED_OUT.value: "LOGGED_OUT",
        }[happening.note]
        return [self._agent_state(_agent(happening), state, happening.at, reason)]

    def _agent_state(self, user: str, state: str, at: int, reason: str = "") -> bytes:
        part = "updated" if user in self._states else "added"
        self._states[user] = state
        parts: dict[str, list[Item]] = {"added": [], "updated": [], "removed": []}
        parts[part] = [_agent_item(user, state, at, _REASONS.get(reason, "0"))]
        return self._frame("5012", "UPDATED", at, [{"dataSource": "AGENT_STATE", **parts}])

    def _acd_status(self, skill: str, at: int) -> bytes:
        item = {
            "id": skill,
            "callsInQueue": self._queues[skill],
            "callbacksInQueue": 0,
            "voicemailsInQueue": 0,
            "voicemailsInProgress": 0,
            "voicemailsTotal": 0,
            "agentsActive": 0,
            "agentsLoggedIn": 0,
            "agentsInQueue": 0,
            "agentsOnCall": 0,
            "agentsNotReadyForCalls": 0,
            "longestQueueTime": 0,
            "currentLongestQueueTime": 0,
            "vivrCallsInQueue": 0,
        }
        data = {"dataSource": "ACD_STATUS", "added": [], "updated": [item], "removed": []}
        return self._frame("5012", "UPDATED", at, [data])

    def _frame(self, event: str, reason: str, at: int, data: list[Item] | None) -> bytes:
        self._serial += 1
        context = {
            "eventId": event,
            "eventReason": reason,
            "messageId": f"{self._serial}:3:4:5:149:1115",
            "userId": None,
            "correlationId": None,
            "userName": None,
            "timeStamp": at,
            "tenantId": self._tenant,
            "broadCast": event == "5012",
        }
        return orjson.dumps({"context": context, "payLoad": data})

    # Calls

    def _enqueued(self, happening: Happening) -> list[bytes]:
        assert happening.contact is not None
        kind = "Queue Callback" if happening.contact.outbound else "Inbound"
        self._waiting[happening.contact.id] = _Call(happening.queue, kind, happening.at)
        self._queues[happening.queue] += 1
        return [self._acd_status(happening.queue, happening.at)]

    def _ringing(self, happening: Happening) -> list[bytes]:
        user, contact = _agent(happening), _contact(happening)
        self._waiting[contact].ring_since = happening.at
        self._rings.setdefault(user, set()).add(contact)
        if self._states.get(user) != "READY":
            return []
        return [self._agent_state(user, "RINGING", happening.at)]

    def _missed(self, happening: Happening) -> list[bytes]:
        """Nothing tells a missed ring but the state that follows, not ready."""
        contact = _contact(happening)
        self._waiting[contact].ring_since = 0
        self._rings[_agent(happening)].discard(contact)
        return []

    def _wait_over(self, happening: Happening) -> list[bytes]:
        contact = _contact(happening)
        call = self._waiting.pop(contact)
        self._queues[call.skill] -= 1
        out = [self._acd_status(call.skill, happening.at)]
        for user, rings in self._rings.items():
            if contact in rings:
                rings.discard(contact)
                if not rings and self._states[user] == "RINGING":
                    out.append(self._agent_state(user, "READY", happening.at))
        abandoned = happening.kind is Kind.GAVE_UP
        disposition = "Abandon" if abandoned else _LEFT.get(happening.note, "Overflow")
        call.answered = call.released = happening.at
        row = self._row(happening, call, "[None]", disposition, happening.at)
        return [*out, orjson.dumps(row | {"ABANDONED": 1 if abandoned else 0})]

    def _connected(self, happening: Happening) -> list[bytes]:
        user, contact = _agent(happening), _contact(happening)
        if happening.facts:
            self._legs[contact, user] = _Call("[None]", "Inbound", happening.at)
            self._legs[contact, user].answered = happening.at
            return []
        call = self._legs[contact, user] = self._waiting.pop(contact)
        call.answered = happening.at
        self._rings[user].discard(contact)
        self._queues[call.skill] -= 1
        return [self._acd_status(call.skill, happening.at)]

    def _held(self, happening: Happening) -> list[bytes]:
        call = self._legs[_contact(happening), _agent(happening)]
        call.held_since = happening.at
        call.holds += 1
        return []

    def _retrieved(self, happening: Happening) -> list[bytes]:
        call = self._legs[_contact(happening), _agent(happening)]
        call.hold += happening.at - call.held_since
        call.held_since = 0
        return []

    def _hung_up(self, happening: Happening) -> list[bytes]:
        call = self._legs[_contact(happening), _agent(happening)]
        call.released = happening.at
        if call.held_since:
            call.hold += happening.at - call.held_since
        call.transfers = happening.note == "transferred"
        return []

    def _wrapped_up(self, happening: Happening) -> list[bytes]:
        user = _agent(happening)
        call = self._legs.pop((_contact(happening), user))
        row = self._row(happening, call, user, happening.note, happening.at)
        return [orjson.dumps(row | {"ABANDONED": 0})]

    def _row(
        self, happening: Happening, call: _Call, agent: str, disposition: str, wrapped: int
    ) -> Item:
        assert happening.contact is not None
        number, own = happening.contact.customer or "", "5550100"
        back = call.kind == "Queue Callback"
        ring = call.ring_since or call.answered
        return {
            "CALL ID": happening.contact.id,
            "TIMESTAMP": _timestamp(call.start),
            "CAMPAIGN": "Support",
            "SKILL": call.skill,
            "CALL TYPE": call.kind,
            "AGENT": agent,
            "AGENT NAME": "",
            "DISPOSITION": disposition,
            "ANI": own if back else number,
            "CUSTOMER NAME": "",
            "DNIS": number if back else own,
            "CALL TIME": _clock(call.released - call.start),
            "BILL TIME (ROUNDED)": _clock(call.released - call.start),
            "COST": 0,
            "IVR TIME": _clock(0),
            "QUEUE WAIT TIME": _clock(ring - call.start),
            "RING TIME": _clock(call.answered - ring) if call.ring_since else "",
            "TALK TIME": _clock(call.released - call.answered - call.hold),
            "HOLD TIME": _clock(call.hold),
            "PARK TIME": _clock(0),
            "AFTER CALL WORK TIME": _clock(wrapped - call.released),
            "TRANSFERS": int(call.transfers),
            "CONFERENCES": "",
            "HOLDS": call.holds or "",
            "RECORDINGS": "",
        }


def _agent_item(user: str, state: str, at: int, reason: str) -> Item:
    item: Item = {
        "id": user,
        "callType": None,
        "campaignId": None,
        "customer": None,
        "mediaAvailability": "NOT_AVAILABLE",
        "parkedCallsCount": 0,
        "reasonCodeId": reason,
        "state": state,
        "stateSince": at,
        "stateDuration": 0,
        "onHoldStateSince": 0,
        "onHoldStateDuration": 0,
        "reasonCodeSince": at if reason != "0" else 0,
        "reasonCodeDuration": 0,
    }
    for name, prefix in _SINCE.items():
        item[f"{prefix}Since"] = at if name == state else 0
        item[f"{prefix}Duration"] = 0
    return item


def _contact(happening: Happening) -> str:
    assert happening.contact is not None
    return happening.contact.id


def _agent(happening: Happening) -> str:
    assert happening.agent is not None
    return happening.agent.id


def _timestamp(ms: int) -> str:
    moment = datetime.fromtimestamp(ms // 1000, UTC)
    day, month = _DAYS[moment.weekday()], _MONTHS[moment.month - 1]
    return f"{day}, {moment.day:02d} {month} {moment.year} {moment:%H:%M:%S}"


def _clock(ms: int) -> str:
    seconds = ms // 1000
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


WRITER = Five9Writer
