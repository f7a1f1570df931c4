"""The quality KPIs of the board: asked of the store, told on the live topic.

Feedback comes days after its contact, so no live engine counts it (docs/adr/0005): the view
`kpi_quality_window` does, and what it answers is published as records of the kind `quality` and as
metrics of this sink. With the store away nothing is published, and the board says how old the last
figures are.

A long history takes the store seconds. The next look waits at least twenty times as long as this
one took, so that quality never has more than a twentieth of the store. A window that the store
cannot count within the limits grows old alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any
from zlib import crc32

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError

from schemas.brokers import Brokers
from schemas.live import QUALITY, QUALITY_WINDOWS, encode_live, live_record, record_key
from schemas.topics import LIVE
from service.logs import About, about
from sinks.clickhouse.metrics import SinkMetrics
from sinks.clickhouse.writer import HttpStore, Unavailable

log = logging.getLogger(__name__)

FIRST_S = 2.0
"""How soon the first look is tried, and tried again while the sink has better things to do."""
SHARE = 20
"""A look may take one part in so many of the time."""
PARTS = 16
"""Records of one window; all are sent each time, so that what is gone is gone at the board too."""
MOST = 2000
"""Queues and channels, and teams, that a window holds: those with the most feedback and contacts.
A record stays below 200 kB then. The views have all of them."""
REQUEST_S = 10.0

LIMITS = {
    "readonly": 1,
    "max_execution_time": 30,
    "max_memory_usage": 1024 * 1024 * 1024,
    "max_threads": 1,
    "log_comment": "callboard quality",
}

COUNTS = (
    *("csat_n", "csat_top", "csat_sum", "nps_n", "nps_promoters", "nps_detractors"),
    *("ces_n", "ces_easy", "ces_sum", "declared_n", "declared_resolved", "repeat_n"),
    *("repeat_resolved", "repeat_repeated", "repeat_repeated_final", "repeat_provisional"),
    *("sentiment_n", "sentiment_sum", "risk_n", "escalations", "qa_n", "qa_sum", "unmatched"),
)
RATIOS = (
    *("csat", "csat_mean", "nps", "ces", "ces_easy_share", "fcr_declared", "fcr_repeat"),
    *("fcr_repeat_final", "sentiment_mean", "escalation_share", "qa_mean"),
)
FIGURES = (*COUNTS, *RATIOS)

Figures = dict[str, Any]
Send = Callable[[bytes, bytes, int], Awaitable[None]]
"""Key, value and partition of a record for the live topic; returns when the broker has it."""
Mine = Callable[[], Collection[int] | None]
"""The partitions of which this sink writes the rows; None while it has better things to do."""


@dataclass(frozen=True, slots=True)
class _Progress:
    site: str
    at: int
    partition: int
    stamp: tuple[int, int]


class Quality:
    """Looks every `every_ms` milliseconds, 0 for never; publishes with `send`."""

    def __init__(
        self,
        store: HttpStore,
        database: str,
        metrics: SinkMetrics,
        every_ms: int,
        mine: Mine,
        send: Send,
    ) -> None:
        self._store = store
        self._database = database
        self._metrics = metrics
        self._every_s = every_ms / 1000
        self._mine = mine
        self._send = send

    async def run(self, stop: asyncio.Event) -> None:
        """Look until stopped."""
        wait = min(FIRST_S, self._every_s)
        while self._every_s and not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), wait)
                return
            mine = self._mine()
            if mine is None:
                wait = min(FIRST_S, self._every_s)
                continue
            began = time.monotonic()
            await self.look(mine)
            wait = rest(self._every_s, time.monotonic() - began)

    async def look(self, partitions: Collection[int]) -> None:
        """Ask and tell once for the sites of these partitions. What fails is counted and logged."""
        began = time.monotonic()
        try:
            known = await self._progress(partitions)
        except Unavailable as error:
            self._failed("the store does not say how far it is", error, about())
            return
        for site in known:
            for window in QUALITY_WINDOWS:
                await self._window(site, window)
        self._metrics.quality_seconds.set(time.monotonic() - began)

    async def _window(self, site: _Progress, window: str) -> None:
        place = about(site=site.site, topic=LIVE, partition=site.partition)
        try:
            said = await self._ask_window(site, window)
            for key, value in _records(site, window, said):
                await self._send(key, value, site.partition)
        except (Unavailable, KafkaError, OSError, TimeoutError) as error:
            self._failed(window, error, place)
        except Exception as error:  # a defect here must not end the sink, nor stay unseen
            log.exception("quality: unexpected", extra=place)
            self._failed(window, error, place)
        else:
            self._metrics.quality.show(site.site, window, site.at, said["all"])

    def _failed(self, what: str, error: Exception, place: About) -> None:
        self._metrics.quality.failures.inc()
        reason = str(error) or type(error).__name__
        log.warning("quality is not told: %s: %s", what, reason, extra=place)

    async def _progress(self, partitions: Collection[int]) -> list[_Progress]:
        rows = await self._ask(
            "SELECT site, toUnixTimestamp64Milli(at), partition, epoch, frame_offset "
            "FROM {db}.progress ORDER BY site"
        )
        found = [
            _Progress(str(site), int(at), int(number), (int(epoch), int(offset)))
            for site, at, number, epoch, offset in rows
        ]
        return [one for one in found if one.partition in partitions]

    async def _ask_window(self, site: _Progress, window: str) -> dict[str, Any]:
        """The content of a window: its bounds, the site, its channels, queues and teams."""
        given = f"site = {_text(site.site)}, window = '{window}', at = {_moment(site.at)}"
        bounds = await self._ask(
            "SELECT toUnixTimestamp64Milli(starts_at), toUnixTimestamp64Milli(ends_at) "
            f"FROM {{db}}.quality_bounds({given})"
        )
        rows = await self._ask(
            f"SELECT scope, queue, channel, team, {', '.join(FIGURES)} "
            f"FROM {{db}}.kpi_quality_window({given}) WHERE scope != 'agent' "
            "ORDER BY scope, repeat_n + declared_n + csat_n + nps_n + ces_n + qa_n DESC, "
            "queue, channel, team"
        )
        start, end = (int(bound) for bound in bounds[0])
        said: dict[str, Any] = {"from": start, "to": end, "all": _NONE, "channels": {}}
        said |= {"queues": {}, "teams": {}, "left_out": 0}
        for row in rows:
            _place(said, row)
        return said

    async def _ask(self, sql: str) -> list[list[Any]]:
        statement = sql.replace("{db}", self._database, 1)
        return [list(row) for row in await self._store.check(statement, LIMITS)]


def rest(every_s: float, took_s: float) -> float:
    """Seconds from the end of a look that took so long until the next one."""
    return max(every_s, SHARE * took_s)


_NONE: Figures = {**dict.fromkeys(COUNTS, 0), **dict.fromkeys(RATIOS)}


def _place(said: dict[str, Any], row: list[Any]) -> None:
    scope, queue, channel, team, *values = row
    figures = dict(zip(FIGURES, values, strict=True))
    if scope == "all":
        said["all"] = figures
    elif scope == "channel":
        said["channels"][channel] = figures
    elif scope == "team":
        if len(said["teams"]) < MOST:
            said["teams"][team] = figures
        else:
            said["left_out"] += 1
    elif sum(map(len, said["queues"].values())) < MOST:
        said["queues"].setdefault(queue, {})[channel] = figures
    else:
        said["left_out"] += 1


def _records(site: _Progress, window: str, said: dict[str, Any]) -> Iterator[tuple[bytes, bytes]]:
    for nth in range(PARTS):
        content = {
            key: {name: one for name, one in said[key].items() if _part(name) == nth}
            for key in ("queues", "teams")
        }
        if nth == 0:
            content |= {k: v for k, v in said.items() if k not in content}
        part = f"{window}.{nth}"
        record = live_record(site.site, site.stamp, site.at, QUALITY, part, {window: content})
        yield record_key(site.site, QUALITY, part), encode_live(record)


def _part(name: str) -> int:
    return crc32(name.encode()) % PARTS


class LiveProducer:
    """Writes records of the live topic; connects when first used and anew after a fault."""

    def __init__(self, brokers: Brokers) -> None:
        self._brokers = brokers
        self._producer: AIOKafkaProducer | None = None

    async def send(self, key: bytes, value: bytes, partition: int) -> None:
        """See `Send`. Raises what the broker raises, or TimeoutError."""
        try:
            async with asyncio.timeout(REQUEST_S):
                if self._producer is None:
                    self._producer = await self._started()
                await self._producer.send_and_wait(LIVE, value, key=key, partition=partition)
        except BaseException:
            await self.stop()
            raise

    async def _started(self) -> AIOKafkaProducer:
        producer = AIOKafkaProducer(**self._brokers.arguments())
        try:
            await producer.start()
        except BaseException:
            await producer.stop()
            raise
        return producer

    async def stop(self) -> None:
        """Close the connection, without waiting long for a broker."""
        producer, self._producer = self._producer, None
        if producer is not None:
            with contextlib.suppress(KafkaError, OSError, TimeoutError):
                await asyncio.wait_for(producer.stop(), REQUEST_S)


def _text(value: str) -> str:
    """A literal of ClickHouse. Braces would name a parameter."""
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + quoted.replace("{", "\\x7B").replace("}", "\\x7D") + "'"


def _moment(at: int) -> str:
    return f"fromUnixTimestamp64Milli(toInt64({at}), 'UTC')"
