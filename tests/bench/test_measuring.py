"""What the benchmarks measure with: figures, frames, and the probe's eyes. No speed is tested."""

from pathlib import Path

import orjson
import pytest

from bench.engine_process import measure
from bench.probe import Probe
from bench.probe import _offered as offered
from bench.stats import Spread, percentile
from bench.translate import payloads_of, translate
from bench.workload import Size, read_frames, write_frames
from pipeline.sources import SOURCES
from schemas.frames import decode_frame

SMALL = Size(agents=30, queues=4, calls=900, minutes=5)


def test_a_percentile_is_one_of_the_values() -> None:
    values = [float(n) for n in range(100, 0, -1)]
    assert [percentile(values, share) for share in (0, 0.5, 0.95, 0.99, 1)] == [1, 50, 95, 99, 100]
    assert percentile([7.0], 0.99) == 7.0
    with pytest.raises(ValueError, match="no percentile"):
        percentile([], 0.5)


def test_a_spread_is_least_median_and_greatest() -> None:
    assert Spread.of([3.0, 1.0, 2.0]) == Spread(1.0, 2.0, 3.0)


def test_how_events_are_handed_over_changes_frames_and_nothing_else(tmp_path: Path) -> None:
    single = write_frames(SMALL, 0, tmp_path / "single")
    gathered = write_frames(SMALL, 3000, tmp_path / "gathered")
    of = [
        [decode_frame(payload) for payload in read_frames(workload.path)]
        for workload in (single, gathered)
    ]
    events = [[event for frame in frames for event in frame.events] for frames in of]
    assert events[0] == events[1]
    assert len(events[0]) == single.events == gathered.events > 500
    assert len(of[0]) == single.frames > gathered.frames == len(of[1])
    assert all(frame.now >= event["ts"] for frame in of[1] for event in frame.events)


def test_the_engine_is_measured_on_all_events(tmp_path: Path) -> None:
    workload = write_frames(SMALL, 0, tmp_path / "frames")
    times = measure(read_frames(workload.path), rows=True)
    assert (times.events, times.frames) == (workload.events, workload.frames)


def change(*operations: object) -> bytes:
    return orjson.dumps({"ops": operations})


def test_the_probe_reads_its_markers_from_whole_boards_and_from_changes() -> None:
    windows = {"total": {"offered": 3}, "5m": {"offered": 9}}
    board = {"queues": {"marker": {"voice": {"windows": windows}}, "other": {}}}
    assert offered(b"board", orjson.dumps(board)) == 3
    assert offered(b"board", orjson.dumps({"queues": {}})) == 0
    place = ["queues", "marker"]
    assert offered(b"change", change([place, {"voice": {"windows": windows}}])) == 3
    assert offered(b"change", change([[*place, "voice", "windows", "total"], {"offered": 4}])) == 4
    assert offered(b"change", change([[*place, "voice", "windows", "5m"], {"offered": 9}])) is None
    assert offered(b"change", change([["queues", "other"], {"voice": {}}], [place])) is None


def test_a_marker_is_seen_once_and_never_before_it_was_posted() -> None:
    probe = Probe()
    probe._saw(5, 1.0)
    probe._posted = [2.0, 3.0]
    probe._saw(None, 2.5)
    probe._saw(6, 2.5)
    probe._saw(6, 2.6)
    assert (probe.ms, probe.lost) == ([500.0], 1)
    probe._saw(9, 4.0)
    assert (probe.ms, probe.lost) == ([500.0, 1000.0], 0)


def test_translation_is_measured_on_all_payloads_of_a_capture() -> None:
    source = SOURCES["asterisk-queue-log"]
    payloads = payloads_of(source.name, SMALL.options())
    done = translate(source, payloads, least_s=0.0001)
    laps = done.payloads // len(payloads)
    translator = source.begin("bench", {})
    events = sum(len(translator.translate(payload)) for payload in payloads)
    assert (done.payloads, done.events) == (laps * len(payloads), laps * events)
    assert laps
    assert events > 100
