"""Rows of the Call Log report: a call after its end, in whole seconds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from pipeline.sources.platforms.five9.options import CallType, Five9Options
from pipeline.sources.source import Context, Event, Unread
from pipeline.sources.values import iso, name_at, name_or_none, shown, whole_or_none, word_at
from schemas.moments import from_datetime

Row = Mapping[str, Any]

_CALL_TYPES: dict[str, CallType] = {
    "Inbound": "inbound",
    "Outbound": "outbound",
    "Autodial": "outbound",
    "Manual": "outbound",
    "Queue Callback": "callback",
    "Internal": "ignored",
    "3rd party transfer": "ignored",
    "3rd party conference": "ignored",
}
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}


class _Call(NamedTuple):
    """A row in epoch ms: when the call began to wait, was answered, ended and was wrapped up."""

    id: str
    skill: str | None
    agent: str | None
    outbound: bool
    channel: str
    queued: int
    rang: int
    answered: int
    released: int
    wrapped: int
    held: int


class Calls:
    """Reads rows for a site."""

    def __init__(self, context: Context, options: Five9Options) -> None:
        self._context = context
        self._zone_name = options.time_zone or context.time_zone
        self._zone = ZoneInfo(self._zone_name)
        self._types = _CALL_TYPES | options.call_types
        self._left = options.dispositions
        self._wait_includes_ring = options.wait_includes_ring
        self._talk_includes_hold = options.talk_includes_hold

    def read(self, row: Row) -> list[Event]:
        """The story of a call, or of one agent's part in it, newest first. Raises `Unread`."""
        told = word_at(row, "CALL TYPE")
        kind = self._types.get(told)
        if kind is None:
            raise Unread("CALL TYPE", f"unknown type {shown(told)}")
        if kind == "ignored":
            return []
        call = self._call(row, kind)
        if whole_or_none(row, "ABANDONED"):
            ended = self._event("contact.abandoned", call.answered, call, queue=call.skill)
            return [ended, *self._wait(row, call)] if call.skill else []
        if call.agent is None:
            return self._left_the_queue(row, call) if call.skill else []
        waited = call.skill and (kind != "outbound" or call.answered > call.queued)
        return [*self._leg(row, call), *(self._wait(row, call) if waited else ())]

    def _call(self, row: Row, kind: CallType) -> _Call:
        wait, ring = _seconds(row, "QUEUE WAIT TIME"), _seconds(row, "RING TIME")
        if self._wait_includes_ring:
            ring = min(ring, wait)
            wait -= ring
        talk, held = _seconds(row, "TALK TIME"), _seconds(row, "HOLD TIME")
        held += _seconds(row, "PARK TIME")
        queued = self._moment(row) + _seconds(row, "IVR TIME")
        answered = queued + wait + ring
        released = answered + (max(talk, held) if self._talk_includes_hold else talk + held)
        return _Call(
            id=name_at(row, "CALL ID"),
            skill=_named(row, "SKILL"),
            agent=_named(row, "AGENT"),
            outbound=kind != "inbound",
            channel="callback" if kind == "callback" else "voice",
            queued=queued,
            rang=queued + wait if ring else 0,
            answered=answered,
            released=released,
            wrapped=released + _seconds(row, "AFTER CALL WORK TIME"),
            held=held,
        )

    def _wait(self, row: Row, call: _Call) -> list[Event]:
        number = name_or_none(row, "DNIS" if call.outbound else "ANI")
        queued = self._event(
            "contact.queued",
            call.queued,
            call,
            queue=call.skill,
            channel=call.channel,
            direction="outbound" if call.outbound else "inbound",
            customer=number,
        )
        if call.agent is None or not call.rang:
            return [queued]
        return [self._event("contact.offered", call.rang, call, agent=call.agent), queued]

    def _left_the_queue(self, row: Row, call: _Call) -> list[Event]:
        reason = self._left.get(name_or_none(row, "DISPOSITION") or "", "other")
        left = self._event("contact.left", call.answered, call, queue=call.skill, reason=reason)
        return [left, *self._wait(row, call)]

    def _leg(self, row: Row, call: _Call) -> list[Event]:
        agent = call.agent
        reason = "transferred" if whole_or_none(row, "TRANSFERS") else "completed"
        code = name_or_none(row, "DISPOSITION")
        events = [
            self._event("contact.wrapped", call.wrapped, call, agent=agent, code=code),
            self._event("contact.released", call.released, call, agent=agent, reason=reason),
        ]
        if call.held:
            held = call.released - call.held
            events.append(self._event("contact.held", held, call, agent=agent))
        events.append(
            self._event(
                "contact.answered",
                call.answered,
                call,
                agent=agent,
                queue=call.skill,
                channel=call.channel,
            )
        )
        return events

    def _event(self, name: str, ts: int, call: _Call, **fields: Any) -> Event:
        return self._context.event(name, ts, contact=call.id, **fields)

    def _moment(self, row: Row) -> int:
        """TIMESTAMP as the report writes it, `Thu, 27 Oct 2016 14:51:34`, or ISO 8601."""
        text = word_at(row, "TIMESTAMP")
        parts = text.replace(",", " ").split()
        if len(parts) != 5 or parts[2] not in _MONTHS:
            return iso(text, "TIMESTAMP", self._zone_name)
        try:
            hour, minute, second = (int(part) for part in parts[4].split(":"))
            moment = datetime(
                int(parts[3]), _MONTHS[parts[2]], int(parts[1]), hour, minute, second,
                tzinfo=self._zone,
            )  # fmt: skip
            return from_datetime(moment)
        except (ValueError, OverflowError):
            raise Unread("TIMESTAMP", f"{shown(text)} is no time") from None


def _named(row: Row, column: str) -> str | None:
    """A name; what stands in brackets, such as `[None]` and `[Deleted]`, is none."""
    name = name_or_none(row, column)
    return None if name is not None and name.startswith("[") and name.endswith("]") else name


def _seconds(row: Row, column: str) -> int:
    """Milliseconds of a time written `HH:MM:SS` or as seconds; 0 where there is none."""
    value = row.get(column)
    if isinstance(value, str) and ":" in value:
        found = _clock(value) if len(value) <= 12 else None
        if found is None:
            raise Unread(column, f"should be HH:MM:SS, not {shown(value)}")
        return found
    seconds = whole_or_none(row, column) or 0
    if not 0 <= seconds < 10**9:
        raise Unread(column, f"should be seconds of a call, not {shown(value)}")
    return seconds * 1000


@lru_cache(maxsize=4096)
def _clock(text: str) -> int | None:
    parts = text.split(":")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        return None
    return (int(parts[0]) * 3600 + int(parts[1]) * 60 + int(parts[2])) * 1000
