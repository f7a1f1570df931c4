"""A tiny engine and a log that crashes: what the worker needs around it, without Kafka."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from agents_stream.agent import FrameAgent
from agents_stream.checkpoint import StateKey
from agents_stream.publish import Outbox
from schemas.config import Config
from schemas.frames import Frame, encode_frame
from schemas.settings import SiteSettings
from sinks.prometheus.figures import WorkerFigures

PANE_MS = 10_000
KEPT_PANES = 4
POISON = "poison"


@dataclass(slots=True)
class FakeChanges:
    """Late events and rows."""

    late: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    rows: dict[str, list[dict[str, Any]]] = field(default_factory=dict)


class CountingSite:
    """Counts events per pane and per contact; forgets old panes; an event `poison` breaks it."""

    def __init__(self, settings: SiteSettings) -> None:
        self.settings = settings
        self.site = settings.site
        self.at, self.epoch, self.offset, self.journal = 0, 0, -1, -1
        self.total = 0
        self.panes: dict[int, int] = {}
        self.contacts: dict[str, int] = {}
        self._dirty: set[str] = set()
        self._moved = True

    def apply(self, frame: Frame, offset: int) -> FakeChanges:
        """Count the frame's events; those before the pane that is forgotten are late."""
        changes = FakeChanges()
        if (frame.epoch, offset) <= (self.epoch, self.offset):
            return changes
        self.epoch, self.offset = frame.epoch, offset
        self.journal = max(self.journal, frame.journal)
        self.at = max(self.at, frame.now)
        self._moved = True
        for event, raw_offset in zip(frame.events, frame.offsets, strict=True):
            self._count(event, raw_offset, changes)
        self._forget()
        return changes

    def _count(self, event: dict[str, Any], raw_offset: int, changes: FakeChanges) -> None:
        if event["type"] == POISON:
            raise RuntimeError("a defect in the engine")
        start = event["ts"] // PANE_MS * PANE_MS
        if start < self.at - KEPT_PANES * PANE_MS:
            changes.late.append((raw_offset, event))
            return
        contact = event["contact"]
        self.total += 1
        self.panes[start] = self.panes.get(start, 0) + 1
        self.contacts[contact] = self.contacts.get(contact, 0) + 1
        self._dirty |= {f"pane:{start}", f"story:{contact}"}
        rows = changes.rows.setdefault("visits", [])
        rows.append({"site": self.site, "contact": contact, "n": self.contacts[contact]})

    def _forget(self) -> None:
        for start in [s for s in self.panes if s < self.at - KEPT_PANES * PANE_MS]:
            del self.panes[start]
            self._dirty.add(f"pane:{start}")

    def figures(self) -> dict[str, Any]:
        """Everything a crash must not change."""
        return {"total": self.total, "panes": self.panes, "contacts": self.contacts}

    def live_parts(self, full: bool) -> list[tuple[str, str, dict[str, Any]]]:
        """One part of totals."""
        moved, self._moved = self._moved, False
        return [("totals", "0", {"total": self.total})] if full or moved else []

    def dirty_parts(self) -> dict[str, bytes | None]:
        """What changed, and always the core."""
        everything = self.all_parts()
        dirty: dict[str, bytes | None] = {name: everything.get(name) for name in self._dirty}
        self._dirty = set()
        return {**dirty, "meta": everything["meta"]}

    def all_parts(self) -> dict[str, bytes]:
        """The whole state."""
        core = [self.site, self.at, self.epoch, self.offset, self.journal, self.total]
        parts = {"meta": orjson.dumps(core)}
        parts |= {f"pane:{start}": orjson.dumps(n) for start, n in self.panes.items()}
        return parts | {f"story:{c}": orjson.dumps(n) for c, n in self.contacts.items()}

    @classmethod
    def restore(cls, parts: Mapping[str, bytes]) -> CountingSite:
        """The inverse of `all_parts`."""
        name, *core = orjson.loads(parts["meta"])
        site = cls(SiteSettings(site=name))
        site.at, site.epoch, site.offset, site.journal, site.total = core
        for part, value in parts.items():
            kind, _, rest = part.partition(":")
            if kind == "pane":
                site.panes[int(rest)] = orjson.loads(value)
            elif kind == "story":
                site.contacts[rest] = orjson.loads(value)
        return site


class Crash(BaseException):
    """A kill: no handler of the worker may catch it."""


Write = tuple[str, Any, bytes | None]


class Log:
    """What a broker holds after it has confirmed records one by one; it may crash the worker.

    Records wait in a buffer until they are settled; then those of different topics become safe in
    any order, those of one topic in the order they were sent. The worker dies when `crash_after`
    records are safe; if the last one is `lost`, it dies when that one is sent, and it is not safe.
    """

    def __init__(self, seed: int = 0) -> None:
        self.records: list[Write] = []
        self.frames: list[bytes] = []
        self.committed = 0
        self.crash_after: int | None = None
        self.lost = False
        self.random = random.Random(seed)

    def confirm(self, writes: list[Write]) -> None:
        """Make writes safe; crash where it was told."""
        queues: dict[str, list[Write]] = {}
        for write in writes:
            queues.setdefault(write[0], []).append(write)
        while queues:
            topic = self.random.choice(sorted(queues))
            self._crash_if_due(self.lost)
            self.records.append(queues[topic].pop(0))
            if not queues[topic]:
                del queues[topic]
            self._crash_if_due(False)

    def _crash_if_due(self, lost: bool) -> None:
        if self.crash_after is not None and len(self.records) + lost >= self.crash_after:
            self.crash_after = None
            raise Crash

    def topic(self, name: str) -> list[tuple[Any, Any]]:
        """Keys and decoded values of a topic, in order."""
        return [
            (key, orjson.loads(value))
            for topic, key, value in self.records
            if topic == name and value is not None
        ]

    def state(self) -> dict[StateKey, bytes]:
        """What recovery finds in the changelogs."""
        found: dict[StateKey, bytes] = {}
        for topic, key, value in self.records:
            if topic in ("state", "panes"):
                if value is None:
                    found.pop(key, None)
                else:
                    found[key] = value
        return found


class LogStore:
    """A state store over a log."""

    def __init__(self, log: Log) -> None:
        self.written_bytes = 0
        self._log = log
        self.recovered = log.state()
        self._buffer: list[Write] = []

    def put(self, key: StateKey, value: bytes) -> None:
        """Buffer a record."""
        self._buffer.append((_changelog(key), key, value))
        self.written_bytes += len(value)

    def delete(self, key: StateKey) -> None:
        """Buffer a tombstone."""
        self._buffer.append((_changelog(key), key, None))

    async def settle(self) -> None:
        """Confirm what is buffered."""
        writes, self._buffer = self._buffer, []
        self._log.confirm(writes)

    def records(self, partition: int) -> Iterator[tuple[StateKey, bytes]]:
        """What was there when this store was made."""
        return iter([item for item in self.recovered.items() if item[0].partition == partition])

    async def reread(self, partition: int) -> list[tuple[StateKey, bytes]]:
        """The log once more."""
        return [item for item in self._log.state().items() if item[0].partition == partition]

    def forget(self, partition: int) -> None:
        """Read the log again, as after a new assignment."""
        self.recovered = self._log.state()


def _changelog(key: StateKey) -> str:
    return "panes" if key.part.startswith("pane:") else "state"


class LogOutbox(Outbox):
    """An outbox over a log."""

    def __init__(self, log: Log, figures: WorkerFigures) -> None:
        super().__init__(self._keep, figures)
        self._log = log
        self._buffer: list[Write] = []

    async def _keep(
        self, topic: str, key: bytes, value: bytes, _partition: int | None
    ) -> asyncio.Future[Any]:
        self._buffer.append((topic, key, value))
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    async def settle(self) -> None:
        """Confirm what is buffered."""
        writes, self._buffer = self._buffer, []
        self._log.confirm(writes)
        await super().settle()


CONFIG = Config(partitions=1, epoch=1, checkpoint_events=5, checkpoint_ms=3_600_000)


class LogWorker:
    """An agent of one partition over a log, with a clock that stands still unless it is moved."""

    def __init__(self, log: Log, member: int, engine: Any = CountingSite, **changes: Any) -> None:
        self.log = log
        self.now = 0.0
        self.figures = WorkerFigures()
        self.store = LogStore(log)
        self.agent = FrameAgent(
            changes.pop("config", CONFIG),
            engine,
            self.store,
            LogOutbox(log, self.figures),
            self.figures,
            self._earliest,
            monotonic=lambda: self.now,
            **changes,
        )
        self.earliest = 0
        self.next = 0
        self._member = member

    async def open(self) -> LogWorker:
        """Recover, as after an assignment."""
        await self.agent.open(0, self._member)
        at = self.agent.resume_at(0, self.log.committed or None)
        self.agent.note_ends({0: len(self.log.frames)})
        self.next = self.log.committed if at is None else at
        return self

    async def _earliest(self, _partition: int) -> int:
        return self.earliest

    async def read_on(self, until: int | None = None) -> None:
        """Take frames up to the end of the topic, or up to an offset."""
        for offset in range(self.next, len(self.log.frames) if until is None else until):
            self.next = offset + 1
            await self.agent.on_frame(0, offset, self.log.frames[offset], self._ack_of(offset))

    def _ack_of(self, offset: int) -> Any:
        def ack() -> None:
            self.log.committed = offset + 1

        return ack

    def figures_by_site(self) -> dict[str, Any]:
        """Figures of all engines."""
        return {engine.site: engine.figures() for engine in self.agent.engines()}  # type: ignore[attr-defined]


def frame(site: str, offset: int, contacts: list[str], now: int, epoch: int = 1) -> bytes:
    """A frame of one queued event a contact, all at `now`; raw offsets follow the frame's."""
    events = [
        {"type": "contact.queued", "site": site, "ts": now, "contact": contact, "queue": "q"}
        for contact in contacts
    ]
    return encode_frame(frame_of(site, offset, events, now, epoch))


def frame_of(
    site: str, offset: int, events: list[dict[str, Any]], now: int, epoch: int = 1
) -> Frame:
    """A frame of any events."""
    first = offset * 100
    offsets = list(range(first, first + len(events)))
    return Frame(site, epoch, now, (0, first, first + len(events) - 1), [], events, offsets)


def a_morning(frames: int = 24) -> list[bytes]:
    """Frames of two sites: contacts that come back, panes that are forgotten, ticks between."""
    return [
        frame(
            "north" if offset % 3 else "south",
            offset,
            [f"c{(offset * 7 + i) % 11}" for i in range(offset % 4)],
            1_000_000 + offset * 4_000,
        )
        for offset in range(frames)
    ]
