"""A run on sites of its own, so that several follow one another on one cluster."""

from __future__ import annotations

from collections.abc import Sequence

from tests.faults import sites
from tests.faults.cluster import Cluster
from tests.faults.faults import Fault
from tests.faults.run import Run
from tests.faults.schedule import schedule

SITES = 6
EVERY_S = 1.2
"""A fault about so often; most last longer, so several are at work at a time."""


def prepared(
    cluster: Cluster, word: str, faults: Sequence[Fault], count: int = SITES, strays: bool = True
) -> Run:
    """A run on a cluster that is well, with sites of its own that are there.

    With `strays` some events come over a partition that is not their site's.
    """
    names = sites.spread(word, count)
    settings = [sites.settings_of(name, number) for number, name in enumerate(names)]
    for one in settings:
        sites.write(cluster.settings_dir, one)
    cluster.heal()
    cluster.until(
        lambda: all(cluster.board(name) for name in names),
        "the sites are on the board",
        found=cluster.unready,
    )
    return Run(cluster, word, settings, faults, strays=strays)


def seeded(cluster: Cluster, seed: int, seconds: float) -> Run:
    """A run with the schedule of a seed."""
    word = f"s{seed}x"
    names = sites.spread(word, SITES)
    workers = len([role for role in cluster.roles("agents") if role.wanted])
    return prepared(cluster, word, schedule(seed, seconds, EVERY_S, names, workers))
