"""The data folder: whose it is, what it keeps, and that two stacks never share it."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from pipeline.stack.folder import DataFolder, FolderError, Mode


def test_a_new_folder_is_claimed_for_a_mode_and_kept_for_it(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    assert folder.claim(Mode.DEMO)
    assert not folder.claim(Mode.DEMO)
    with pytest.raises(FolderError, match="mode demo; start with --fresh"):
        folder.claim(Mode.EMPTY)


def test_a_folder_of_somebody_else_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    folder = DataFolder(tmp_path)
    for touch in (lambda: folder.claim(Mode.DEMO), lambda: folder.held().__enter__()):
        with pytest.raises(FolderError, match=r"holds thesis\.txt"):
            touch()
    folder.clear()
    assert [entry.name for entry in tmp_path.iterdir()] == ["thesis.txt"]


def test_clearing_removes_what_is_ours_and_nothing_else(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.claim(Mode.EMPTY)
    folder.store_secrets()
    for name in ("journal", "snapshots", "logs"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("x")
    (tmp_path / "notes.txt").write_text("mine")
    folder.clear()
    assert [entry.name for entry in tmp_path.iterdir()] == ["notes.txt"]
    assert folder.root.is_dir()


def test_only_the_owner_reads_the_secrets_and_they_stay(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    made = folder.store_secrets()
    assert folder.store_secrets() == made
    assert made.writer != made.analyst
    mode = (tmp_path / "secrets.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


def test_a_second_stack_is_refused_while_the_first_one_runs(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    with folder.held():
        done = _hold_elsewhere(folder)
        assert done.returncode == 1
        assert "a stack runs in" in done.stdout
    assert _hold_elsewhere(folder).returncode == 0


def test_the_lock_survives_a_clearing(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    with folder.held():
        folder.claim(Mode.DEMO)
        folder.clear()
        assert _hold_elsewhere(folder).returncode == 1


def _hold_elsewhere(folder: DataFolder) -> subprocess.CompletedProcess[str]:
    """Another process tries to hold the folder."""
    program = (
        "import sys; from pathlib import Path\n"
        "from pipeline.stack.folder import DataFolder, FolderError\n"
        "try:\n"
        "    with DataFolder(Path(sys.argv[1])).held(): pass\n"
        "except FolderError as error:\n"
        "    print(error); sys.exit(1)\n"
    )
    command = [sys.executable, "-c", program, str(folder.root)]
    return subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)


def test_what_holds_the_mode_is_readable(tmp_path: Path) -> None:
    DataFolder(tmp_path).claim(Mode.SIMULATE)
    assert orjson.loads((tmp_path / "mode.json").read_bytes()) == {"mode": "simulate"}
