"""What the stack says of an edit in the settings folder."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from pipeline.stack.settings_watch import SettingsWatch

_stamp = iter(range(10**6))


def write(folder: Path, text: str) -> Path:
    """The file of site north, with a time of its own."""
    path = folder / "north.yml"
    path.write_text(text)
    moment = 1_700_000_000 + next(_stamp)
    os.utime(path, (moment, moment))
    return path


@pytest.fixture
def watch(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> SettingsWatch:
    """A stack that has begun with site north."""
    caplog.set_level("INFO")
    write(tmp_path, "site: north\n")
    subject = SettingsWatch(tmp_path)
    assert subject.sites() == ["north"]
    return subject


def test_what_the_stack_begins_with_is_nothing_to_tell(
    watch: SettingsWatch, caplog: pytest.LogCaptureFixture
) -> None:
    watch.sites()
    assert caplog.messages == []


def test_a_broken_file_is_said_once_and_so_is_that_it_is_good_again(
    tmp_path: Path, watch: SettingsWatch, caplog: pytest.LogCaptureFixture
) -> None:
    path = write(tmp_path, "site: north\nlatenes_ms: 6\n")
    for _ in range(3):
        assert watch.sites() == ["north"]
    [said] = caplog.messages
    assert str(path) in said
    assert "did you mean lateness_ms" in said
    caplog.clear()
    write(tmp_path, "site: north\n")
    watch.sites()
    assert caplog.messages == [f"all files in {tmp_path} are good again"]


def test_a_change_that_a_running_site_refuses_is_said(
    tmp_path: Path, watch: SettingsWatch, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(2):
        write(tmp_path, "site: north\npane_ms: 30000\n")
        watch.sites()
    [said] = caplog.messages
    assert "site north: pane_ms stays 10000 and does not become 30000" in said
    caplog.clear()
    write(tmp_path, "site: north\n")
    watch.sites()
    assert caplog.messages == ["site north: its new settings hold"]


async def test_an_edit_is_said_while_the_stack_runs(
    tmp_path: Path, watch: SettingsWatch, caplog: pytest.LogCaptureFixture
) -> None:
    running = asyncio.create_task(watch.run())
    try:
        await asyncio.sleep(0.05)
        write(tmp_path, "site: north\nlateness_ms: 6\n")
        async with asyncio.timeout(90):
            while "its new settings hold" not in caplog.text:
                await asyncio.sleep(0.02)
    finally:
        running.cancel()
