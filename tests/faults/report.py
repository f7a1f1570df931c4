"""What a run says of itself: to who reads a failed test, and as a result that is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

from tests.faults.cluster import Cluster
from tests.faults.run import Result


def failure(result: Result, cluster: Cluster, repeat: str) -> str:
    """Everything there is to know of a run that went wrong."""
    return "\n".join(
        [
            result.summary(),
            f"To repeat it: {repeat}",
            "== what differs",
            *result.wrong,
            "== what was done",
            *(result.struck or map(str, result.faults)),
            f"== sent: {result.tries}",
            f"== started: {result.starts}",
            cluster.words(),
        ]
    )


def kept(result: Result, seed: int | str, seconds: float) -> dict[str, Any]:
    """A result as it is kept in a file."""
    return {
        "seed": seed,
        "load_seconds": seconds,
        "faults": counted([result]),
        "right": not result.wrong,
        "wrong": result.wrong,
        "raw_records": result.raw_records,
        "poison": result.poison,
        "frames": result.frames,
        "processes_started": sum(result.starts.values()),
        "alive_after_s": round(result.alive_s, 1),
        "stalest_board_s": round(result.stalest_s, 1),
        "seconds": round(result.seconds),
    }


def counted(results: Iterable[Result]) -> dict[str, int]:
    """How often each kind of fault struck."""
    counts = Counter(kind for result in results for kind in result.met)
    return dict(sorted(counts.items()))
