"""What every measured Python process does around its job: `python -m bench.peers.NAME DAY RESULTS`.

Imports nothing but the standard library. Prints one line of JSON: the events of the day, and the
seconds of real time and of CPU time (all threads) from the start of the job to its last result,
the import of libraries left out.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable

_began: list[float] = []


def begin() -> None:
    """The job starts now: where a consumer group is joined first, called with the first message."""
    _began[:] = time.perf_counter(), time.process_time()


def main(run: Callable[[str, str], int]) -> None:
    """Run a job on the files named on the command line and print what it took."""
    begin()
    events = run(*sys.argv[1:3])
    wall, cpu = time.perf_counter() - _began[0], time.process_time() - _began[1]
    print(json.dumps({"events": events, "wall_s": wall, "cpu_s": cpu}), flush=True)
