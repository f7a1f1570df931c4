"""The shapes in which records of Salesforce come.

A change event is wrapped once more by the Streaming API (`data`) and by the event relay to
EventBridge (`detail`). A row, as the REST API gives it, names its object in `attributes.type`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple

from pipeline.sources.source import Unread
from pipeline.sources.values import (
    epoch_ms_at,
    find,
    iso,
    items_at,
    name_at,
    name_or_none,
    peek,
    shown,
    whole,
    whole_or_none,
    word_at,
)

ROW = "ROW"
_TYPES = frozenset({"CREATE", "UPDATE", "DELETE", "UNDELETE"})
_HEADER = "ChangeEventHeader"
_LONGEST_ID = 200
_INT64 = 2**63

Fields = dict[str, Any]


class Change(NamedTuple):
    """What became of some records of one object; `type` is ROW for a record as it is.

    `at` is the epoch ms of the commit, of a row that of its last change, 0 where that is not in it;
    (`at`, `order`) puts changes in their order. `fields` are those that a row has, or those that
    changed, with the header.
    """

    entity: str
    ids: tuple[str, ...]
    type: str
    at: int
    order: tuple[int, int]
    fields: Fields


def change_of(found: Fields) -> Change:
    """The change a payload reports. Raises `Unread`."""
    inner = _inner(found)
    header = inner.get(_HEADER)
    if not isinstance(header, dict):
        if "records" in inner and "attributes" not in inner:
            raise Unread("records", "is the answer of a query; post each of them as a payload")
        entity = word_at(inner, "attributes.type") if "attributes" in inner else _entity(inner)
        at = moment_or_none(inner, "SystemModstamp", "LastModifiedDate") or 0
        return Change(entity, (_row_id(inner),), ROW, at, (0, 0), _given(inner))
    kind = header.get("changeType")
    if not isinstance(kind, str) or kind not in _TYPES:
        # A gap tells that something was changed and not what: an operator has to read it again.
        reason = f"{shown(kind)} carries no record; query the records and post their rows"
        raise Unread("changeType", reason)
    order = (_number(header, "commitNumber"), _number(header, "sequenceNumber"))
    at = _number(header, "commitTimestamp") or epoch_ms_at(header, "commitTimestamp")
    entity = id_at(header, "entityName")
    return Change(entity, _record_ids(header), kind, at, order, inner)


def _inner(found: Fields) -> Fields:
    for wrapping in ("detail", "data", "payload"):
        inside = found.get(wrapping)
        if isinstance(inside, dict):
            found = inside
    return found


def _number(header: Fields, name: str) -> int:
    value = header.get(name)
    if type(value) is int and 0 <= value < _INT64:
        return value
    return whole_or_none(header, name) or 0


def _record_ids(header: Fields) -> tuple[str, ...]:
    ids = items_at(header, "recordIds")
    if not ids:
        raise Unread("recordIds", "is required")
    for one in ids:
        if type(one) is not str or not 0 < len(one) <= _LONGEST_ID or one[-1] == "*":
            raise Unread("recordIds", f"{shown(one)} is no id of a record")
    return tuple(ids)


def _entity(inner: Fields) -> str:
    """The object of a row that does not name it, as exports do, by what only that object has."""
    if "UserId" in inner:
        if "WorkItemId" in inner:
            return "AgentWork"
        if "ServicePresenceStatusId" in inner:
            return "UserServicePresence"
    raise Unread("attributes.type", "is required")


def _row_id(inner: Fields) -> str:
    """An assignment without an id is known by its work, its agent and its beginning."""
    if "Id" in inner or "WorkItemId" not in inner or "UserId" not in inner:
        return name_at(inner, "Id")
    begun = moment_or_none(inner, "AssignedDateTime", "CreatedDate", "AcceptDateTime")
    return f"{id_at(inner, 'WorkItemId')} {id_at(inner, 'UserId')} {begun}"


def _given(inner: Fields) -> Fields:
    return {name: value for name, value in inner.items() if value is not None and value != ""}


def id_or_none(row: Fields, name: str) -> str | None:
    """An id, None where there is none; most are text of the right length."""
    value = row.get(name)
    if value is None or (type(value) is str and 0 < len(value) <= _LONGEST_ID):
        return value
    return name_or_none(row, name)


def id_at(row: Fields, name: str) -> str:
    """An id that must be there."""
    value = id_or_none(row, name)
    if value is None:
        raise Unread(name, "is required")
    return value


def moment_or_none(row: Fields, *names: str) -> int | None:
    """Epoch ms of the first of these fields that there is: ISO text, or epoch ms (Pub/Sub API)."""
    for name in names:
        value = row.get(name)
        if type(value) is str:
            return _text_moment(value, name)
        if value is not None:
            return whole(value, name) if isinstance(value, int) else iso(value, name, "UTC")
    return None


@lru_cache(maxsize=8192)
def _text_moment(text: str, name: str) -> int:
    # Each of an assignment's times comes again with each of its changes.
    return iso(text, name, "UTC")


def moment_at(row: Fields, *names: str) -> int:
    """As `moment_or_none`; one of them must be there."""
    moment = moment_or_none(row, *names)
    if moment is None:
        raise Unread(names[0], "is required")
    return moment


def _guessed(inner: Fields) -> str | None:
    try:
        return _entity(inner)
    except Unread:
        return None


def kind_of(payload: bytes) -> str:
    """The object and how it changed, such as `AgentWork UPDATE`."""
    inner = _inner(peek(payload))
    entity = find(inner, f"{_HEADER}.entityName")
    if entity is None:
        row = find(inner, "attributes.type") or _guessed(inner)
        return f"{row[:60]} row" if isinstance(row, str) else "?"
    change = find(inner, f"{_HEADER}.changeType")
    return f"{_word(entity)[:60]} {_word(change)[:20]}"


def _word(value: object) -> str:
    return value if isinstance(value, str) else "?"
