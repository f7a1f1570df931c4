"""The journal: what is acknowledged survives, what is torn is cut off."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from pipeline.ingest.journal import Journal, JournalError, last_received, read_journal, segments_of
from pipeline.ingest.raw import RawRecord


def record(number: int, payload: bytes = b"") -> RawRecord:
    return RawRecord("north", payload or b'{"n":%d}' % number, 1000 + number, source="acd")


def written(folder: Path, count: int, segment_bytes: int = 10**9) -> None:
    journal = Journal(folder, segment_bytes)
    for number in range(count):
        journal.append([record(number)])
    journal.close()


def test_records_come_back_as_they_were_in_order(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    odd = [
        RawRecord("", b"\xff\xfe not UTF-8", 5),
        RawRecord("søster", '{"ø":1}'.encode(), 6, source="acd", format="other", truncated=77),
    ]
    assert journal.append(odd) == 1
    assert journal.append([record(1)]) == 3
    assert list(read_journal(tmp_path)) == [(1, odd[0]), (2, odd[1]), (3, record(1))]


def test_reading_begins_after_a_sequence(tmp_path: Path) -> None:
    written(tmp_path, 50, segment_bytes=500)
    assert len(segments_of(tmp_path)) > 3
    for after in (0, 1, 17, 49, 50, 99):
        assert [seq for seq, _ in read_journal(tmp_path, after)] == list(range(after + 1, 51))


def test_of_the_newest_records_only_the_last_segment_is_read(tmp_path: Path) -> None:
    assert last_received(tmp_path) is None
    written(tmp_path, 50, segment_bytes=500)
    *_, before, last = segments_of(tmp_path)
    assert last_received(tmp_path) == 1049
    before.write_bytes(b"")
    assert last_received(tmp_path) == 1049
    for segment in (last, *segments_of(tmp_path)[-4:-2]):
        segment.write_bytes(b"")
    left = [record.received for _, record in read_journal(tmp_path)]
    assert last_received(tmp_path) == max(left)


def test_sequences_go_on_after_reopening(tmp_path: Path) -> None:
    written(tmp_path, 3)
    journal = Journal(tmp_path)
    assert journal.append([record(3)]) == 4


@pytest.mark.parametrize("keep", [1, 7, 40, -1])
def test_a_torn_end_is_cut_off_and_kept_aside(tmp_path: Path, keep: int) -> None:
    written(tmp_path, 3)
    segment = segments_of(tmp_path)[-1]
    whole = segment.read_bytes()
    last = whole.rindex(b"\n", 0, -1) + 1
    segment.write_bytes(whole[:last] + whole[last:][:keep])
    journal = Journal(tmp_path)
    assert journal.next_seq == 3
    assert segment.read_bytes() == whole[:last]
    assert segment.with_suffix(".torn").read_bytes() == whole[last:][:keep]
    journal.append([record(9)])
    assert [seq for seq, _ in read_journal(tmp_path)] == [1, 2, 3]


def test_what_follows_a_bad_line_of_the_last_segment_is_cut_off_too(tmp_path: Path) -> None:
    written(tmp_path, 4)
    segment = segments_of(tmp_path)[-1]
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.write_bytes(b"".join([lines[0], b"\0" * 30 + b"\n", lines[2], lines[3]]))
    assert Journal(tmp_path).next_seq == 2


def test_a_segment_that_was_only_begun_is_used(tmp_path: Path) -> None:
    written(tmp_path, 2)
    (tmp_path / f"{3:016d}.seg").touch()
    journal = Journal(tmp_path)
    assert journal.append([record(3)]) == 3


def test_a_bad_line_of_an_earlier_segment_costs_only_itself(tmp_path: Path) -> None:
    written(tmp_path, 20, segment_bytes=300)
    first = segments_of(tmp_path)[0]
    first.write_bytes(b"#" + first.read_bytes()[1:])
    assert [seq for seq, _ in read_journal(tmp_path)] == list(range(2, 21))


def test_pruning_removes_only_segments_wholly_below(tmp_path: Path) -> None:
    written(tmp_path, 40, segment_bytes=500)
    before = segments_of(tmp_path)
    journal = Journal(tmp_path)
    third = int(before[2].stem)
    assert journal.prune(third - 1) == before[:1]
    assert journal.prune(third) == before[1:2]
    assert [seq for seq, _ in read_journal(tmp_path, third - 1)] == list(range(third, 41))
    journal.prune(10**9)
    assert segments_of(tmp_path) == before[-1:]


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(JournalError, match="another door"):
        Journal(tmp_path)
    journal.close()
    Journal(tmp_path).close()


def test_after_a_full_disk_nothing_of_the_failed_write_remains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    journal.append([record(0)])
    real = os.fdatasync

    def full(descriptor: int) -> None:
        del descriptor
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fdatasync", full)
    with pytest.raises(JournalError, match="No space left"):
        journal.append([record(1), record(2)])
    monkeypatch.setattr(os, "fdatasync", real)
    assert journal.append([record(3)]) == 2
    journal.close()
    assert list(read_journal(tmp_path)) == [(1, record(0)), (2, record(3))]
    assert Journal(tmp_path).next_seq == 3
