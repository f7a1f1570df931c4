"""A log followed step by step: each way of rotating it, each moment at which it is looked at."""

from __future__ import annotations

import logging
import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.collect.tail import position as positions
from pipeline.collect.tail import siblings as siblings_module
from pipeline.collect.tail.follower import CHUNK, Follower
from pipeline.collect.tail.position import Position, PositionError
from pipeline.collect.tail.siblings import Sibling, siblings


class Log:
    """A log, its writer, and what a follower has read of it so far."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "queue_log"
        self.written: list[bytes] = []
        self.read: list[bytes] = []
        self.kept: Position | None = None
        self.follower = Follower(self.path, None, quiet_s=0)

    def write(self, count: int = 3, name: str = "", end: bytes = b"\n") -> None:
        for _ in range(count):
            text = b"%d|x|q|NONE|INFO|" % (1_700_000_000 + len(self.written))
            self.written.append(text)
            with self.file(name).open("ab") as file:
                file.write(text + end)

    def file(self, name: str = "") -> Path:
        return self.path.with_name(f"queue_log{name}")

    def rename(self, name: str = ".1") -> None:
        for number in (2, 1):
            if name == ".1" and self.file(f".{number}").exists():
                self.file(f".{number}").rename(self.file(f".{number + 1}"))
        self.path.rename(self.file(name))
        self.path.touch()

    def copytruncate(self) -> None:
        shutil.copy(self.path, self.file(".1"))
        os.truncate(self.path, 0)

    def take(self) -> None:
        """Read what there is, and keep the place."""
        while (batch := self.follower.next_batch()) is not None:
            self.read += batch.lines
            self.kept = batch.position

    def restart(self, **options: bool) -> None:
        self.follower.close()
        self.follower = Follower(self.path, self.kept, quiet_s=0, **options)


@pytest.fixture
def log(tmp_path: Path) -> Log:
    return Log(tmp_path)


def test_a_log_is_read_from_its_beginning_and_on(log: Log) -> None:
    log.write()
    log.take()
    log.write()
    log.take()
    assert log.read == log.written


def test_a_log_that_is_yet_to_come_is_waited_for(log: Log) -> None:
    log.restart(from_end=True)
    assert log.follower.next_batch() is None
    log.write()
    log.take()
    assert log.read == log.written


def test_from_the_end_leaves_out_what_is_there_but_not_a_line_being_written(log: Log) -> None:
    log.write(3)
    log.path.open("ab").write(b"half")
    log.restart(from_end=True)
    assert log.follower.next_batch() is None
    log.kept = log.follower.position()
    log.restart(from_end=True)
    log.path.open("ab").write(b" and half\n")
    log.take()
    assert log.read == [b"half and half"]


def test_a_line_is_read_when_it_has_its_end(log: Log) -> None:
    log.write(1, end=b"")
    log.take()
    assert log.read == []
    log.path.open("ab").write(b"|more\n")
    log.take()
    assert log.read == [log.written[0] + b"|more"]


@pytest.mark.parametrize("restart", [False, True])
def test_a_renamed_log_is_read_to_its_end_before_the_new_one(log: Log, restart: bool) -> None:
    log.write()
    log.take()
    log.rename()
    log.write(2, ".1")
    if restart:
        log.restart()
    log.take()
    log.write(2, ".1")
    log.write(2)
    log.take()
    log.write()
    log.take()
    assert log.read == log.written


def test_a_last_line_that_is_never_finished_is_read_when_its_file_is_left(log: Log) -> None:
    log.write(2)
    log.take()
    log.write(1, end=b"")
    log.rename()
    log.take()
    assert len(log.read) == 2
    log.write(1)
    log.take()
    assert log.read == log.written


def test_a_renamed_log_is_not_left_while_it_is_written(log: Log, tmp_path: Path) -> None:
    """Another program appends by name while Asterisk has not opened the new log yet."""
    log.follower = Follower(log.path, None, quiet_s=3600)
    log.write()
    log.take()
    log.rename()
    log.write(1)
    assert log.follower.next_batch() is None
    log.write(1, ".1")
    log.take()
    os.utime(log.file(".1"), (1_700_000_000, 1_700_000_000))
    log.take()
    assert sorted(log.read) == sorted(log.written)
    assert log.read[-1] == log.written[3]


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("read_all", [False, True])
def test_the_rest_of_a_truncated_log_is_found_in_its_copy(
    log: Log, restart: bool, read_all: bool
) -> None:
    log.write(3)
    log.take()
    log.write(4)
    if read_all:
        log.take()
    log.copytruncate()
    if restart:
        log.restart()
    log.take()
    log.write(9)
    log.take()
    assert log.read == log.written


def test_a_log_that_grew_again_after_truncation_is_not_taken_for_the_old_one(log: Log) -> None:
    log.write(3)
    log.take()
    log.write(2)
    log.copytruncate()
    log.write(9)
    log.take()
    assert log.read == log.written


@pytest.mark.parametrize("restart", [False, True])
def test_what_was_read_after_the_copy_was_made_is_not_read_again(log: Log, restart: bool) -> None:
    log.write(12)
    log.take()
    shutil.copy(log.path, log.file(".1"))
    log.write(2)
    log.take()
    os.truncate(log.path, 0)
    log.write(1)
    if restart:
        log.restart()
    log.take()
    assert log.read == log.written


def test_a_copy_that_is_still_being_made_ends_in_no_line(log: Log) -> None:
    log.write(12)
    log.take()
    log.rename("-1")
    log.write(20)
    whole = log.path.read_bytes()
    log.file(".1").write_bytes(whole[:300])
    log.take()
    log.file(".1").write_bytes(whole)
    os.truncate(log.path, 0)
    log.write(1)
    log.take()
    assert list(dict.fromkeys(log.read)) == log.written


@pytest.mark.parametrize("restart", [False, True])
def test_after_truncation_alone_reading_begins_at_the_beginning(
    log: Log, restart: bool, caplog: pytest.LogCaptureFixture
) -> None:
    log.write(5)
    log.take()
    os.truncate(log.path, 0)
    if restart:
        log.restart()
    log.take()
    log.take()
    log.write(2)
    log.take()
    assert log.read == log.written
    assert caplog.text.count("gap:") == 1


@pytest.mark.parametrize("names", [(".3", ".2", ".1"), (".0", ".1", ".2"), ("-20240115",) * 1])
def test_rotations_while_nobody_reads_are_made_up_for(log: Log, names: tuple[str, ...]) -> None:
    log.write(3)
    log.take()
    log.write(2)
    log.follower.close()
    for name in names:
        log.path.rename(log.file(name))
        log.path.touch()
        log.write(3)
    log.restart()
    log.take()
    assert log.read == log.written


def test_rotations_of_one_second_go_by_when_they_were_written(log: Log) -> None:
    for number, name in enumerate(("-b", "-a", "-c")):
        text = b"1700000000|%d|q|NONE|INFO|" % number
        log.written.append(text)
        log.file(name).write_bytes(text + b"\n")
        os.utime(log.file(name), ns=(0, 10**18 + number))
    assert [one.path.name[-1] for one in siblings(log.path) or []] == ["b", "a", "c"]


def test_compressed_files_are_named_as_a_gap(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    log.write(3)
    log.take()
    log.rename()
    log.write(2)
    log.rename()
    log.write(2)
    log.file(".2").rename(log.file(".2.gz"))
    log.file(".1").rename(log.file(".1.gz"))
    log.restart()
    log.take()
    assert log.read == log.written[:3] + log.written[-2:]
    assert "queue_log.1.gz is compressed" in caplog.text
    assert "queue_log.2.gz is compressed" in caplog.text


def test_one_compressed_in_between_is_named_too(log: Log, caplog: pytest.LogCaptureFixture) -> None:
    log.write(3)
    log.take()
    for name, mtime in ((".2", 1), (".1", 2)):
        log.path.rename(log.file(name))
        os.utime(log.file(name), (mtime, mtime))
        log.write(2)
    log.file(".1").rename(log.file(".1.gz"))
    log.restart()
    log.take()
    assert log.read == log.written[:3] + log.written[-2:]
    assert "queue_log.1.gz is compressed" in caplog.text


def test_an_empty_log_that_was_rotated_before_its_first_line_is_found(log: Log) -> None:
    log.path.touch()
    assert log.follower.next_batch() is None
    log.kept = log.follower.position()
    log.write(2)
    log.rename()
    log.write(1)
    log.restart()
    log.take()
    assert log.read == log.written


@pytest.mark.parametrize("restart", [False, True])
def test_a_log_without_a_line_may_be_copied_and_truncated_before_anyone_looks_again(
    log: Log, restart: bool
) -> None:
    log.path.touch()
    assert log.follower.next_batch() is None
    log.kept = log.follower.position()
    log.write(2)
    log.copytruncate()
    log.write(1)
    if restart:
        log.restart()
    log.take()
    assert log.read == log.written


def test_a_listing_during_which_files_are_renamed_is_none(
    log: Log, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between `.1` and `.2` a file could be missed, and all its lines with it."""
    look = siblings_module._look

    def renamed_meanwhile(path: Path, is_log: bool) -> Sibling | None:
        monkeypatch.setattr(siblings_module, "_look", look)
        log.rename()
        return look(path, is_log)

    log.write(2)
    log.rename()
    log.write(2)
    monkeypatch.setattr(siblings_module, "_look", renamed_meanwhile)
    assert siblings(log.path) is None
    log.write(1)
    found = siblings(log.path)
    assert found is not None
    assert [one.path.name for one in found] == ["queue_log.2", "queue_log.1", "queue_log"]


def test_old_files_are_not_read_for_a_log_that_was_empty(log: Log) -> None:
    log.file(".1").write_bytes(b"1600000000|old\n")
    log.path.touch()
    assert log.follower.next_batch() is None
    log.kept = log.follower.position()
    log.restart()
    assert log.follower.next_batch() is None
    log.write(2)
    log.take()
    assert log.read == log.written


def test_long_lines_and_lines_beyond_all_measure(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    good = [b"1|" + b"y" * 20_000, b"2|z", b"4|" + b"w" * (CHUNK - 10), b"5|v"]
    huge = b"3|" + b"x" * (2 * CHUNK + 17)
    log.path.write_bytes(b"\n".join([*good[:2], huge, *good[2:]]) + b"\n")
    log.take()
    assert log.read == good
    assert caplog.text.count("longer than") == 1


def test_blank_lines_are_nothing_and_other_bytes_stay_as_they_are(log: Log) -> None:
    log.path.write_bytes(b"\n1|\xff\x00|\r\n \n2|b\n")
    log.take()
    assert log.read == [b"1|\xff\x00|\r", b"2|b"]


def test_a_position_is_kept_whole(tmp_path: Path) -> None:
    file, place = tmp_path / "deep" / "state.json", Position(1, 2, 3, 4, "ab", 5)
    assert positions.load(file) is None
    positions.save(file, place)
    positions.save(file, replace(place, offset=9))
    assert positions.load(file) == replace(place, offset=9)
    assert [one.name for one in file.parent.iterdir()] == ["state.json"]


@pytest.mark.parametrize("text", [b"", b"[]", b"{", b'{"device": -1}', b'{"device": true}'])
def test_a_position_that_cannot_be_read_is_no_beginning(tmp_path: Path, text: bytes) -> None:
    file = tmp_path / "state.json"
    file.write_bytes(text)
    with pytest.raises(PositionError, match="state.json"):
        positions.load(file)


def test_a_position_keeps_no_caller(log: Log, tmp_path: Path) -> None:
    log.path.write_bytes(b"1700000000|x|q|NONE|ENTERQUEUE||4930555001|1\n")
    log.take()
    assert log.kept is not None
    positions.save(tmp_path / "state", log.kept)
    assert b"4930555001" not in (tmp_path / "state").read_bytes()


@pytest.fixture(autouse=True)
def _said(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
