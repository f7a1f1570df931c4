"""A new epoch: its number, the snapshot each site goes on from, what the journal must keep."""

from __future__ import annotations

from pathlib import Path

import pytest

from agents_stream.checkpoint import version_of
from agents_stream.snapshots import SUFFIX, folder_of
from pipeline.ingest.feeding import Fed, journal_folder
from pipeline.stack.epoch import EPOCH_FILE, begin_epoch, read_epoch, snapshots_of


def _snapshots(data: Path, site: str, *names: str) -> None:
    folder = folder_of(data / "snapshots", site)
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / f"{name}{SUFFIX}").write_bytes(b"")


def test_epochs_count_from_one(tmp_path: Path) -> None:
    assert read_epoch(tmp_path) == {}
    assert [begin_epoch(tmp_path, [], {}) for _ in range(3)] == [1, 2, 3]
    assert read_epoch(tmp_path) == {"epoch": 3, "restore": {}, "prune": 0}


@pytest.mark.parametrize("left", [None, b"", b"{", b"[]", b'{"epoch": null}'])
def test_without_a_readable_file_the_epoch_does_not_fall_back(
    tmp_path: Path, left: bytes | None
) -> None:
    """Rows of a lower epoch would never count, and nobody would see why."""
    file = tmp_path / EPOCH_FILE
    assert begin_epoch(tmp_path, ["bank"], {"bank": version_of(7, 300)}) == 8
    for known in ("store", "snapshot", "door"):
        file.unlink() if left is None else file.write_bytes(left)
        if known == "snapshot":
            _snapshots(tmp_path, "gone", f"10-{version_of(20, 5)}")
        if known == "door":
            journal_folder(tmp_path).mkdir()
            Fed(30, 99, complete=True).write(journal_folder(tmp_path))
        epoch = begin_epoch(tmp_path, ["bank"], {"bank": version_of(8, 300)})
        assert epoch == {"store": 9, "snapshot": 21, "door": 31}[known]
        assert read_epoch(tmp_path)["epoch"] == epoch
    assert [path.name for path in tmp_path.glob("epoch*")] == [EPOCH_FILE]


def test_a_site_goes_on_from_the_newest_snapshot_whose_rows_the_store_has(tmp_path: Path) -> None:
    """What lies after it is told anew by the journal, so every row reaches the store."""
    _snapshots(tmp_path, "bank", "10-100", "20-200", "30-300")
    begin_epoch(tmp_path, ["bank"], {"bank": 299})
    restored = read_epoch(tmp_path)["restore"]["bank"]
    assert restored == {"snapshot": f"snapshots/bank/20-200{SUFFIX}", "journal": 20}
    begin_epoch(tmp_path, ["bank"], {"bank": 300})
    assert read_epoch(tmp_path)["restore"]["bank"]["journal"] == 30


def test_without_a_usable_snapshot_a_site_is_told_from_the_beginning(tmp_path: Path) -> None:
    _snapshots(tmp_path, "bank", "10-100")
    begin_epoch(tmp_path, ["bank", "shop"], {"bank": 99})
    assert read_epoch(tmp_path)["restore"] == {}


def test_the_journal_is_kept_from_the_oldest_snapshot_of_any_site(tmp_path: Path) -> None:
    """A store that comes back from its own backup may need the oldest one."""
    _snapshots(tmp_path, "bank", "10-100", "20-200")
    _snapshots(tmp_path, "shop", "15-150")
    begin_epoch(tmp_path, ["bank", "shop"], {"bank": 200, "shop": 150})
    assert read_epoch(tmp_path)["prune"] == 10
    begin_epoch(tmp_path, ["bank", "shop", "new"], {})
    assert read_epoch(tmp_path)["prune"] == 0


def test_files_that_are_no_snapshots_are_passed_over(tmp_path: Path) -> None:
    _snapshots(tmp_path, "a/b", "7-70", "x-1", "7-", "8-80.new")
    found = snapshots_of(tmp_path / "snapshots", "a/b")
    assert [(one.journal, one.version) for one in found] == [(7, 70)]
