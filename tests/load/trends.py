"""What the samples of a soak say: slopes, spans, costs per event, and what must hold of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median

from tests.load.system import Json
from tests.load.watching import MIB, slope

CHANGELOG = "-changelog"
RSS, FDS, THREADS, CORES = range(4)
REMEMBERED_S = 85 * 60
"""For so long the worker remembers an agent's time, and longer by as much as the oldest contact it
knows has lasted; so for so long it fills, whatever comes."""
WARM_S = 20 * 60
"""A run that goes on for so long after it is judged by that part, a shorter one by its half."""
MOST_SLOPE_MIB_H = 60.0
MOST_NEW_FDS = 10
BROKER = "broker"
MOST_NEW_FDS_OF_BROKER = 100
"""It has the files of every segment open, and there are more until retention deletes the first."""
MOST_PARTS = 1_000


def warm_from(samples: Sequence[Json]) -> float:
    """Seconds from the start of a run from which nothing may grow any more."""
    end = float(samples[-1]["t"])
    return float(REMEMBERED_S) if end >= REMEMBERED_S + WARM_S else end / 2


def _warm(samples: Sequence[Json]) -> Sequence[Json]:
    start = warm_from(samples)
    return [sample for sample in samples if sample["t"] >= start]


def _series(samples: Iterable[Json], name: str, which: int) -> list[tuple[float, float]]:
    """Hours and the figure of a process, without the moments at which it had just ended."""
    return [
        (sample["t"] / 3600, sample["processes"][name][which])
        for sample in samples
        if sample["processes"].get(name, [0])[RSS]
    ]


def summary(samples: Sequence[Json]) -> Json:
    """For each process its memory, slope, descriptors and CPU; for the system what it wrote.

    Descriptors are medians of the first and the last quarter of the warm part: the store has more
    while it merges, and the broker until a segment goes.
    """
    names = dict.fromkeys(name for sample in samples for name in sample["processes"])
    return {
        "warm_from_s": warm_from(samples),
        "processes": {name: _process(samples, name) for name in names},
        "age_ms": _spread(samples, "age_ms"),
        "lag_records": _spread(samples, "lag_records"),
        "lag_frames": _spread(samples, "lag_frames"),
        "lag_rows": _spread(samples, "lag_rows"),
        "parts": _spread(samples, "parts"),
        "checkpoints": _checkpoints(samples),
        "topics": samples[-1]["topics"],
    }


def _process(samples: Sequence[Json], name: str) -> Json:
    memory = [value for _, value in _series(samples, name, RSS)]
    warm = _warm(samples)
    fds = [value for _, value in _series(warm, name, FDS)] or [0]
    quarter = max(1, len(fds) // 4)
    cores = [value for _, value in _series(samples, name, CORES)]
    return {
        "rss_first": memory[0],
        "rss_last": memory[-1],
        "rss_most": max(memory),
        "rss_slope_mib_h": slope(_series(warm, name, RSS)) / MIB,
        "fds_first": median(fds[:quarter]),
        "fds_last": median(fds[-quarter:]),
        "fds_most": max(fds),
        "threads": max(value for _, value in _series(samples, name, THREADS)),
        "cores": sum(cores) / len(cores),
    }


def _spread(samples: Iterable[Json], key: str) -> Json:
    values = sorted(sample[key] for sample in samples if sample[key] is not None)
    if not values:
        return {"median": None, "p95": None, "most": None}
    at = min(len(values) - 1, int(len(values) * 0.95))
    return {"median": values[len(values) // 2], "p95": values[at], "most": values[-1]}


def _grown(samples: Sequence[Json], key: str) -> float:
    """How far a counter has gone; a process that was started anew began at 0 again."""
    values = [sample[key] for sample in samples if sample[key] is not None]
    return float(sum(now - before if now >= before else now for before, now in pairwise(values)))


def _checkpoints(samples: Sequence[Json]) -> Json:
    count = _grown(samples, "checkpoints") or 1.0
    return {
        "count": count,
        "mean_bytes": _grown(samples, "checkpoint_bytes") / count,
        "mean_ms": _grown(samples, "checkpoint_s") / count * 1000,
    }


def changelog_bytes_per_event(samples: Sequence[Json]) -> Json:
    """What checkpoints wrote for each event, and what the changelogs hold in the end."""
    events = _grown(samples, "events") or 1.0
    held = sum(n for topic, n in samples[-1]["topics"].items() if topic.endswith(CHANGELOG))
    most = max(
        sum(n for topic, n in sample["topics"].items() if topic.endswith(CHANGELOG))
        for sample in samples
    )
    return {
        "written": _grown(samples, "checkpoint_bytes") / events,
        "held_bytes": held,
        "held_most_bytes": most,
    }


def judged(found: Json) -> list[tuple[str, bool]]:
    """What must hold of a summary, in words."""
    lines = []
    for name, process in found["processes"].items():
        rise = process["rss_slope_mib_h"]
        lines.append((f"{name}: memory rises by {rise:.1f} MiB an hour, at most "
                      f"{MOST_SLOPE_MIB_H:.0f}", rise <= MOST_SLOPE_MIB_H))  # fmt: skip
        fresh = process["fds_last"] - process["fds_first"]
        most = MOST_NEW_FDS_OF_BROKER if name == BROKER else MOST_NEW_FDS
        lines.append((f"{name}: {process['fds_last']:.0f} descriptors, {fresh:+.0f} once "
                      f"warm", fresh <= most))  # fmt: skip
    parts = found["parts"]["most"]
    lines.append((f"at most {parts} parts in the store", parts is not None and parts < MOST_PARTS))
    return lines
