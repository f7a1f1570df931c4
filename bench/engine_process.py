"""One measurement of the engine, in a process of its own: `python -m bench.engine_process FILE`.

The process stays on one core. Frames are taken in slices: each slice is read by `orjson.loads`,
decoded to frames and applied, one right after the other, so that whatever else the machine does
weighs on all three alike. Seconds are CPU seconds of this process. The file is read anew for each
repetition, with a new engine.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from agents_stream.engines import spare_collector
from bench.workload import read_frames
from pipeline.engine import COMPILED, Site
from schemas.frames import decode_frame
from schemas.settings import SiteSettings

SLICE_BYTES = 2_000_000
_LOOKS = 5


@dataclass(slots=True)
class EngineTimes:
    """CPU seconds of one repetition over all frames, and of single looks at all the sites then.

    `live_ms` is one publication of what changed in a quarter of a second, `whole_ms` one of
    everything, `state_ms` one checkpoint's parts. With `rows` the engine noted rows for the store.
    """

    compiled: bool
    rows: bool
    events: int = 0
    frames: int = 0
    loads_s: float = 0.0
    decode_s: float = 0.0
    apply_s: float = 0.0
    live_ms: float = 0.0
    whole_ms: float = 0.0
    state_ms: float = 0.0


def measure(frames: list[bytes], rows: bool) -> EngineTimes:
    """One repetition. Raises `AssertionError` if the engine took an event for late."""
    times = EngineTimes(COMPILED, rows, frames=len(frames))
    sites: dict[str, Site] = {}
    offset = 0
    for part in _slices(frames):
        began = time.process_time()
        for payload in part:
            orjson.loads(payload)
        loaded = time.process_time()
        decoded = [decode_frame(payload) for payload in part]
        ready = time.process_time()
        for frame in decoded:
            site = sites.get(frame.site)
            if site is None:
                site = sites[frame.site] = Site(SiteSettings(site=frame.site), rows=rows)
            changes = site.apply(frame, offset)
            assert not changes.late
            offset += 1
        applied = time.process_time()
        times.events += sum(len(frame.events) for frame in decoded)
        times.loads_s += loaded - began
        times.decode_s += ready - loaded
        times.apply_s += applied - ready
    for site in sites.values():
        _look(site, times)
    return times


def _look(site: Site, times: EngineTimes) -> None:
    """What the worker does between frames. The site stands still, so that little has changed."""
    site.live_parts(True)
    for _ in range(_LOOKS):
        site.advance(site.at + 250)
        times.live_ms += _ms(lambda: site.live_parts(False)) / _LOOKS
        times.whole_ms += _ms(lambda: site.live_parts(True)) / _LOOKS
    times.state_ms += _ms(site.all_parts)


def _ms(do: object) -> float:
    assert callable(do)
    began = time.process_time()
    do()
    return (time.process_time() - began) * 1000


def _slices(frames: list[bytes]) -> Iterator[list[bytes]]:
    part: list[bytes] = []
    size = 0
    for payload in frames:
        part.append(payload)
        size += len(payload)
        if size >= SLICE_BYTES:
            yield part
            part, size = [], 0
    if part:
        yield part


def main() -> None:
    """Measure and print one line of JSON for each repetition."""
    path, rows, repetitions = Path(sys.argv[1]), sys.argv[2] == "rows", int(sys.argv[3])
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    frames = read_frames(path)
    spare_collector()  # as the worker does
    for _ in range(repetitions):
        print(orjson.dumps(asdict(measure(frames, rows))).decode(), flush=True)


if __name__ == "__main__":
    main()
