"""Makes the store equal to what was told, within the bounds; or only counts what would change.

Rows that are as they should be are not written again. So a run that was killed is simply run again,
and a second run changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

import orjson

from pipeline.backfill.agents import Timelines
from pipeline.backfill.bounds import Bounds
from pipeline.backfill.spool import OPEN, Spool, keyed
from pipeline.backfill.telling import NEVER
from pipeline.backfill.totals import Totals
from schemas.kpis import COUNTERS, TEAM_TIMES
from schemas.settings import SiteSettings
from sinks.clickhouse.backfill import CONTACTS, IDENTITY, BackfillStore, Row, Stored
from sinks.clickhouse.tables import FIRST_MS, LAST_MS, TABLES

SLICE_MS = 86_400_000
SLICE_ROWS = 50_000
"""Rows of a table compared at once; a day with more is cut into shorter slices."""
_SHORTEST_MS = 60_000
_PANES = {"queue_panes": COUNTERS, "team_panes": TEAM_TIMES}

Done = Callable[[str, int], None]


@dataclass(slots=True)
class Difference:
    """Rows of a table that are new, other than stored, or not to be there."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    same: int = 0

    @property
    def any(self) -> bool:
        """Whether anything is to be written."""
        return bool(self.added or self.changed or self.removed)


@dataclass(slots=True)
class Outcome:
    """What a comparison found: by table, panes left to the records, and totals by day."""

    totals: Totals
    tables: dict[str, Difference] = field(default_factory=dict)
    left_to_records: int = 0

    @property
    def any(self) -> bool:
        """Whether anything is to be written."""
        return any(difference.any for difference in self.tables.values())


class Comparing:
    """One site: its spool against the store. With `write` False nothing is changed."""

    def __init__(
        self,
        spool: Spool,
        store: BackfillStore,
        settings: SiteSettings,
        bounds: Bounds,
        *,
        write: bool,
    ) -> None:
        self._spool = spool
        self._store = store
        self._settings = settings
        self._bounds = bounds
        self._write = write
        self._timelines = Timelines(spool, store, bounds)
        self._outcome = Outcome(Totals(settings))

    def run(self, done: Done = lambda table, at: None) -> Outcome:
        """Compare, and write what differs. `done` is told the table and the moment reached."""
        self._compare_settings()
        for table in TABLES:
            if table != "pane_settings":
                for first, end in self._slices(table):
                    self._compare(table, self._wanted(table, first, end), first, end)
                    done(table, end)
        return self._outcome

    def leave_to_records(self) -> int:
        """Say of the panes in which old and new meet, and differ, that the records count.

        To be called when all rows are as they should be; one that does not write only counts.
        Returns how many panes there were.
        """
        bounds, version = self._bounds, self._bounds.version
        if bounds.whole and bounds.since == NEVER:
            return 0
        first = min(bounds.high, self._timelines.first_conflict)
        first = first if bounds.since == NEVER else min(first, bounds.since)
        first -= first % self._settings.pane_ms
        span = self._store.span("team_panes") or self._store.span("queue_panes") or (first, first)
        end = min(bounds.horizon, span[1] + SLICE_MS)
        for low, high in _cut(first, end, SLICE_MS):
            found = self._store.differences(low, high)
            for table in _PANES if self._write else ():
                panes = [pane for pane in found if f"{pane['pane']}_panes" == table]
                unknown = [_unknown(table, pane, self._settings.site) for pane in panes]
                self._store.insert(table, unknown, version)
            self._outcome.left_to_records += len(found)
        return self._outcome.left_to_records

    def check(self) -> int:
        """How many panes of what was replaced still differ from their records: 0, or a defect."""
        spans = [span for table in _PANES if (span := self._store.span(table)) is not None]
        if not spans:
            return 0
        low = max(min(first for first, _ in spans), self._bounds.since)
        end = min(max(last for _, last in spans) + SLICE_MS, self._bounds.horizon)
        return sum(len(self._store.differences(a, b)) for a, b in _cut(low, end, SLICE_MS))

    # --- rows -----------------------------------------------------------------------------------

    def _wanted(self, table: str, first: int, end: int) -> Iterable[Row]:
        if table == "agent_intervals":
            return self._timelines.wanted(first, end)
        rows = self._spool.rows(table, first, end)
        return (row for row in rows if self._replaces(table, row))

    def _replaces(self, table: str, row: Row) -> bool:
        bounds, at = self._bounds, row[IDENTITY[table][0]]
        if table in CONTACTS:
            # Rows of the first release do not tell their story.
            return bounds.replaces(row["story"] or at)
        if table in _PANES:
            end = OPEN if bounds.whole else at + self._settings.pane_ms
            return bounds.low <= at and end <= bounds.high
        if table == "agent_intervals":
            return self._timelines.replaces(row)
        return bounds.replaces(at)

    def _compare(self, table: str, wanted: Iterable[Row], first: int, end: int) -> None:
        told = keyed(table, wanted)
        found = [
            stored
            for stored in self._store.rows(table, first, end)
            if stored.version <= self._bounds.version and self._replaces(table, stored.row)
        ]
        held = keyed(table, (stored.row for stored in found))
        if table == "visits":
            self._outcome.totals.add(held.values(), told.values())
        difference = self._outcome.tables.setdefault(table, Difference())
        fresh: list[Row] = []
        for key, row in told.items():
            old = held.pop(key, None)
            if old is None:
                difference.added += 1
            elif _differs(table, row, old):
                difference.changed += 1
            else:
                difference.same += 1
                continue
            fresh.append(row)
        difference.removed += len(held)
        if self._write:
            self._store.insert(table, fresh, self._bounds.version)
            self._store.remove(table, list(held.values()), self._bounds.version)

    def _slices(self, table: str) -> Iterator[tuple[int, int]]:
        """Spans that hold all rows of a table on either side, each few enough for memory."""
        spans = [s for s in (self._spool.span(table), self._store.span(table)) if s is not None]
        if not spans:
            return
        low, high = min(s[0] for s in spans), max(s[1] for s in spans) + 1
        if not self._bounds.whole:
            high = min(high, self._bounds.horizon)
        for first, end in _cut(low, high, SLICE_MS):
            number = max(self._spool.count(table, first, end), self._store.count(table, first, end))
            if number:
                parts = 1 + number // SLICE_ROWS
                yield from _cut(first, end, max(_SHORTEST_MS, SLICE_MS // parts))

    # --- settings -------------------------------------------------------------------------------

    def _compare_settings(self) -> None:
        """The settings that were told with hold for what was replaced, the others after it."""
        bounds, site = self._bounds, self._settings.site
        stored = {s.row["valid_from"]: s for s in self._store.settings()}
        since = 0 if bounds.since == NEVER else bounds.since
        wanted = {since: settings_row(self._settings, since)}
        if not bounds.whole:
            after = _in_force(stored, bounds.until)
            if after is not None and not _same_settings(after, wanted[since]):
                wanted[bounds.until] = after | {"site": site, "valid_from": bounds.until}
        difference = self._outcome.tables.setdefault("pane_settings", Difference())
        gone = [
            s.row for at, s in stored.items() if since <= at < bounds.until and at not in wanted
        ]
        fresh = []
        for at, row in wanted.items():
            if at not in stored:
                difference.added += 1
            elif not _same_settings(stored[at].row, row):
                difference.changed += 1
            else:
                difference.same += 1
                continue
            fresh.append(row)
        difference.removed += len(gone)
        if self._write:
            self._store.insert("pane_settings", fresh, bounds.version)
            self._store.remove("pane_settings", gone, bounds.version)


def settings_row(settings: SiteSettings, since: int) -> Row:
    """The row of settings that hold from a moment on."""
    return {
        "site": settings.site,
        "valid_from": since,
        "pane_ms": settings.pane_ms,
        "time_zone": settings.time_zone,
        "anchor": settings.anchor,
        "lateness_ms": settings.lateness_ms,
        "settings": orjson.dumps(settings.dump()).decode(),
        "is_deleted": 0,
    }


def _in_force(stored: dict[int, Stored], at: int) -> Row | None:
    # Before the first settings the first ones hold.
    since = max((since for since in stored if since <= at), default=min(stored, default=None))
    return None if since is None else stored[since].row


def _same_settings(one: Row, other: Row) -> bool:
    names = ("pane_ms", "time_zone", "anchor", "lateness_ms", "settings")
    return all(one[name] == other[name] for name in names)


def _differs(table: str, told: Row, stored: Row) -> bool:
    return any(
        stored[name] != told.get(name)
        for name in TABLES[table].columns
        if name in told and name in stored and name != "is_deleted"
    )


def _unknown(table: str, pane: Row, site: str) -> Row:
    row: Row = {"site": site, "pane_start": pane["pane_start"], "is_whole": 0, "is_deleted": 0}
    row |= dict.fromkeys(_PANES[table], 0)
    if table == "team_panes":
        return row | {"team": pane["name"]}
    return row | {"queue": pane["name"], "channel": pane["channel"]}


def _cut(first: int, end: int, width: int) -> Iterator[tuple[int, int]]:
    """`[first, end)` cut at multiples of a width, within what the store can say."""
    at, end = max(first, FIRST_MS), min(end, LAST_MS)
    while at < end:
        after = min(end, at - at % width + width)
        yield at, after
        at = after
