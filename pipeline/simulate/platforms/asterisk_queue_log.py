"""What happens, as app_queue of Asterisk would log it: whole seconds, no hold, no wrap-up.

Written from apps/app_queue.c. Legs that no queue has connected (a colleague called into a talk or
taking it over) are not in the log; agents are members added when they sign in.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pipeline.simulate.happenings import Happening, Kind, Status

_KEYS = {"callback": "1", "voicemail": "9"}
"""What the centre's announcements tell callers to press."""
_AFTER_A_MISS = frozenset({"no_answer", "rejected"})
_METHODS = ("BRIDGE|b7f1c2d4", "APP|Voicemail", "LINK|Local/8@x-0001;1|Local/8@x-0001;2")


@dataclass(slots=True)
class _Caller:
    entered: int
    position: int
    agent: str = ""
    rang: int = 0


@dataclass(slots=True)
class _Talk:
    queue: str
    since: int
    hold: int
    position: int


class QueueLogWriter:
    """Says in lines of a queue_log what happened at one site."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._lines: list[bytes] = []
        self._now = 0
        self._callers: dict[str, dict[str, _Caller]] = {}
        self._talks: dict[tuple[str, str], _Talk] = {}
        self._queues: dict[str, list[str]] = {}
        self._members: dict[str, bool] = {}
        self._written = 0
        self._handlers: dict[Kind, Callable[[Happening], None]] = {
            Kind.HIRED: self._hired,
            Kind.STATUS: self._status,
            Kind.ENQUEUED: self._enqueued,
            Kind.RINGING: self._ringing,
            Kind.MISSED: self._missed,
            Kind.REFUSED: self._missed,
            Kind.CONNECTED: self._connected,
            Kind.HUNG_UP: self._hung_up,
            Kind.GAVE_UP: self._gave_up,
            Kind.LEFT: self._left,
        }

    def payloads(self, happening: Happening) -> list[bytes]:
        """The lines for one happening, without their ends; the first begins the log."""
        self._lines = []
        if not self._now:
            self._now = happening.at
            self._write("NONE", "NONE", "NONE", "QUEUESTART")
        self._now = happening.at
        handler = self._handlers.get(happening.kind)
        if handler is not None:
            handler(happening)
        return self._lines

    def _write(self, call: str, queue: str, agent: str, event: str, *data: object) -> None:
        words = (self._now // 1000, call, queue, agent, event, *(data or ("",)))
        self._lines.append("|".join(map(str, words)).encode())
        self._written += 1

    # Members

    def _hired(self, happening: Happening) -> None:
        assert happening.agent is not None
        self._queues[happening.agent.id] = list((happening.facts or {})["queues"])

    def _status(self, happening: Happening) -> None:
        assert happening.agent is not None
        agent = happening.agent.id
        if happening.note == Status.SIGNED_OUT:
            if self._members.pop(agent, None) is not None:
                self._for_each_queue(agent, "MANAGER", "REMOVEMEMBER", "")
            return
        away = happening.note == Status.AWAY
        if agent not in self._members:
            self._for_each_queue(agent, "MANAGER", "ADDMEMBER", "PAUSED" if away else "")
        elif away:
            reason = (happening.facts or {}).get("reason", "")
            self._pause(agent, "PAUSE", "Auto-Pause" if reason in _AFTER_A_MISS else reason)
        elif self._members[agent]:
            self._pause(agent, "UNPAUSE", "")
        self._members[agent] = away

    def _pause(self, agent: str, event: str, reason: str) -> None:
        self._write("NONE", "NONE", agent, f"{event}ALL", reason)
        self._for_each_queue(agent, "NONE", event, reason)

    def _for_each_queue(self, agent: str, call: str, event: str, data: str) -> None:
        for queue in self._queues[agent]:
            self._write(call, queue, agent, event, data)

    # Callers

    def _enqueued(self, happening: Happening) -> None:
        assert happening.contact is not None
        contact, line = happening.contact, self._callers.setdefault(happening.queue, {})
        caller = line[contact.id] = _Caller(happening.at // 1000, len(line) + 1)
        data = ("", contact.customer, caller.position)
        self._write(contact.id, happening.queue, "NONE", "ENTERQUEUE", *data)
        self._write(contact.id, happening.queue, "NONE", "DID", "4930555010")

    def _ringing(self, happening: Happening) -> None:
        assert happening.agent is not None
        caller = self._caller(happening)
        caller.agent, caller.rang = happening.agent.id, happening.at

    def _missed(self, happening: Happening) -> None:
        assert happening.contact is not None
        caller = self._caller(happening)
        # A ring that ran out is told as the time set for it, one cut off in whole seconds.
        ring = happening.at - caller.rang
        if happening.kind is Kind.REFUSED:
            ring = (happening.at // 1000 - caller.rang // 1000) * 1000
        agent, caller.agent = caller.agent, ""
        self._write(happening.contact.id, happening.queue, agent, "RINGNOANSWER", ring)

    def _connected(self, happening: Happening) -> None:
        assert happening.contact is not None
        assert happening.agent is not None
        if (happening.facts or {}).get("direct"):
            return
        contact, agent = happening.contact.id, happening.agent.id
        caller = self._callers[happening.queue].pop(contact)
        now = happening.at // 1000
        hold, ring = now - caller.entered, (happening.at - caller.rang) // 1000
        self._write(contact, happening.queue, agent, "CONNECT", hold, f"{contact}.1", ring)
        self._talks[contact, agent] = _Talk(happening.queue, now, hold, caller.position)

    def _hung_up(self, happening: Happening) -> None:
        assert happening.contact is not None
        assert happening.agent is not None
        contact, agent = happening.contact.id, happening.agent.id
        talk = self._talks.pop((contact, agent), None)
        if talk is None:
            return
        data: tuple[object, ...] = (talk.hold, happening.at // 1000 - talk.since, talk.position)
        event = ("COMPLETECALLER", "COMPLETEAGENT")[self._written % 2]
        if happening.note == "transferred":
            event = ("BLINDTRANSFER", "ATTENDEDTRANSFER")[self._written % 2]
            where = "8000|default" if event == "BLINDTRANSFER" else _METHODS[self._written % 3]
            data = (where, *data)
        self._write(contact, talk.queue, agent, event, *data)

    def _gave_up(self, happening: Happening) -> None:
        self._exit(happening, "ABANDON")

    def _left(self, happening: Happening) -> None:
        key = _KEYS.get(happening.note)
        if key is not None:
            self._exit(happening, "EXITWITHKEY", key)
        elif happening.note in ("timeout", "overflow"):
            self._exit(happening, "EXITWITHTIMEOUT")
        else:
            self._exit(happening, "EXITEMPTY")

    def _exit(self, happening: Happening, event: str, *data: str) -> None:
        assert happening.contact is not None
        contact, line = happening.contact.id, self._callers[happening.queue]
        caller = self._caller(happening)
        position = list(line).index(contact) + 1
        del line[contact]
        if caller.agent:
            ring = happening.at - caller.rang
            self._write(contact, happening.queue, caller.agent, "RINGCANCELED", ring)
        wait = happening.at // 1000 - caller.entered
        self._write(contact, happening.queue, "NONE", event, *data, position, caller.position, wait)

    def _caller(self, happening: Happening) -> _Caller:
        assert happening.contact is not None
        return self._callers[happening.queue][happening.contact.id]


WRITER = QueueLogWriter
