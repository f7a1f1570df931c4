"""The load: `python -m bench.driver DOOR EVENTS_PER_SECOND SECONDS FILE`, until killed or done.

A simulated centre's events are made before the first is posted, so that making them takes nothing
from the machine later. Its time is pressed together until it has the rate asked for; every event is
posted when it happens, in batches of a twentieth of a second, by the simulator's own client. The
number of events taken is kept in the file.
"""

from __future__ import annotations

import asyncio
import re
import sys
import time
from pathlib import Path

from bench.workload import Size
from pipeline.collect.door_client import DoorClient
from pipeline.simulate.stream import Record, Simulation

SITE = "default"
PAUSE_S = 0.05
_TS = re.compile(rb'"ts":\d+')


def pressed(rate: int, seconds: int, size: Size) -> list[tuple[float, bytes]]:
    """Payloads with the second at which each is due; their `ts` is still that of the simulation.

    The centre's first minutes, in which everybody signs in, come first and at the same rate.
    """
    records = Simulation(size.options(SITE)).records()
    found: list[tuple[float, bytes]] = []
    for number, record in enumerate(records):
        if number >= rate * seconds:
            break
        found.append((number / rate, record.payload))
    return found


async def drive(door: str, rate: int, seconds: int, counted: Path) -> None:
    """Post until the seconds are over."""
    events = pressed(rate, seconds, Size(minutes=600))
    position, fresh = 0, counted.with_suffix(".new")
    async with DoorClient(door) as client:
        began, began_ms = time.monotonic(), time.time() * 1000
        while position < len(events):
            elapsed = time.monotonic() - began
            batch = []
            while position < len(events) and events[position][0] <= elapsed:
                due, payload = events[position]
                stamp = b'"ts":%d' % (began_ms + due * 1000)
                batch.append(Record(0, SITE, _TS.sub(stamp, payload, count=1)))
                position += 1
            if batch:
                await client.send(batch)
                fresh.write_text(str(position))
                fresh.replace(counted)
            await asyncio.sleep(max(0.0, PAUSE_S - (time.monotonic() - began - elapsed)))


if __name__ == "__main__":
    asyncio.run(drive(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])))
