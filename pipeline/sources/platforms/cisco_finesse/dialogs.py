"""Dialogs: each notification is a picture of all participants, and what changed is the event.

Every agent in a dialog gets a copy of each picture, so most say nothing new. A contact is known by
its call key, which stays when a transfer or a conference gives the call another dialog.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple
from xml.etree.ElementTree import Element

from pipeline.sources.platforms.cisco_finesse.notification import (
    Texts,
    id_in,
    moment_in,
    text_in,
    texts_of,
)
from pipeline.sources.platforms.cisco_finesse.options import FinesseOptions
from pipeline.sources.source import Context, Event, Unread
from pipeline.sources.values import shown

ROUTED = frozenset({"ACD_IN", "PREROUTE_ACD_IN", "PREROUTE_DIRECT_AGENT", "OVERFLOW_IN"})
"""Call types of calls that routing brought to the agent: they open a visit."""
NOT_THE_CUSTOMER = (
    "CONSULT",
    "BARGE_IN_CONSULT",
    "ASSIST_CALL",
    "SUPERVISOR_MONITOR",
    "RESERVATION",
)
"""Call types, by their beginning, of talks among colleagues and of the dialler's reservations."""

DIAL, RING, TALK, HOLD, WRAP, GONE = range(6)
_VOICE = {
    "INITIATING": DIAL,
    "INITIATED": DIAL,
    "ACCEPTED": DIAL,
    "ALERTING": RING,
    "ACTIVE": TALK,
    "HELD": HOLD,
    "WRAP_UP": WRAP,
    "DROPPED": GONE,
    "FAILED": GONE,
}
_TASK = {
    "OFFERED": RING,
    "ACCEPTED": RING,
    "ACTIVE": TALK,
    "PAUSED": HOLD,
    "INTERRUPTED": HOLD,
    "WRAPPING_UP": WRAP,
    "CLOSED": GONE,
    "UNKNOWN": None,
}
_MOST_SECONDS_DIGITS = 6
_MOST_DIALOGS = 8

Record = dict[str, Any]
"""Of a contact: `n` newest ms, `w` the queue it waits in, `p` [phase, ms, dialog] by agent, `d` the
dialogs it has left for others."""


class Part(NamedTuple):
    """A participant: its address, whether it is an agent's device, phase and since when."""

    address: str
    is_agent: bool
    phase: int | None
    since: int | None


class Picture(NamedTuple):
    """What a notification shows of a dialog."""

    dialog: str
    voice: bool
    call_type: str
    queue: str
    channel: str
    element: Element
    texts: Texts
    properties: Texts
    parts: list[Part]

    @property
    def newest(self) -> int | None:
        """The newest change among its participants."""
        return max((part.since for part in self.parts if part.since is not None), default=None)

    @property
    def callers(self) -> list[Part]:
        """The participants who are no agents."""
        return [part for part in self.parts if not part.is_agent]


class Dialogs:
    """Makes contacts' events of pictures and of what is remembered of the contact."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._options: FinesseOptions = context.options

    def picture(self, element: Element) -> Picture | None:
        """What a Dialog shows; None for one that is not with a customer. Raises `Unread`."""
        texts = texts_of(element)
        dialog = id_in(texts, "id")
        if not dialog:
            raise Unread("Dialog.id", "is required")
        properties = texts_of(element.find("mediaProperties"))
        voice = "_" not in dialog
        call_type = text_in(properties, "callType")
        if call_type.startswith(NOT_THE_CUSTOMER):
            return None
        number, name = id_in(properties, "queueNumber"), id_in(properties, "queueName")
        queue = (number or name) if self._options.queue == "number" else (name or number)
        media = id_in(texts, "mediaType")
        channel = self._options.channels.get(media) or ("voice" if voice else _channel(media))
        parts = list(_parts(element, voice))
        return Picture(dialog, voice, call_type, queue, channel, element, texts, properties, parts)

    def apply(
        self,
        picture: Picture,
        contact: str,
        record: Record,
        agents: dict[str, str],
        leaving: str,
    ) -> list[Event]:
        """The events that a picture adds; `record` is brought up to date.

        `agents` are the logins by participants' addresses; the agent `leaving` has the dialog
        removed.
        """
        story = _Story(self._context, self._options, picture, contact, record)
        for part in picture.parts:
            agent = agents.get(part.address) if part.is_agent else None
            if agent is not None and part.phase is not None and part.since is not None:
                story.change(agent, part.phase, part.since)
        if leaving:
            story.remove(leaving)
        return story.events


class _Story:
    """One picture laid over what is remembered of its contact."""

    def __init__(
        self,
        context: Context,
        options: FinesseOptions,
        picture: Picture,
        contact: str,
        record: Record,
    ) -> None:
        self.events: list[Event] = []
        self._context = context
        self._options = options
        self._picture = picture
        self._contact = contact
        self._record = record
        self._parts: dict[str, list[Any]] = record["p"]

    def change(self, agent: str, phase: int, since: int) -> None:
        """An agent is shown in a phase; what is known or older changes nothing."""
        known = self._parts.get(agent)
        dialog = self._picture.dialog
        before: int | None = None
        if known is not None:
            before, at, where = known
            if where != dialog and dialog not in self._record["d"]:
                since = max(since, at)
                if not self._move_on(known, phase):
                    return
            elif since < at or (since == at and phase <= before):
                return
        self._move(agent, before, phase, since)
        self._parts[agent] = [phase, since, dialog]
        self._record["n"] = max(self._record["n"], since)

    def _move_on(self, known: list[Any], phase: int) -> bool:
        """The contact has another dialog; whether the agent does something new in it."""
        if phase == GONE:
            return False
        self._record["d"] = [*self._record["d"], known[2]][-_MOST_DIALOGS:]
        known[2] = self._picture.dialog
        return phase != known[0] or phase == RING

    def remove(self, agent: str) -> None:
        """The dialog has been taken off an agent's list; where it still goes on, it ends now."""
        known = self._parts.get(agent)
        newest = self._picture.newest
        if known is not None and known[2] == self._picture.dialog and newest is not None:
            self.change(agent, GONE, max(newest, known[1]))

    def _move(self, agent: str, before: int | None, phase: int, since: int) -> None:
        if phase == RING:
            if before != RING:
                self._ring(agent, since)
        elif phase == TALK:
            if before == HOLD:
                self._say("contact.resumed", since, agent)
            elif before != TALK:
                self._answer(agent, since)
        elif phase == HOLD:
            if before not in (TALK, HOLD):
                self._answer(agent, since)
            if before != HOLD:
                self._say("contact.held", since, agent)
        elif phase >= WRAP:
            self._end(agent, before, phase, since)

    def _ring(self, agent: str, since: int) -> None:
        picture = self._picture
        if not picture.queue or (picture.voice and picture.call_type not in ROUTED):
            return
        waits = self._record["w"]
        if waits is not None and waits != picture.queue:
            self._say("contact.left", since, queue=waits, reason="overflow")
        if waits != picture.queue:
            # A script may count the wait from the call's beginning; what is told is told.
            queued = max(since - self._waited(), self._record["n"])
            self._record["w"] = picture.queue
            self.events.append(
                self._context.event(
                    "contact.queued",
                    queued,
                    contact=self._contact,
                    queue=picture.queue,
                    channel=picture.channel,
                    customer=id_in(picture.texts, "fromAddress") or None,
                )
            )
        self._say("contact.offered", since, agent)

    def _answer(self, agent: str, since: int) -> None:
        queue = self._record["w"] or self._picture.queue or None
        self._record["w"] = None
        self._say("contact.answered", since, agent, queue=queue, channel=self._picture.channel)

    def _end(self, agent: str, before: int | None, phase: int, since: int) -> None:
        if before == RING:
            self._missed(agent, since)
        elif before in (TALK, HOLD):
            self._say("contact.released", since, agent, reason=self._why())
        if phase == GONE and before in (TALK, HOLD, WRAP):
            code = "; ".join(self._wrap_up_reasons()) or None
            self._say("contact.wrapped", since, agent, code=code)

    def _missed(self, agent: str, since: int) -> None:
        queue = self._record["w"]
        if queue is None:
            return
        callers = self._picture.callers
        gone = bool(callers) and all(caller.phase == GONE for caller in callers)
        if gone and self._picture.voice and self._options.caller_gone == "abandoned":
            self._record["w"] = None
            self._say("contact.abandoned", since, queue=queue)
            return
        self._say("contact.declined", since, agent, reason="no_answer")
        if self._options.after_no_answer == "left":
            self._record["w"] = None
            self._say("contact.left", since, queue=queue, reason="other")

    def _why(self) -> str:
        """An agent who goes while the caller stays has transferred, or has left a conference."""
        picture = self._picture
        stays = any(caller.phase not in (GONE, None) for caller in picture.callers)
        if not picture.voice or not stays:
            return "completed"
        talking = [p for p in picture.parts if p.is_agent and p.phase in (TALK, HOLD)]
        return "completed" if picture.call_type == "CONFERENCE" and talking else "transferred"

    def _wrap_up_reasons(self) -> list[str]:
        reason = text_in(self._picture.properties, "wrapUpReason")
        items = [item.text or "" for item in self._picture.element.iter("wrapUpItem")]
        return [reason] if reason else [item.strip() for item in items if item.strip()]

    def _waited(self) -> int:
        """Milliseconds that the routing script says the contact waited before this ring."""
        wanted = self._options.wait_variable
        if not wanted:
            return 0
        for variable in self._picture.element.iter("CallVariable"):
            texts = texts_of(variable)
            if text_in(texts, "name") == wanted:
                value = text_in(texts, "value")
                if len(value) <= _MOST_SECONDS_DIGITS and value.isascii() and value.isdigit():
                    return int(value) * 1000
        return 0

    def _say(self, name: str, ts: int, agent: str | None = None, **fields: Any) -> None:
        event = self._context.event(name, ts, contact=self._contact, agent=agent, **fields)
        self.events.append(event)


def _parts(element: Element, voice: bool) -> Iterator[Part]:
    phases = _VOICE if voice else _TASK
    participants = element.find("participants")
    for part in () if participants is None else participants:
        texts = texts_of(part)
        state = text_in(texts, "state")
        if state not in phases:
            raise Unread("Participant.state", f"is an unknown {shown(state)}")
        is_agent = not voice or text_in(texts, "mediaAddressType") == "AGENT_DEVICE"
        since = moment_in(texts, "stateChangeTime")
        yield Part(id_in(texts, "mediaAddress"), is_agent, phases[state], since)


def _channel(media: str) -> str:
    name = media.lower()
    if "mail" in name:
        return "email"
    return "chat" if "chat" in name else "task"
