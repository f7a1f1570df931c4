"""Who reads the topics, how far, and whether it goes on."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupIdNotFound,
    GroupLoadInProgressError,
    NoError,
    NotCoordinatorForGroupError,
    for_code,
)

from agents_stream.tables import GROUP
from pipeline.doctor.around import Around
from pipeline.doctor.finding import Finding, failed, ok, skipped, warning
from schemas.config import Config
from schemas.topics import ALERTS, FRAMES, RAW, ROWS

MUCH = 1000
"""Records not read, above which it is looked whether they become fewer."""
LOOK_S = 3.0
PATIENCE_S = 5.0
"""For a coordinator that is about to be there."""
_AGAIN_S = 0.2
_COMING = (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)
_GONE = ("", "Empty", "Dead")
_MOVING = ("PreparingRebalance", "CompletingRebalance")


Json = dict[Any, Any]


@dataclass(frozen=True, slots=True)
class _Reader:
    role: str
    group: str
    topic: str
    commits_s: float


@dataclass(frozen=True, slots=True)
class _Seen:
    state: str
    members: int
    read: int
    lag: int


async def check(around: Around) -> list[Finding]:
    """Look at the groups of ingest, worker and sink."""
    if around.config.alone:
        told = "the embedded stack has one of each role and no groups; see the roles"
        return [skipped("groups", told)]
    readers = _readers(around.config)
    return await asyncio.gather(*(_of(around, reader) for reader in readers))


def _readers(config: Config) -> tuple[_Reader, ...]:
    epoch = config.epoch
    return (
        _Reader("ingest", f"callboard-ingest-{epoch}", RAW, 1),
        _Reader("worker", GROUP, FRAMES, config.checkpoint_ms / 1000),
        _Reader("sink", f"callboard-sink-{epoch}", ROWS, 2),
        _Reader("sink", f"callboard-sink-alerts-{epoch}", ALERTS, 2),
    )


async def _of(around: Around, reader: _Reader) -> Finding:
    seen = await _look(around, reader)
    who = f"{seen.members} member{'' if seen.members == 1 else 's'}"
    told = f"{who}, {seen.lag:,} records of {reader.topic} to read"
    if seen.state in _MOVING:
        again = "look again in a few seconds; if it stays, a member comes and goes: see the logs"
        return warning(reader.group, f"is dividing its partitions anew; {told}", again)
    if seen.state in _GONE or not seen.members:
        todo = f"start {reader.role}; if it runs, its log and CALLBOARD_EPOCH say why not"
        return failed(reader.group, f"nobody reads; {told}", todo)
    if seen.lag <= MUCH:
        return ok(reader.group, told)
    return await _look_again(around, reader, seen, told)


async def _look_again(around: Around, reader: _Reader, before: _Seen, told: str) -> Finding:
    """Far behind: whether it goes on shows once it must have committed."""
    span = LOOK_S + reader.commits_s
    await asyncio.sleep(span)
    pace = ((await _look(around, reader)).read - before.read) / span
    if pace <= 0:
        todo = f"see the log and /healthz of {reader.role}"
        return failed(reader.group, f"stuck: {told}, and none was in {span:.0f} s", todo)
    if pace * 3600 < before.lag:
        todo = f"more of {reader.role}, as long as there are partitions"
        return warning(reader.group, f"far behind: {told}, at {pace:,.0f} a second", todo)
    left = before.lag / pace
    todo = f"wait: about {left:.0f} s unless more comes"
    return warning(reader.group, f"catching up: {told}, at {pace:,.0f} a second", todo)


async def _look(around: Around, reader: _Reader) -> _Seen:
    admin = await around.admin()
    described, committed = await around.of_broker(_patiently(admin, reader.group))
    places: dict[int, Any] = {tp.partition: at for tp, at in committed.items()}
    ends = await around.ends(reader.topic)
    at = {
        n: max(begin, places[n].offset if n in places else begin) for n, (begin, _) in ends.items()
    }
    lag = sum(max(0, end - at[n]) for n, (_, end) in ends.items())
    return _Seen(described["state"], len(described["members"]), sum(at.values()), lag)


async def _patiently(admin: Any, group: str) -> tuple[Json, Json]:
    """What its coordinator says of a group; a new broker has none until somebody asks."""
    patience = asyncio.get_running_loop().time() + PATIENCE_S
    while True:
        try:
            return await _asked(admin, group)
        except _COMING:
            if asyncio.get_running_loop().time() > patience:
                raise
            await asyncio.sleep(_AGAIN_S)


async def _asked(admin: Any, group: str) -> tuple[Json, Json]:
    """The group, and its offsets by partition. Raises what the coordinator has against it."""
    [answer] = await admin.describe_consumer_groups([group])
    [described] = answer.to_object()["groups"]
    code = described["error_code"]
    if code not in (NoError.errno, GroupIdNotFound.errno):
        raise for_code(code)(group)
    return described, await admin.list_consumer_group_offsets(group)
