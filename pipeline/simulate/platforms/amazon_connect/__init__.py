"""The simulated centre as Amazon Connect tells it: contact events, agent events, contact records.

Written from the administrator guide. Every wait and every leg is a contact of its own in a chain,
as there; a colleague who joins is brought in by a transfer, as there. How a wait ends by a flow is
not told, and hold has no moments but in the agent event stream.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import orjson

from pipeline.simulate.happenings import Happening, Kind, Status
from pipeline.simulate.people import Agent, Contact
from pipeline.simulate.platforms import Writer
from pipeline.simulate.platforms.amazon_connect.shapes import (
    ACCOUNT,
    INSTANCE,
    Json,
    Segment,
    contact_event,
    ms,
    record,
    seconds,
    snapshot,
)

_CHANNELS = {"voice": "VOICE", "callback": "VOICE", "chat": "CHAT", "email": "EMAIL"}
_REMEMBERED = 5_000


@dataclass(slots=True)
class _Chain:
    """The contacts of one customer's matter: which one waits, who talks in which."""

    serial: int = 0
    waiting: Segment | None = None
    prepared: Segment | None = None
    rings_at: str = ""
    legs: dict[str, Segment] = field(default_factory=dict)
    last: Segment | None = None


@dataclass(slots=True)
class _Desk:
    """What an agent's snapshot shows."""

    agent: Agent
    status: Json
    contacts: dict[str, Json] = field(default_factory=dict)
    to_clear: set[str] = field(default_factory=set)


class AmazonConnectWriter:
    """Says what happened at one site in all three streams."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._serial = 0
        self._chains: dict[str, _Chain] = {}
        self._desks: dict[str, _Desk] = {}
        self._tellers: dict[Kind, Callable[[Happening], Iterator[Json]]] = {
            Kind.STATUS: self._status,
            Kind.ENQUEUED: self._enqueued,
            Kind.RINGING: self._ringing,
            Kind.MISSED: self._missed,
            Kind.REFUSED: self._missed,
            Kind.CONNECTED: self._connected,
            Kind.HELD: self._held,
            Kind.RETRIEVED: self._held,
            Kind.HUNG_UP: self._hung_up,
            Kind.WRAPPED_UP: self._wrapped_up,
            Kind.GAVE_UP: self._gave_up,
            Kind.LEFT: self._left,
            Kind.RECORDED: self._recorded,
        }

    def payloads(self, happening: Happening) -> Iterator[bytes]:
        """What Amazon Connect says of it."""
        teller = self._tellers.get(happening.kind)
        if teller is not None:
            yield from map(orjson.dumps, teller(happening))

    # Contacts and their chain

    def _chain(self, contact: Contact) -> _Chain:
        chain = self._chains.get(contact.id)
        if chain is None:
            chain = self._chains[contact.id] = _Chain()
            if len(self._chains) > _REMEMBERED:
                self._forget()
        return chain

    def _forget(self) -> None:
        for known, chain in list(self._chains.items()):
            if not (chain.waiting or chain.prepared or chain.legs):
                del self._chains[known]

    def _begin(
        self, chain: _Chain, contact: Contact, at: int, method: str, channel: str, previous: str
    ) -> Segment:
        chain.serial += 1
        own = contact.id if chain.serial == 1 else f"{contact.id}-{chain.serial}"
        return Segment(own, contact.id, previous, method, channel, contact.customer, at)

    def _enqueued(self, happening: Happening) -> Iterator[Json]:
        contact, at = happening.contact, happening.at
        assert contact is not None
        chain = self._chain(contact)
        segment, chain.prepared = chain.prepared, None
        channel = _CHANNELS.get(happening.note, "TASK")
        if segment is None:
            method = "INBOUND" if channel in ("VOICE", "EMAIL") else "API"
            segment = self._begin(chain, contact, at, method, channel, "")
            yield self._contact_event("INITIATED", segment, at)
            if channel in ("CHAT", "TASK"):
                yield self._contact_event("CONNECTED_TO_SYSTEM", segment, at)
        segment.channel = channel
        segment.queue, segment.queued = happening.queue, at
        chain.waiting = segment
        yield self._contact_event("QUEUED", segment, at)

    def _gave_up(self, happening: Happening) -> Iterator[Json]:
        yield from self._leave(happening, "CUSTOMER_DISCONNECT")

    def _left(self, happening: Happening) -> Iterator[Json]:
        contact, at = happening.contact, happening.at
        assert contact is not None
        chain = self._chain(contact)
        waiting = chain.waiting
        assert waiting is not None
        reason: str | None = "CONTACT_FLOW_DISCONNECT"
        if happening.note in ("overflow", "callback"):
            method = "QUEUE_TRANSFER" if happening.note == "overflow" else "CALLBACK"
            chain.prepared = self._begin(chain, contact, at, method, waiting.channel, waiting.id)
            waiting.next = chain.prepared.id
            yield self._contact_event("INITIATED", chain.prepared, at)
            # Who asked to be called back hangs up; of a transfer the page gives no reason.
            reason = "CUSTOMER_DISCONNECT" if method == "CALLBACK" else None
        elif happening.note == "timeout" and waiting.channel != "VOICE":
            reason = "EXPIRED"
        yield from self._leave(happening, reason)

    def _leave(self, happening: Happening, reason: str | None) -> Iterator[Json]:
        """The waiting contact ends without an agent; where it rings it vanishes."""
        at, contact = happening.at, happening.contact
        assert contact is not None
        chain = self._chain(contact)
        segment, chain.waiting = chain.waiting, None
        assert segment is not None
        if chain.rings_at:
            desk, chain.rings_at = self._desks[chain.rings_at], ""
            before = self._snapshot(desk)
            desk.contacts.pop(segment.id, None)
            yield self._agent_event(desk, before, at)
        segment.dequeued = segment.disconnected = at
        segment.reason = reason
        chain.last = segment
        yield self._contact_event("DISCONNECTED", segment, at)
        yield self._contact_event("COMPLETED", segment, at)
        yield record(segment, at)

    # Agents

    def _status(self, happening: Happening) -> Iterator[Json]:
        agent, at = happening.agent, happening.at
        assert agent is not None
        desk = self._desk(agent)
        if happening.note == Status.SIGNED_OUT:
            status = {"Name": "Offline", "Type": "OFFLINE"}
        elif happening.note == Status.AWAY:
            # Only what the agent chose is a status; talking and wrapping up are not.
            status = {"Name": str((happening.facts or {})["reason"]), "Type": "CUSTOM"}
        else:
            status = {"Name": "Available", "Type": "ROUTABLE"}
        if status["Name"] == desk.status["Name"]:
            return
        before = self._snapshot(desk)
        if desk.status["Type"] == "OFFLINE":
            yield self._agent_event(desk, before, at, "LOGIN")
        arn = f"{INSTANCE}/agent-state/{status['Name']}"
        desk.status = {"ARN": arn, **status, "StartTimestamp": ms(at)}
        yield self._agent_event(desk, before, at)
        if desk.status["Type"] == "OFFLINE":
            yield self._agent_event(desk, self._snapshot(desk), at, "LOGOUT")
            del self._desks[agent.id]

    def _desk(self, agent: Agent) -> _Desk:
        desk = self._desks.get(agent.id)
        if desk is None:
            arn = f"{INSTANCE}/agent-state/Offline"
            status = {"ARN": arn, "Name": "Offline", "Type": "OFFLINE"}
            status["StartTimestamp"] = "2020-01-01T00:00:00.000Z"
            desk = self._desks[agent.id] = _Desk(agent, status)
        return desk

    def _ringing(self, happening: Happening) -> Iterator[Json]:
        assert happening.agent is not None
        assert happening.contact is not None
        chain = self._chain(happening.contact)
        assert chain.waiting is not None
        chain.rings_at = happening.agent.id
        state = "INCOMING" if chain.waiting.method == "CALLBACK" else "CONNECTING"
        yield self._move(happening.agent, chain.waiting, state, happening.at)

    def _missed(self, happening: Happening) -> Iterator[Json]:
        assert happening.agent is not None
        assert happening.contact is not None
        chain = self._chain(happening.contact)
        segment = chain.waiting
        assert segment is not None
        chain.rings_at = ""
        refused = happening.kind is Kind.REFUSED and segment.channel != "VOICE"
        state = "REJECTED" if refused else "MISSED"
        yield self._move(happening.agent, segment, state, happening.at)
        self._desks[happening.agent.id].to_clear.add(segment.id)

    def _connected(self, happening: Happening) -> Iterator[Json]:
        agent, contact, at = happening.agent, happening.contact, happening.at
        assert agent is not None
        assert contact is not None
        chain = self._chain(contact)
        if (happening.facts or {}).get("direct"):
            segment, chain.prepared = chain.prepared, None
            channel = _CHANNELS.get(happening.note, "TASK")
            if segment is None:
                main = next(iter(chain.legs.values()))
                segment = self._begin(chain, contact, at, "TRANSFER", channel, main.id)
                yield self._contact_event("INITIATED", segment, at)
            segment.queue, segment.channel = happening.queue, channel
        else:
            waiting, chain.waiting = chain.waiting, None
            assert waiting is not None
            segment = waiting
            segment.dequeued = at
        chain.rings_at = ""
        segment.agent, segment.connected = agent.id, at
        chain.legs[agent.id] = segment
        yield self._contact_event("CONNECTED_TO_AGENT", segment, at)
        yield self._move(agent, segment, "CONNECTED", at)

    def _held(self, happening: Happening) -> Iterator[Json]:
        assert happening.agent is not None
        assert happening.contact is not None
        segment = self._chain(happening.contact).legs[happening.agent.id]
        if happening.kind is Kind.HELD:
            segment.held_since = happening.at
        else:
            segment.held += happening.at - segment.held_since
            segment.held_since = 0
        state = "CONNECTED_ONHOLD" if segment.held_since else "CONNECTED"
        yield self._move(happening.agent, segment, state, happening.at)

    def _hung_up(self, happening: Happening) -> Iterator[Json]:
        agent, contact, at = happening.agent, happening.contact, happening.at
        assert agent is not None
        assert contact is not None
        chain = self._chain(contact)
        segment = chain.legs[agent.id]
        if happening.note == "transferred":
            # The transfer is begun, and only then the agent leaves.
            chain.prepared = self._begin(
                chain, contact, at, "TRANSFER", segment.channel, segment.id
            )
            segment.next = chain.prepared.id
            yield self._contact_event("INITIATED", chain.prepared, at)
        if segment.held_since:
            segment.held += at - segment.held_since
        segment.disconnected, segment.reason = at, "AGENT_DISCONNECT"
        yield self._contact_event("DISCONNECTED", segment, at)
        yield self._move(agent, segment, "ENDED", at)

    def _wrapped_up(self, happening: Happening) -> Iterator[Json]:
        agent, contact, at = happening.agent, happening.contact, happening.at
        assert agent is not None
        assert contact is not None
        chain = self._chain(contact)
        segment = chain.legs.pop(agent.id)
        segment.wrapped = at
        chain.last = segment
        desk = self._desk(agent)
        before = self._snapshot(desk)
        desk.contacts.pop(segment.id, None)
        yield self._agent_event(desk, before, at)
        yield self._contact_event("COMPLETED", segment, at)
        yield record(segment, at)

    def _contact_event(self, kind: str, segment: Segment, at: int) -> Json:
        self._serial += 1
        return contact_event(kind, segment, at, f"{self._site}-{self._serial}")

    def _snapshot(self, desk: _Desk) -> Json:
        return snapshot(desk.agent, desk.status, list(desk.contacts.values()))

    def _move(self, agent: Agent, segment: Segment, state: str, at: int) -> Json:
        """The agent event for a contact's new state."""
        desk = self._desk(agent)
        before = self._snapshot(desk)
        queue = {"ARN": f"{INSTANCE}/queue/{segment.queue}", "Name": segment.queue}
        desk.contacts[segment.id] = {
            "ContactId": segment.id,
            "InitialContactId": segment.chain if segment.id != segment.chain else None,
            "Channel": segment.channel,
            "InitiationMethod": segment.method,
            "State": state,
            "StateStartTimestamp": ms(at),
            "ConnectedToAgentTimestamp": ms(segment.connected) if segment.connected else None,
            "QueueTimestamp": ms(segment.queued) if segment.queued else None,
            "Queue": queue,
        }
        return self._agent_event(desk, before, at)

    def _agent_event(self, desk: _Desk, before: Json, at: int, kind: str = "STATE_CHANGE") -> Json:
        for cleared in desk.to_clear:
            if desk.contacts.get(cleared, {}).get("State") in ("MISSED", "REJECTED"):
                del desk.contacts[cleared]
        desk.to_clear.clear()
        self._serial += 1
        return {
            "AWSAccountId": ACCOUNT,
            "AgentARN": f"{INSTANCE}/agent/{desk.agent.id}",
            "CurrentAgentSnapshot": self._snapshot(desk),
            "EventId": f"{self._site}-{self._serial}",
            "EventTimestamp": ms(at),
            "EventType": kind,
            "InstanceARN": INSTANCE,
            "PreviousAgentSnapshot": before,
            "Version": "2017-10-01",
        }

    def _recorded(self, happening: Happening) -> Iterator[Json]:
        """A record comes again with what was added to it."""
        assert happening.contact is not None
        segment = self._chain(happening.contact).last
        if segment is None:
            return
        segment.recordings.append(
            {
                "Location": happening.note,
                "MediaStreamType": "AUDIO",
                "ParticipantType": "All",
                "StartTimestamp": seconds(segment.connected or segment.initiated),
                "Status": "AVAILABLE",
                "StopTimestamp": seconds(segment.disconnected),
                "StorageType": "S3",
            }
        )
        yield record(segment, happening.at)


WRITER: Callable[[str], Writer] = AmazonConnectWriter
