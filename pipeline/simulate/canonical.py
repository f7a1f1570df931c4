"""Writes happenings as canonical events: one dict per event, one JSON line per record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from pipeline.simulate.happenings import Happening, Kind, Status

Event = dict[str, Any]

_STATES = {
    Status.READY.value: "available",
    Status.ENGAGED.value: "busy",
    Status.AFTER_CALL.value: "wrap",
    Status.AWAY.value: "not_ready",
    Status.SIGNED_OUT.value: "offline",
}


class CanonicalWriter:
    """Says in canonical events what happened at one site."""

    def __init__(self, site: str, source: str) -> None:
        self._site = site
        self._source = source

    def event(self, happening: Happening) -> Event:
        """The event, valid and with known fields only."""
        kind = happening.kind
        event: Event = {
            "type": _TYPES[kind],
            "site": self._site,
            "ts": happening.at,
            "source": self._source,
        }
        if happening.contact is not None:
            event["contact"] = happening.contact.id
        if happening.agent is not None and kind not in _WITHOUT_AGENT:
            event["agent"] = happening.agent.id
        more = _MORE.get(kind)
        if more is not None:
            more(event, happening)
        return event

    def payloads(self, happening: Happening) -> tuple[bytes]:
        """The event as one line of JSON, without its line end."""
        return (orjson.dumps(self.event(happening)),)


def _hired(event: Event, happening: Happening) -> None:
    assert happening.agent is not None
    event["team"] = happening.agent.team.id
    event.update(happening.facts or {})


def _status(event: Event, happening: Happening) -> None:
    event["state"] = _STATES[happening.note]
    event.update(happening.facts or {})


def _enqueued(event: Event, happening: Happening) -> None:
    contact = happening.contact
    assert contact is not None
    event["queue"] = happening.queue
    event["channel"] = happening.note
    event["direction"] = "outbound" if contact.outbound else "inbound"
    if contact.customer:
        event["customer"] = contact.customer
    if contact.priority:
        event["priority"] = contact.priority


def _missed(event: Event, happening: Happening) -> None:
    event["reason"] = "rejected" if happening.kind is Kind.REFUSED else "no_answer"


def _connected(event: Event, happening: Happening) -> None:
    event["queue"] = happening.queue
    event["channel"] = happening.note


def _hung_up(event: Event, happening: Happening) -> None:
    event["reason"] = happening.note


def _wrapped_up(event: Event, happening: Happening) -> None:
    event["code"] = happening.note


def _gave_up(event: Event, happening: Happening) -> None:
    event["queue"] = happening.queue


def _left(event: Event, happening: Happening) -> None:
    event["queue"] = happening.queue
    event["reason"] = happening.note


def _surveyed(event: Event, happening: Happening) -> None:
    event["queue"] = happening.queue
    event.update(happening.facts or {})


def _facts(event: Event, happening: Happening) -> None:
    event.update((name, fact) for name, fact in (happening.facts or {}).items() if fact != "")


def _recorded(event: Event, happening: Happening) -> None:
    event["url"] = happening.note


_TYPES = {
    Kind.HIRED: "agent.profile",
    Kind.STATUS: "agent.state",
    Kind.ENQUEUED: "contact.queued",
    Kind.RINGING: "contact.offered",
    Kind.MISSED: "contact.declined",
    Kind.REFUSED: "contact.declined",
    Kind.CONNECTED: "contact.answered",
    Kind.HELD: "contact.held",
    Kind.RETRIEVED: "contact.resumed",
    Kind.HUNG_UP: "contact.released",
    Kind.WRAPPED_UP: "contact.wrapped",
    Kind.GAVE_UP: "contact.abandoned",
    Kind.LEFT: "contact.left",
    Kind.SURVEYED: "survey.answered",
    Kind.RESOLVED: "contact.resolved",
    Kind.JUDGED: "contact.sentiment",
    Kind.EVALUATED: "contact.evaluated",
    Kind.RECORDED: "contact.recorded",
}

_WITHOUT_AGENT = frozenset({Kind.SURVEYED, Kind.RESOLVED, Kind.JUDGED, Kind.RECORDED})

_MORE: dict[Kind, Callable[[Event, Happening], None]] = {
    Kind.HIRED: _hired,
    Kind.STATUS: _status,
    Kind.ENQUEUED: _enqueued,
    Kind.MISSED: _missed,
    Kind.REFUSED: _missed,
    Kind.CONNECTED: _connected,
    Kind.HUNG_UP: _hung_up,
    Kind.WRAPPED_UP: _wrapped_up,
    Kind.GAVE_UP: _gave_up,
    Kind.LEFT: _left,
    Kind.SURVEYED: _surveyed,
    Kind.RESOLVED: _facts,
    Kind.JUDGED: _facts,
    Kind.EVALUATED: _facts,
    Kind.RECORDED: _recorded,
}
