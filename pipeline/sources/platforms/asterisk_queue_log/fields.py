"""The fields of a payload: a line of the file, or a row of the table as a JSON object."""

from __future__ import annotations

import codecs
from typing import Any

import orjson

from pipeline.sources.source import Unread
from pipeline.sources.values import iso_at, load, name_or_none, shown, text_or_none, whole_or_none
from schemas.events import MAX_ID

CALLID, QUEUE, AGENT, EVENT, DATA = 1, 2, 3, 4, 5
"""Places in the fields; the columns of the table give the names in messages."""
LINE_STEP, ROW_STEP = 1000, 1
"""Resolution in ms: the file has whole seconds, the table microseconds."""

_COLUMNS = ("time", "callid", "queuename", "agent", "event")
_NO_CALL = frozenset({"", "NONE", "REALTIME", "MANAGER", "CLI"})
_NOBODY = frozenset({"", "NONE"})
_DAY_MS = 86_400_000
_LATIN = "callboard.latin"

Fields = list[str]


def _as_latin(error: UnicodeError) -> tuple[str, int]:
    # Names of callers and agents come from phones and files in whatever coding they had.
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error(_LATIN, _as_latin)


def read_line(payload: bytes) -> tuple[int, Fields]:
    """The moment in epoch ms and the fields of a line. Raises `Unread`."""
    fields = payload.decode("utf-8", _LATIN).split("|")
    if len(fields) < DATA:
        raise Unread("payload", "no line of a queue_log: fewer than five fields")
    return _epoch_s(fields[0]) * 1000, fields


def _epoch_s(text: str) -> int:
    if len(text) > 11 or not (text.isascii() and text.isdigit()):
        raise Unread("time", f"should be epoch seconds, not {shown(text)}")
    return int(text)


def read_row(payload: bytes, zone: str) -> tuple[int, Fields]:
    """The same of a row, whose time without offset is read in `zone`."""
    row = load(payload)
    time = row.get("time")
    if isinstance(time, str) and not time.isdigit():
        ts = iso_at(row, "time", zone)
    else:
        seconds = whole_or_none(row, "time")
        ts = _epoch_s("" if seconds is None else str(seconds)) * 1000
    fields = ["", *(name_or_none(row, column) or "" for column in _COLUMNS[1:])]
    return ts, fields + _data(row)


def _data(row: dict[str, Any]) -> Fields:
    """The parameters; the last of five columns holds the rest with its pipes."""
    if row.get("data") is not None:
        return (text_or_none(row, "data") or "").split("|")
    columns = [_text(row, f"data{number}") for number in range(1, 6)]
    return "|".join(columns).rstrip("|").split("|")


def _text(row: dict[str, Any], column: str) -> str:
    value = row.get(column)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text_or_none(row, column) or ""


def call_of(fields: Fields) -> str:
    """The call's unique id. Raises `Unread` where there is none."""
    return _name(fields, CALLID, _NO_CALL)


def queue_of(fields: Fields) -> str:
    """The queue. Raises `Unread` where there is none."""
    return _name(fields, QUEUE, _NOBODY)


def agent_of(fields: Fields) -> str:
    """The member's name. Raises `Unread` where there is none."""
    return _name(fields, AGENT, _NOBODY)


def _name(fields: Fields, place: int, none: frozenset[str]) -> str:
    name = fields[place]
    if name in none:
        raise Unread(_COLUMNS[place], f"should be named, not {shown(name)}")
    if len(name) > MAX_ID:
        raise Unread(_COLUMNS[place], f"has {len(name)} characters, more than {MAX_ID}")
    return name


def data_of(fields: Fields, number: int) -> str:
    """A parameter, counted from 1 as the columns are; empty where there is none."""
    place = DATA + number - 1
    return fields[place] if place < len(fields) else ""


def span_of(fields: Fields, number: int, unit_ms: int) -> int | None:
    """A length of time in ms, None where it is not told. Raises `Unread`."""
    text = data_of(fields, number)
    if not text:
        return None
    if len(text) <= 9 and text.isascii() and text.isdigit():
        span = int(text) * unit_ms
        if span <= _DAY_MS:
            return span
    raise Unread(f"data{number}", f"should be a length of time, not {shown(text)}")


def kind_of(payload: bytes) -> str:
    """The name of the event; `?` where there is none."""
    if payload.startswith(b"{"):
        try:
            row = orjson.loads(payload)
        except orjson.JSONDecodeError:
            return "?"
        name = row.get("event") if isinstance(row, dict) else None
        return name[:40] if isinstance(name, str) and name else "?"
    fields = payload.split(b"|", DATA)
    return fields[EVENT][:40].decode("utf-8", _LATIN) or "?" if len(fields) >= DATA else "?"
