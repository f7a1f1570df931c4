"""What in a capture's events is possible and yet not what a platform in order would write."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pipeline.sources.source import Event
from schemas.events import event_key

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
    found: dict[str, list[str]] = defaultdict(list)
    for what, example in (
        *_repeats(events),
        *_silences(events),
        *_stories(events),
        *_agents(events),
    ):
        found[what].append(example)
    odd = [Oddity(what, len(examples), examples[0]) for what, examples in found.items()]
    if view["inconsistent"]:
        odd.append(Oddity(_IGNORED, view["inconsistent"], ""))
    return odd


_IGNORED = "events that change nothing where they stand, such as the answer of an answered call"


def _repeats(events: list[Event]) -> Iterator[tuple[str, str]]:
    counts = Counter(event_key(event) for event in events if "contact" in event)
    for key, count in counts.items():
        if count > 1:
            yield "events of contacts told more than once", key.decode()[:200]


def _silences(events: list[Event]) -> Iterator[tuple[str, str]]:
    moments = sorted({event["ts"] for event in events})
    for earlier, later in zip(moments, moments[1:], strict=False):
        if later - earlier > GAP_MS:
            hours = (later - earlier) / GAP_MS
            yield "silences of more than an hour", f"{hours:.1f} h after {earlier}"


def _stories(events: list[Event]) -> Iterator[tuple[str, str]]:
    stories: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        if "contact" in event and event["type"] in _STORY:
            stories[event["contact"]].append(event)
    for contact, story in stories.items():
        types = {event["type"] for event in story}
        moments = [event["ts"] for event in story]
        if not types & _BEGINS:
            yield "contacts whose beginning is not in the capture", contact
        elif not types & _ENDS:
            yield "contacts whose end is not in the capture", contact
        if max(moments) - min(moments) > LONGEST_CALL_MS:
            yield "contacts of more than four hours", contact


_BEGINS = frozenset({"contact.queued", "contact.answered"})
_ENDS = frozenset({"contact.released", "contact.wrapped", "contact.abandoned", "contact.left"})
_STORY = _BEGINS | _ENDS | {"contact.offered", "contact.declined", "contact.held"}


def _agents(events: list[Event]) -> Iterator[tuple[str, str]]:
    with_state = {event["agent"] for event in events if event["type"] == "agent.state"}
    talking = {event["agent"] for event in events if event["type"] == "contact.answered"}
    for agent in sorted(talking - with_state):
        yield "agents who answer and never tell a state: no available time, no occupancy", agent
