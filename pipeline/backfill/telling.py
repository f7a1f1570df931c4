"""History into rows: framing and engine of the live pipeline, with a spool in place of Kafka.

Raw records go through the same translation and framing as in ingest, each with the moment at which
it was received, so what was late is late again and what was too far ahead is left out again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from itertools import islice
from typing import Any, cast

from pipeline.backfill.history import Record
from pipeline.backfill.spool import Spool
from pipeline.engine import Site
from pipeline.ingest.customers import Customers
from pipeline.ingest.lanes import Item, Lanes
from pipeline.ingest.metrics import IngestMetrics
from pipeline.ingest.partition import Partition, Surroundings
from pipeline.ingest.sites import Sites
from schemas.clock import Clock
from schemas.frames import Frame, decode_frame
from schemas.settings import SiteSettings
from schemas.topics import FRAMES

TICK_MS = 3_600_000
"""A live site's time never leaps: without ticks the engine would not lay out a silence of weeks."""
FILE_FRAME = 500
NEVER = -(1 << 62)


class Telling:
    """One site: frames in, the last rows of every key in the spool.

    `first` and `last` are the least and the greatest moment of what was applied, epoch ms.
    """

    def __init__(self, settings: SiteSettings, spool: Spool) -> None:
        self.settings = settings
        self.spool = spool
        self.site = Site(settings)
        self.first: int | None = None
        self.last: int = NEVER
        self.events = 0
        self.late = 0
        self._offset = -1

    def apply(self, frame: Frame) -> None:
        """Apply a frame of the site, after ticks through the silence before it."""
        moments = [event["ts"] for event in frame.events]
        self._note([*moments, frame.now])
        self.tick(frame.now)
        self._apply(frame)
        self.events += len(moments)

    def tick(self, now: int) -> None:
        """Let the site's time go on to a moment, by hours."""
        if self._offset >= 0:
            for moment in range(self.site.at + TICK_MS, now, TICK_MS):
                self._apply(Frame(self.site.site, 0, moment))
            if now > self.site.at:
                self._apply(Frame(self.site.site, 0, now))

    def _apply(self, frame: Frame) -> None:
        self._offset += 1
        changes = self.site.apply(frame, self._offset)
        self.late += len(changes.late)
        for table, rows in changes.rows.items():
            if table != "pane_settings":
                for row in rows:
                    self.spool.put(table, row)

    def _note(self, moments: list[int]) -> None:
        self.first = min(moments) if self.first is None else min(self.first, *moments)
        self.last = max(self.last, *moments)


class Framing:
    """Raw records of several sites to their tellings, by the code that frames them in ingest."""

    def __init__(
        self,
        tellings: Mapping[str, Telling],
        partitions: int,
        clock: Clock,
        customers: Customers,
        *,
        alone: bool,
    ) -> None:
        self._tellings = tellings
        sites = Sites()
        sites.update({site: telling.settings for site, telling in tellings.items()})
        lanes = cast(Lanes, _ToEngines(tellings))
        metrics = IngestMetrics()
        self._around = Surroundings(0, partitions, lanes, sites, clock, metrics, customers, alone)
        self._partitions: dict[int, Partition] = {}

    def take(self, record: Record) -> None:
        """Take the next record in the order of the topic."""
        partition = self._partitions.get(record.partition)
        if partition is None:
            partition = Partition(record.partition, self._around, {}, record.offset)
            self._partitions[record.partition] = partition
        partition.take([record], 0.0)

    def flush(self) -> None:
        """Close the frames that are open."""
        for partition in self._partitions.values():
            partition.flush(0.0)


class _ToEngines:
    """In the place of the lanes to Kafka: frames are applied at once, dead letters stay dead."""

    def __init__(self, tellings: Mapping[str, Telling]) -> None:
        self._tellings = tellings

    def put(self, topic: str, partition: int, item: Item) -> None:
        """Take what ingest would send."""
        del partition
        if topic == FRAMES:
            frame = decode_frame(item.value)
            self._tellings[frame.site].apply(frame)
        item.done(None)


def tell_file(telling: Telling, events: Iterable[dict[str, Any]]) -> Iterator[int]:
    """Apply the events of a file, which are in order; gives how many after each frame.

    A file does not say when its events were received: as in the time machine none is late.
    """
    site, first = telling.site.site, 0
    source = iter(events)
    while chunk := list(islice(source, FILE_FRAME)):
        offsets = list(range(first, first + len(chunk)))
        first += len(chunk)
        now = chunk[0]["ts"]
        frame = Frame(site, 0, now, (0, offsets[0], offsets[-1]), [], chunk, offsets)
        telling.apply(frame)
        yield len(chunk)


def quiet_ingest() -> None:
    """What ingest says of single records was said when they came."""
    logging.getLogger("pipeline.ingest").setLevel(logging.ERROR)
