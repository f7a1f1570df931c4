"""A row as a JSON object: its table by its columns, its values by the documented names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipeline.sources.source import Unread
from pipeline.sources.values import iso, load, shown, whole

Row = Mapping[str, Any]

TERMINATION = "Termination_Call_Detail"
STATE_TRACE = "Agent_State_Trace"
STATE_DETAIL = "AgentStateDetail"
CONTACT_CALL = "ContactCallDetail"
CONTACT_QUEUE = "ContactQueueDetail"

_TOLD_BY = (
    (TERMINATION, ("CallDisposition",)),
    (STATE_TRACE, ("AgentState", "SkillTargetID")),
    (STATE_DETAIL, ("agentID", "eventDateTime", "eventType")),
    (CONTACT_CALL, ("sessionID", "contactDisposition")),
    (CONTACT_QUEUE, ("targetType", "queueTime")),
)
_READ = (
    "ANI",
    "AgentPeripheralNumber",
    "AgentSkillTargetID",
    "AgentState",
    "CallDisposition",
    "CallTypeID",
    "DateTime",
    "DelayTime",
    "HoldTime",
    "ICRCallKey",
    "LocalQTime",
    "MRDomainID",
    "NetQTime",
    "PeripheralCallType",
    "PeripheralID",
    "PrecisionQueueID",
    "ReasonCode",
    "RingTime",
    "RoutedServiceSkillTargetID",
    "RoutedSkillGroupSkillTargetID",
    "RouterCallKey",
    "RouterCallKeyDay",
    "ServiceSkillTargetID",
    "SkillGroupSkillTargetID",
    "SkillTargetID",
    "TalkTime",
    "TimeToAband",
    "TimeZone",
    "WorkTime",
    "WrapupData",
    "agentID",
    "contactDisposition",
    "eventDateTime",
    "eventType",
    "queueTime",
    "reasonCode",
    "sessionID",
    "targetType",
)
_NAMES: dict[str, list[str]] = {}
for _name in _READ:
    _NAMES.setdefault(_name.lower(), []).append(_name)
_MOST_SECONDS = 30 * 86_400
_MOST_MINUTES = 24 * 60


def read(payload: bytes) -> tuple[str, Row]:
    """The table of a row, and the row by the names of the documentation. Raises `Unread`."""
    row: Row = load(payload)
    table = _table(row)
    if table is None:
        # Exports write column names as they like.
        row = _documented(row)
        table = _table(row)
    if table is None:
        raise Unread("payload", "is a row of no table that is known here")
    return table, row


def seconds(row: Row, column: str) -> int:
    """A duration in seconds, 0 where it is null. Raises `Unread`."""
    value = row.get(column)
    if value is None or value == "":
        return 0
    number = value if type(value) is int else whole(value, column)
    if not 0 <= number <= _MOST_SECONDS:
        raise Unread(column, f"should be a duration in seconds, not {shown(value)}")
    return number


def key(row: Row, column: str) -> str | None:
    """A numeric key as text, None where it is null, 0 or negative, as Cisco writes "none"."""
    value = row.get(column)
    if value is None or value == "":
        return None
    number = whole(value, column)
    return str(number) if number > 0 else None


def local_moment(row: Row, how: str, zone: str) -> int:
    """Epoch ms of DateTime, which is local time, TimeZone minutes away from GMT."""
    text = row.get("DateTime")
    if text is None or text == "":
        raise Unread("DateTime", "is required")
    minutes = row.get("TimeZone")
    if how == "site" or minutes is None or minutes == "" or _says_its_zone(text):
        return iso(text, "DateTime", zone)
    away = whole(minutes, "TimeZone")
    if abs(away) > _MOST_MINUTES:
        raise Unread("TimeZone", f"should be minutes from GMT, not {shown(minutes)}")
    return iso(text, "DateTime", "UTC") + (away if how == "minutes_west" else -away) * 60_000


def _says_its_zone(text: object) -> bool:
    return isinstance(text, str) and any(sign in text[10:] for sign in "+-Zz")


def _table(row: Row) -> str | None:
    for table, columns in _TOLD_BY:
        if all(column in row for column in columns):
            return table
    return None


def _documented(row: Row) -> Row:
    return {name: value for column, value in row.items() for name in _NAMES.get(column.lower(), ())}
