"""Framing: the events of one site become frames of bounded size, time span and delay. Pure.

The engine judges lateness by a frame's `now`, which is when its newest record was received. So a
frame spans at most `MAX_SPAN_MS` of the door's time: a backlog of half an hour becomes frames that
are each as narrow as live ones, and nothing in it looks late.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from pipeline.ingest.dead_letters import Rejected
from pipeline.ingest.site_state import SiteState
from schemas.frames import Frame

MAX_EVENTS = 500
"""Events a frame; one raw record that has more is a frame by itself."""
MAX_SPAN_MS = 100
MAX_BYTES = 512 * 1024
MAX_DELAY_S = 0.1
FRAME_OVERHEAD = 1024
"""Bytes of a frame around its events, without settings."""
EVENT_OVERHEAD = 220
"""What defaults, a raw offset and separators can add to an event's own bytes."""
OFFSET_BYTES = 20
"""A raw offset with its separator."""


@dataclass(frozen=True, slots=True)
class Mark:
    """How far the frames of a site reach: highest raw offset and journal sequence, -1 for none."""

    offset: int = -1
    journal: int = -1


@dataclass(slots=True)
class Addition:
    """One raw record to be framed: its offset, when it was received (ms) and what it holds."""

    offset: int
    received: int
    journal: int
    events: list[dict[str, Any]]
    size: int
    payload: bytes


@dataclass(slots=True)
class Future:
    """A record of a closed frame whose event was too far ahead of the frame's `now`."""

    offset: int
    payload: bytes
    rejected: Rejected


@dataclass(slots=True)
class _Open:
    """The frame that is being filled."""

    first: int
    since: int
    opened_at: float
    now: int
    last: int = -1
    size: int = 0
    journal: int = -1
    dead: list[int] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    offsets: list[int] = field(default_factory=list)
    ahead: list[Addition] = field(default_factory=list)


class Framer:
    """Makes the frames of one site from one raw partition.

    `mark` is how far closed frames reach. Records of a site arrive in the order of their offsets
    and of their journal sequences, so what is at or below the mark has already been framed.
    `arrived` is how far those frames reach that the broker has, kept where it may matter.
    """

    def __init__(
        self, state: SiteState, epoch: int, partition: int, mark: Mark | None = None
    ) -> None:
        self.state = state
        self.mark = mark or Mark()
        self.arrived: Mark | None = None
        self._offset, self._journal = self.mark.offset, self.mark.journal
        self._epoch = epoch
        self._partition = partition
        self._open: _Open | None = None

    @property
    def site(self) -> str:
        """The site whose frames these are."""
        return self.state.settings.site

    @property
    def first_open(self) -> int | None:
        """The lowest raw offset in the open frame."""
        return None if self._open is None else self._open.first

    def knows(self, offset: int, journal: int) -> bool:
        """Whether a record is already framed, or the same as one that is."""
        return offset <= self._offset or 0 <= journal <= self._journal

    def repeats(self, offset: int, journal: int) -> bool:
        """Whether the door has sent a record again: one framed before, at another offset."""
        return offset > self._offset and 0 <= journal <= self._journal

    def surely_ahead(self, events: list[dict[str, Any]], received: int) -> Rejected | None:
        """Why events of a record framed earlier were too far ahead, whatever `now` its frame had.

        None if they were not, or may not have been.
        """
        ahead = max(event["ts"] for event in events)
        if ahead <= received + MAX_SPAN_MS + self.state.settings.max_ahead_ms:
            return None
        return self._future(ahead, received)

    def due(self, turn: float) -> bool:
        """Whether the open frame has waited long enough; `turn` is in monotonic seconds."""
        return self._open is not None and turn - self._open.opened_at >= MAX_DELAY_S

    def has_room(self, received: int, events: int, size: int) -> bool:
        """Whether a record still fits the open frame; one raw record is never split."""
        frame = self._open
        if frame is None:
            return True
        now = max(frame.now, received)
        return (
            now - frame.since <= MAX_SPAN_MS
            and len(frame.offsets) + len(frame.dead) + events <= MAX_EVENTS
            and frame.size + size <= MAX_BYTES
        )

    def add(self, record: Addition, turn: float) -> None:
        """Put a record into the open frame; the caller has seen that it has room."""
        frame = self._take(record.offset, record.received, record.journal, turn)
        frame.size += record.size
        limit = frame.now + self.state.settings.max_ahead_ms
        for event in record.events:
            frame.events.append(event)
            frame.offsets.append(record.offset)
            if event["ts"] > limit:
                frame.ahead.append(record)

    def add_dead(self, offset: int, received: int, journal: int, turn: float) -> None:
        """Note a dead-lettered record of the site, so that the engine counts it once."""
        self._take(offset, received, journal, turn).dead.append(offset)

    def close(self) -> tuple[Frame, list[Future]]:
        """The frame, and the records of it that turned out to be from the future."""
        frame, state = self._open, self.state
        assert frame is not None
        self._open = None
        self.mark = Mark(self._offset, self._journal)
        frame.now = state.now = max(frame.now, state.now)
        futures = self._futures(frame) if frame.ahead else []
        made = Frame(
            site=self.site,
            epoch=self._epoch,
            now=frame.now,
            raw=(self._partition, frame.first, frame.last),
            dead=frame.dead,
            events=frame.events,
            offsets=frame.offsets,
            settings=None if state.announced else state.announce(),
            journal=frame.journal,
        )
        return made, futures

    def tick(self, now: int) -> Frame | None:
        """A frame that moves the site's time, None where there is nothing to move or to say.

        The open frame must have been closed before. The site's time never goes back.
        """
        state = self.state
        news = state.coming is not None or not state.announced
        if now <= state.now and not news:
            return None
        state.now = max(state.now, now)
        settings = state.announce() if news else None
        return Frame(self.site, self._epoch, state.now, settings=settings)

    def _take(self, offset: int, received: int, journal: int, turn: float) -> _Open:
        frame = self._open
        if frame is None:
            now = max(received, self.state.now)
            size = FRAME_OVERHEAD + self.state.news_bytes()
            frame = self._open = _Open(offset, now, turn, now, size=size)
        frame.now = max(frame.now, received)
        frame.last = self._offset = offset
        if journal >= 0:
            frame.journal = self._journal = journal
        return frame

    def _futures(self, frame: _Open) -> list[Future]:
        """Take the events that are too far ahead out of the frame; `now` is known only here."""
        limit = frame.now + self.state.settings.max_ahead_ms
        futures = {}
        for record in frame.ahead:
            ahead = max(event["ts"] for event in record.events)
            if ahead > limit and record.offset not in futures:
                rejected = self._future(ahead, frame.now)
                futures[record.offset] = Future(record.offset, record.payload, rejected)
        kept = [
            (event, offset)
            for event, offset in zip(frame.events, frame.offsets, strict=True)
            if event["ts"] <= limit
        ]
        frame.events = [event for event, _ in kept]
        frame.offsets = [offset for _, offset in kept]
        frame.dead = sorted({*frame.dead, *futures})
        return list(futures.values())

    def _future(self, ts: int, now: int) -> Rejected:
        return Rejected("future", "ts", f"is {ts - now} ms ahead of the site's {now}", self.site)
