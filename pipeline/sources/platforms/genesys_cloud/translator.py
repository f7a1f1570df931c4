"""From detail events to the story of a contact: the conversation, over all its sessions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple

from pipeline.sources.platforms.genesys_cloud import users
from pipeline.sources.platforms.genesys_cloud.memory import Conversations
from pipeline.sources.platforms.genesys_cloud.options import GenesysOptions
from pipeline.sources.platforms.genesys_cloud.topics import SILENT, Message, open_message
from pipeline.sources.source import Context, Event, Translator, Unread
from pipeline.sources.values import (
    epoch_ms_at,
    name_at,
    name_or_none,
    shown,
    text_or_none,
    whole_or_none,
    word_at,
)
from schemas.events import MAX_ID

Body = Mapping[str, Any]
_Read = Callable[[Body, str, str], list[Event]]

_CHANNELS = {
    "VOICE": "voice",
    "VIDEO": "voice",
    "UNKNOWN": "voice",
    "CHAT": "chat",
    "EMAIL": "email",
    "CALLBACK": "callback",
    "MESSAGE": "message",
}
_BESIDE = frozenset({"COBROWSE", "SCREENSHARE", "SCREENMONITORING", "INTERNALMESSAGE"})
"""Media that go along with a conversation or stay among colleagues: no customer waits in them."""
_TRANSFERS = frozenset({"TRANSFER", "CONSULT_TRANSFER", "CONFERENCE_TRANSFER", "FORWARD_TRANSFER"})
_REFUSALS = frozenset({"CLIENT", "ENDPOINT", "DND_ENDPOINT", "DND_TRANSFER"})
_RING_STOPPED = frozenset({"PEER", "SPAM", "TAKEOVER", *_TRANSFERS})
"""The customer hung up or went elsewhere while the agent's side rang: nobody let it ring."""
_UNANSWERED = frozenset(
    {
        "",
        "UNKNOWN",
        "SYSTEM",
        "ERROR",
        "OTHER",
        "TIMEOUT",
        "TRANSPORT_FAILURE",
        "NO_ANSWER_TRANSFER",
        "NOT_AVAILABLE_TRANSFER",
        "UNCALLABLE",
        "INACTIVITY",
        "SESSION_EXPIRED",
    }
)


class _Part(NamedTuple):
    """A user's session in a conversation, as its end tells it. Moments and durations are ms."""

    contact: str
    user: str
    queue: str | None
    media: str
    end: int
    worked: int
    held: int
    rang: bool
    how: str

    @property
    def begun(self) -> int:
        """When the user began to talk: sessions end with talk and hold."""
        return self.end - self.worked


class GenesysTranslator(Translator):
    """Reads each topic for itself, and remembers which legs came from a queue."""

    def __init__(self, context: Context) -> None:
        super().__init__(context)
        options = context.options
        assert isinstance(options, GenesysOptions)
        self._no_wrap_up = frozenset(options.queues_without_wrap_up)
        self._flow_out = options.flow_out
        self._known = Conversations()
        start = "v2.detail.events.conversation.{id}."
        self._topics: dict[str, Callable[[Message], list[Event]]] = {
            f"{start}acd.start": partial(self._conversation, self._acd_start),
            f"{start}acd.end": partial(self._conversation, self._acd_end),
            f"{start}user.start": partial(self._conversation, self._user_start),
            f"{start}user.end": partial(self._conversation, self._user_end),
            f"{start}acw": partial(self._conversation, self._after_call_work),
            "v2.users.{id}.activity": partial(users.activity, context),
            "v2.users.{id}.routingStatus": partial(users.routing_status, context),
            "v2.users.{id}.presence": partial(users.presence, context),
        }

    def memory(self) -> Any:
        return self._known.memory()

    def recall(self, memory: Any) -> None:
        self._known.recall(memory)

    def translate(self, payload: bytes) -> list[Event]:
        message = open_message(payload)
        if message.topic in SILENT:
            return []
        read = self._topics.get(message.topic)
        if read is None:
            raise Unread(message.named_in, f"unknown topic {shown(message.topic)}")
        try:
            return read(message)
        except Unread as error:
            raise Unread(f"{message.place}.{error.field}", error.reason) from None

    def _conversation(self, read: _Read, message: Message) -> list[Event]:
        """A detail event, unless it is of a medium in which no customer waits."""
        body = message.body
        media = word_at(body, "mediaType").upper()
        if media in _BESIDE:
            return []
        if media not in _CHANNELS:
            raise Unread("mediaType", f"unknown medium {shown(media)}")
        return read(body, name_at(body, "conversationId"), media)

    # Waiting

    def _acd_start(self, body: Body, conversation: str, media: str) -> list[Event]:
        outbound = _outbound(body)
        queued = self.context.event(
            "contact.queued",
            epoch_ms_at(body, "eventTime"),
            contact=conversation,
            queue=name_at(body, "queueId"),
            channel=_CHANNELS[media],
            direction="outbound" if outbound else "inbound",
            customer=_customer(body, outbound),
            priority=whole_or_none(body, "routingPriority"),
        )
        return [queued]

    def _acd_end(self, body: Body, conversation: str, media: str) -> list[Event]:
        queue = name_at(body, "queueId")
        ts = epoch_ms_at(body, "eventTime")
        outcome = word_at(body, "acdOutcome").upper()
        user = name_or_none(body, "answeredUserId") if outcome == "ANSWERED" else None
        event = self._wait_ended(conversation, queue, ts, outcome, user, _CHANNELS[media])
        if user is not None:
            self._known.answer(conversation, user, media, ts)
        return [event]

    def _wait_ended(
        self, contact: str, queue: str, ts: int, outcome: str, user: str | None, channel: str
    ) -> Event:
        event = self.context.event
        if user is not None:
            return event(
                "contact.answered", ts, contact=contact, agent=user, queue=queue, channel=channel
            )
        if outcome == "ABANDON":
            return event("contact.abandoned", ts, contact=contact, queue=queue)
        if outcome == "FLOW_OUT":
            reason = self._flow_out.get(queue, "overflow")
        elif outcome == "ANSWERED":
            reason = "answered_elsewhere"
        elif outcome == "UNKNOWN":
            reason = "other"
        else:
            raise Unread("acdOutcome", f"unknown outcome {shown(outcome)}")
        return event("contact.left", ts, contact=contact, queue=queue, reason=reason)

    # Ringing and talking

    def _user_start(self, body: Body, conversation: str, media: str) -> list[Event]:
        user, queue = name_at(body, "userId"), name_or_none(body, "queueId")
        ts = epoch_ms_at(body, "eventTime")
        if queue is None:  # a colleague who is called directly, or dials out: nobody waits
            return []
        return [self.context.event("contact.offered", ts, contact=conversation, agent=user)]

    def _user_end(self, body: Body, conversation: str, media: str) -> list[Event]:
        part = _part(body, conversation, media)
        if not part.worked:
            return self._ring_ended(part)
        leg = self._known.leg_at(conversation, part.user, part.end)
        if leg is None or 0 < leg[3] < part.begun:
            return self._told_at_its_end(part)
        if leg[1] != media or leg[3] not in (0, part.end):
            # The call of a callback is part of it: one leg, whose hold is told by the call.
            return self._hold(part, leg[2], ends=True)
        events = [*self._released(part), *self._hold(part, leg[2])]
        leg[3] = part.end
        return events

    def _ring_ended(self, part: _Part) -> list[Event]:
        if not part.rang or part.queue is None or part.how in _RING_STOPPED:
            return []
        if part.how not in _REFUSALS | _UNANSWERED:
            # It may be the customer who went: no count of the agent's is made of that.
            raise Unread("disconnectType", f"unknown end of a ring {shown(part.how)}")
        reason = "rejected" if part.how in _REFUSALS else "no_answer"
        return [self._of("contact.declined", part.end, part, reason=reason)]

    def _told_at_its_end(self, part: _Part) -> list[Event]:
        """A leg that came from no queue, known only now that it is over; newest first."""
        answered = self._of(
            "contact.answered",
            part.begun,
            part,
            queue=part.queue,
            channel=_CHANNELS[part.media],
        )
        return [*self._released(part), *self._hold(part, part.begun), answered]

    def _released(self, part: _Part) -> list[Event]:
        reason = "transferred" if part.how in _TRANSFERS else "completed"
        released = self._of("contact.released", part.end, part, reason=reason)
        if part.queue is None or part.queue in self._no_wrap_up:
            return [self._of("contact.wrapped", part.end, part), released]
        return [released]

    def _hold(self, part: _Part, answered: int, ends: bool = False) -> list[Event]:
        """All hold of a session as one, just before its end; the release of its leg ends it."""
        if not part.held:
            return []
        held = self._of("contact.held", max(answered, part.end - part.held), part)
        return [self._of("contact.resumed", part.end, part), held] if ends else [held]

    def _of(self, name: str, ts: int, part: _Part, **fields: Any) -> Event:
        return self.context.event(name, ts, contact=part.contact, agent=part.user, **fields)

    def _after_call_work(self, body: Body, conversation: str, media: str) -> list[Event]:
        user, queue = name_at(body, "userId"), name_or_none(body, "queueId")
        ts = epoch_ms_at(body, "eventTime")
        if queue is None or queue in self._no_wrap_up:
            return []
        code = text_or_none(body, "wrapupCode")
        return [
            self.context.event("contact.wrapped", ts, contact=conversation, agent=user, code=code)
        ]


def _part(body: Body, contact: str, media: str) -> _Part:
    held = _duration(body, "heldDurationMs")
    worked = held + _duration(body, "interactingDurationMs")
    if media == "CALLBACK":
        # A callback is worked on before and while its call is made, which is a session of its own.
        worked = max(worked, _duration(body, "callbackDurationMs"))
    return _Part(
        contact,
        name_at(body, "userId"),
        name_or_none(body, "queueId"),
        media,
        epoch_ms_at(body, "eventTime"),
        worked,
        held,
        _duration(body, "alertingDurationMs") > 0,
        (text_or_none(body, "disconnectType") or "").upper(),
    )


def _duration(body: Body, path: str) -> int:
    return max(0, whole_or_none(body, path) or 0)


def _outbound(body: Body) -> bool:
    return text_or_none(body, "direction") == "OUTBOUND"


def _customer(body: Body, outbound: bool) -> str | None:
    """The customer's number or address, as far as it can be an id."""
    numbers = body.get("callbackNumbers")
    named = [numbers[0] if isinstance(numbers, list) and numbers else None]
    named += [
        body.get(key) for key in (("dnis", "addressTo") if outbound else ("ani", "addressFrom"))
    ]
    for value in named:
        if isinstance(value, str) and 0 < len(value) <= MAX_ID:
            return value
    return None
