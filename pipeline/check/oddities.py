"""What in a capture's events is possible and yet not what a platform in order would write."""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain, pairwise
from typing import Any

from pipeline.sources.source import Event
from schemas.events import event_key
from schemas.moments import iso

GAP_MS = 3_600_000
"""A silence longer than this is told: a source that stopped, or a night."""
LONGEST_CALL_MS = 4 * GAP_MS


@dataclass(frozen=True, slots=True)
class Oddity:
    """One kind of oddity: what it is, how often it was met, and the first place of it."""

    what: str
    count: int
    example: str

    def as_json(self) -> dict[str, Any]:
        """The oddity as a JSON object."""
        return {"what": self.what, "count": self.count, "example": self.example}


def oddities(events: list[Event], view: dict[str, Any]) -> list[Oddity]:
    """What is odd in the events, in the order of the capture; `view` is the board at their end."""
    counts: Counter[str] = Counter()
    firsts: dict[str, str] = {}
    for what, example in chain(
        _repeats(events), _silences(events), _stories(events), _agents(events)
    ):
        counts[what] += 1
        firsts.setdefault(what, example)
    odd = [Oddity(what, counts[what], first) for what, first in firsts.items()]
    if view["inconsistent"]:
        odd.append(Oddity(_IGNORED, view["inconsistent"], ""))
    return odd


_IGNORED = "events that change nothing where they stand, such as the answer of an answered call"


def _repeats(events: list[Event]) -> Iterator[tuple[str, str]]:
    # Numbers and no keys: those of a month's log take more memory than its events.
    marks = array("q", (_mark(event) for event in events if "contact" in event))
    twice = {mark for mark, after in pairwise(sorted(marks)) if mark == after}
    for event in events if twice else ():
        mark = _mark(event)
        if mark in twice:
            twice.discard(mark)
            example = f"{event['type']} of {event['contact']} at {iso(event['ts'], 'UTC')}"
            yield "events of contacts told more than once", example


def _mark(event: Event) -> int:
    return hash(event_key(event))


def _silences(events: list[Event]) -> Iterator[tuple[str, str]]:
    for earlier, later in pairwise(sorted({event["ts"] for event in events})):
        if later - earlier > GAP_MS:
            hours = (later - earlier) / GAP_MS
            yield "silences of more than an hour", f"{hours:.1f} h after {iso(earlier, 'UTC')}"


def _stories(events: list[Event]) -> Iterator[tuple[str, str]]:
    stories: dict[str, list[int]] = {}
    for event in events:
        name = event["type"]
        if name not in _STORY:
            continue
        ts = event["ts"]
        story = stories.setdefault(event["contact"], [ts, ts, False, False])
        story[0], story[1] = min(story[0], ts), max(story[1], ts)
        story[2] |= name in _BEGINS
        story[3] |= name in _ENDS
    for contact, (first, last, begins, ends) in stories.items():
        if not begins:
            yield "contacts whose beginning is not in the capture", contact
        elif not ends:
            yield "contacts whose end is not in the capture", contact
        if last - first > LONGEST_CALL_MS:
            yield "contacts of more than four hours", contact


_BEGINS = frozenset({"contact.queued", "contact.answered"})
_ENDS = frozenset({"contact.released", "contact.wrapped", "contact.abandoned", "contact.left"})
_STORY = _BEGINS | _ENDS | {"contact.offered", "contact.declined", "contact.held"}


def _agents(events: list[Event]) -> Iterator[tuple[str, str]]:
    with_state = {event["agent"] for event in events if event["type"] == "agent.state"}
    talking = {event["agent"] for event in events if event["type"] == "contact.answered"}
    for agent in sorted(talking - with_state):
        yield "agents who answer and never tell a state: no available time, no occupancy", agent
