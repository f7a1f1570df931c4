"""Values in the payloads of platforms: found by their path, checked, and refused by that path."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

import orjson

from pipeline.sources.source import Unread
from schemas.events import INT64_MAX, MAX_ID
from schemas.moments import from_datetime

_SHOWN = 60
_LONGEST_TIME = 64
"""Characters; longer text is no time, and is not kept among the times read lately."""


def load(payload: bytes) -> dict[str, Any]:
    """The JSON object of a payload. Raises `Unread`."""
    try:
        obj = orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise Unread("payload", f"not JSON: {error}") from None
    if not isinstance(obj, dict):
        raise Unread("payload", f"not a JSON object but {shown(obj)}")
    return obj


def peek(payload: bytes) -> dict[str, Any]:
    """The JSON object of a payload that is only to be named; empty where it is none."""
    try:
        obj = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return {}
    return obj if isinstance(obj, dict) else {}


def find(obj: Any, path: str) -> Any:
    """The value at a dotted path such as `detail.eventBody.queueId`, None if there is none."""
    if type(obj) is dict and "." not in path:
        return obj.get(path)
    for part in path.split("."):
        if not isinstance(obj, (dict, Mapping)):  # dict first: asking the ABC takes a microsecond
            return None
        obj = obj.get(part)
    return obj


def name_at(obj: Any, path: str) -> str:
    """A name or id: text of 1 to 200 characters; a whole number is taken as its digits."""
    found = name_or_none(obj, path)
    if found is None:
        raise Unread(path, "is required")
    return found


def plain_name_at(flat: Mapping[str, Any], name: str) -> str:
    """As `name_at` in an object without paths; fast for what is usual, text that is an id."""
    value = flat.get(name)
    if type(value) is str and 0 < len(value) <= MAX_ID:
        return value
    return name_at(flat, name)


def name_or_none(obj: Any, path: str) -> str | None:
    """A name or id, None where it is absent, null or empty."""
    value = find(obj, path)
    if value is None or value == "":
        return None
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value)
    if not isinstance(value, str):
        raise Unread(path, f"should be text, not {shown(value)}")
    if len(value) > MAX_ID:
        raise Unread(path, f"has {len(value)} characters, more than {MAX_ID}")
    return value


def customer_or_none(obj: Any, path: str) -> str | None:
    """A customer's number or id, None where there is none; a wrong one is refused untold."""
    try:
        return name_or_none(obj, path)
    except Unread:
        raise Unread(path, f"should be text of at most {MAX_ID} characters") from None


def text_or_none(obj: Any, path: str) -> str | None:
    """Text of any length, None where it is absent, null or empty."""
    value = find(obj, path)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise Unread(path, f"should be text, not {shown(value)}")
    return value


def word_at(obj: Any, path: str) -> str:
    """Text that must be there, such as the kind of an event."""
    value = text_or_none(obj, path)
    if value is None:
        raise Unread(path, "is required")
    return value


def whole_or_none(obj: Any, path: str) -> int | None:
    """A whole number of 64 bits, also written as digits; None where it is absent or null."""
    value = find(obj, path)
    if value is None or value == "":
        return None
    return whole(value, path)


def whole_at(obj: Any, path: str) -> int:
    """A whole number that must be there."""
    value = whole_or_none(obj, path)
    if value is None:
        raise Unread(path, "is required")
    return value


def whole(value: Any, path: str) -> int:
    """A whole number of 64 bits from a JSON value; `12.0` and `"12"` are 12."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**63:
        value = int(value)
    elif isinstance(value, str) and len(value) <= 20 and value.lstrip("-").isdecimal():
        try:
            value = int(value)
        except ValueError:
            raise Unread(path, f"should be a whole number, not {shown(value)}") from None
    if not isinstance(value, int) or isinstance(value, bool):
        raise Unread(path, f"should be a whole number, not {shown(value)}")
    if not -INT64_MAX <= value <= INT64_MAX:
        raise Unread(path, f"{shown(value)} is beyond 64 bits")
    return value


def epoch_ms_at(obj: Any, path: str) -> int:
    """A moment written as epoch milliseconds."""
    return whole_at(obj, path)


def epoch_s_at(obj: Any, path: str) -> int:
    """Epoch ms of a moment written as whole epoch seconds."""
    return _bounded(whole_at(obj, path) * 1000, path)


def iso_at(obj: Any, path: str, zone: str | None = None) -> int:
    """Epoch ms of a moment written in ISO 8601; see `iso`."""
    moment = iso_or_none(obj, path, zone)
    if moment is None:
        raise Unread(path, "is required")
    return moment


def iso_or_none(obj: Any, path: str, zone: str | None = None) -> int | None:
    """Epoch ms of a moment written in ISO 8601, None where it is absent, null or empty."""
    value = find(obj, path)
    if value is None or value == "":
        return None
    return iso(value, path, zone)


def iso(value: Any, path: str, zone: str | None = None) -> int:
    """Epoch ms of ISO 8601 text, rounded down to the millisecond.

    Text without an offset is read in `zone`; without a zone it is refused.
    """
    if not isinstance(value, str):
        raise Unread(path, f"should be a time in ISO 8601, not {shown(value)}")
    moment = _moment(value) if len(value) <= _LONGEST_TIME else None
    if moment is None:
        raise Unread(path, f"{shown(value)} is no time in ISO 8601")
    if moment.tzinfo is None:
        if zone is None:
            raise Unread(path, f"{shown(value)} names no zone")
        moment = moment.replace(tzinfo=ZoneInfo(zone))
    try:
        return from_datetime(moment)
    except (OverflowError, ValueError):
        raise Unread(path, f"{shown(value)} is beyond the years of a calendar") from None


@lru_cache(maxsize=4096)
def _moment(text: str) -> datetime | None:
    try:
        # Offsets without a colon (+0000) are usual on the wire; fromisoformat takes both.
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def _bounded(ms: int, path: str) -> int:
    if not -INT64_MAX <= ms <= INT64_MAX:
        raise Unread(path, "is beyond 64 bits in milliseconds")
    return ms


def items_at(obj: Any, path: str) -> list[Any]:
    """A list, empty where it is absent or null."""
    value = find(obj, path)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Unread(path, f"should be a list, not {shown(value)}")
    return value


def shown(value: object) -> str:
    """A value for a message, cut."""
    try:
        text = "null" if value is None else repr(value)
    except RecursionError:  # JSON may be nested as deep as Python may
        text = f"a deeply nested {type(value).__name__}"
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
