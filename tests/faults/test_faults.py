"""Whatever fails, nothing is lost and nothing counted twice: on Apache Kafka, process by process.

`make faults SEED=7` runs one seed, `make faults` many; see docs/faults.md.
"""

from __future__ import annotations

import pytest

from tests.faults.cluster import Cluster
from tests.faults.report import failure
from tests.faults.run import Result
from tests.faults.scenario import seeded

pytestmark = [pytest.mark.timeout(900)]

SECONDS = 18.0
SEEDS = (1, 2)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_schedule_of_faults_changes_no_figure(cluster: Cluster, seed: int) -> None:
    result = seeded(cluster, seed, SECONDS).go(SECONDS)
    _is_right(result, cluster, f"make faults SEED={seed} SECONDS={SECONDS:g}")


def _is_right(result: Result, cluster: Cluster, repeat: str) -> None:
    print(result.summary())
    if result.wrong:
        pytest.fail(failure(result, cluster, repeat), pytrace=False)
