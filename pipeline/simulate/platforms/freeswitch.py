"""The simulated centre as FreeSWITCH would tell it over its event socket.

After `mod_callcenter.c`, `switch_event.c` and `switch_channel.c` of FreeSWITCH. All contacts are
calls; a call that an agent takes without a queue is none of mod_callcenter's. There is no wrap-up:
agents are Available again at once, and On Break when they are away.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from uuid import NAMESPACE_URL, uuid5

import orjson

from pipeline.simulate.happenings import Happening, Kind, Status
from pipeline.simulate.people import Agent, Contact

Headers = dict[str, Any]

_CANCELS = {"callback": "EXIT_WITH_KEY", "voicemail": "EXIT_WITH_KEY"}
_KEYS = {"callback": "1", "voicemail": "2"}


class _Member:
    """A caller in a queue."""

    def __init__(self, queue: str, at: int, serial: int) -> None:
        self.queue = queue
        self.at = at
        self.uuid = str(uuid5(NAMESPACE_URL, f"member/{serial}"))


class FreeSwitchWriter:
    """Keeps the members of the queues and the bridges of agents."""

    def __init__(self, site: str) -> None:
        self._core = str(uuid5(NAMESPACE_URL, f"core/{site}"))
        self._serial = 0
        self._joined = 0
        self._members: dict[str, _Member] = {}
        self._bridges: dict[tuple[str, str], tuple[_Member, int]] = {}
        self._statuses: dict[str, str] = {}
        self._tell: dict[Kind, Callable[[Happening], Iterable[Headers]]] = {
            Kind.HIRED: self._hired,
            Kind.STATUS: self._status,
            Kind.ENQUEUED: self._enqueued,
            Kind.RINGING: self._ringing,
            Kind.MISSED: lambda happening: self._fails(happening, "NO_ANSWER"),
            Kind.REFUSED: lambda happening: self._fails(happening, "CALL_REJECTED"),
            Kind.CONNECTED: self._connected,
            Kind.HELD: lambda happening: self._hold(happening, "CHANNEL_HOLD"),
            Kind.RETRIEVED: lambda happening: self._hold(happening, "CHANNEL_UNHOLD"),
            Kind.HUNG_UP: self._hung_up,
            Kind.GAVE_UP: self._gave_up,
            Kind.LEFT: self._left,
        }

    def payloads(self, happening: Happening) -> Iterable[bytes]:
        """The events, each one JSON object of its headers as `event json` sends it."""
        tell = self._tell.get(happening.kind)
        if tell is None:
            return
        for headers in tell(happening):
            yield orjson.dumps(self._basic(headers, happening.at) | headers)

    def _basic(self, headers: Headers, at: int) -> Headers:
        self._serial += 1
        custom = "Event-Name" not in headers
        return {
            "Event-Name": "CUSTOM",
            "Core-UUID": self._core,
            "FreeSWITCH-Hostname": "switch",
            "FreeSWITCH-Switchname": "switch",
            "FreeSWITCH-IPv4": "192.0.2.10",
            "FreeSWITCH-IPv6": "::1",
            "Event-Date-Timestamp": str(at * 1000 + 417),
            "Event-Calling-File": "mod_callcenter.c" if custom else "switch_channel.c",
            "Event-Sequence": str(self._serial),
        } | ({"Event-Subclass": "callcenter::info"} if custom else {})

    # Agents

    def _hired(self, happening: Happening) -> Iterable[Headers]:
        agent = _agent(happening)
        yield {"CC-Agent": agent.id, "CC-Agent-Type": "callback", "CC-Action": "agent-add"}

    def _status(self, happening: Happening) -> Iterable[Headers]:
        agent, status = _agent(happening).id, happening.note
        if status == Status.SIGNED_OUT:
            word = "Logged Out"
        else:
            word = "On Break" if status == Status.AWAY else "Available"
        if self._statuses.get(agent) == word:
            return
        self._statuses[agent] = word
        yield {
            "CC-Agent": agent,
            "CC-Action": "agent-status-change",
            "CC-Agent-Status": word,
        }

    def _agent_state(self, agent: str, state: str) -> Headers:
        return {"CC-Agent": agent, "CC-Action": "agent-state-change", "CC-Agent-State": state}

    # Members

    def _enqueued(self, happening: Happening) -> Iterable[Headers]:
        contact = _contact(happening)
        self._joined += 1
        member = _Member(happening.queue, happening.at, self._joined)
        self._members[contact.id] = member
        channel = _channel(contact, "answered")
        yield {
            **channel,
            "CC-Queue": member.queue,
            "CC-Action": "member-queue-start",
            **_who(member, contact),
        }
        yield {
            "CC-Queue": member.queue,
            "CC-Action": "members-count",
            "CC-Count": "1",
            "CC-Selection": "Single-Queue",
        }

    def _ringing(self, happening: Happening) -> Iterable[Headers]:
        contact, agent = _contact(happening), _agent(happening).id
        member = self._members[contact.id]
        yield self._agent_state(agent, "Receiving")
        yield {
            "CC-Queue": member.queue,
            "CC-Action": "agent-offering",
            "CC-Agent": agent,
            "CC-Agent-Type": "callback",
            "CC-Agent-System": "single_box",
            **_who(member, contact),
            "CC-Member-DNIS": "600",
        }

    def _fails(self, happening: Happening, cause: str) -> Iterable[Headers]:
        contact, agent = _contact(happening), _agent(happening).id
        member = self._members[contact.id]
        yield {
            "CC-Queue": member.queue,
            "CC-Action": "bridge-agent-fail",
            "CC-Hangup-Cause": cause,
            "CC-Agent": agent,
            "CC-Agent-System": "single_box",
            "CC-Agent-Called-Time": str(happening.at // 1000),
            "CC-Agent-Aborted-Time": str(happening.at // 1000),
            **_who(member, contact),
            "CC-Member-Joined-Time": str(member.at // 1000),
        }
        yield self._agent_state(agent, "Waiting")

    def _connected(self, happening: Happening) -> Iterable[Headers]:
        contact, agent = _contact(happening), _agent(happening).id
        if happening.facts:
            return
        member = self._members.pop(contact.id)
        self._bridges[contact.id, agent] = member, happening.at
        yield {
            "CC-Queue": member.queue,
            "CC-Action": "bridge-agent-start",
            **_bridge(member, contact, agent, happening.at),
            "CC-Member-DNIS": "600",
        }
        yield self._agent_state(agent, "In a queue call")

    def _hold(self, happening: Happening, name: str) -> Iterable[Headers]:
        contact, agent = _contact(happening), _agent(happening).id
        yield {
            "Event-Name": name,
            "Channel-State": "CS_EXCHANGE_MEDIA",
            "Channel-Call-State": "HELD" if name == "CHANNEL_HOLD" else "UNHELD",
            "Unique-ID": _own_uuid(contact, agent),
            "Answer-State": "answered",
        }

    def _hung_up(self, happening: Happening) -> Iterable[Headers]:
        contact, agent = _contact(happening), _agent(happening).id
        bridge = self._bridges.pop((contact.id, agent), None)
        if bridge is None:
            return
        member, answered = bridge
        how = "BLIND_TRANSFER" if happening.note == "transferred" else "ANSWER"
        yield {
            "variable_endpoint_disposition": how,
            "CC-Queue": member.queue,
            "CC-Action": "bridge-agent-end",
            "CC-Hangup-Cause": "NORMAL_CLEARING",
            **_bridge(member, contact, agent, answered),
            "CC-Agent-Bridged": "true",
            "CC-Bridge-Terminated-Time": str(happening.at // 1000),
        }
        yield {
            **_channel(contact, "answered"),
            "CC-Queue": member.queue,
            "CC-Action": "member-queue-end",
            "CC-Hangup-Cause": "NORMAL_CLEARING",
            "CC-Cause": "Terminated",
            **_bridge(member, contact, agent, answered),
            "CC-Member-Leaving-Time": str(happening.at // 1000),
        }
        yield self._agent_state(agent, "Waiting")

    def _gave_up(self, happening: Happening) -> Iterable[Headers]:
        state = {**_channel(_contact(happening), "hangup"), "Hangup-Cause": "NORMAL_CLEARING"}
        return self._cancel(happening, "BREAK_OUT", state)

    def _left(self, happening: Happening) -> Iterable[Headers]:
        state = _channel(_contact(happening), "answered")
        key = _KEYS.get(happening.note)
        if key:
            state["variable_cc_exit_key"] = key
        return self._cancel(happening, _CANCELS.get(happening.note, "TIMEOUT"), state)

    def _cancel(self, happening: Happening, reason: str, state: Headers) -> Iterable[Headers]:
        contact = _contact(happening)
        member = self._members.pop(contact.id)
        yield {
            **state,
            "CC-Queue": member.queue,
            "CC-Action": "member-queue-end",
            "CC-Member-Leaving-Time": str(happening.at // 1000),
            "CC-Member-Joined-Time": str(member.at // 1000),
            "CC-Cause": "Cancel",
            "CC-Cancel-Reason": reason,
            **_who(member, contact),
        }


def _contact(happening: Happening) -> Contact:
    assert happening.contact is not None
    return happening.contact


def _agent(happening: Happening) -> Agent:
    assert happening.agent is not None
    return happening.agent


def _own_uuid(contact: Contact, agent: str) -> str:
    return str(uuid5(NAMESPACE_URL, f"{contact.id}/{agent}"))


def _channel(contact: Contact, answer: str) -> Headers:
    return {
        "Channel-State": "CS_EXECUTE",
        "Channel-Name": f"sofia/internal/{contact.id}@192.0.2.1",
        "Unique-ID": contact.id,
        "Call-Direction": "outbound" if contact.outbound else "inbound",
        "Answer-State": answer,
    }


def _who(member: _Member, contact: Contact) -> Headers:
    return {
        "CC-Member-UUID": member.uuid,
        "CC-Member-Session-UUID": contact.id,
        "CC-Member-CID-Name": contact.customer,
        "CC-Member-CID-Number": contact.customer,
    }


def _bridge(member: _Member, contact: Contact, agent: str, answered: int) -> Headers:
    return {
        "CC-Agent": agent,
        "CC-Agent-System": "single_box",
        "CC-Agent-UUID": _own_uuid(contact, agent),
        "CC-Agent-Called-Time": str(answered // 1000),
        "CC-Agent-Answered-Time": str(answered // 1000),
        "CC-Member-Joined-Time": str(member.at // 1000),
        **_who(member, contact),
    }


WRITER = FreeSwitchWriter
