"""Whether engine and records agree, as a metric: the view `reconciliation`, asked part by part.

All of history in one question costs more with every month. So each look asks for the newest hours,
where late events and the sink are at work, and then for older hours, one span after another, as far
as a few seconds reach; the next look goes on from there and begins again at the end. What is known
of every span counts until it is asked again.

The question runs with the limits of an analyst, so an insert that meets it at the local store waits
no longer than behind an analyst. A sink that lags, or whose store takes no rows, does not ask.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import Callable, Collection
from datetime import UTC, datetime

from schemas.moments import DAY_MS
from sinks.clickhouse.metrics import SinkMetrics
from sinks.clickhouse.writer import HttpStore, Unavailable

log = logging.getLogger(__name__)

CELL_MS = 900_000
"""Differences are remembered by quarters of an hour; every span is made of whole ones."""
WIDEST_MS = 21_600_000
"""A span at first; it is halved when the store cannot compare it within the limits."""
EXPIRING_DAYS = 2
"""How long before they expire panes are no longer compared: the store goes by its own clock."""
LOOK_S = 5.0
"""How long one look goes on asking for older spans."""
END = "2290-01-01 00:00:00"
TOO_MUCH = frozenset({158, 159, 160, 241, 307})
"""Codes of ClickHouse for a query that takes too much: rows, time, memory, bytes."""

LIMITS = {
    "readonly": 1,
    "max_execution_time": 10,
    "max_memory_usage": 256 * 1024 * 1024,
    "max_threads": 1,
    "log_comment": "callboard reconciliation",
}

Mine = Callable[[], Collection[int] | None]
"""The partitions of which this sink writes the rows; None while it has better things to do."""


class Reconciler:
    """Looks every `every_ms` milliseconds and keeps the metrics.

    `kept_days` is how long the store keeps panes, 0 for ever.
    """

    def __init__(
        self,
        store: HttpStore,
        database: str,
        metrics: SinkMetrics,
        every_ms: int,
        mine: Mine,
        kept_days: int = 0,
    ) -> None:
        self._store = store
        self._database = database
        self._metrics = metrics
        self._every_s = every_ms / 1000
        self._kept_ms = max(1, kept_days - EXPIRING_DAYS) * DAY_MS if kept_days else 0
        self._mine = mine
        self._cells: dict[int, Counter[str]] = {}
        self._sites: set[str] = set()
        self._width = WIDEST_MS
        self._older: int | None = None

    async def run(self, stop: asyncio.Event) -> None:
        """Look until stopped; with an interval of 0 not at all."""
        while self._every_s and not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), self._every_s)
                return
            mine = self._mine()
            if mine is not None:
                await self.look(mine)

    async def look(self, partitions: Collection[int]) -> None:
        """One look at the sites of these partitions. What fails is counted and logged."""
        began = time.monotonic()
        try:
            await self._look(partitions, began)
        except Unavailable as error:
            self._metrics.reconciliation_failures.inc()
            if error.code in TOO_MUCH and self._width > CELL_MS:
                self._width = max(CELL_MS, self._width // 2)
                log.info("reconciliation takes too much, by %d min now", self._width // 60_000)
            else:
                log.warning("reconciliation cannot be asked: %s", error)
            return
        except Exception:  # a defect here must not end the rows' way into the store unseen
            self._metrics.reconciliation_failures.inc()
            log.exception("reconciliation failed")
            return
        self._metrics.reconciliation_checked.set(time.time())
        self._metrics.reconciliation_seconds.set(time.monotonic() - began)

    async def _look(self, partitions: Collection[int], began: float) -> None:
        newest = await self._progress(partitions)
        if not self._sites:
            self._show()
            return
        recent = newest - newest % self._width - self._width
        await self._compare(recent, None)
        oldest = max(await self._oldest(), self._expiring(newest))
        at = self._older if self._older is not None and self._older <= recent else recent
        while at > oldest and time.monotonic() - began < LOOK_S:
            first = at - self._width
            await self._compare(max(first, self._expiring(newest)), at)
            self._older = at = first
        if at <= oldest:
            self._older = None
        self._show()

    def _expiring(self, newest: int) -> int:
        """Before it panes and records may be gone, one sooner than the other: all is forgotten."""
        if not self._kept_ms:
            return 0
        first = -(-(newest - self._kept_ms) // CELL_MS) * CELL_MS
        self._cells = {nth: found for nth, found in self._cells.items() if nth * CELL_MS >= first}
        return first

    async def _progress(self, partitions: Collection[int]) -> int:
        """The greatest time of the sites of these partitions; takes note of who they are."""
        rows = await self._ask(
            "SELECT site, toUnixTimestamp64Milli(at), partition FROM {db}.progress"
        )
        mine = [(str(site), int(str(at))) for site, at, number in rows if number in partitions]
        self._sites = {site for site, _ in mine}
        return max((at for _, at in mine), default=0)

    async def _oldest(self) -> int:
        rows = await self._ask(
            "SELECT toUnixTimestamp64Milli(min(first)) FROM ("
            "SELECT minOrNull(pane_start) AS first FROM {db}.queue_panes "
            "UNION ALL SELECT minOrNull(pane_start) FROM {db}.team_panes)"
        )
        found = rows[0][0]
        return 0 if found is None else int(str(found))

    async def _compare(self, first: int, end: int | None) -> None:
        until = END if end is None else _moment(end)
        rows = await self._ask(
            f"SELECT site, intDiv(toUnixTimestamp64Milli(pane_start), {CELL_MS}), count() "
            "FROM {db}.reconciliation_between("
            f"from = '{_moment(first)}', to = '{until}') GROUP BY ALL"
        )
        for cell in [
            c for c in self._cells if first <= c * CELL_MS and (end is None or c * CELL_MS < end)
        ]:
            del self._cells[cell]
        for site, nth, count in rows:
            if site in self._sites:
                self._cells.setdefault(int(str(nth)), Counter())[str(site)] = int(str(count))

    async def _ask(self, sql: str) -> list[list[object]]:
        return await self._store.check(sql.replace("{db}", self._database), LIMITS)

    def _show(self) -> None:
        found: Counter[str] = sum(self._cells.values(), Counter())
        self._metrics.reconciliation_differences.clear()
        for site in self._sites:
            self._metrics.reconciliation_differences.labels(site).set(found[site])


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
