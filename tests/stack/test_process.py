"""One role as a process: started, watched, stopped kindly or at once, and never left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipeline.stack.process import RoleProcess

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
    " print('ready', flush=True); time.sleep(300)"
)
KIND = "import time; print('ready', flush=True); time.sleep(300)"


def _role(tmp_path: Path, program: str) -> RoleProcess:
    command = [sys.executable, "-c", program]
    return RoleProcess("role", command, dict(os.environ), tmp_path / "logs" / "role.log")


async def _until_ready(role: RoleProcess) -> None:
    async with asyncio.timeout(90):
        while "ready" not in role.last_words():
            await asyncio.sleep(0.02)


def _lives(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


async def test_what_a_role_prints_is_in_its_log_and_its_code_is_told(tmp_path: Path) -> None:
    role = _role(tmp_path, "import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")
    assert (role.pid, role.running) == (0, False)
    await role.start()
    assert await role.wait() == 3
    assert sorted(role.last_words().splitlines()) == ["err", "out"]
    assert not role.running


async def test_a_kind_role_ends_by_itself_and_a_stubborn_one_is_killed(tmp_path: Path) -> None:
    for name, program, grace_s, code in (
        ("kind", KIND, 90.0, signal.SIGTERM),
        ("stubborn", STUBBORN, 0.2, signal.SIGKILL),
    ):
        role = _role(tmp_path / name, program)
        await role.start()
        await _until_ready(role)
        await role.stop(grace_s)
        assert not role.running
        assert await role.wait() == -code


async def test_without_a_grace_a_role_is_killed_at_once(tmp_path: Path) -> None:
    role = _role(tmp_path, KIND)
    await role.start()
    await _until_ready(role)
    await role.stop(0)
    assert await role.wait() == -signal.SIGKILL


async def test_a_start_that_is_given_up_leaves_no_process_behind(tmp_path: Path) -> None:
    role = _role(tmp_path, KIND)
    starting = asyncio.create_task(role.start())
    await asyncio.sleep(0)
    starting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await starting
    await role.stop(5)
    pid = role.pid
    await asyncio.sleep(0.5)
    assert not role.running
    assert pid == role.pid
    assert not (pid and _lives(pid))


async def test_a_role_that_was_stopped_does_not_start_again(tmp_path: Path) -> None:
    role = _role(tmp_path, KIND)
    await role.stop(5)
    await role.start()
    assert (role.pid, role.running) == (0, False)


async def test_the_pause_grows_while_a_role_does_not_last(tmp_path: Path) -> None:
    role = _role(tmp_path, "pass")
    await role.start()
    await role.wait()
    assert [role.pause_before_restart() for _ in range(7)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]


def test_a_role_dies_with_the_process_that_started_it(tmp_path: Path) -> None:
    program = (
        "import asyncio, os, sys; from pathlib import Path\n"
        "from pipeline.stack.process import RoleProcess\n"
        "async def main():\n"
        f"    command = [sys.executable, '-c', {KIND!r}]\n"
        "    role = RoleProcess('r', command, dict(os.environ), Path(sys.argv[1]))\n"
        "    await role.start()\n"
        "    print(role.pid, flush=True)\n"
        "    await asyncio.sleep(60)\n"
        "asyncio.run(main())\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "role.log")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        assert _lives(pid)
        parent.kill()
    deadline = time.monotonic() + 180
    while _lives(pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


async def test_the_log_of_a_role_that_never_lasts_does_not_grow_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.stack.process.LOG_BYTES", 250)
    role = _role(tmp_path, "print('x' * 99)")
    for _ in range(20):
        await role.start()
        assert await role.wait() == 0
    sizes = {path.name: path.stat().st_size for path in role.log.parent.iterdir()}
    assert sizes == {"role.log": 200, "role.log.1": 300}
