"""One raw partition: its records become frames, dead letters, and an offset that may be committed.

A record belongs to the site its event names. Kafka's key says the same and is how the site of an
unreadable payload is known; where key and event name different sites the event is refused. A record
may come over a partition that is not its site's own, because its producer hashes keys in another
way: it is framed all the same.

An offset may be committed when every frame and dead letter from before it is acknowledged.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from pipeline.ingest.customers import Customers
from pipeline.ingest.dead_letters import Place, Rejected, dead_letter
from pipeline.ingest.framer import (
    EVENT_OVERHEAD,
    FRAME_OVERHEAD,
    MAX_BYTES,
    OFFSET_BYTES,
    Addition,
    Framer,
    Mark,
)
from pipeline.ingest.lanes import Item, Lanes
from pipeline.ingest.memory import Keeper, Memories
from pipeline.ingest.metrics import IngestMetrics
from pipeline.ingest.raw import CANONICAL, KEPT_BYTES, RawHeaders, read_headers
from pipeline.ingest.resume import HEADER_RESUME, Past, resume_header
from pipeline.ingest.sites import Sites
from pipeline.ingest.translate import Streams
from pipeline.sources.source import Event
from pipeline.topics import partition_of
from schemas.clock import Clock
from schemas.frames import Frame, encode_frame
from schemas.topics import DEAD, FRAMES, RAW

log = logging.getLogger(__name__)

MAX_CANONICAL_BYTES = KEPT_BYTES
"""An event whose known fields take more is no event of a contact centre, and bursts the state."""
MAX_AHEAD_OF_CLOCK_MS = 60_000
"""A `received` further ahead of the clock than this is not believed: it would move the site's time
there for ever."""
RESUME_EVERY_S = 1.0
FEW_SITES = 4


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What all partitions of a process share."""

    epoch: int
    partitions: int
    lanes: Lanes
    sites: Sites
    clock: Clock
    metrics: IngestMetrics
    customers: Customers
    alone: bool = False
    """The only door is ours, and the sequences of its journal are to be believed."""


class Partition:
    """The framing of one raw partition. `turn` is the loop's monotonic time in seconds."""

    def __init__(
        self,
        number: int,
        around: Surroundings,
        past: Past,
        begin: int,
        memories: Memories | None = None,
    ) -> None:
        self.number = number
        self.streams = Streams(around.sites, around.customers, memories or {})
        self._keeper = Keeper(number, around.epoch, around.lanes, self.streams)
        self.next = begin
        self._around = around
        self._framers: dict[str, Framer] = {}
        self._unsettled: dict[int, int] = {}
        self._token = 0
        self._resumed_at = -RESUME_EVERY_S
        for site in self.residents:
            around.sites.reopen(site)
        for site, known in past.items():
            if site in around.sites:
                around.sites.resume(site, known.now, known.told)
                self._framers[site] = self._framer(site, known.mark)

    @property
    def residents(self) -> list[str]:
        """The sites whose own partition this is, with events or without."""
        return [site for site in self._around.sites if self._home(site) == self.number]

    @property
    def strays(self) -> list[str]:
        """Sites that come over this partition although it is not theirs."""
        return [site for site in self._framers if self._home(site) != self.number]

    def take(self, records: Iterable[Any], turn: float) -> None:
        """Take records in the order of their offsets."""
        count = 0
        for record in records:
            self._take(record, turn)
            count += 1
        self._around.metrics.records.inc(count)

    def close_due(self, turn: float) -> None:
        """Send the frames that have waited long enough, and those of sites that are gone."""
        for site, framer in list(self._framers.items()):
            gone = site not in self._around.sites
            if framer.due(turn) or (gone and framer.first_open is not None):
                self._close(framer, turn)
            if gone:
                del self._framers[site]
        self._keeper.keep(self.next, self._settled(), turn)

    def flush(self, turn: float) -> None:
        """Send every open frame."""
        for site in self._framers:
            self.flush_site(site, turn)

    def flush_site(self, site: str, turn: float) -> None:
        """Send the open frame of a site, if there is one."""
        framer = self._framers.get(site)
        if framer is not None and framer.first_open is not None:
            self._close(framer, turn)

    def tick(self, site: str, now: int, turn: float) -> None:
        """Move a site's time to `now`, also before its first event."""
        framer = self._framers.get(site)
        if framer is None:
            framer = self._framers[site] = self._framer(site)
        self.flush_site(site, turn)
        frame = framer.tick(now)
        if frame is not None:
            self._around.metrics.ticks.inc()
            self._send(frame, self.next, turn)

    def keep_memories(self, turn: float) -> None:
        """Keep what translators remember now; what has not settled yet is not kept."""
        self._keeper.keep(self.next, self._settled(), turn, now=True)

    def settled_offset(self) -> int:
        """The raw offset from which a successor has to read."""
        settled, least = self._settled(), self._keeper.least()
        return settled if least is None else min(settled, least)

    def _settled(self) -> int:
        """The offset below which every frame and dead letter is acknowledged."""
        opened = (framer.first_open for framer in self._framers.values())
        firsts = [first for first in opened if first is not None]
        return min([self.next, *firsts, *self._unsettled.values()])

    def _framer(self, site: str, mark: Mark | None = None) -> Framer:
        framer = Framer(self._around.sites[site], self._around.epoch, self.number, mark)
        if self._home(site) != self.number:
            framer.arrived = framer.mark
        return framer

    def _home(self, site: str) -> int:
        return partition_of(site, self._around.partitions)

    def _take(self, record: Any, turn: float) -> None:
        self.next = record.offset + 1
        headers = read_headers(record.headers)
        if not self._around.alone:
            headers.journal = -1
        received = self._received(headers, record.timestamp)
        key = record.key.decode("utf-8", "replace") if record.key else None
        if key not in self._around.sites:
            key = None
        payload = record.value or b""
        try:
            events = self._events(record.offset, payload, headers, key)
            if events:
                size, journal = _size_of(events, payload, headers.format), headers.journal
                self._frame(Addition(record.offset, received, journal, events, size, payload), turn)
        except Rejected as rejected:
            self._reject(record.offset, received, headers.journal, rejected, key, payload, turn)

    def _received(self, headers: RawHeaders, timestamp: int) -> int:
        """When the record was received: by the door, else by the broker, else now.

        Our own journal is believed: after a restart the clock may be behind what it once stamped.
        """
        if headers.journal >= 0 and headers.received > 0:
            return headers.received
        now = self._around.clock.now_ms()
        for moment in (headers.received, timestamp):
            if 0 < moment <= now + MAX_AHEAD_OF_CLOCK_MS:
                return moment
        return now

    def _events(
        self, offset: int, payload: bytes, headers: RawHeaders, key: str | None
    ) -> list[Event]:
        """The events of a record, all of one known site. Raises `Rejected`."""
        if headers.truncated >= 0:
            detail = f"{headers.truncated} bytes, of which this is the start"
            raise Rejected("too_large", "payload", detail)
        events = self.streams.translate(payload, headers.format, key, offset, headers.journal)
        if not events:
            return events
        site = events[0]["site"]
        if site not in self._around.sites:
            detail = f"{site!r} has no settings file"
            raise Rejected("unknown_site", "site", detail, site)
        if key is not None and key != site:
            raise Rejected("unreadable", "site", f"is {site!r}, but the key says {key!r}", site)
        return events

    def _frame(self, record: Addition, turn: float) -> None:
        site: str = record.events[0]["site"]
        framer = self._framers.get(site)
        if framer is None:
            framer = self._framers[site] = self._framer(site)
        if record.size > MAX_CANONICAL_BYTES and _too_large(record):
            detail = f"the known fields of its events take {record.size} bytes"
            raise Rejected("too_large", "payload", detail, site)
        if framer.knows(record.offset, record.journal):
            self._around.metrics.skipped.inc()
            self._bury_again(framer, record)
            return
        if not framer.has_room(record.received, len(record.events), record.size):
            self._close(framer, turn)
        framer.add(record, turn)

    def _bury_again(self, framer: Framer, record: Addition) -> None:
        """After a crash a record may be in frames as dead while its dead letter was never sent."""
        if not framer.repeats(record.offset, record.journal):
            ahead = framer.surely_ahead(record.events, record.received)
            if ahead is not None:
                self._bury(record.offset, ahead, record.payload)

    def _reject(
        self,
        offset: int,
        received: int,
        journal: int,
        rejected: Rejected,
        key: str | None,
        payload: bytes,
        turn: float,
    ) -> None:
        site = self._account(rejected, key)
        if site is None:
            self._around.metrics.nobody.inc()
            self._bury(offset, rejected, payload)
            return
        framer = self._framers.get(site)
        if framer is None:
            framer = self._framers[site] = self._framer(site)
        if framer.repeats(offset, journal):
            self._around.metrics.skipped.inc()
            return
        rejected.site = rejected.site or site
        self._bury(offset, rejected, payload)
        if framer.knows(offset, journal):
            return
        if not framer.has_room(received, 1, 0):
            self._close(framer, turn)
        framer.add_dead(offset, received, journal, turn)

    def _account(self, rejected: Rejected, key: str | None) -> str | None:
        """The site a dead letter counts under: the known one whose order it came in."""
        named = rejected.site
        if named is None:
            return key
        if named not in self._around.sites:
            return None
        return key or named

    def _bury(self, offset: int, rejected: Rejected, payload: bytes) -> None:
        around = self._around
        around.metrics.dead.labels(rejected.reason).inc()
        place = Place(around.epoch, RAW, self.number, offset)
        letter = dead_letter(place, rejected, around.clock.now_ms(), payload)
        item = Item(place.key(), letter, [], self._settle_later(offset))
        around.lanes.put(DEAD, self.number, item)

    def _close(self, framer: Framer, turn: float) -> None:
        first = framer.first_open
        assert first is not None
        frame, futures = framer.close()
        for future in futures:
            self._bury(future.offset, future.rejected, future.payload)
        self._around.metrics.events.inc(len(frame.events))
        self._send(frame, first, turn)

    def _send(self, frame: Frame, first: int, turn: float) -> None:
        self._around.metrics.frames.inc()
        headers = []
        if len(self._framers) <= FEW_SITES or turn - self._resumed_at >= RESUME_EVERY_S:
            self._resumed_at = turn
            header = resume_header(self.number, self._framers.values())
            headers.append((HEADER_RESUME, header))
        done = self._settle_later(first, self._framers.get(frame.site))
        item = Item(frame.site.encode(), encode_frame(frame), headers, done)
        self._around.lanes.put(FRAMES, self._home(frame.site), item)

    def _settle_later(
        self, first: int, framer: Framer | None = None
    ) -> Callable[[BaseException | None], None]:
        """Hold the committable offset at `first` until the returned function is called.

        `framer` is that of a frame, whose mark has then arrived.
        """
        self._token += 1
        token, unsettled = self._token, self._unsettled
        unsettled[token] = first
        mark = None if framer is None else framer.mark

        def done(error: BaseException | None) -> None:
            if error is None:
                del unsettled[token]
                if framer is not None and framer.arrived is not None:
                    framer.arrived = mark

        return done


def _size_of(events: list[Event], payload: bytes, format_name: str) -> int:
    """An upper bound of what the events take in a frame; of an event as its sender wrote it, and
    where that is not large, known without writing it."""
    if format_name == CANONICAL and len(payload) <= KEPT_BYTES // 4:
        return len(payload) + EVENT_OVERHEAD
    return len(orjson.dumps(events)) + len(events) * OFFSET_BYTES


def _too_large(record: Addition) -> bool:
    """A payload may say much, such as the state of every agent; it must fit a frame of its own."""
    return record.size > MAX_BYTES - FRAME_OVERHEAD or any(
        len(orjson.dumps(event)) > MAX_CANONICAL_BYTES for event in record.events
    )
