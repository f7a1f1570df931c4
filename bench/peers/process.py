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


def main(run: Callable[[str, str], int]) -> None:
    """Run a job on the files named on the command line and print what it took."""
    wall, cpu = time.perf_counter(), time.process_time()
    events = run(*sys.argv[1:3])
    took = {"events": events, "wall_s": time.perf_counter() - wall}
    print(json.dumps(took | {"cpu_s": time.process_time() - cpu}), flush=True)
