"""The simulated centre as the Asterisk Manager Interface would tell it.

After `apps/app_queue.c`, `main/manager_channels.c` and `main/stasis_bridges.c` of Asterisk. All
contacts are calls. A call that an agent places or takes without a queue is no queue event; only the
device of the agent is in use. Wrap-up is a pause with the reason `wrap`, as sites set it up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from zlib import crc32

import orjson

from pipeline.simulate.happenings import Happening, Kind, Status
from pipeline.simulate.people import Agent, Contact

Headers = dict[str, Any]

_FREE, _IN_USE, _AWAY = 1, 2, 5
_WRAP = "wrap"


class _Member:
    """An agent as a member of its queues."""

    def __init__(self) -> None:
        self.queues: list[str] = []
        self.signed_in = False
        self.paused = ""
        self.calls = 0
        self.taken = 0

    @property
    def device(self) -> int:
        if not self.signed_in:
            return _AWAY
        return _IN_USE if self.calls else _FREE


class _Wait:
    """A caller in a queue."""

    def __init__(self, queue: str, at: int) -> None:
        self.queue = queue
        self.at = at


class AmiWriter:
    """Keeps what Asterisk itself would: members, callers in queues, bridged agents."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._last = self._within = 0
        self._members: dict[str, _Member] = {}
        self._waits: dict[str, _Wait] = {}
        self._counts: dict[str, int] = {}
        self._answers: dict[tuple[str, str], int] = {}
        self._tell: dict[Kind, Callable[[Happening], Iterable[Headers]]] = {
            Kind.HIRED: self._hired,
            Kind.STATUS: self._status,
            Kind.ENQUEUED: self._enqueued,
            Kind.RINGING: self._ringing,
            Kind.MISSED: self._missed,
            Kind.REFUSED: self._refused,
            Kind.CONNECTED: self._connected,
            Kind.HELD: lambda happening: self._hold(happening, "Hold"),
            Kind.RETRIEVED: lambda happening: self._hold(happening, "Unhold"),
            Kind.HUNG_UP: self._hung_up,
            Kind.WRAPPED_UP: self._wrapped_up,
            Kind.GAVE_UP: self._gave_up,
            Kind.LEFT: self._left,
        }

    def payloads(self, happening: Happening) -> Iterable[bytes]:
        """The events, each one JSON object of its headers."""
        tell = self._tell.get(happening.kind)
        if tell is None:
            return
        if happening.at != self._last:
            self._last, self._within = happening.at, 0
        for headers in tell(happening):
            self._within += 1
            stamp = f"{happening.at // 1000}.{happening.at % 1000:03d}{self._within % 1000:03d}"
            name = headers.pop("Event")
            privilege = "call,all" if name in _OF_CALLS else "agent,all"
            yield orjson.dumps(
                {"Event": name, "Privilege": privilege, "Timestamp": stamp, **headers}
            )

    # Members

    def _hired(self, happening: Happening) -> Iterable[Headers]:
        agent = _agent(happening)
        member = self._members.setdefault(agent.id, _Member())
        member.queues = list((happening.facts or {}).get("queues", ()))
        return self._each_queue("QueueMemberAdded", agent.id)

    def _status(self, happening: Happening) -> Iterable[Headers]:
        agent, status = _agent(happening), happening.note
        member = self._members.setdefault(agent.id, _Member())
        device, paused = member.device, member.paused
        member.signed_in = status != Status.SIGNED_OUT
        if status == Status.AWAY:
            member.paused = str((happening.facts or {}).get("reason", "away"))
        elif status == Status.AFTER_CALL:
            member.paused = _WRAP
        elif status in (Status.READY, Status.ENGAGED, Status.SIGNED_OUT):
            member.paused = ""
        if member.paused != paused:
            yield from self._each_queue("QueueMemberPause", agent.id)
        if member.device != device:
            yield from self._each_queue("QueueMemberStatus", agent.id)

    def _each_queue(self, event: str, agent: str) -> Iterable[Headers]:
        member = self._members[agent]
        for queue in member.queues:
            yield {
                "Event": event,
                "Queue": queue,
                "MemberName": agent,
                "Interface": _interface(agent),
                "StateInterface": _interface(agent),
                "Membership": "dynamic",
                "Penalty": "0",
                "CallsTaken": str(member.taken),
                "LastCall": "0",
                "LastPause": "0",
                "LoginTime": "0",
                "InCall": "1" if member.calls else "0",
                "Status": str(member.device),
                "Paused": "1" if member.paused else "0",
                "PausedReason": member.paused,
                "Ringinuse": "1",
                "Wrapuptime": "0",
            }

    # Callers

    def _enqueued(self, happening: Happening) -> Iterable[Headers]:
        contact, queue = _contact(happening), happening.queue
        self._waits[contact.id] = _Wait(queue, happening.at)
        self._counts[queue] = self._counts.get(queue, 0) + 1
        count = str(self._counts[queue])
        yield {
            "Event": "QueueCallerJoin",
            **_caller(contact),
            "Queue": queue,
            "Position": count,
            "Count": count,
        }

    def _ringing(self, happening: Happening) -> Iterable[Headers]:
        yield self._of_agent("AgentCalled", happening)

    def _missed(self, happening: Happening) -> Iterable[Headers]:
        yield {**self._of_agent("AgentRingNoAnswer", happening), "RingTime": "15000"}

    def _refused(self, happening: Happening) -> Iterable[Headers]:
        contact, agent = _contact(happening), _agent(happening)
        dialled = {**_caller(contact), **_dialled(contact, agent), "DialStatus": "BUSY"}
        yield {"Event": "DialEnd", **dialled}
        yield {**self._of_agent("AgentRingNoAnswer", happening), "RingTime": "3000"}

    def _connected(self, happening: Happening) -> Iterable[Headers]:
        contact, agent = _contact(happening), _agent(happening)
        member = self._members.setdefault(agent.id, _Member())
        member.calls += 1
        if not happening.facts:
            member.taken += 1
            yield self._leaves(contact)
            wait = self._waits.pop(contact.id)
            yield {
                **self._of_agent("AgentConnect", happening),
                "HoldTime": str((happening.at - wait.at) // 1000),
                "RingTime": "4",
            }
            self._answers[contact.id, agent.id] = happening.at
        if member.calls == 1:
            yield from self._each_queue("QueueMemberStatus", agent.id)

    def _hold(self, happening: Happening, event: str) -> Iterable[Headers]:
        contact, agent = _contact(happening), _agent(happening)
        own = {
            "Event": event,
            "Channel": _channel(contact, agent),
            "ChannelState": "6",
            "ChannelStateDesc": "Up",
            "CallerIDNum": agent.id,
            "CallerIDName": agent.id,
            "Uniqueid": _own_id(contact, agent),
            "Linkedid": contact.id,
        }
        yield own | ({"MusicClass": "default"} if event == "Hold" else {})

    def _hung_up(self, happening: Happening) -> Iterable[Headers]:
        contact, agent = _contact(happening), _agent(happening)
        member = self._members[agent.id]
        member.calls -= 1
        transferred = happening.note == "transferred"
        answered = self._answers.pop((contact.id, agent.id), None)
        if answered is not None:
            if transferred:
                yield _blind_transfer(contact, agent)
            yield {
                **self._of_agent("AgentComplete", happening),
                "HoldTime": "0",
                "TalkTime": str((happening.at - answered) // 1000),
                "Reason": "transfer" if transferred else "caller",
            }
        if not member.calls:
            yield from self._each_queue("QueueMemberStatus", agent.id)

    def _wrapped_up(self, happening: Happening) -> Iterable[Headers]:
        agent = _agent(happening)
        member = self._members[agent.id]
        if member.paused == _WRAP and not member.calls:
            member.paused = ""
            yield from self._each_queue("QueueMemberPause", agent.id)

    def _gave_up(self, happening: Happening) -> Iterable[Headers]:
        contact = _contact(happening)
        yield {"Event": "HangupRequest", **_caller(contact), "Cause": "16"}
        yield self._abandons(happening)
        yield self._leaves(contact)
        self._waits.pop(contact.id)
        yield {
            "Event": "Hangup",
            **_caller(contact),
            "Cause": "16",
            "Cause-txt": "Normal Clearing",
        }

    def _left(self, happening: Happening) -> Iterable[Headers]:
        contact = _contact(happening)
        if happening.note not in ("callback", "voicemail"):  # the others are the queue's own doing
            yield self._abandons(happening)
        yield self._leaves(contact)
        self._waits.pop(contact.id)

    def _abandons(self, happening: Happening) -> Headers:
        contact = _contact(happening)
        wait = self._waits[contact.id]
        return {
            "Event": "QueueCallerAbandon",
            **_caller(contact),
            "Queue": wait.queue,
            "Position": "1",
            "OriginalPosition": "1",
            "HoldTime": str((happening.at - wait.at) // 1000),
        }

    def _leaves(self, contact: Contact) -> Headers:
        queue = self._waits[contact.id].queue
        self._counts[queue] -= 1
        count = str(self._counts[queue])
        return {
            "Event": "QueueCallerLeave",
            **_caller(contact),
            "Queue": queue,
            "Position": "1",
            "Count": count,
        }

    def _of_agent(self, event: str, happening: Happening) -> Headers:
        contact, agent = _contact(happening), _agent(happening)
        return {
            "Event": event,
            **_caller(contact),
            **_dialled(contact, agent),
            "Queue": happening.queue,
            "MemberName": agent.id,
            "Interface": _interface(agent.id),
        }


def _contact(happening: Happening) -> Contact:
    assert happening.contact is not None
    return happening.contact


def _agent(happening: Happening) -> Agent:
    assert happening.agent is not None
    return happening.agent


def _interface(agent: str) -> str:
    return f"PJSIP/{agent}"


def _channel(contact: Contact, agent: Agent) -> str:
    return f"PJSIP/{agent.id}-{crc32(contact.id.encode()):08x}"


def _own_id(contact: Contact, agent: Agent) -> str:
    return f"{contact.id}.{agent.id}"


def _caller(contact: Contact) -> Headers:
    return _snapshot("", f"PJSIP/trunk-{contact.id}", contact.id, contact) | {
        "CallerIDNum": contact.customer or "<unknown>"
    }


def _dialled(contact: Contact, agent: Agent) -> Headers:
    return _snapshot("Dest", _channel(contact, agent), _own_id(contact, agent), contact)


def _snapshot(prefix: str, channel: str, unique: str, contact: Contact) -> Headers:
    return {
        f"{prefix}Channel": channel,
        f"{prefix}ChannelState": "6",
        f"{prefix}ChannelStateDesc": "Up",
        f"{prefix}CallerIDNum": "<unknown>",
        f"{prefix}CallerIDName": "<unknown>",
        f"{prefix}ConnectedLineNum": "<unknown>",
        f"{prefix}ConnectedLineName": "<unknown>",
        f"{prefix}Language": "en",
        f"{prefix}AccountCode": "",
        f"{prefix}Context": "queues",
        f"{prefix}Exten": "s",
        f"{prefix}Priority": "1",
        f"{prefix}Uniqueid": unique,
        f"{prefix}Linkedid": contact.id,
    }


def _blind_transfer(contact: Contact, agent: Agent) -> Headers:
    return {
        "Event": "BlindTransfer",
        "Result": "Success",
        **_snapshot("Transferer", _channel(contact, agent), _own_id(contact, agent), contact),
        **_snapshot("Transferee", f"PJSIP/trunk-{contact.id}", contact.id, contact),
        "IsExternal": "No",
        "Context": "queues",
        "Extension": "s",
    }


_OF_CALLS = frozenset({"BlindTransfer", "DialEnd", "Hangup", "HangupRequest", "Hold", "Unhold"})

WRITER = AmiWriter
