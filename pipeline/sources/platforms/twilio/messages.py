"""TaskRouter's messages: a form, the same fields as JSON, or CloudEvents of Event Streams.

A webhook names its fields TaskSid, Event Streams names them task_sid. They are asked for in the way
of Event Streams, and refused by the name they came with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import unquote_to_bytes

import orjson

from pipeline.sources.source import Unread
from pipeline.sources.values import iso, shown, whole
from schemas.events import INT64_MAX, MAX_ID

PREFIX = "com.twilio.taskrouter."


class Message:
    """One event of TaskRouter."""

    __slots__ = ("_camel", "_fields", "_path", "_sent", "kind", "named_in")

    def __init__(
        self, kind: str, fields: Mapping[Any, Any], path: str, camel: bool, sent: Any = None
    ) -> None:
        self.kind = kind
        self.named_in = "EventType" if camel else f"{path.removesuffix('data.payload.')}type"
        self._sent = sent
        self._fields = fields
        self._path = path
        self._camel = camel

    def path(self, name: str) -> str:
        """The field's own name, for errors."""
        return self._path + (_camel(name) if self._camel else name)

    def get(self, name: str) -> Any:
        """A field as it is; None if absent, null or empty."""
        value = self._fields.get(_camel(name) if self._camel else name)
        return None if value == "" else value

    def text(self, name: str) -> str | None:
        """Text of any length; a whole number is taken as its digits."""
        value = self.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if value is not None and not isinstance(value, str):
            raise Unread(self.path(name), f"should be text, not {shown(value)}")
        return value

    def sid(self, name: str) -> str:
        """An id that must be there."""
        value = self.text(name)
        if value is None:
            raise Unread(self.path(name), "is required")
        if len(value) > MAX_ID:
            raise Unread(self.path(name), f"has {len(value)} characters, more than {MAX_ID}")
        return value

    def whole(self, name: str) -> int | None:
        """A whole number."""
        value = self.get(name)
        return None if value is None else whole(value, self.path(name))

    def flag(self, name: str) -> bool | None:
        """True or false, which a form writes as text."""
        value = self.get(name)
        if value is None or isinstance(value, bool):
            return value
        if value in ("true", "false"):
            return bool(value == "true")
        raise Unread(self.path(name), f"should be true or false, not {shown(value)}")

    def attributes(self, name: str) -> dict[str, Any]:
        """The JSON object within a text; empty for what is none, since applications write it."""
        value = self.text(name)
        if value is None:
            return {}
        try:
            found = orjson.loads(value)
        except orjson.JSONDecodeError:
            return {}
        return found if isinstance(found, dict) else {}

    def at(self) -> int:
        """Epoch ms of the event: TimestampMs, or Timestamp in whole seconds; ISO in streams.

        The envelope of Event Streams says it too, for a payload that does not.
        """
        exact = self.whole("timestamp_ms") if self._camel else None
        if exact is not None:
            return exact
        value = self.get("timestamp") or self._sent
        if value is None:
            raise Unread(self.path("timestamp"), "is required")
        if isinstance(value, str) and not value.isdecimal():
            return iso(value, self.path("timestamp"))
        moment = 1000 * whole(value, self.path("timestamp"))
        if abs(moment) > INT64_MAX:
            raise Unread(self.path("timestamp"), "is beyond 64 bits in milliseconds")
        return moment


@lru_cache(maxsize=256)
def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))


def attribute(attributes: dict[str, Any], path: str) -> str | None:
    """Text at a dotted path of attributes; None for what is no id."""
    value: Any = attributes
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, str) and 0 < len(value) <= MAX_ID else None


def messages(payload: bytes) -> list[Message | Unread]:
    """The messages of a payload: one, or those of an array of CloudEvents. Raises `Unread`.

    In an array stands the reason in the place of a message that is none.
    """
    if payload.lstrip()[:1] not in (b"{", b"["):
        return [_form(payload)]
    try:
        told = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise Unread("payload", f"not JSON: {error}") from None
    if isinstance(told, dict):
        return [_object(told)]
    return [_in_array(item, f"{number}.") for number, item in enumerate(told)]


def _in_array(told: Any, path: str) -> Message | Unread:
    try:
        return _cloud_event(told, path)
    except Unread as error:
        return error


def _object(told: dict[str, Any]) -> Message:
    if "EventType" not in told and "type" in told:
        return _cloud_event(told, "")
    return Message(_word(told.get("EventType"), "EventType"), told, "", True)


def _cloud_event(told: Any, path: str) -> Message:
    if not isinstance(told, dict):
        raise Unread(path.rstrip("."), f"should be a CloudEvent, not {shown(told)}")
    kind = _word(told.get("type"), f"{path}type")
    if not kind.startswith(PREFIX):
        raise Unread(f"{path}type", f"no event of TaskRouter: {shown(kind)}")
    data = told.get("data")
    fields = data.get("payload") if isinstance(data, dict) else None
    if not isinstance(data, dict) or not isinstance(fields, dict):
        raise Unread(f"{path}data.payload", f"should be an object, not {shown(fields)}")
    sent = data.get("timestamp") or told.get("time") or None
    return Message(kind[len(PREFIX) :], fields, f"{path}data.payload.", False, sent)


def _word(value: Any, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise Unread(path, f"should be the type of the event, not {shown(value)}")
    return value


class _Form(Mapping[str, Any]):
    """The fields of a form, each looked for and decoded when it is asked for: most never are."""

    __slots__ = ("_body",)

    def __init__(self, body: bytes) -> None:
        self._body = b"&" + body.strip()

    def get(self, name: str, default: Any = None) -> Any:
        key = f"&{name}=".encode()
        at = self._body.find(key)
        if at < 0:
            return default
        end = self._body.find(b"&", at + 1)
        raw = self._body[at + len(key) : end if end >= 0 else None]
        try:
            return _decoded(raw)
        except UnicodeDecodeError:
            raise Unread(name, "is no UTF-8") from None

    def __getitem__(self, name: str) -> Any:
        return self.get(name)

    def __iter__(self) -> Iterator[str]:
        return (pair.partition(b"=")[0].decode() for pair in self._body[1:].split(b"&"))

    def __len__(self) -> int:
        return self._body.count(b"&")


def _decoded(raw: bytes) -> str:
    if b"+" in raw:
        raw = raw.replace(b"+", b" ")
    return (unquote_to_bytes(raw) if b"%" in raw else raw).decode()


def _form(payload: bytes) -> Message:
    fields = _Form(payload)
    return Message(_word(fields.get("EventType"), "EventType"), fields, "", True)
