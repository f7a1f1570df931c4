"""Records as their change events tell them, bit by bit: an update has only what changed."""

from __future__ import annotations

from typing import Any

from pipeline.sources.platforms.salesforce.envelope import Change, Fields

MOST = 20_000
KEPT_MS = 26 * 3_600_000
"""Records that are remembered; one that did not change for so long is over."""
_LONGEST = 200
_DATED_BY_CHANGE = "LastModifiedDate"


class Records:
    """The newest known fields of each record, those of `kept` only.

    Changes may come twice, and through EventBridge in any order: an older one fills in what is
    missing and overwrites nothing.
    """

    def __init__(self, kept: dict[str, frozenset[str]]) -> None:
        self._kept = kept
        self._rows: dict[str, list[Any]] = {}

    def merged(self, change: Change, record_id: str) -> tuple[list[int], Fields]:
        """The order and the fields of a record once a change is applied; nothing is kept yet."""
        fields = {
            name: value
            for name, value in change.fields.items()
            if name in self._kept.get(change.entity, ()) and _plain(value)
        }
        if "Status" not in fields and change.entity == "AgentWork":
            # It dates the ends that have no time of their own, so it is that of the status.
            fields.pop(_DATED_BY_CHANGE, None)
        order = [change.at, *change.order]
        known = self._rows.get(f"{change.entity}/{record_id}")
        if known is None:
            return order, fields
        known_order, known_fields = known
        if order < known_order:
            return known_order, fields | known_fields
        return order, known_fields | fields

    def keep(self, entity: str, record_id: str, order: list[int], fields: Fields) -> None:
        """Remember a record."""
        key, rows = f"{entity}/{record_id}", self._rows
        rows.pop(key, None)
        rows[key] = [order, fields]
        for _ in range(2):
            oldest = next(iter(rows))
            if len(rows) > MOST or rows[oldest][0][0] < order[0] - KEPT_MS:
                del rows[oldest]

    def memory(self) -> dict[str, list[Any]]:
        """All records, as JSON."""
        return self._rows

    def recall(self, memory: Any) -> None:
        """Go on with these records."""
        self._rows = dict(memory)


def _plain(value: object) -> bool:
    return isinstance(value, bool | int | float) or (
        isinstance(value, str) and len(value) <= _LONGEST
    )
