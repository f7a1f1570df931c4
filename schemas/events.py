"""Canonical events: the one place where what a platform says is checked against the contract.

Each event type is a `TypedDict` validated in strict mode by an adapter that is built once; an event
is dispatched by its `type` and comes back as a plain dict with its known fields only, defaults
filled and nulls absent, so that equal events are equal dicts and equal bytes.

`EventError` is the only exception a reader of events has to catch.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, NoReturn, NotRequired

import orjson
from pydantic import AfterValidator, ConfigDict, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

MAX_ID = 200
INT64_MIN, INT64_MAX = -(2**63), 2**63 - 1

_STRICT = ConfigDict(strict=True)

Id = Annotated[str, Field(min_length=1, max_length=MAX_ID)]
Int64 = Annotated[int, Field(ge=INT64_MIN, le=INT64_MAX)]
# Minus zero equals zero, yet has other bytes: without it equal feedback would have two keys.
_unsigned_zero = AfterValidator(lambda number: number + 0.0)
Sentiment = Annotated[float, Field(ge=-1, le=1), _unsigned_zero]
Share = Annotated[float, Field(ge=0, le=1), _unsigned_zero]
Percent = Annotated[float, Field(ge=0, le=100), _unsigned_zero]

Channel = Literal["voice", "chat", "email", "message", "social", "callback", "task"]
Direction = Literal["inbound", "outbound"]
DeclineReason = Literal["no_answer", "rejected"]
ReleaseReason = Literal["completed", "transferred"]
LeftReason = Literal[
    "callback",
    "overflow",
    "timeout",
    "transfer",
    "voicemail",
    "answered_elsewhere",
    "lost",
    "other",
]
PlatformState = Literal["available", "busy", "wrap", "not_ready", "offline"]


class EventError(ValueError):
    """An event breaks the contract: `field` names where, `reason` says how.

    `field` is `payload` when the text is no JSON object at all; a place inside a list is written
    `queues.2`.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class _Common(TypedDict):
    __pydantic_config__ = _STRICT  # type: ignore[misc]  # how pydantic configures a TypedDict

    site: Id
    ts: Int64
    source: NotRequired[str]
    id: NotRequired[str]


class ContactQueued(_Common):
    """A contact starts to wait in a queue."""

    type: Literal["contact.queued"]
    contact: Id
    queue: Id
    channel: NotRequired[Channel]
    direction: NotRequired[Direction]
    customer: NotRequired[Id]
    priority: NotRequired[Int64]


class ContactOffered(_Common):
    """A contact rings at an agent."""

    type: Literal["contact.offered"]
    contact: Id
    agent: Id


class ContactDeclined(_Common):
    """A ring ended without an answer."""

    type: Literal["contact.declined"]
    contact: Id
    agent: Id
    reason: NotRequired[DeclineReason]


class ContactAnswered(_Common):
    """An agent begins to talk with a contact."""

    type: Literal["contact.answered"]
    contact: Id
    agent: Id
    queue: NotRequired[Id]
    channel: NotRequired[Channel]


class ContactHeld(_Common):
    """A hold begins within a leg."""

    type: Literal["contact.held"]
    contact: Id
    agent: Id


class ContactResumed(_Common):
    """A hold ends."""

    type: Literal["contact.resumed"]
    contact: Id
    agent: Id


class ContactReleased(_Common):
    """The talk of a leg ends and its wrap-up begins."""

    type: Literal["contact.released"]
    contact: Id
    agent: Id
    reason: NotRequired[ReleaseReason]


class ContactWrapped(_Common):
    """The wrap-up of a leg ends."""

    type: Literal["contact.wrapped"]
    contact: Id
    agent: Id
    code: NotRequired[str]


class ContactAbandoned(_Common):
    """The customer gave up waiting."""

    type: Literal["contact.abandoned"]
    contact: Id
    queue: NotRequired[Id]


class ContactLeft(_Common):
    """A contact left the queue neither answered nor abandoned."""

    type: Literal["contact.left"]
    contact: Id
    queue: NotRequired[Id]
    reason: NotRequired[LeftReason]


class AgentState(_Common):
    """What the platform says of an agent."""

    type: Literal["agent.state"]
    agent: Id
    state: PlatformState
    reason: NotRequired[str]
    team: NotRequired[str]


class AgentProfile(_Common):
    """Master data of an agent, effective from `ts`."""

    type: Literal["agent.profile"]
    agent: Id
    team: NotRequired[str]
    queues: NotRequired[list[Id]]
    capacity: NotRequired[Int64]


class SurveyAnswered(_Common):
    """A customer answered a survey."""

    type: Literal["survey.answered"]
    contact: Id
    queue: NotRequired[Id]
    csat: NotRequired[Annotated[int, Field(ge=1, le=5)]]
    nps: NotRequired[Annotated[int, Field(ge=0, le=10)]]
    ces: NotRequired[Annotated[int, Field(ge=1, le=7)]]
    resolved: NotRequired[bool]


class ContactResolved(_Common):
    """What the CRM or the help desk says of a contact."""

    type: Literal["contact.resolved"]
    contact: Id
    customer: NotRequired[Id]
    issue: NotRequired[str]
    resolved: bool


class ContactSentiment(_Common):
    """What a sentiment service says of a contact."""

    type: Literal["contact.sentiment"]
    contact: Id
    score: Sentiment
    escalation_risk: NotRequired[Share]


class ContactEvaluated(_Common):
    """A quality assessment of an agent's part in a contact."""

    type: Literal["contact.evaluated"]
    contact: Id
    agent: Id
    score: Percent
    form: NotRequired[str]


class ContactRecorded(_Common):
    """Where the recording of a contact is."""

    type: Literal["contact.recorded"]
    contact: Id
    url: str


class ClockEvent(_Common):
    """Nothing happened up to `ts`."""

    type: Literal["clock"]


CLOCK = "clock"

_MODELS: dict[str, Any] = {
    "contact.queued": ContactQueued,
    "contact.offered": ContactOffered,
    "contact.declined": ContactDeclined,
    "contact.answered": ContactAnswered,
    "contact.held": ContactHeld,
    "contact.resumed": ContactResumed,
    "contact.released": ContactReleased,
    "contact.wrapped": ContactWrapped,
    "contact.abandoned": ContactAbandoned,
    "contact.left": ContactLeft,
    "agent.state": AgentState,
    "agent.profile": AgentProfile,
    "survey.answered": SurveyAnswered,
    "contact.resolved": ContactResolved,
    "contact.sentiment": ContactSentiment,
    "contact.evaluated": ContactEvaluated,
    "contact.recorded": ContactRecorded,
    CLOCK: ClockEvent,
}

FEEDBACK_TYPES: frozenset[str] = frozenset(
    {
        "survey.answered",
        "contact.resolved",
        "contact.sentiment",
        "contact.evaluated",
        "contact.recorded",
    }
)
"""Facts about a contact that take no part in its story."""

_DEFAULTS: dict[str, tuple[tuple[str, str], ...]] = {
    "contact.queued": (("channel", "voice"), ("direction", "inbound")),
    "contact.declined": (("reason", "no_answer"),),
    "contact.answered": (("channel", "voice"),),
    "contact.released": (("reason", "completed"),),
    "contact.left": (("reason", "other"),),
}

_Validate = Callable[[object], dict[str, Any]]


def _reader(name: str) -> tuple[_Validate, tuple[tuple[str, str], ...]]:
    return TypeAdapter(_MODELS[name]).validator.validate_python, _DEFAULTS.get(name, ())


_READERS = {name: _reader(name) for name in _MODELS}


def read_event(payload: bytes | str) -> dict[str, Any]:
    """Read one event from JSON text; raise `EventError` if it is not one of the contract.

    Of a key that stands twice the last counts. Integers beyond 64 bits are refused.
    """
    return validate_event(parse_payload(payload))


def parse_payload(payload: bytes | str) -> dict[str, Any]:
    """Decode JSON text that must be an object; raise `EventError` for the field `payload`."""
    try:
        obj = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        obj = _patient_loads(payload)
        if obj is None:
            raise EventError("payload", f"not JSON: {error}") from None
    if not isinstance(obj, dict):
        raise EventError("payload", f"not a JSON object but {_shown(obj)}")
    return obj


class _NotKept:
    """Stands for a value that JSON may spell and nothing behind validation can write."""

    def __repr__(self) -> str:
        return "what cannot be kept (half of a surrogate pair, say)"


def _patient_loads(payload: bytes | str) -> Any:
    """What orjson refuses and yet is JSON, or None.

    A field that is ignored may hold half of a surrogate pair or a number beyond all range; of one
    that is read, validation refuses what stands in its place.
    """
    try:
        text = payload if isinstance(payload, str) else payload.decode()
        obj = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        return None
    if not isinstance(obj, dict):
        return obj if _can_be_kept(obj) else None
    return {
        key: value if _can_be_kept(value) else _NotKept()
        for key, value in obj.items()
        if _can_be_kept(key)
    }


def _can_be_kept(value: object) -> bool:
    try:
        orjson.dumps(value)
    except orjson.JSONEncodeError:
        return False
    return True


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def validate_event(obj: object) -> dict[str, Any]:
    """Check a decoded event and return its known fields as a new dict.

    Defaults are filled, nulls of optional fields are absent, other fields are dropped.
    Raises `EventError` that names the first field that is wrong.
    """
    if not isinstance(obj, dict):
        raise EventError("payload", f"not a JSON object but {_shown(obj)}")
    name = obj.get("type")
    reader = _READERS.get(name) if isinstance(name, str) else None
    if reader is None:
        _refuse_type(obj)
    validate, defaults = reader
    if None in obj.values():
        obj = {key: value for key, value in obj.items() if value is not None}
    try:
        event = validate(obj)
    except ValidationError as error:
        raise _event_error(error) from None
    for key, value in defaults:
        if key not in event:
            event[key] = value
    return event


def readable_site(obj: object) -> str | None:
    """The site an object names, or None if it names none that the contract allows."""
    if not isinstance(obj, dict):
        return None
    site = obj.get("site")
    return site if isinstance(site, str) and 0 < len(site) <= MAX_ID else None


def event_key(event: Mapping[str, Any]) -> bytes:
    """The validated event as compact UTF-8 JSON with sorted keys: its identity, its last tie."""
    return orjson.dumps(event, option=orjson.OPT_SORT_KEYS)


def _refuse_type(obj: dict[str, Any]) -> NoReturn:
    name = obj.get("type")
    if name is None:
        raise EventError("type", "is required")
    raise EventError("type", f"unknown event type {_shown(name)}")


def _event_error(error: ValidationError) -> EventError:
    first = error.errors(include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "payload"
    if first["type"] == "missing":
        return EventError(field, "is required")
    reason = first["msg"].replace("Input should", "should")
    return EventError(field, f"{reason}, not {_shown(first['input'])}")


def _shown(value: object) -> str:
    text = "null" if value is None else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."
