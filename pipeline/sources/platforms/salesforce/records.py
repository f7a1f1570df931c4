"""Records as their change events tell them, bit by bit: an update has only what changed."""

from __future__ import annotations

from typing import Any

from pipeline.sources.platforms.salesforce.envelope import ROW, Change, Fields

HOUR_MS = 3_600_000
LIMITS = {"open": (5_000, 336 * HOUR_MS), "over": (1_000, HOUR_MS), "case": (2_000, 720 * HOUR_MS)}
"""How many records are remembered, and how long after their last change.

One that is over is kept for changes that come late; dropped, it says nothing more, and nothing
wrong.
"""
MOST_BYTES = 1_000_000
"""What all of them may take, see `_size`: packed they fit into one message of the broker, whatever
the ids in them look like. Records that are over are given up first."""
_LONGEST = 200
_DATED_BY_CHANGE = "LastModifiedDate"
_SAME = {"OriginalGroupId": "OriginalQueueId", "GroupId": "QueueId"}
_OVER = frozenset(
    {"Closed", "Declined", "DeclinedOnPushTimeout", "Canceled", "Transferred", "Unavailable"}
)

Row = list[Any]
"""The order of the newest change, and the fields."""


class Records:
    """The newest known fields of each record, those of `kept` only.

    Changes may come twice, and through EventBridge in any order: an older one fills in what is
    missing and overwrites nothing.
    """

    def __init__(self, kept: dict[str, frozenset[str]]) -> None:
        self._kept = kept
        self._rows: dict[str, dict[str, Row]] = {group: {} for group in LIMITS}
        self._sizes: dict[str, int] = {}
        self._bytes = 0

    def merged(self, change: Change, record_id: str) -> tuple[list[int], Fields, set[str]]:
        """The order and the fields of a record once a change is applied, and what it touches.

        Nothing is kept yet. A row touches what differs from what was known.
        """
        given = change.fields
        fields: Fields = {}
        for name in self._kept[change.entity].intersection(given):
            value = given[name]
            if type(value) is str:
                if 0 < len(value) <= _LONGEST:
                    fields[name] = value
            elif isinstance(value, int | float):
                fields[name] = value
        for name, same in _SAME.items():
            if name in fields:
                fields.pop(same, None)
        if "Status" not in fields and change.entity == "AgentWork":
            # It dates the ends that have no time of their own, so it is that of the status.
            fields.pop(_DATED_BY_CHANGE, None)
        order = [change.at, *change.order]
        key = f"{change.entity}/{record_id}"
        open_, over, cases = self._rows.values()
        known = open_.get(key) or over.get(key) or cases.get(key)
        if known is None:
            return order, fields, set(fields)
        known_order, known_fields = known
        if change.type == ROW:
            touched = {name for name in fields if known_fields.get(name) != fields[name]}
        else:
            touched = set(fields)
        if order < known_order:
            return known_order, fields | known_fields, touched
        return order, known_fields | fields, touched

    def keep(self, change: Change, record_id: str, order: list[int], fields: Fields) -> None:
        """Remember a record."""
        key = f"{change.entity}/{record_id}"
        for rows in self._rows.values():
            if key in rows:
                self._drop(rows, key)
        group = _group(change, fields)
        rows = self._rows[group]
        rows[key] = [order, fields]
        self._weigh(key, fields)
        most, kept_ms = LIMITS[group]
        for _ in range(2):
            oldest = next(iter(rows))
            if len(rows) <= most and rows[oldest][0][0] >= order[0] - kept_ms:
                break
            self._drop(rows, oldest)
        while self._bytes > MOST_BYTES:
            rows = self._rows["over"] or self._rows["open"] or self._rows["case"]
            self._drop(rows, next(iter(rows)))

    def _weigh(self, key: str, fields: Fields) -> None:
        size = self._sizes[key] = _size(key, fields)
        self._bytes += size

    def _drop(self, rows: dict[str, Row], key: str) -> None:
        del rows[key]
        self._bytes -= self._sizes.pop(key)

    def memory(self) -> dict[str, dict[str, Row]]:
        """All records, as JSON."""
        return self._rows

    def recall(self, memory: Any) -> None:
        """Go on with these records; None are none."""
        for group, rows in (memory or {}).items():
            self._rows[group] = dict(rows)
        self._sizes, self._bytes = {}, 0
        for rows in self._rows.values():
            for key, row in rows.items():
                self._weigh(key, row[1])


def _size(key: str, fields: Fields) -> int:
    """About what a record takes once packed: the names of fields next to nothing, times little."""
    size = len(key) + 4 * len(fields)
    for value in fields.values():
        if type(value) is str:
            if len(value) < 30 and value[4:5] == "-":
                size += 9
            else:
                size += len(value) if value.isascii() else 4 * len(value)
    return size


def _group(change: Change, fields: Fields) -> str:
    if change.entity == "Case":
        return "case"
    over = (
        change.type == "DELETE"
        or (change.entity == "AgentWork" and fields.get("Status") in _OVER)
        or fields.get("IsCurrentState") is False
        or "EndTime" in fields
        or "CallEndDateTime" in fields
    )
    return "over" if over else "open"
