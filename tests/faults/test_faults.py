"""Whatever fails, nothing is lost and nothing counted twice: on Apache Kafka, process by process.

`make faults SEED=7` runs one seed, `make faults` many; see docs/faults.md.
"""

from __future__ import annotations

import pytest

from tests.faults.cluster import Cluster
from tests.faults.faults import Fault
from tests.faults.report import failure
from tests.faults.run import Result
from tests.faults.scenario import prepared, seeded

pytestmark = [pytest.mark.timeout(900)]

SECONDS = 14.0
SEEDS = (1, 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_schedule_of_faults_changes_no_figure(cluster: Cluster, seed: int) -> None:
    result = seeded(cluster, seed, SECONDS).go(SECONDS)
    _is_right(result, cluster, f"make faults SEED={seed} SECONDS={SECONDS:g}")


def test_moments_that_chance_hardly_hits(cluster: Cluster) -> None:
    """A worker stands still in its checkpoint until another has its partitions, and wakes beside
    it; SIGTERM in a checkpoint; inserts that were applied and answered by nothing or an error, the
    sink killed in between; a full disk."""
    faults = [
        Fault(0.5, "insert torn", "", 0, 2),
        Fault(1.0, "pause in checkpoint", "agents0", 8.5),
        Fault(2.0, "insert applied, answer lost", "", 0, 4),
        Fault(3.5, "kill", "sink0"),
        Fault(4.0, "disk full", "store", 3.0),
        Fault(8.0, "insert applied, error answered", "", 0, 4),
        Fault(9.0, "kill", "sink1"),
        Fault(12.0, "terminate in checkpoint", "agents1"),
    ]
    met = cluster.front.met.copy()
    result = prepared(cluster, "aimed", faults).go(14.0, all_windows=True)
    _is_right(result, cluster, "pytest tests/faults -k moments")
    assert sorted(result.met) == sorted(fault.kind for fault in faults)
    more = cluster.front.met - met
    assert {"answer lost", "answer wrong", "torn", "insert refused"} <= set(more)


def test_a_new_epoch_tells_the_raw_topic_anew(cluster: Cluster) -> None:
    """All topics but the raw one are gone; the operator raises the epoch, as the docs say."""
    # Events of a contact over two partitions may come in another order the second time, and what
    # was told of it the first time then stays in the store until a backfill: see docs/faults.md.
    run = prepared(cluster, "anew", [], count=4, strays=False)
    _is_right(run.go(4.0), cluster, "pytest tests/faults -k epoch")
    cluster.begin_epoch()
    run.await_ingest()
    result = run.go(4.0)
    _is_right(result, cluster, "pytest tests/faults -k epoch")


def _is_right(result: Result, cluster: Cluster, repeat: str) -> None:
    print(result.summary())
    if result.wrong:
        pytest.fail(failure(result, cluster, repeat), pytrace=False)
