"""The worker and the plain loop, one after the other, on the same preloaded frames.

Each run has a fresh broker that already holds all frames on one core, and the process under
measurement on another. Time runs from the first rows handed to the producer until the last part of
the board of the last frame, by the timestamps of those records; start and recovery lie before it.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench.broker import Results, broker, free_port, preload, results
from schemas.config import Config, variable_of

PATIENCE_S = 150.0
_LOOK_S = 0.02
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Contest:
    """One run. Seconds are real time and CPU time of the measured process, all its threads."""

    contender: str
    events: int
    wall_s: float
    cpu_s: float
    row_records: int
    row_bytes: int
    rows: str
    board: str


def hold(contender: str, frames: list[bytes], events: int) -> Contest:
    """Run one contender, `worker` or `plain`, on the frames. Raises `TimeoutError`."""
    first, *others = sorted(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with broker(folder / "broker.log", (others or [first])[-1]) as address:
            asyncio.run(preload(address, frames))
            watch = _Watch(_command(contender, address), _environ(address, folder), folder, first)
            try:
                found = asyncio.run(_watched(address, len(frames) - 1, watch))
            finally:
                watch.kill()
    wall = (found.last_ms - found.first_ms) / 1000
    cpu = watch.cpu_at(found.last_ms) - watch.cpu_at(found.first_ms)
    return Contest(
        contender, events, wall, cpu, found.row_records, found.row_bytes, found.rows, found.board
    )


def _command(contender: str, address: str) -> list[str]:
    if contender == "plain":
        return [sys.executable, "-m", "bench.plain", address]
    return [sys.executable, "-m", "pipeline.cli.main", "agents"]


def _environ(address: str, folder: Path) -> Mapping[str, str]:
    config = Config(
        bootstrap=address,
        partitions=1,
        settings_dir=folder,
        data_dir=folder,
        worker_port=free_port(),
    )
    kept = {k: v for k, v in os.environ.items() if not k.startswith(variable_of(""))}
    return {**kept, **config.to_env()}


async def _watched(address: str, last: int, watch: _Watch) -> Results:
    looking = asyncio.create_task(watch.look())
    try:
        return await results(address, last, PATIENCE_S)
    except TimeoutError:
        raise TimeoutError(f"no board of frame {last}:\n{watch.words()}") from None
    finally:
        looking.cancel()


class _Watch:
    """A process on one core, and what CPU time it has used at any moment."""

    def __init__(
        self, command: list[str], environ: Mapping[str, str], folder: Path, core: int
    ) -> None:
        self._log = folder / "contender.log"
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
        os.sched_setaffinity(self._process.pid, {core})
        self._seen: list[tuple[float, float]] = []

    async def look(self) -> None:
        """Note the CPU time again and again until cancelled."""
        while True:
            self._seen.append((time.time() * 1000, cpu_seconds(self._process.pid)))
            await asyncio.sleep(_LOOK_S)

    def cpu_at(self, moment_ms: int) -> float:
        """CPU seconds used up to a moment, as seen last before it."""
        return max((cpu for at, cpu in self._seen if at <= moment_ms), default=0.0)

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()
        self._process.wait(10)

    def words(self) -> str:
        """The end of what it has printed."""
        return self._log.read_text(errors="replace")[-2000:]


def cpu_seconds(pid: int) -> float:
    """User and system time of a process with all its threads; 0 once it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return 0.0
    fields = stat.rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK
