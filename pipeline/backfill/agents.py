"""Timelines of agents where what is replaced meets what stands.

An agent is in one state at every moment, so at either bound an interval of one kind must end where
one of the other begins. The interval that reaches over `until` is the live pipeline's: it may still
be open. What was told of the agent is cut where that one begins.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline.backfill.bounds import Bounds
from pipeline.backfill.spool import OPEN, Spool
from pipeline.backfill.telling import NEVER
from schemas.moments import DAY_MS
from sinks.clickhouse.backfill import BackfillStore, Row
from sinks.clickhouse.tables import LAST_MS


class Timelines:
    """Which intervals are replaced, and by what."""

    def __init__(self, spool: Spool, store: BackfillStore, bounds: Bounds) -> None:
        self._spool = spool
        self._bounds = bounds
        self.first_conflict = OPEN
        """The first moment at which an interval that stands says otherwise than what was told."""
        self._stands: dict[str, Row] = {}
        self._next: dict[str, int] = {}
        self._before: dict[str, Row] = {}
        if not bounds.whole:
            self._look_after(store)
        if bounds.since != NEVER:
            self._before = self._cut_before(store)

    def replaces(self, row: Row) -> bool:
        """Whether a stored interval is replaced, by another or by nothing."""
        agent, start = row["agent"], row["started_at"]
        if agent in self._before and start == self._before[agent]["started_at"]:
            return True
        return bool(self._bounds.since <= start < self._end(agent))

    def wanted(self, first: int, end: int) -> Iterator[Row]:
        """The intervals that begin in `[first, end)`, as they are to be in the store."""
        for row in self._before.values():
            if first <= row["started_at"] < end:
                yield row
        for row in self._spool.rows("agent_intervals", first, end):
            limit = self._end(row["agent"])
            if self._bounds.since <= row["started_at"] < limit:
                yield _ended(row, self._next.get(row["agent"], OPEN))

    def _end(self, agent: str) -> int:
        stands = self._stands.get(agent)
        return self._bounds.until if stands is None else int(stands["started_at"])

    def _look_after(self, store: BackfillStore) -> None:
        """Which interval of each agent reaches over the bound, or comes next after it."""
        until = self._bounds.until
        for stored in store.reaching(until):
            agent = stored.row["agent"]
            self._stands[agent] = stored.row
            self._next[agent] = stored.row["started_at"]
        for stored in store.rows("agent_intervals", until, LAST_MS):
            self._next.setdefault(stored.row["agent"], stored.row["started_at"])
        told = {row["agent"]: row for row in self._spool.reaching(until)}
        for agent, row in self._stands.items():
            other = told.get(agent)
            if other is None or any(row[n] != other[n] for n in ("started_at", "state", "team")):
                begun = row["started_at"] if other is None else other["started_at"]
                self.first_conflict = min(self.first_conflict, row["started_at"], begun)

    def _cut_before(self, store: BackfillStore) -> dict[str, Row]:
        """Intervals that reach over the lower bound, ended where what was told goes on."""
        reaching = {
            stored.row["agent"]: stored.row for stored in store.reaching(self._bounds.since)
        }
        waiting = set(reaching)
        found: dict[str, Row] = {}
        at = self._bounds.since
        while waiting and at < min(self._bounds.until, self._last()):
            for row in self._spool.rows("agent_intervals", at, at + DAY_MS):
                agent = row["agent"]
                if agent in waiting and row["started_at"] < self._end(agent):
                    waiting.discard(agent)
                    found[agent] = reaching[agent] | {
                        "ended_at": row["started_at"],
                        "is_deleted": 0,
                    }
            at += DAY_MS
        return found

    def _last(self) -> int:
        span = self._spool.span("agent_intervals")
        return NEVER if span is None else span[1] + 1


def _ended(row: Row, limit: int) -> Row:
    """An interval that ends at a limit at the latest."""
    if limit < OPEN and (row["ended_at"] is None or row["ended_at"] > limit):
        return row | {"ended_at": limit}
    return row
