"""Collects a queue_log: its lines to the door as they are, the place kept when the door has them.

A line arrives at least once and in its order. What the door has taken when the collector is killed
before it could keep its place comes twice; equal lines say nothing new.
"""

from __future__ import annotations

import asyncio
import logging
import os
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from urllib.parse import quote

from pipeline.collect.door_client import DoorClient
from pipeline.collect.tail import position
from pipeline.collect.tail.follower import QUIET_S, Batch, Follower
from service.logs import about

log = logging.getLogger(__name__)

SOURCE = "asterisk-queue-log"
PAUSE_S = 0.2
"""How long to wait when nothing was written; raise it where a look at the file is dear."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a site, as the door client takes it."""

    site: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Job:
    """Which log goes to which site, and where its position is kept."""

    log: Path
    site: str
    state: Path
    from_end: bool = False


def state_of(data: Path, site: str, file: Path) -> Path:
    """Where the position is kept if nobody says where: two logs of a site have one each."""
    of_log = sha256(os.fsencode(file.absolute())).hexdigest()[:8]
    return data / "collect" / f"queue-log-{quote(site, safe='')}-{of_log}.json"


async def collect(
    job: Job, door: DoorClient, pause_s: float = PAUSE_S, quiet_s: float = QUIET_S
) -> None:
    """Follow the log for ever. The door client is open already.

    Raises `PositionError`, `DoorRefused`, and `OSError` for files that may not be read or written.
    """
    kept = position.load(job.state)
    follower = Follower(job.log, kept, job.from_end, quiet_s)
    where = "where it was left" if kept else "its end" if job.from_end else "its beginning"
    log.info("following %s from %s", job.log, where, extra=about(site=job.site))
    try:
        while True:
            batch = follower.next_batch()
            if batch is None:
                if kept is None:
                    kept = _keep_beginning(follower, job)
                await asyncio.sleep(pause_s)
            else:
                kept = await _hand_over(batch, job, door)
    finally:
        follower.close()


async def _hand_over(batch: Batch, job: Job, door: DoorClient) -> position.Position:
    if batch.lines:
        await door.send([Line(job.site, line) for line in batch.lines])
    position.save(job.state, batch.position)
    return batch.position


def _keep_beginning(follower: Follower, job: Job) -> position.Position | None:
    """Keep where the log was begun, so that what is written while nobody reads is found."""
    begun = follower.position()
    if begun is not None:
        position.save(job.state, begun)
    return begun
