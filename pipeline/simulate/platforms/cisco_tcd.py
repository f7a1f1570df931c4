"""Tells what happens as rows of Unified CCE: Termination_Call_Detail and Agent_State_Trace.

Written from the Database Schema Handbook. A row of Termination_Call_Detail comes when an agent's
leg has ended, work included, or when a caller has hung up in the VRU's queue; its durations are
whole seconds. What a script does between queues (overflow, callback) leaves no row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from zlib import crc32

import orjson

from pipeline.simulate.happenings import Happening, Kind, Status

_DAY_MS = 86_400_000
_DAYS_BEFORE_1970 = 135_140
"""RouterCallKeyDay counts days since 1600-01-01."""
_MINUTES_FROM_GMT = -60
"""The database's servers stand one hour east of Greenwich."""

_TRACE = {
    Status.READY.value: 3,
    Status.ENGAGED.value: 4,
    Status.AFTER_CALL.value: 5,
    Status.AWAY.value: 2,
    Status.SIGNED_OUT.value: 0,
}
_REASONS = {"lunch": 1, "break": 2, "no_answer": 32_767, "rejected": 3}
_MRD = {"chat": 5002, "email": 5003, "message": 5004, "social": 5004, "callback": 1, "task": 5005}
_PRE_ROUTE, _TRANSFER_IN, _CONFERENCE, _VRU = 2, 4, 15, 1


def number_of(name: str) -> int:
    """The number that the database gives to a queue or an agent of the simulated centre."""
    return crc32(name.encode()) & 0x3FFF_FFFF or 1


@dataclass
class _Segment:
    """An agent's part of a call, from its ring on; moments in ms."""

    queue: str
    channel: str
    call_type: int
    waited: int
    rang: int
    answered: int = 0
    held: int = 0
    held_ms: int = 0
    released: int = 0
    how: str = ""


@dataclass
class _Call:
    day: int
    number: int
    customer: str
    queue: str = ""
    channel: str = ""
    queued: int = 0
    sequence: int = 0
    legs: dict[str, _Segment] = field(default_factory=dict)


class TcdWriter:
    """Says what happened at one site; keeps the legs that have not ended."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._calls: dict[str, _Call] = {}
        self._serial = 0

    def payloads(self, happening: Happening) -> Iterable[bytes]:
        """The rows for one happening."""
        kind = happening.kind
        if kind is Kind.STATUS:
            return self._trace(happening)
        contact = happening.contact
        if contact is None:
            return ()
        if kind is Kind.ENQUEUED:
            self._enqueued(happening)
            return ()
        call = self._calls.get(contact.id)
        return () if call is None else self._of_call(call, happening)

    def _of_call(self, call: _Call, happening: Happening) -> Iterator[bytes]:
        at, kind, agent = happening.at, happening.kind, happening.agent
        if kind is Kind.GAVE_UP:
            yield self._given_up(call, at)
        elif kind is Kind.LEFT:
            call.legs = {name: leg for name, leg in call.legs.items() if leg.answered}
        elif agent is None:
            return
        elif kind is Kind.RINGING:
            waited = at - call.queued
            call.legs[agent.id] = _Segment(call.queue, call.channel, _PRE_ROUTE, waited, at)
        elif kind in (Kind.MISSED, Kind.REFUSED):
            leg = call.legs.pop(agent.id)
            yield self._row(
                call, leg, agent.id, at, {"CallDisposition": 19, "RingTime": at - leg.rang}
            )
        elif kind is Kind.CONNECTED:
            self._connected(call, agent.id, happening)
        elif agent.id in call.legs:
            yield from self._of_leg(call, agent.id, happening)

    def _of_leg(self, call: _Call, agent: str, happening: Happening) -> Iterator[bytes]:
        leg, at = call.legs[agent], happening.at
        if happening.kind is Kind.HELD:
            leg.held = at
        elif happening.kind is Kind.RETRIEVED:
            leg.held_ms, leg.held = leg.held_ms + at - leg.held, 0
        elif happening.kind is Kind.HUNG_UP:
            leg.held_ms += at - leg.held if leg.held else 0
            leg.released, leg.how = at, happening.note
        elif happening.kind is Kind.WRAPPED_UP:
            del call.legs[agent]
            yield self._handled(call, leg, agent, happening)

    def _enqueued(self, happening: Happening) -> None:
        contact = happening.contact
        assert contact is not None
        call = self._calls.get(contact.id)
        if call is None:
            self._serial += 1
            day = happening.at // _DAY_MS + _DAYS_BEFORE_1970
            call = self._calls[contact.id] = _Call(day, self._serial, contact.customer)
        call.queue, call.channel, call.queued = happening.queue, happening.note, happening.at

    def _connected(self, call: _Call, agent: str, happening: Happening) -> None:
        leg = call.legs.get(agent)
        if leg is None:
            joins = any(other.answered and not other.released for other in call.legs.values())
            how = _CONFERENCE if joins else _TRANSFER_IN
            leg = _Segment(happening.queue, happening.note, how, 0, happening.at)
            call.legs[agent] = leg
        leg.answered = happening.at

    def _given_up(self, call: _Call, at: int) -> bytes:
        for agent, leg in call.legs.items():
            if not leg.answered:
                del call.legs[agent]
                ring = at - leg.rang
                more = {"CallDisposition": 3, "RingTime": ring, "TimeToAband": ring}
                return self._row(call, leg, agent, at, more)
        leg = _Segment(call.queue, call.channel, _VRU, 0, at)
        more = {
            "CallDisposition": 6,
            "LocalQTime": at - call.queued,
            "TimeToAband": at - call.queued,
        }
        return self._row(call, leg, "", at, more)

    def _handled(self, call: _Call, leg: _Segment, agent: str, happening: Happening) -> bytes:
        disposition = 13
        if leg.how == "transferred":
            disposition = 28
        elif leg.call_type == _CONFERENCE:
            disposition = 30
        more = {
            "CallDisposition": disposition,
            "RingTime": leg.answered - leg.rang,
            "HoldTime": leg.held_ms,
            "TalkTime": leg.released - leg.answered - leg.held_ms,
            "WorkTime": happening.at - leg.released,
        }
        return self._row(call, leg, agent, happening.at, more, happening.note)

    def _row(
        self,
        call: _Call,
        leg: _Segment,
        agent: str,
        at: int,
        more: dict[str, int],
        wrap_up: str = "",
    ) -> bytes:
        self._serial += 1
        call.sequence += 1
        voice = leg.channel in ("voice", "callback")
        row: dict[str, Any] = {
            "RecoveryKey": 8_000_000_000 + self._serial,
            "MRDomainID": 1 if voice else _MRD[leg.channel],
            "AgentSkillTargetID": number_of(agent) if agent else None,
            "SkillGroupSkillTargetID": number_of(leg.queue) if agent else None,
            "ServiceSkillTargetID": None,
            "PeripheralID": 5000 if agent else 5001,
            "RouteID": None,
            "RouterCallKeyDay": call.day,
            "RouterCallKey": call.number,
            "RouterCallKeySequenceNumber": call.sequence,
            "DateTime": _local(at // 1000 * 1000),
            "TimeZone": _MINUTES_FROM_GMT,
            "PeripheralCallType": leg.call_type,
            "DigitsDialed": "8000",
            "PeripheralCallKey": 16_777_216 + self._serial,
            "CallDispositionFlag": 0,
            "NetworkTime": 0,
            "DelayTime": 0,
            "LocalQTime": 0,
            "NetQTime": leg.waited,
            "RingTime": 0,
            "TalkTime": 0,
            "HoldTime": 0,
            "WorkTime": 0,
            "TimeToAband": 0,
            "ConferenceTime": 0,
            "AnsweredWithinServiceLevel": None,
            "NewTransaction": "N",
            "DNIS": "8000",
            "ANI": call.customer or None,
            "ICRCallKey": 200_000_000 + self._serial,
            "ICRCallKeyParent": None,
            "ICRCallKeyChild": None,
            "AgentPeripheralNumber": agent or None,
            "Priority": 0,
            "WrapupData": wrap_up or None,
            "CallTypeID": number_of(leg.queue),
            "PrecisionQueueID": None,
            **more,
        }
        for column in row:
            if column.endswith("Time") and column != "DateTime" or column == "TimeToAband":
                row[column] //= 1000
        parts = ("LocalQTime", "RingTime", "TalkTime", "WorkTime", "HoldTime", "DelayTime")
        row["Duration"] = sum(row[part] for part in parts)
        return orjson.dumps(row)

    def _trace(self, happening: Happening) -> Iterator[bytes]:
        agent = happening.agent
        assert agent is not None
        self._serial += 1
        state = _TRACE[happening.note]
        reason = str((happening.facts or {}).get("reason", ""))
        row = {
            "RecoveryKey": 8_000_000_000 + self._serial,
            "DateTime": _local(happening.at),
            "SkillTargetID": number_of(agent.id),
            "TimeZone": _MINUTES_FROM_GMT,
            "MRDomainID": 1,
            "EventName": state,
            "ReasonCode": _REASONS.get(reason, 0),
            "SkillGroupSkillTargetID": None,
            "AgentState": state,
            "Direction": 0,
            "ICRCallKey": None,
            "PeripheralCallKey": None,
            "RouterCallKey": None,
            "RouterCallKeyDay": None,
            "RouterCallKeySequenceNumber": None,
        }
        yield orjson.dumps(row)


def _local(at: int) -> str:
    seconds, ms = divmod(at - _MINUTES_FROM_GMT * 60_000, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S}.{ms:03d}"


WRITER = TcdWriter
