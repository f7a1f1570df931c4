"""One run of one contender: a process of its own, its seconds, memory and whether it is right."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from resource import struct_rusage
from typing import Any

import orjson

from bench.peers.contenders import Contender, words_of
from bench.peers.day import Day
from bench.peers.job import Difference, Results, compare, read_results
from bench.peers.topic import day_in_broker

PATIENCE_S = 240
_ROOT = Path(__file__).resolve().parents[2]
_NICE = -19


class Failed(Exception):
    """A run that ended without results; the message is the end of what it printed."""


@dataclass(frozen=True, slots=True)
class Run:
    """One run.

    `wall_s` and `cpu_s` are of the job, without the start of the process; `whole_wall_s` and
    `whole_cpu_s` are of the process from start to end. `rss_mb` is the most memory it had.
    `cold_cpu_s` is what the first job of a process took that does it twice and tells the second.
    """

    events: int
    wall_s: float
    cpu_s: float
    whole_wall_s: float
    whole_cpu_s: float
    rss_mb: float
    cold_cpu_s: float | None
    difference: Difference


def measure(contender: Contender, day: Day, expected: Results) -> Run:
    """Run a contender on a day and hold its results against those expected. Raises `Failed`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _broker(contender, day, folder) as words:
            run = _Run(contender, day, folder, words)
            told = run.told()
        found = read_results(run.results, day.last_edge)
    return Run(
        told["events"],
        told["wall_s"],
        told["cpu_s"],
        run.wall_s,
        run.usage.ru_utime + run.usage.ru_stime,
        run.usage.ru_maxrss / 1024,
        told.get("cold_cpu_s"),
        compare(expected, found, contender.site),
    )


@contextmanager
def _broker(contender: Contender, day: Day, folder: Path) -> Iterator[tuple[str, ...]]:
    if not contender.kafka:
        # Flink is told how many events there are, since SQL that counts them would be measured.
        yield (str(day.events),) if "Flink" in contender.name else ()
        return
    with day_in_broker(day, folder / "broker.log", min(os.sched_getaffinity(0))) as address:
        yield (address,)


class _Run:
    def __init__(self, contender: Contender, day: Day, folder: Path, more: tuple[str, ...]) -> None:
        self.results = folder / "results"
        words = words_of(contender, day.path, self.results, *more)
        environ = {**os.environ, "PYTHONPATH": str(_ROOT), **dict(contender.environ)}
        self._told, self._log = folder / "told", folder / "log"
        with self._told.open("wb") as out, self._log.open("wb") as log:
            began = time.perf_counter()
            process = subprocess.Popen(
                words,
                stdout=out,
                stderr=log,
                env=environ,
                cwd=folder,
                preexec_fn=_on_all_cores if contender.wide else _on_one_core,
            )
            self.status, self.usage = _end_of(process)
            self.wall_s = time.perf_counter() - began

    def told(self) -> dict[str, Any]:
        """What the process printed of its job. Raises `Failed`."""
        lines = [x for x in self._told.read_bytes().splitlines() if x.startswith(b'{"events"')]
        if self.status or not lines:
            words = self._log.read_bytes()[-1500:].decode(errors="replace")
            raise Failed(f"ended with status {self.status}: {words}")
        told: dict[str, Any] = orjson.loads(lines[-1])
        return told


def _on_all_cores() -> None:
    # Whatever else runs on the machine comes second; not everybody may ask for that. Where Linux
    # groups processes by session, priority counts only within a group, and the group has its own.
    os.setsid()
    with suppress(OSError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)
    with suppress(OSError):
        Path("/proc/self/autogroup").write_text(str(_NICE))


def _on_one_core() -> None:
    _on_all_cores()
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def _end_of(process: subprocess.Popen[bytes]) -> tuple[int, struct_rusage]:
    """Status and usage of a process with all its children, once it has ended by itself or not."""
    patience = threading.Timer(PATIENCE_S, process.kill)
    patience.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        process.kill()  # it has a session of its own, which no key of the terminal reaches
        raise
    finally:
        patience.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    return process.returncode, usage
