"""Who works when: shifts laid over the load of the day, with breaks."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from pipeline.simulate.arrivals import HALF_HOURS
from pipeline.simulate.plan import Shift

SHIFT_HALF_HOURS = 17
"""Eight hours of work and half an hour of lunch."""
_BREAKS = (((60, 180), 15), ((195, 300), 30), ((345, 450), 15))
"""When breaks may begin, in minutes after the shift does, and how long they last."""
_ROUNDS = 200
"""A large team's shifts are dealt out in this many rounds at most, to keep planning quick."""


def shift_starts(load: Sequence[float], agents: int) -> list[int]:
    """A start (half-hour of the day) for each agent, so that staff follows `load`.

    Each round takes the start whose shift covers most of the load not covered so far.
    """
    total = sum(load) or 1.0
    wanted = [share * agents * SHIFT_HALF_HOURS / total for share in load]
    starts: list[int] = []
    while len(starts) < agents:
        deal = min(max(1, agents // _ROUNDS), agents - len(starts))
        start = max(range(HALF_HOURS), key=lambda first: (_gain(wanted, first), -first))
        for half_hour in range(start, start + SHIFT_HALF_HOURS):
            wanted[half_hour % HALF_HOURS] -= deal
        starts.extend([start] * deal)
    return starts


def _gain(wanted: Sequence[float], start: int) -> float:
    return sum(
        max(0.0, wanted[half_hour % HALF_HOURS])
        for half_hour in range(start, start + SHIFT_HALF_HOURS)
    )


def staff_at(starts: Sequence[int], half_hour: int) -> int:
    """How many of the shifts cover a half-hour of the day."""
    return sum((half_hour - start) % HALF_HOURS < SHIFT_HALF_HOURS for start in starts)


def shift_from(start: int, rng: Random) -> Shift:
    """The shift that begins in that half-hour: a short break, lunch, another short break."""
    begin = start * 30
    breaks = tuple((begin + rng.randrange(*span, 5), length) for span, length in _BREAKS)
    return Shift(begin, begin + SHIFT_HALF_HOURS * 30, breaks)
