"""A queue_log collected over real HTTP while another process writes and rotates it."""

from __future__ import annotations

import asyncio
import contextlib
import random
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from pipeline.collect.door_client import DoorClient, DoorRefused
from pipeline.collect.queue_log import SOURCE, Job, collect, state_of
from tests.collect.log_writer import line
from tests.collect.sources_door import SourcesDoor, open_sources_door

PATIENCE_S = 180.0
COUNT = 700
KINDS = ["rename", "copytruncate", "rename-twice"]
COLLECTOR = """
import asyncio, sys
from pathlib import Path
from pipeline.collect.door_client import DoorClient
from pipeline.collect.queue_log import SOURCE, Job, collect

async def main(log, state, address):
    async with DoorClient(address, first_delay_s=0.01, source=SOURCE) as door:
        await collect(Job(Path(log), "here", Path(state)), door, 0.002, 0.02)

asyncio.run(main(*sys.argv[1:]))
"""


class Folder:
    """The log, the position, and the programs at work on them."""

    def __init__(self, path: Path, door: SourcesDoor) -> None:
        self.log, self.state, self.door = path / "queue_log", path / "state.json", door
        self.log.touch()

    async def writer(
        self, kinds: Iterable[str], count: int, pause_ms: float = 0.5
    ) -> asyncio.subprocess.Process:
        command = [sys.executable, "-m", "tests.collect.log_writer", str(self.log)]
        return await asyncio.create_subprocess_exec(
            *command, ",".join(kinds), str(count), str(pause_ms),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip

    async def collector(self) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            sys.executable, "-c", COLLECTOR, str(self.log), str(self.state), self.door.address
        )

    @contextlib.asynccontextmanager
    async def collecting(self) -> AsyncIterator[None]:
        """A collector in this process."""
        async with DoorClient(self.door.address, first_delay_s=0.01, source=SOURCE) as client:
            task = asyncio.create_task(
                collect(Job(self.log, "here", self.state), client, 0.002, 0.02)
            )
            try:
                yield
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def until_arrived(self, number: int) -> None:
        """Wait until the door has lines up to a number."""
        last = line(number - 1)
        async with asyncio.timeout(PATIENCE_S):
            while last not in self.door.taken[-400:]:
                await asyncio.sleep(0.01)


async def written(writer: asyncio.subprocess.Process) -> tuple[str, int]:
    """What a writer says, that it truncates or is done, and how many lines it has written."""
    assert writer.stdout is not None
    async with asyncio.timeout(PATIENCE_S):
        what, count = (await writer.stdout.readline()).split()
    return what.decode(), int(count)


def check(door: SourcesDoor, count: int) -> None:
    """Every line at least once, whole, and in order when repetitions are left out."""
    assert list(dict.fromkeys(door.taken)) == [line(number) for number in range(count)]
    assert door.places == {(SOURCE, "here")}


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Folder]:
    async with open_sources_door(SourcesDoor()) as door:
        yield Folder(tmp_path, door)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_log_is_collected_through_its_rotations(folder: Folder, kind: str) -> None:
    folder.door.answer = lambda number: {3: "refuse", 5: "lose"}.get(number % 8, "take")
    async with folder.collecting():
        writer = await folder.writer([kind], 300)
        _, count = await written(writer)
        await folder.until_arrived(count)
    assert await writer.wait() == 0
    check(folder.door, count)


async def test_a_log_is_collected_through_truncations(folder: Folder) -> None:
    """A truncated log has no copy: what was collected by then is all that there is to collect."""
    async with folder.collecting():
        writer = await folder.writer(["truncate"], 200)
        assert writer.stdin is not None
        what = "truncates"
        while what == "truncates":
            what, count = await written(writer)
            await folder.until_arrived(count)
            writer.stdin.write(b"go on\n")
    assert await writer.wait() == 0
    check(folder.door, count)


async def test_killed_at_any_moment_a_collector_loses_no_line(folder: Folder) -> None:
    rng = random.Random(4)
    folder.door.answer = lambda number: {2: "refuse", 4: "lose"}.get(number % 6, "take")
    collector, kills = await folder.collector(), 0
    async with asyncio.timeout(PATIENCE_S):
        while not folder.state.exists():
            await asyncio.sleep(0.01)
    writer = await folder.writer(KINDS, COUNT, pause_ms=3)
    while writer.returncode is None:
        seen = len(folder.door.taken)
        wait = rng.randrange(1, 120)
        async with asyncio.timeout(PATIENCE_S):
            while len(folder.door.taken) < seen + wait and writer.returncode is None:
                await asyncio.sleep(0.001)
        collector.send_signal(signal.SIGKILL)
        await collector.wait()
        kills += 1
        collector = await folder.collector()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(writer.wait(), 0.001)
    _, count = await written(writer)
    await folder.until_arrived(count)
    collector.send_signal(signal.SIGKILL)
    await collector.wait()
    assert kills >= 1
    check(folder.door, count)


async def test_a_position_is_kept_only_when_the_door_has_the_lines(folder: Folder) -> None:
    folder.door.answer = lambda number: "refuse"
    folder.log.write_bytes(line(0) + b"\n")
    async with folder.collecting(), asyncio.timeout(PATIENCE_S):
        while folder.door.posts < 2:
            await asyncio.sleep(0.01)
    assert not folder.state.exists()
    folder.door.answer = lambda number: "take"
    async with folder.collecting():
        await folder.until_arrived(1)
    async with folder.collecting():
        with folder.log.open("ab") as log:
            log.write(line(1) + b"\n")
        await folder.until_arrived(2)
    check(folder.door, 2)


async def test_what_is_written_before_anything_was_collected_is_found_after_a_rotation(
    folder: Folder,
) -> None:
    async with folder.collecting(), asyncio.timeout(PATIENCE_S):
        while not folder.state.exists():
            await asyncio.sleep(0.01)
    folder.log.write_bytes(line(0) + b"\n")
    folder.log.rename(f"{folder.log}.1")
    folder.log.write_bytes(line(1) + b"\n")
    async with folder.collecting():
        await folder.until_arrived(2)
    check(folder.door, 2)


async def test_a_door_that_will_never_take_lines_ends_the_collector(tmp_path: Path) -> None:
    log = tmp_path / "queue_log"
    log.write_bytes(line(0) + b"\n")
    async with open_sources_door(SourcesDoor()) as door, DoorClient(door.address) as client:
        with pytest.raises(DoorRefused):
            await collect(Job(log, "here", tmp_path / "state"), client)
    assert not (tmp_path / "state").exists()


async def test_the_command_follows_a_log_and_ends_when_told(folder: Folder) -> None:
    folder.log.write_bytes(line(0) + b"\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "pipeline.cli.main", "collect", "queue-log", str(folder.log),
        "--site", "here", "--to", folder.door.address, "--state", str(folder.state),
    )  # fmt: skip
    await folder.until_arrived(1)
    async with asyncio.timeout(PATIENCE_S):
        while not folder.state.exists():
            await asyncio.sleep(0.01)
        process.terminate()
        assert await process.wait() == 0
    check(folder.door, 1)


def test_two_logs_of_a_site_keep_their_places_apart(tmp_path: Path) -> None:
    one, two = (state_of(tmp_path, "a/b", Path(f"/logs/{name}/queue_log")) for name in "12")
    assert one != two
    assert one == state_of(tmp_path, "a/b", Path("/logs/1/queue_log"))
    assert one.parent == tmp_path / "collect"
