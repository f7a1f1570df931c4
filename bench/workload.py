"""A simulated centre's events, in frames as ingest makes them.

Translation, validation and framing are ingest's own; only the two Kafka topics around it are left
out. A workload is kept in a file of length-prefixed frames, so that each measured process reads the
very same bytes.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import merge
from operator import itemgetter
from pathlib import Path

from pipeline.ingest.framer import EVENT_OVERHEAD, Addition, Framer
from pipeline.ingest.site_state import SiteState
from pipeline.ingest.translate import canonical_events
from pipeline.simulate.options import MINUTE, Options
from pipeline.simulate.settings import site_settings
from pipeline.simulate.stream import Record, Simulation
from schemas.frames import encode_frame
from schemas.settings import parse_site

SITE = "bench"
_LENGTH = struct.Struct(">I")


@dataclass(frozen=True, slots=True)
class Size:
    """How large the centre is: calls are per hour, `minutes` of its day are simulated.

    With several `sites` each is such a centre, on a day of its own. `pane_ms` is their setting.
    """

    agents: int = 2000
    queues: int = 200
    calls: int = 60_000
    minutes: int = 40
    sites: int = 1
    pane_ms: int = 10_000

    def options(self, site: str = SITE, seed: int = 1) -> Options:
        """The options of the simulator for a centre of this size."""
        return Options(
            agents=self.agents,
            queues=self.queues,
            calls_per_hour=self.calls,
            duration_ms=self.minutes * MINUTE,
            site=site,
            seed=seed,
        )

    def centres(self) -> list[Options]:
        """The options of every site."""
        if self.sites == 1:
            return [self.options()]
        return [self.options(f"{SITE}-{n}", 1 + n) for n in range(self.sites)]

    def __str__(self) -> str:
        return (
            f"{self.agents:,} agents, {self.queues} queues, {self.calls:,} calls/h, "
            f"{self.minutes} minutes"
        )


@dataclass(frozen=True, slots=True)
class Workload:
    """Frames in a file, and what they are in words."""

    path: Path
    events: int
    frames: int
    words: str
    framing: str


def write_frames(size: Size, handover_ms: int, path: Path) -> Workload:
    """Write the frames of a centre to a file.

    The source hands its events over every `handover_ms`, 0 for at once: an event is received at the
    next multiple. That alone decides how full frames are.
    """
    events = frames = 0
    with path.open("wb") as file:
        centres = [_frames(options, size.pane_ms, handover_ms) for options in size.centres()]
        for _, count, payload in merge(*centres, key=itemgetter(0)):
            file.write(_LENGTH.pack(len(payload)) + payload)
            events += count
            frames += 1
    handed = f"handed over every {handover_ms / 1000:g} s" if handover_ms else "handed over at once"
    framing = f"events {handed}, {events / frames:.0f} a frame"
    return Workload(path, events, frames, f"{size}: {events:,} {framing}", framing)


def read_frames(path: Path) -> list[bytes]:
    """The frames of a file, still encoded."""
    data = path.read_bytes()
    frames, place = [], 0
    while place < len(data):
        (length,) = _LENGTH.unpack_from(data, place)
        place += _LENGTH.size
        frames.append(data[place : place + length])
        place += length
    return frames


def _frames(options: Options, pane_ms: int, handover_ms: int) -> Iterator[tuple[int, int, bytes]]:
    """Frames of a site: the site's moment, the number of events, the bytes."""
    simulation = Simulation(options)
    settings = {**site_settings(simulation.centres[0].plan), "pane_ms": pane_ms}
    framer = Framer(SiteState(parse_site(settings, "bench")), epoch=0, partition=0)
    for addition in _received(simulation.records(), handover_ms):
        moment = addition.received
        if not framer.has_room(moment, len(addition.events), addition.size):
            yield _closed(framer)
        framer.add(addition, moment / 1000)
    if framer.first_open is not None:
        yield _closed(framer)


def _received(records: Iterable[Record], handover_ms: int) -> Iterator[Addition]:
    for offset, record in enumerate(records):
        received = -(-record.at // handover_ms) * handover_ms if handover_ms else record.at
        events = canonical_events(record.payload)
        size = len(record.payload) + EVENT_OVERHEAD
        yield Addition(offset, received, -1, events, size, record.payload)


def _closed(framer: Framer) -> tuple[int, int, bytes]:
    frame, futures = framer.close()
    assert not futures
    return frame.now, len(frame.events), encode_frame(frame)
