"""The embedded stack as a user has it: it says where it is, stays alive, and goes when told to."""

from __future__ import annotations

import re
import signal
import socket
import time
import urllib.error
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pipeline.stack.roles import ROLES
from tests.e2e.running import RunningStack
from tests.e2e.sites import now_ms

pytestmark = [pytest.mark.stack, pytest.mark.timeout(480)]

ALL = (*ROLES, "broker", "store")


def left_behind(folder: Path) -> list[int]:
    """Processes that were started with this data folder, children of children included."""
    mark = f"CALLBOARD_DATA_DIR={folder.resolve()}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                ours = mark in (entry / "environ").read_bytes().split(b"\0")
            except OSError:
                continue
            if ours:
                found.append(int(entry.name))
    return found


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningStack]:
    """One stack for all tests, who take turns in doing it harm."""
    found = RunningStack(tmp_path_factory.mktemp("stack") / "data", "--empty")
    found.start()
    yield found
    if found.running:
        found.stop()


def _said(stack: RunningStack) -> str:
    """What it said on the terminal, without the breaks of lines."""
    return re.sub(r"\s+", " ", stack.log.read_text())


def test_it_says_where_everything_is_and_there_it_is(stack: RunningStack) -> None:
    said = stack.log.read_text()
    addresses = dict(re.findall(r"^  (\w+) +(\S.*)$", said, re.MULTILINE))
    assert list(addresses) == ["board", "events", "metrics", "SQL", "settings", "logs"]
    assert b"<html" in stack.get(addresses["board"])
    assert b"callboard_worker_ready" in stack.get(addresses["metrics"])
    with pytest.raises(urllib.error.HTTPError, match="405"):
        stack.get(addresses["events"].removeprefix("POST "))
    store = re.sub(r"^.*http://[^@]*@", "http://", addresses["SQL"])
    assert stack.get(f"{store}ping") == b"Ok.\n"
    assert (Path(addresses["settings"].partition(" ")[0]) / "default.yml").exists()
    assert {path.stem for path in Path(addresses["logs"]).iterdir()} == set(ALL)
    # A start that goes well says nothing else.
    assert "INFO" not in said
    assert "WARNING" not in said


def test_a_settings_file_that_is_refused_is_said_on_the_terminal_and_counted(
    stack: RunningStack,
) -> None:
    file = stack.folder / "settings" / "default.yml"
    for text, word in (
        ("site: default\nlatenes_ms: 6\n", "did you mean lateness_ms"),
        ("site: default\npane_ms: 30000\n", "pane_ms stays 10000"),
    ):
        file.write_text(text)
        stack.until(lambda w=word: w in _said(stack), 30, word)  # type: ignore[misc]
        stack.until(lambda: _settings_errors(stack) == "1.0", 30, "it is counted")
    file.write_text("site: default\n")
    stack.until(lambda: _settings_errors(stack) == "0.0", 30, "none is left")


def _settings_errors(stack: RunningStack) -> str:
    [line] = re.findall(r"^callboard_ingest_settings_errors (.*)$", stack.metrics("ingest"), re.M)
    return str(line)


def test_a_second_stack_in_the_same_folder_is_refused(stack: RunningStack) -> None:
    second = RunningStack(stack.folder, "--empty")
    second.log = stack.folder.parent / "second.log"
    second.launch()
    assert second.ended() == 1
    assert "a stack runs in" in _said(second)
    assert stack.running


def test_a_dead_role_is_started_again_and_that_is_said(stack: RunningStack) -> None:
    for role in ("board", "store"):
        [pid] = stack.pids(role)
        stack.signal(role, signal.SIGKILL)
        stack.until(_another(stack, role, pid), 60, f"{role} is back")
        assert f"{role} ended (signal 9), it is started again in" in _said(stack)
    stack.until(lambda: stack.board("default"), 60, "the board answers")


def _another(stack: RunningStack, role: str, pid: int) -> Callable[[], bool]:
    return lambda: stack.pids(role) not in ([], [pid])


def test_killed_in_the_middle_it_leaves_no_process_and_starts_again(stack: RunningStack) -> None:
    queued = {"type": "contact.queued", "site": "default", "contact": "c", "queue": "q"}
    stack.until(lambda: stack.post("default", {**queued, "ts": now_ms()})["taken"], 60, "taken")
    assert len(left_behind(stack.folder)) >= len(ALL)
    assert stack.stop(signal.SIGKILL) == -signal.SIGKILL
    deadline = time.monotonic() + 180
    while left_behind(stack.folder):
        assert time.monotonic() < deadline, "processes outlive their stack"
        time.sleep(0.1)
    assert _said(stack).count("callboard is up") == 1
    stack.start()
    assert _said(stack).count("callboard is up") == 2
    stack.until(lambda: _waits(stack), 60, "the contact waits")


def _waits(stack: RunningStack) -> bool:
    now: int = stack.board("default")["all"]["queues"]["now"]["waiting"]
    return now >= 1


def test_a_broker_that_dies_again_while_an_epoch_begins_is_no_end(stack: RunningStack) -> None:
    for _ in range(2):
        [pid] = stack.pids("broker")
        stack.signal("broker", signal.SIGKILL)
        stack.until(_another(stack, "broker", pid), 60, "another broker")
    stack.until(lambda: "all is up again, as epoch" in _said(stack), 90, "it is up again")
    stack.until(lambda: _waits(stack), 60, "the contact waits")
    assert _said(stack).count("a new epoch begins from snapshot and journal") == 2


def test_ctrl_c_stops_it_cleanly(stack: RunningStack) -> None:
    assert stack.stop(signal.SIGINT) == 0
    assert left_behind(stack.folder) == []
    assert stack.log.read_text().endswith("stopped\n")
    assert "Traceback" not in stack.log.read_text()
    assert not (stack.folder / "stack.json").exists()


def test_ctrl_c_while_it_starts_stops_it_cleanly_too(tmp_path: Path) -> None:
    stack = RunningStack(tmp_path / "data", "--empty")
    stack.launch()
    stack.until(lambda: stack.pids("store"), 60, "it begins to start")
    assert stack.stop(signal.SIGINT) == 0
    assert left_behind(stack.folder) == []
    assert "Traceback" not in stack.log.read_text()
    assert "callboard is up" not in stack.log.read_text()


def test_a_port_that_is_in_use_is_named_with_what_to_change(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        stack = RunningStack(tmp_path / "data", "--empty")
        stack.launch(CALLBOARD_BOARD_PORT=str(port))
        assert stack.ended() == 1
    assert f"port {port} cannot be had" in _said(stack)
    assert "CALLBOARD_BOARD_PORT" in _said(stack)
    assert "Traceback" not in stack.log.read_text()
