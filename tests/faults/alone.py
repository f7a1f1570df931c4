"""How old boards grow when one process is killed -9 and nothing else is wrong."""

from __future__ import annotations

import time
from collections.abc import Sequence
from http.client import HTTPException

from tests.faults.cluster import Cluster

WHO = ("door", "ingest0", "agents0", "sink0", "board", "store", "kafka")
FRESH_S = 2.5
"""A board ticks each second: one that is younger is of now."""
_LONGEST_S = 120.0


def oldest_after_kill(cluster: Cluster, who: str, sites: Sequence[str]) -> float:
    """The greatest age of any board, in seconds, until all are of now again."""
    ages = _Ages(cluster, sites)
    cluster.until(lambda: ages.look() < FRESH_S and cluster.ready(), "all is well", _LONGEST_S)
    killed = time.time()
    if who == "kafka":
        cluster.kafka.kill()
        cluster.kafka.launch()
    else:
        cluster.role(who).kill()
    oldest = 0.0
    while time.time() - killed < _LONGEST_S:
        age = ages.look()
        oldest = max(oldest, age)
        # What was on its way when the process died still comes, and is no sign of life.
        if age < FRESH_S and time.time() - killed > 12:
            return oldest
        time.sleep(0.1)
    raise AssertionError(f"the boards are not of now {_LONGEST_S} s after {who} was killed")


class _Ages:
    """The time of each board as last seen; one that does not answer grows older."""

    def __init__(self, cluster: Cluster, sites: Sequence[str]) -> None:
        self._cluster = cluster
        self._seen = dict.fromkeys(sites, 0)

    def look(self) -> float:
        """The age of the oldest board in seconds."""
        for site in self._seen:
            try:
                self._seen[site] = max(self._seen[site], self._cluster.board(site)["at"])
            except (OSError, LookupError, HTTPException, ValueError):
                continue
        return time.time() - min(self._seen.values()) / 1000
