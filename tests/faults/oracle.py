"""What must be true after a run, judged from the raw topic and not from what callboard says.

Each demand gives lines of what is wrong; none when all is well. A line names the event by its id,
so that a loss or a doubling names itself.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import orjson

from pipeline.engine import Site
from pipeline.topics import partition_of
from schemas.events import validate_event
from schemas.frames import Frame
from schemas.settings import SiteSettings
from schemas.topics import RAW
from tests.faults.record import Place, Topics
from tests.faults.sites import PARTITIONS
from tests.faults.stories import GOOD, LATE, Message
from tests.oracle.snapshot import snapshot

FEW = 12
"""Lines told of one kind of difference."""

Book = Mapping[bytes, Collection[Message]]


@dataclass(frozen=True, slots=True)
class Judged:
    """The raw records of a run with what must become of each."""

    verdicts: dict[Place, Message]

    def of(self, site: str, *verdicts: str) -> dict[Place, Message]:
        """Those of a site with these verdicts."""
        return {
            place: message
            for place, message in self.verdicts.items()
            if message.site == site and message.verdict in verdicts
        }

    def dead(self) -> dict[Place, str]:
        """The reason of each dead letter that must be there."""
        return {p: m.verdict for p, m in self.verdicts.items() if m.verdict != GOOD}


def judge(topics: Topics, book: Book, begins: Mapping[int, int]) -> tuple[Judged, list[str]]:
    """The verdict on every raw record from `begins` on, and the records nobody sent."""
    verdicts: dict[Place, Message] = {}
    wrong = []
    for place, (_, payload) in topics.raw.items():
        if place[1] < begins.get(place[0], 0):
            continue
        messages = book.get(payload)
        if messages:
            verdicts[place] = next(iter(messages))
        else:
            wrong.append(f"raw {place}: nobody sent {payload[:120]!r}")
    return Judged(verdicts), wrong[:FEW]


def acknowledged_is_there(judged: Judged, acknowledged: Iterable[Message]) -> list[str]:
    """What a sender was told "taken" for is on the raw topic."""
    found = {message.payload for message in judged.verdicts.values()}
    lost = [m for m in acknowledged if m.payload not in found]
    return [f"acknowledged and not on the raw topic: {_named(m.payload)}" for m in lost][:FEW]


# --- frames ---------------------------------------------------------------------------------------


def framed_once(site: str, frames: Iterable[Frame], judged: Judged) -> list[str]:
    """Every raw record of a site passes the fence of the engine once, as what it is."""
    accepted, dead = _fenced(frames)
    good = judged.of(site, GOOD, LATE)
    bad = {p for p, m in judged.verdicts.items() if m.site == site and p not in good}
    lines = _differences(f"{site}: frames", accepted, good, judged)
    lines += _differences(f"{site}: frames, as dead", dead, bad, judged)
    lines += [f"{site}: frames have {place} dead twice" for place, n in dead.items() if n > 1]
    for place, events in accepted.items():
        told = judged.verdicts.get(place)
        if told is not None and place in good and events != [_event(told)]:
            lines.append(f"{site}: {place} became {events}")
    return lines[:FEW]


def _fenced(frames: Iterable[Frame]) -> tuple[dict[Place, list[Any]], Counter[Place]]:
    """What of the frames is new to an engine: events, and dead records, by raw place."""
    seen: dict[int, int] = {}
    accepted: dict[Place, list[Any]] = defaultdict(list)
    dead: Counter[Place] = Counter()
    for frame in frames:
        if frame.raw is None:
            continue
        partition, _, last = frame.raw
        known = seen.get(partition, -1)
        for event, offset in zip(frame.events, frame.offsets, strict=True):
            if offset > known:
                accepted[partition, offset].append(event)
        dead.update((partition, offset) for offset in frame.dead if offset > known)
        seen[partition] = max(known, last)
    return accepted, dead


def _differences(
    what: str, found: Collection[Place], right: Collection[Place], judged: Judged
) -> list[str]:
    def told(place: Place) -> str:
        message = judged.verdicts.get(place)
        return f"{place} {'' if message is None else _named(message.payload)}"

    lost = sorted(set(right) - set(found))
    more = sorted(set(found) - set(right))
    return [
        *[f"{what} lack {told(place)}" for place in lost[:FEW]],
        *[f"{what} have {told(place)} too many" for place in more[:FEW]],
    ]


def homes(topics: Topics, sites: Collection[str]) -> list[str]:
    """Frames of a site are on its own partition, and on no other."""
    return [
        f"a frame of {frame.site} is on partition {partition} at {offset}"
        for partition, offset, frame in topics.frames
        if frame.site in sites and partition != partition_of(frame.site, PARTITIONS)
    ][:FEW]


# --- dead letters ---------------------------------------------------------------------------------


def letters_are_the_poison(topics: Topics, judged: Judged, epoch: int) -> list[str]:
    """There is a dead letter for each poisonous record, with its reason, and for nothing else."""
    right, lines = judged.dead(), []
    found: dict[tuple[int, Place], str] = {}
    for (of_epoch, topic, partition, offset), letter in topics.letters:
        place = (partition, offset)
        if topic != RAW:
            lines.append(f"{topic} {place} is dead-lettered: {letter['reason']} {letter['detail']}")
        elif (
            place in judged.verdicts
            and found.setdefault((of_epoch, place), letter["reason"]) != (letter["reason"])
        ):
            lines.append(f"letters of {place} have different reasons")
    of_now = {place: reason for (of_epoch, place), reason in found.items() if of_epoch == epoch}
    lines += _differences("dead letters", of_now, right, judged)
    lines += [
        f"the letter of {place} says {reason}, right is {right[place]}"
        for place, reason in of_now.items()
        if right.get(place, reason) != reason
    ]
    return lines[:FEW]


# --- figures --------------------------------------------------------------------------------------


def right_board(settings: SiteSettings, frames: Iterable[tuple[int, Frame]]) -> dict[str, Any]:
    """The board after one pass of the engine over the frames, in one process without a fault."""
    site = Site(SiteSettings(site=settings.site))
    for offset, frame in frames:
        site.apply(frame, offset)
    found: dict[str, Any] = orjson.loads(orjson.dumps(site.view()))
    return found


def by_brute_force(settings: SiteSettings, judged: Judged, at: int) -> dict[str, Any]:
    """The board by the oracle that re-reads all events for every question: no engine, no frames."""
    site = settings.site
    events = [_event(message) for message in judged.of(site, GOOD).values()]
    late = len(judged.of(site, LATE))
    dead = sum(m.site == site and m.verdict != GOOD for m in judged.verdicts.values())
    return {**snapshot(events, settings, at), "late": late, "dead_lettered": dead}


def _event(message: Message) -> dict[str, Any]:
    found: dict[str, Any] = validate_event(orjson.loads(message.payload))
    return found


def _named(payload: bytes) -> str:
    try:
        event = orjson.loads(payload)
        return f"{event['id']} ({event['type']})"
    except (ValueError, KeyError, TypeError):
        return repr(payload[:60])
