"""The tables of the store as the sink fills them: their columns, and which of them are moments.

A row of `kpi.rows` carries moments as integer epoch milliseconds. ClickHouse reads an integer for a
DateTime64 as whole seconds, but a decimal number as seconds with their fraction; so a moment is
written as seconds with three decimals, which a double holds exactly enough for any year below.
"""

from __future__ import annotations

from dataclasses import dataclass

import orjson

from schemas.kpis import COUNTERS, TEAM_TIMES

# What a DateTime64 holds on every version of the server: the years 1900 to 2299.
FIRST_MS = -2_208_988_800_000
LAST_MS = 10_413_791_999_999

_NUMBERS = (*COUNTERS, *TEAM_TIMES)


class RowError(ValueError):
    """A row that cannot be written; the message names the column."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: the columns of its rows besides `version`, and those that hold moments."""

    name: str
    columns: tuple[str, ...]
    moments: tuple[str, ...]

    def encode(self, row: object, version: int) -> bytes:
        """The row as one line of JSONEachRow.

        Columns the table does not have are left out: a worker may be newer than the store. Raises
        `RowError` for what is no row, and for a moment that is no integer or lies outside the years
        a column can hold.
        """
        if not isinstance(row, dict):
            raise RowError("is no object")
        fields = {name: row[name] for name in self.columns if name in row}
        for name in self.moments:
            at = fields.get(name)
            if at is not None:
                fields[name] = _seconds(name, at)
        fields["version"] = version
        try:
            return orjson.dumps(fields)
        except TypeError as error:
            raise RowError(f"cannot be written as JSON: {error}") from error


def _seconds(name: str, at: object) -> float:
    if type(at) is not int or not FIRST_MS <= at <= LAST_MS:
        raise RowError(f"{name}: {at!r} is no moment of the years 1900 to 2299")
    return at / 1000


def _table(name: str, moments: str, others: str, *more: str) -> Table:
    times = tuple(moments.split())
    return Table(name, ("site", *times, *others.split(), *more, "is_deleted"), times)


# The order in which a batch is written. Panes come before the records behind them: a pane that is
# ahead of the progress keeps `reconciliation` from comparing it with records that are not.
TABLES: dict[str, Table] = {
    table.name: table
    for table in (
        _table(
            "pane_settings",
            "valid_from",
            "pane_ms time_zone anchor lateness_ms settings",
        ),
        _table("queue_panes", "pane_start", "queue channel is_whole", *COUNTERS),
        _table("team_panes", "pane_start", "team is_whole", *TEAM_TIMES),
        _table(
            "visits",
            "queued_at outcome_at",
            "contact story queue channel direction customer priority outcome reason agent "
            "threshold_ms short_abandon_ms stuck_after_ms formula exclude_short anchor",
        ),
        _table(
            "legs",
            "answered_at visit_queued_at released_at wrapped_at",
            "contact story agent queue channel release_reason code hold_ms talk_ms wrap_ms handled "
            "stuck team",
        ),
        _table("declines", "declined_at", "contact story agent ordinal queue channel reason"),
        _table("agent_intervals", "started_at ended_at", "agent state team"),
        _table(
            "feedback",
            "at",
            "contact type key queue agent customer csat nps ces resolved score escalation_risk "
            "issue form url source",
        ),
    )
}

PROGRESS = "sink_progress"
