"""Tells what happens as the notifications of Cisco Finesse.

Written from the Finesse developer guide (developer.cisco.com/docs/finesse): User, Dialog and
Dialogs/Media notifications. Finesse sees a contact from its first ring on, so waiting is silent;
the routing script writes the whole seconds waited into callVariable4. Every agent in a dialog gets
a copy of each picture of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from xml.sax.saxutils import escape

import orjson

from pipeline.simulate.happenings import Happening, Kind, Status
from pipeline.simulate.people import Agent

_DAY_MS = 86_400_000
_DAYS_BEFORE_1970 = 135_140
"""Since 1600-01-01, from where the day of a call key is counted."""

_USER_STATES = {
    Status.READY.value: "READY",
    Status.ENGAGED.value: "TALKING",
    Status.AFTER_CALL.value: "WORK",
    Status.AWAY.value: "NOT_READY",
    Status.SIGNED_OUT.value: "LOGOUT",
}
_MEDIA = {
    "voice": ("Voice", 1),
    "chat": ("Cisco_Chat_MRD", 5002),
    "email": ("ECE_Email", 5003),
    "message": ("Cisco_Message_Chat_MRD", 5004),
}
_OTHER_MEDIA = ("Cisco_Task_MRD", 5005)
_TASK_WORDS = {
    "ALERTING": "OFFERED",
    "ACTIVE": "ACTIVE",
    "HELD": "PAUSED",
    "WRAP_UP": "WRAPPING_UP",
    "DROPPED": "CLOSED",
}


@dataclass
class _Participant:
    address: str
    login: str
    state: str
    since: int
    started: int


@dataclass
class _Dialog:
    """A call or task as Finesse shows it; the caller is a participant of calls only."""

    id: str
    voice: bool
    media: str
    media_id: int
    queue: str
    call_type: str
    sequence: int
    caller: _Participant
    agents: dict[str, _Participant] = field(default_factory=dict)
    waited: int = 0
    wrap_up: str = ""


@dataclass
class _Call:
    """A contact with its key, and the dialogs it has by agent."""

    day: int
    number: int
    customer: str
    channel: str = "voice"
    queued: int = 0
    sequence: int = 0
    dialogs: dict[str, _Dialog] = field(default_factory=dict)
    ringing: dict[str, _Dialog] = field(default_factory=dict)
    handed_on: _Dialog | None = None


class FinesseWriter:
    """Says what happened at one site; keeps who is in which dialog."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._extensions: dict[str, str] = {}
        self._states: dict[str, str] = {}
        self._calls: dict[str, _Call] = {}
        self._serial = 0

    def payloads(self, happening: Happening) -> Iterable[bytes]:
        """The notifications for one happening."""
        kind, agent = happening.kind, happening.agent
        if kind is Kind.STATUS and agent is not None:
            return self._status(happening, agent)
        if happening.contact is None:
            return ()
        if kind is Kind.ENQUEUED:
            self._enqueued(happening)
            return ()
        call = self._calls.get(happening.contact.id)
        if call is None:
            return ()
        if kind in (Kind.GAVE_UP, Kind.LEFT):
            return self._gone(call, happening.at, kind is Kind.GAVE_UP)
        if agent is None:
            return ()
        return self._with_agent(happening, call, agent)

    def _with_agent(self, happening: Happening, call: _Call, agent: Agent) -> Iterable[bytes]:
        at, kind = happening.at, happening.kind
        if kind is Kind.RINGING:
            return self._ringing(call, agent, happening)
        if kind in (Kind.MISSED, Kind.REFUSED):
            return self._missed(call, agent, at)
        if kind is Kind.CONNECTED:
            return self._connected(call, agent, happening)
        if kind is Kind.HELD:
            return self._turned(call, agent, "HELD", at)
        if kind is Kind.RETRIEVED:
            return self._turned(call, agent, "ACTIVE", at)
        if kind is Kind.HUNG_UP:
            return self._hung_up(call, agent, at, happening.note)
        if kind is Kind.WRAPPED_UP:
            return self._wrapped_up(call, agent, happening)
        return ()

    # Agents

    def _status(self, happening: Happening, agent: Agent) -> Iterator[bytes]:
        self._states[agent.id] = happening.note
        reason = str((happening.facts or {}).get("reason", ""))
        yield self._user(agent, _USER_STATES[happening.note], happening.at, reason)

    def _user(self, agent: Agent, state: str, at: int, reason: str = "") -> bytes:
        extension = "" if state == "LOGOUT" else self._extension(agent)
        code = f"<ReasonCode><category>NOT_READY</category><code>{len(reason)}</code><forAll>true"
        code += f"</forAll><id>{len(reason)}</id><label>{escape(reason)}</label>"
        code += f"<uri>/finesse/api/ReasonCode/{len(reason)}</uri></ReasonCode>"
        team = escape(agent.team.id)
        xml = (
            f"<Update><data><user><dialogs>/finesse/api/User/{agent.id}/Dialogs</dialogs>"
            f"<extension>{extension}</extension><firstName>A</firstName><lastName>B</lastName>"
            f"<loginId>{agent.id}</loginId><loginName>{agent.id}</loginName>"
            f"<mediaType>1</mediaType><pendingState></pendingState>{code if reason else ''}"
            f"<reasonCodeId>{len(reason) or -1}</reasonCodeId><roles><role>Agent</role></roles>"
            "<settings><wrapUpOnIncoming>REQUIRED</wrapUpOnIncoming></settings>"
            f"<state>{state}</state><stateChangeTime>{_time(at)}</stateChangeTime>"
            f"<teamId>{team}</teamId><teamName>Team {team}</teamName>"
            f"<uri>/finesse/api/User/{agent.id}</uri></user></data><event>PUT</event>"
            f"<requestId></requestId><source>/finesse/api/User/{agent.id}</source></Update>"
        )
        return _payload(f"/finesse/api/User/{agent.id}", xml)

    def _reserved(self, agent: Agent, state: str, at: int) -> Iterator[bytes]:
        """An agent who was ready is reserved by a ring, and ready again after it."""
        if self._states.get(agent.id) == Status.READY.value:
            yield self._user(agent, state, at)

    # Contacts

    def _enqueued(self, happening: Happening) -> None:
        contact = happening.contact
        assert contact is not None
        call = self._calls.get(contact.id)
        if call is None:
            self._serial += 1
            day = happening.at // _DAY_MS + _DAYS_BEFORE_1970
            call = self._calls[contact.id] = _Call(day, self._serial, contact.customer)
        call.queued, call.channel = happening.at, happening.note
        call.handed_on = None

    def _dialog(self, call: _Call, happening: Happening, call_type: str) -> _Dialog:
        self._serial += 1
        call.sequence += 1
        channel = call.channel if happening.kind is Kind.RINGING else happening.note
        media, media_id = _MEDIA.get(channel, _OTHER_MEDIA)
        voice = media == "Voice"
        number = f"{16_000_000 + self._serial}" if voice else f"{call.day}_{self._serial}_1"
        at = happening.at
        caller = _Participant(call.customer or "anonymous", "", "INITIATED", at, at)
        waited = (at - call.queued) // 1000
        queue = happening.queue
        return _Dialog(
            number, voice, media, media_id, queue, call_type, call.sequence, caller, waited=waited
        )

    def _ringing(self, call: _Call, agent: Agent, happening: Happening) -> Iterator[bytes]:
        dialog = self._dialog(call, happening, "PREROUTE_ACD_IN")
        at = happening.at
        call.ringing[agent.id] = dialog
        dialog.agents[agent.id] = _Participant(self._extension(agent), agent.id, "ALERTING", at, at)
        yield from self._reserved(agent, "RESERVED", at)
        yield self._collection("POST", call, dialog, agent.id)

    def _missed(self, call: _Call, agent: Agent, at: int) -> Iterator[bytes]:
        dialog = call.ringing.pop(agent.id)
        _turn(dialog.agents[agent.id], "DROPPED", at)
        yield from self._copies(call, dialog)
        yield self._collection("DELETE", call, dialog, agent.id)

    def _connected(self, call: _Call, agent: Agent, happening: Happening) -> Iterator[bytes]:
        at = happening.at
        dialog = call.ringing.pop(agent.id, None)
        if dialog is not None:
            call.dialogs[agent.id] = dialog
            _turn(dialog.agents[agent.id], "ACTIVE", at)
            _turn(dialog.caller, "ACTIVE", at)
            yield from self._copies(call, dialog)
            return
        dialog = self._joined(call, happening)
        call.dialogs[agent.id] = dialog
        dialog.agents[agent.id] = _Participant(self._extension(agent), agent.id, "ACTIVE", at, at)
        yield self._collection("POST", call, dialog, agent.id)
        yield from self._copies(call, dialog, but=agent.id)

    def _joined(self, call: _Call, happening: Happening) -> _Dialog:
        """The dialog of a colleague: that of the call, but a task of its own."""
        talked = [
            dialog
            for dialog in call.dialogs.values()
            if dialog.voice and any(p.state in ("ACTIVE", "HELD") for p in dialog.agents.values())
        ]
        handed, call.handed_on = call.handed_on, None
        if talked:
            talked[0].call_type = "CONFERENCE"
            return talked[0]
        if handed is not None and handed.voice:
            handed.call_type, handed.queue = "TRANSFER", happening.queue
            return handed
        dialog = self._dialog(call, happening, "TRANSFER")
        dialog.caller.state = "ACTIVE"
        return dialog

    def _turned(self, call: _Call, agent: Agent, state: str, at: int) -> Iterator[bytes]:
        dialog = call.dialogs[agent.id]
        _turn(dialog.agents[agent.id], state, at)
        yield from self._copies(call, dialog)

    def _hung_up(self, call: _Call, agent: Agent, at: int, how: str) -> Iterator[bytes]:
        dialog = call.dialogs[agent.id]
        others = [
            p for p in dialog.agents.values()
            if p.login != agent.id and p.state in ("ACTIVE", "HELD")
        ]  # fmt: skip
        if how == "transferred":
            call.handed_on = dialog
        elif not others:
            _turn(dialog.caller, "DROPPED", at)
            yield from self._copies(call, dialog)
        _turn(dialog.agents[agent.id], "WRAP_UP", at)
        yield from self._copies(call, dialog)

    def _wrapped_up(self, call: _Call, agent: Agent, happening: Happening) -> Iterator[bytes]:
        dialog = call.dialogs.pop(agent.id)
        dialog.wrap_up = happening.note
        _turn(dialog.agents[agent.id], "DROPPED", happening.at)
        yield from self._copies(call, dialog)
        yield self._collection("DELETE", call, dialog, agent.id)
        del dialog.agents[agent.id]

    def _gone(self, call: _Call, at: int, hung_up: bool) -> Iterator[bytes]:
        """The caller is gone, which Finesse shows where it rang."""
        for login, dialog in list(call.ringing.items()):
            del call.ringing[login]
            if hung_up:
                _turn(dialog.caller, "DROPPED", at)
            _turn(dialog.agents[login], "DROPPED", at)
            yield from self._copies(call, dialog)
            yield self._collection("DELETE", call, dialog, login)

    # Notifications

    def _copies(self, call: _Call, dialog: _Dialog, but: str = "") -> Iterator[bytes]:
        data = _dialog_xml(call, dialog)
        for login in dialog.agents:
            if login != but:
                xml = (
                    f"<Update><data>{data}</data><event>PUT</event><requestId></requestId>"
                    f"<source>/finesse/api/Dialog/{dialog.id}</source></Update>"
                )
                yield _payload(_node(login, dialog), xml)

    def _collection(self, event: str, call: _Call, dialog: _Dialog, login: str) -> bytes:
        data = _dialog_xml(call, dialog)
        source = f"/finesse/api/User/{login}"
        source += "/Dialogs" if dialog.voice else f"/Media/{dialog.media_id}/Dialogs"
        xml = (
            f"<Update><data><dialogs>{data}</dialogs></data><event>{event}</event>"
            f"<requestId></requestId><source>{source}</source></Update>"
        )
        return _payload(_node(login, dialog), xml)

    def _extension(self, agent: Agent) -> str:
        return self._extensions.setdefault(agent.id, str(70_001 + len(self._extensions)))


def _dialog_xml(call: _Call, dialog: _Dialog) -> str:
    people = [*dialog.agents.values()]
    if dialog.voice:
        people.append(dialog.caller)
    states = {p.state for p in people}
    state = next((s for s in ("ACTIVE", "ALERTING", "WRAP_UP") if s in states), "DROPPED")
    if dialog.voice and state == "WRAP_UP":
        state = "ACTIVE"
    variables = "".join(
        f"<CallVariable><name>callVariable{n}</name>"
        f"<value>{dialog.waited if n == 4 else ''}</value></CallVariable>"
        for n in range(1, 11)
    )
    call_type = f"<callType>{dialog.call_type}</callType>" if dialog.voice else ""
    source = escape(call.customer) if dialog.voice else ""
    return (
        "<Dialog><associatedDialogUri></associatedDialogUri>"
        f"<fromAddress>{source}</fromAddress><id>{dialog.id}</id><mediaProperties>"
        f"<mediaId>{dialog.media_id}</mediaId><DNIS>8000</DNIS>{call_type}"
        f"<dialedNumber>8000</dialedNumber><outboundClassification></outboundClassification>"
        f"<queueNumber>{escape(dialog.queue)}</queueNumber>"
        f"<queueName>{escape(dialog.queue)}.SG</queueName>"
        f"<callKeyCallId>{call.number}</callKeyCallId>"
        f"<callKeySequenceNum>{dialog.sequence}</callKeySequenceNum>"
        f"<callKeyPrefix>{call.day}</callKeyPrefix>"
        f"<wrapUpReason>{escape(dialog.wrap_up)}</wrapUpReason>"
        f"<callvariables>{variables}</callvariables></mediaProperties>"
        f"<mediaType>{dialog.media}</mediaType><participants>"
        + "".join(_participant_xml(p, dialog.voice) for p in people)
        + f"</participants><state>{_word(state, dialog.voice)}</state>"
        f"<toAddress>8000</toAddress><uri>/finesse/api/Dialog/{dialog.id}</uri></Dialog>"
    )


def _participant_xml(person: _Participant, voice: bool) -> str:
    kind = "AGENT_DEVICE" if person.login and voice else ""
    return (
        f"<Participant><actions></actions><mediaAddress>{escape(person.address)}</mediaAddress>"
        f"<mediaAddressType>{kind}</mediaAddressType><startTime>{_time(person.started)}"
        f"</startTime><state>{_word(person.state, voice)}</state><stateCause></stateCause>"
        f"<stateChangeTime>{_time(person.since)}</stateChangeTime></Participant>"
    )


def _word(state: str, voice: bool) -> str:
    return state if voice else _TASK_WORDS[state]


def _node(login: str, dialog: _Dialog) -> str:
    return f"/finesse/api/User/{login}/Dialogs" + ("" if dialog.voice else "/Media")


def _turn(person: _Participant, state: str, at: int) -> None:
    person.state, person.since = state, at


def _time(at: int) -> str:
    seconds, ms = divmod(at, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{ms:03d}Z"


def _payload(node: str, xml: str) -> bytes:
    return orjson.dumps({"node": node, "update": xml})


WRITER = FinesseWriter
