"""Snapshots: whole or not there, restored only in their epoch, pruned to a ladder."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from agents_stream.snapshots import (
    KEEP_NEWEST,
    Restorer,
    Snapshot,
    SnapshotError,
    SnapshotWriter,
    folder_of,
    prune_snapshots,
    read_snapshot,
    write_snapshot,
)
from schemas.config import Config
from schemas.frames import decode_frame
from schemas.settings import SiteSettings
from sinks.prometheus.figures import WorkerFigures
from tests.agents_stream.fakes import CountingSite, Log, LogWorker, frame

HOUR = 3_600_000
NOON = 1_700_049_600_000


def _site(name: str = "s", zone: str = "UTC", at: int = NOON) -> CountingSite:
    site = CountingSite(SiteSettings(site=name, time_zone=zone))
    _move(site, at)
    return site


def _move(site: CountingSite, at: int) -> None:
    offset = site.offset + 1
    site.apply(decode_frame(frame(site.site, offset, ["a"], at)), offset)
    site.journal = offset * 10


def _snapshot(version: int, at: int) -> Snapshot:
    return Snapshot("s", at, version, version, 1, {"meta": b"{}"})


def test_a_snapshot_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = Snapshot("a/b c", NOON, 5, 4, 1, {"meta": b"\x00\n\xff", "story:ü": b""})
    path = write_snapshot(tmp_path, written)
    assert path == tmp_path / "a%2Fb%20c" / "4-5.snap"
    assert read_snapshot(path) == written
    head = orjson.loads(path.read_bytes().partition(b"\n")[0])
    assert {k: head[k] for k in ("site", "at", "version", "journal", "epoch")} == {
        "site": "a/b c",
        "at": NOON,
        "version": 5,
        "journal": 4,
        "epoch": 1,
    }
    assert list(path.parent.glob("*.new")) == []


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "gone", "no header"])
def test_a_damaged_snapshot_is_refused_by_name(tmp_path: Path, damage: str) -> None:
    path = write_snapshot(tmp_path, Snapshot("s", NOON, 5, 4, 1, {"meta": b"x" * 100}))
    whole = path.read_bytes()
    broken = {
        "cut": whole[:-1],
        "flipped": whole[:-1] + b"y",
        "empty": b"",
        "no header": b"[]\n" + whole,
    }
    if damage == "gone":
        path.unlink()
    else:
        path.write_bytes(broken[damage])
    with pytest.raises(SnapshotError, match=r"4-5\.snap"):
        read_snapshot(path)


def test_pruning_keeps_the_newest_and_one_an_hour(tmp_path: Path) -> None:
    for n in range(100):
        write_snapshot(tmp_path, _snapshot(n, NOON + n * HOUR // 20))
    deleted = prune_snapshots(tmp_path, "s")
    kept = sorted(int(p.stem.split("-")[1]) for p in folder_of(tmp_path, "s").glob("*.snap"))
    assert deleted == 100 - len(kept)
    assert kept[-KEEP_NEWEST:] == list(range(100 - KEEP_NEWEST, 100))
    assert kept[:-KEEP_NEWEST] == [19, 39, 59, 79]


def _config(tmp_path: Path, epoch: int = 2) -> Config:
    return Config(epoch=epoch, data_dir=tmp_path, partitions=1)


def _epoch_file(tmp_path: Path, snapshot: str, epoch: int = 2) -> None:
    entry = {"snapshot": snapshot, "journal": 0}
    text = orjson.dumps({"epoch": epoch, "restore": {"s": entry}})
    (tmp_path / "epoch.json").write_bytes(text)


def test_a_site_without_checkpoint_is_restored_from_the_chosen_snapshot(tmp_path: Path) -> None:
    path = write_snapshot(tmp_path / "snapshots", Snapshot.of(_site()))
    for chosen in (str(path), str(path.relative_to(tmp_path))):
        _epoch_file(tmp_path, chosen)
        restored = Restorer(_config(tmp_path), CountingSite).restore("s")
        assert isinstance(restored, CountingSite)
        assert restored.figures() == _site().figures()
    assert Restorer(_config(tmp_path), CountingSite).restore("other") is None


def test_without_an_epoch_file_or_in_another_epoch_nothing_is_restored(tmp_path: Path) -> None:
    assert Restorer(_config(tmp_path), CountingSite).restore("s") is None
    path = write_snapshot(tmp_path, Snapshot.of(_site()))
    _epoch_file(tmp_path, str(path), epoch=1)
    assert Restorer(_config(tmp_path), CountingSite).restore("s") is None


def test_a_snapshot_of_another_site_is_refused(tmp_path: Path) -> None:
    path = write_snapshot(tmp_path, Snapshot.of(_site("other")))
    _epoch_file(tmp_path, str(path))
    with pytest.raises(SnapshotError, match="holds site 'other'"):
        Restorer(_config(tmp_path), CountingSite).restore("s")


async def test_a_restored_site_is_written_whole_by_the_first_checkpoint(tmp_path: Path) -> None:
    path = write_snapshot(tmp_path, Snapshot.of(_site()))
    _epoch_file(tmp_path, str(path))
    config = Config(epoch=2, data_dir=tmp_path, partitions=1, checkpoint_events=5)
    log = Log()
    log.frames = [frame("t", 0, list("abcde"), NOON, epoch=2)]
    worker = await LogWorker(log, 1, config=config, restorer=Restorer(config, CountingSite)).open()
    await worker.read_on()
    assert worker.figures.checkpoints == 1
    log.frames.append(frame("s", 1, ["b"], NOON + 1, epoch=2))
    await worker.read_on()
    await worker.agent.finish()

    again = await LogWorker(log, 2, config=config).open()
    assert again.figures_by_site()["s"]["contacts"] == {"a": 1, "b": 1}


async def test_snapshots_are_written_every_few_minutes_and_only_after_a_change(
    tmp_path: Path,
) -> None:
    now = [0.0]
    figures = WorkerFigures()
    writer = SnapshotWriter(tmp_path, figures, every_s=180, monotonic=lambda: now[0])
    site = _site()
    await writer.write_due([site])
    now[0] = 400
    await writer.write_due([site])
    assert figures.snapshots == 0
    _move(site, NOON + 1)
    await writer.write_due([site])
    await writer.write_due([site])
    assert figures.snapshots == 1
    now[0] += 179
    _move(site, NOON + 2)
    await writer.write_due([site])
    assert figures.snapshots == 1
    await writer.write_all([site])
    await writer.write_all([site])
    assert figures.snapshots == 2
    newest = max(folder_of(tmp_path, "s").glob("*.snap"), key=lambda path: path.name)
    assert read_snapshot(newest).journal == 20


async def test_a_site_that_was_seen_but_never_written_is_written_at_the_end(tmp_path: Path) -> None:
    figures = WorkerFigures()
    writer = SnapshotWriter(tmp_path, figures, monotonic=lambda: 0.0)
    site = _site()
    await writer.write_due([site])
    assert figures.snapshots == 0
    await writer.write_all([site])
    assert figures.snapshots == 1


async def test_a_new_day_of_the_site_brings_a_snapshot(tmp_path: Path) -> None:
    figures = WorkerFigures()
    writer = SnapshotWriter(tmp_path, figures, monotonic=lambda: 0.0)
    site = _site(zone="Etc/GMT-10", at=NOON + HOUR)
    await writer.write_due([site])
    _move(site, NOON + 2 * HOUR - 1)
    await writer.write_due([site])
    assert figures.snapshots == 0
    _move(site, NOON + 2 * HOUR)
    await writer.write_due([site])
    assert figures.snapshots == 1


async def test_a_snapshot_that_cannot_be_written_does_not_stop_the_worker(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("a file where the folder should be")
    figures = WorkerFigures()
    await SnapshotWriter(tmp_path, figures).write_all([_site()])
    assert (figures.snapshots, figures.snapshot_failures) == (0, 1)
