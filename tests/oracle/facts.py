"""What a story counts: facts of (moment, queue, channel, counter, amount), contract section 3."""

from collections.abc import Iterator
from typing import NamedTuple

from tests.oracle.story import Leg, Story, Visit

COUNTERS = (
    "offered",
    "answered",
    "answered_in",
    "wait_ms",
    "abandoned",
    "abandoned_in",
    "abandoned_short",
    "abandoned_wait_ms",
    "left_callback",
    "left_overflow",
    "left_other",
    "sl_met",
    "sl_missed",
    "sl_abandoned",
    "declined",
    "transferred",
    "handled",
    "talk_ms",
    "hold_ms",
    "wrap_ms",
)

LEFT = {
    "callback": "left_callback",
    "overflow": "left_overflow",
    "timeout": "left_overflow",
    "transfer": "left_overflow",
}


class Fact(NamedTuple):
    """`amount` of `counter` at `moment` in a queue and channel."""

    moment: int
    queue: str
    channel: str
    counter: str
    amount: int


def facts(story: Story, anchor: str, at: int) -> Iterator[Fact]:
    for visit in story.visits:
        for moment, counter, amount in visit_facts(visit, anchor, at):
            yield Fact(moment, visit.queue, visit.channel, counter, amount)
    for decline in story.declines:
        yield Fact(decline.at, decline.visit.queue, decline.visit.channel, "declined", 1)
    for leg in story.legs:
        if leg.queue is not None:
            for moment, counter, amount in leg_facts(leg):
                yield Fact(moment, leg.queue, leg.channel, counter, amount)


def visit_facts(visit: Visit, anchor: str, at: int) -> Iterator[tuple[int, str, int]]:
    yield visit.queued_at, "offered", 1
    threshold = visit.queued_at + visit.limits.threshold
    if at > threshold and (visit.outcome_at is None or visit.outcome_at > threshold):
        yield threshold, "sl_missed", 1
    if visit.outcome_at is None:
        return
    stamp = visit.queued_at if anchor == "arrival" else visit.outcome_at
    within = visit.wait <= visit.limits.threshold
    if visit.outcome == "answered":
        yield stamp, "answered", 1
        yield stamp, "answered_in", int(within)
        yield stamp, "wait_ms", visit.wait
        yield visit.outcome_at, "sl_met", int(within)
    elif visit.outcome == "abandoned":
        yield stamp, "abandoned", 1
        yield stamp, "abandoned_in", int(within)
        yield stamp, "abandoned_short", int(visit.wait <= visit.limits.short)
        yield stamp, "abandoned_wait_ms", visit.wait
        yield visit.outcome_at, "sl_abandoned", int(within)
    else:
        yield stamp, LEFT.get(visit.reason, "left_other"), 1


def leg_facts(leg: Leg) -> Iterator[tuple[int, str, int]]:
    if leg.released_at is None:
        return
    if leg.transferred:
        yield leg.released_at, "transferred", 1
    if leg.wrapped_at is None or leg.stuck:
        return
    held = sum(end - start for start, end in leg.holds)
    yield leg.wrapped_at, "handled", 1
    yield leg.wrapped_at, "talk_ms", leg.released_at - leg.answered_at - held
    yield leg.wrapped_at, "hold_ms", held
    yield leg.wrapped_at, "wrap_ms", leg.wrapped_at - leg.released_at
