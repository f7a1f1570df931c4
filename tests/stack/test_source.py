"""What a stack plays: its clock, and what lies behind it at a start."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.ingest.journal import Journal, read_journal
from pipeline.ingest.raw import RawRecord
from pipeline.simulate.options import Options, Scenario
from pipeline.stack.folder import DataFolder, FolderError, Mode
from pipeline.stack.source import Play, feeder_command, is_over, prepare, start_clock, stop_clock
from schemas.clock import Clock

HOUR = 3_600_000


def _left_at(folder: DataFolder, received: int) -> None:
    """A journal whose last record was received then."""
    journal = Journal(folder.journal)
    journal.append([RawRecord("default", b"{}", received)])
    journal.close()


def _now_of(folder: DataFolder) -> int:
    return Clock.from_file(folder.clock).now_ms()


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path)


def test_a_new_stack_without_data_has_a_site_and_the_wall_clock(folder: DataFolder) -> None:
    prepare(folder, Play(Mode.EMPTY), new=True)
    assert (folder.settings / "default.yml").read_text() == "site: default\n"
    assert Clock.from_file(folder.clock) == Clock()
    assert feeder_command(Mode.EMPTY) == []


def test_settings_that_were_edited_are_kept(folder: DataFolder) -> None:
    prepare(folder, Play(Mode.EMPTY), new=True)
    (folder.settings / "default.yml").write_text("site: default\nname: ours\n")
    prepare(folder, Play(Mode.EMPTY), new=False)
    assert "ours" in (folder.settings / "default.yml").read_text()


def test_a_paced_clock_goes_on_from_where_the_stack_was_left(folder: DataFolder) -> None:
    left = Clock().now_ms() - 5 * HOUR
    _left_at(folder, left)
    prepare(folder, Play(Mode.EMPTY, pace=10), new=False)
    clock = Clock.from_file(folder.clock)
    assert (clock.site_ms, clock.pace) == (left + 1, 10)


def test_at_pace_one_a_stack_left_in_the_past_takes_the_wall_clock(folder: DataFolder) -> None:
    _left_at(folder, Clock().now_ms() - HOUR)
    prepare(folder, Play(Mode.EMPTY), new=False)
    assert Clock.from_file(folder.clock) == Clock()


def test_a_stack_that_was_ahead_of_the_wall_clock_goes_on_from_there(folder: DataFolder) -> None:
    """After an hour at a high pace its time must not stand still for half a day."""
    left = Clock().now_ms() + 5 * HOUR
    _left_at(folder, left)
    prepare(folder, Play(Mode.EMPTY), new=False)
    clock = Clock.from_file(folder.clock)
    assert (clock.site_ms, clock.pace) == (left + 1, 1.0)
    assert _now_of(folder) > left


def test_a_paced_clock_stands_still_between_stop_and_start(folder: DataFolder) -> None:
    wall = Clock().now_ms()
    Clock(wall - 1000, 5 * HOUR, 60).write(folder.clock)
    stop_clock(folder)
    stopped = Clock.from_file(folder.clock)
    assert stopped.site_ms >= 5 * HOUR + 60_000
    Clock(stopped.wall_ms - HOUR, stopped.site_ms, 60).write(folder.clock)
    start_clock(folder)
    started = Clock.from_file(folder.clock)
    assert started.site_ms == stopped.site_ms
    assert started.wall_ms >= stopped.wall_ms


def test_the_wall_clock_is_never_stopped(folder: DataFolder) -> None:
    for clock in (Clock(), Clock(1000, 5000, 1.0)):
        clock.write(folder.clock)
        stop_clock(folder)
        start_clock(folder)
        assert Clock.from_file(folder.clock) == clock


def test_the_demo_has_its_morning_behind_it(folder: DataFolder) -> None:
    prepare(folder, Play(Mode.DEMO), new=True)
    records = [record for _, record in read_journal(folder.journal)]
    assert len(records) > 1000
    assert all(record.site == "bank" for record in records)
    received = [record.received for record in records]
    assert received == sorted(received)
    assert received[0] < received[-1] - HOUR
    assert received[-1] <= Clock().now_ms()
    assert not is_over(folder, 1.0)


def test_a_second_preparation_repeats_nothing(folder: DataFolder) -> None:
    prepare(folder, Play(Mode.DEMO, pace=60), new=True)
    before = [seq for seq, _ in read_journal(folder.journal)]
    prepare(folder, Play(Mode.DEMO, pace=60), new=False)
    assert [seq for seq, _ in read_journal(folder.journal)] == before


def test_another_simulation_in_the_same_folder_is_refused(folder: DataFolder) -> None:
    small = Options(agents=4, queues=1)
    prepare(folder, Play(Mode.SIMULATE, options=small), new=True)
    prepare(folder, Play(Mode.SIMULATE, options=small), new=False)
    burst = replace(small, scenario=Scenario.BURST)
    with pytest.raises(FolderError, match="a simulation with scenario normal; start with --fresh"):
        prepare(folder, Play(Mode.SIMULATE, options=burst), new=False)
