"""What processes use: memory, descriptors, threads and CPU, read from /proc while they run."""

from __future__ import annotations

import os
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Usage:
    """What a process and its descendants use; `cpu_s` is their CPU time since they began."""

    rss: int
    fds: int
    threads: int
    cpu_s: float


def usage(pid: int) -> Usage:
    """Of a process and its descendants; zeros once they are gone."""
    parts = [part for one in (pid, *descendants(pid)) if (part := _usage(one)) is not None]
    return Usage(
        sum(part.rss for part in parts),
        sum(part.fds for part in parts),
        sum(part.threads for part in parts),
        sum(part.cpu_s for part in parts),
    )


def _usage(pid: int) -> Usage | None:
    process = Path(f"/proc/{pid}")
    try:
        fields = (process / "stat").read_text().rpartition(")")[2].split()
        fds = len(os.listdir(process / "fd"))
    except OSError:
        return None
    cpu_s = (int(fields[11]) + int(fields[12])) / _TICK
    return Usage(int(fields[21]) * _PAGE, fds, int(fields[17]), cpu_s)


def descendants(pid: int) -> list[int]:
    """All processes below a process."""
    children: dict[int, list[int]] = {}
    for child, parent in _parents():
        children.setdefault(parent, []).append(child)
    found, open_ = [], [pid]
    while open_:
        below = children.get(open_.pop(), [])
        found += below
        open_ += below
    return found


def _parents() -> Iterator[tuple[int, int]]:
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            yield int(entry.name), int(fields[1])


class Peaks:
    """The greatest memory of processes while a block lasts, looked at several times a second."""

    def __init__(self, pids: Callable[[], Mapping[str, int]], every_s: float = 0.25) -> None:
        self.rss: dict[str, int] = {}
        self._pids = pids
        self._every_s = every_s
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Peaks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(self._every_s):
            for name, pid in self._pids().items():
                self.rss[name] = max(self.rss.get(name, 0), usage(pid).rss)


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Rise for each unit of the first number; 0 of fewer than two points.

    The median of the slopes between any two (Theil and Sen): what is taken for moments, as the
    store does while it merges, does not tilt it.
    """
    slopes = [(y2 - y1) / (x2 - x1) for (x1, y1), (x2, y2) in combinations(points, 2) if x2 > x1]
    return statistics.median(slopes) if slopes else 0.0


class CpuShare:
    """How many cores processes have used since it was last asked."""

    def __init__(self) -> None:
        self._before: dict[str, tuple[float, float]] = {}

    def of(self, name: str, cpu_s: float) -> float:
        """Cores used by `name` since the call before; 0 at the first."""
        now = time.monotonic()
        then, used = self._before.get(name, (now, cpu_s))
        self._before[name] = (now, cpu_s)
        return max(0.0, cpu_s - used) / (now - then) if now > then else 0.0
