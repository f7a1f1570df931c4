"""The settings folder: what holds while files come, change, break and go."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import pytest

from pipeline.ingest.settings_folder import SettingsFolder

_stamp = iter(range(10**6))


def write(folder: Path, name: str, text: str) -> Path:
    """Write a file with a time of its own, so that a change within one tick of the disk shows."""
    path = folder / name
    path.write_text(text)
    moment = 1_700_000_000 + next(_stamp)
    os.utime(path, (moment, moment))
    return path


def loaded(folder: Path) -> SettingsFolder:
    subject = SettingsFolder(folder)
    subject.refresh()
    return subject


def test_each_file_is_a_site(tmp_path: Path) -> None:
    write(tmp_path, "a.yml", "site: north\npane_ms: 30000\n")
    write(tmp_path, "b.yaml", "site: south\n")
    write(tmp_path, "notes.txt", "site: west\n")
    write(tmp_path, ".a.yml.swp.yml", "site: east\n")
    subject = loaded(tmp_path)
    assert sorted(subject.sites) == ["north", "south"]
    assert subject.sites["north"].pane_ms == 30_000
    assert subject.errors == {}


def test_refresh_tells_of_news_only(tmp_path: Path) -> None:
    write(tmp_path, "a.yml", "site: north\n")
    subject = SettingsFolder(tmp_path)
    assert subject.refresh()
    assert not subject.refresh()
    write(tmp_path, "a.yml", "site: north\n")
    assert not subject.refresh()
    write(tmp_path, "a.yml", "site: north\nlateness_ms: 5\n")
    assert subject.refresh()


def test_a_file_that_becomes_bad_changes_nothing_and_is_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write(tmp_path, "a.yml", "site: north\nlateness_ms: 5\n")
    subject = loaded(tmp_path)
    path = write(tmp_path, "a.yml", "site: north\nlatenes_ms: 6\n")
    assert subject.refresh(), "an error is news"
    for _ in range(3):
        assert not subject.refresh()
    assert subject.sites["north"].lateness_ms == 5
    said = [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR]
    assert len(said) == 1
    assert str(path) in said[0]
    assert "did you mean lateness_ms?" in said[0]
    assert "keeps its last good settings" in said[0]
    assert list(subject.errors) == [str(path)]
    write(tmp_path, "a.yml", "site: north\nlateness_ms: 6\n")
    assert subject.refresh()
    assert subject.errors == {}


def test_a_removed_file_removes_its_site(tmp_path: Path) -> None:
    write(tmp_path, "a.yml", "site: north\n")
    path = write(tmp_path, "b.yml", "site: south\n")
    subject = loaded(tmp_path)
    path.unlink()
    assert subject.refresh()
    assert list(subject.sites) == ["north"]


def test_a_renamed_file_is_the_same_site(tmp_path: Path) -> None:
    path = write(tmp_path, "a.yml", "site: north\n")
    subject = loaded(tmp_path)
    path.rename(tmp_path / "b.yml")
    assert not subject.refresh()
    assert list(subject.sites) == ["north"]


def test_of_two_files_for_a_site_the_one_in_force_stays(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    second = write(tmp_path, "b.yml", "site: north\nlateness_ms: 2\n")
    subject = loaded(tmp_path)
    first = write(tmp_path, "a.yml", "site: north\nlateness_ms: 1\n")
    assert subject.refresh(), "an error is news"
    assert not subject.refresh()
    assert subject.sites["north"].lateness_ms == 2
    said = caplog.records[-1].getMessage()
    assert str(first) in said
    assert str(second) in said
    second.unlink()
    assert subject.refresh()
    assert subject.sites["north"].lateness_ms == 1
    assert subject.errors == {}


def test_a_folder_that_cannot_be_read_is_not_an_empty_one(tmp_path: Path) -> None:
    folder = tmp_path / "settings"
    folder.mkdir()
    write(folder, "a.yml", "site: north\n")
    subject = loaded(folder)
    folder.rename(tmp_path / "elsewhere")
    assert subject.refresh(), "an error is news"
    assert not subject.refresh()
    assert list(subject.sites) == ["north"]
    assert str(folder) in subject.errors
    (tmp_path / "elsewhere").rename(folder)
    assert subject.refresh()
    assert subject.errors == {}
    assert not subject.refresh()


async def told_of(subject: SettingsFolder, changed: asyncio.Event, *sites: str) -> None:
    """Wait for news until they are of these sites: that there is no folder yet is news as well."""
    async with asyncio.timeout(90):
        while sorted(subject.sites) != [*sites]:
            await changed.wait()
            changed.clear()


async def test_the_folder_is_watched_also_before_it_exists(tmp_path: Path) -> None:
    folder = tmp_path / "settings"
    subject = SettingsFolder(folder)
    changed = asyncio.Event()
    task = asyncio.create_task(subject.watch(changed))
    try:
        await asyncio.sleep(0.05)
        folder.mkdir()
        write(folder, "a.yml", "site: north\n")
        await told_of(subject, changed, "north")
        write(folder, "b.yml", "site: south\n")
        await told_of(subject, changed, "north", "south")
    finally:
        task.cancel()
