"""What a site keeps of a contact: its events, and what they were told as while that is wanted."""

from __future__ import annotations

from typing import Any, Final

import orjson

from pipeline.engine.ledger import NEVER
from pipeline.engine.model import Decline, Leg, Ring, Segment, Visit

Event = dict[str, Any]

# Place within its millisecond of an event that nothing is known of.
UNSURE: Final = 99

_NO_EVENTS: Final[list[Event]] = []
_NO_VISITS: Final[list[Visit]] = []
_NO_LEGS: Final[list[Leg]] = []
_NO_OPEN_LEGS: Final[dict[str, Leg]] = {}
_NO_RINGS: Final[dict[str, Ring]] = {}
_NO_DECLINES: Final[list[Decline]] = []
_NO_SEGMENTS: Final[list[Segment]] = []


class Kept:
    """Events, visits, legs and rings of one contact, from its first event until it is forgotten.

    ``born`` is the moment of the event that came first. It tells the stories of a contact apart: an
    event of a forgotten one that is delivered again may become part of the next. ``start`` is the
    moment of the earliest event.

    Of a contact that is ``away`` only the events are left, as bytes, which a checkpoint takes as
    they are. How often it ``returns`` from there is counted.
    """

    __slots__ = (
        "away",
        "born",
        "contact",
        "declines",
        "due",
        "events",
        "frontier",
        "inconsistent",
        "legs",
        "open_legs",
        "packed",
        "part",
        "position",
        "returns",
        "rings",
        "segments",
        "start",
        "visits",
        "waiting",
    )

    def __init__(self, contact: str, part: str, start: int) -> None:
        self.contact = contact
        self.part = part
        self.born = start
        self.start = start
        self.events: list[Event] = []
        self.packed: list[bytes] = []
        self.away: bool = False
        self.returns: int = 0
        self._clear(start)

    def _clear(self, start: int) -> None:
        self.visits: list[Visit] = []
        self.waiting: list[Visit] = []
        self.legs: list[Leg] = []
        self.open_legs: dict[str, Leg] = {}
        self.rings: dict[str, Ring] = {}
        self.declines: list[Decline] = []
        self.segments: list[Segment] = []
        self.inconsistent: int = 0
        self.frontier: int = start - 1
        self.position: int = UNSURE
        self.due: int = NEVER

    def is_over(self) -> bool:
        """Nobody waits and nobody serves."""
        return not self.waiting and not self.open_legs

    def saved(self) -> bytes:
        """All events in their order, as a JSON array."""
        if not self.packed:
            return orjson.dumps(self.events)
        rest = [orjson.dumps(self.events)[1:-1]] if self.events else []
        return b"[" + b",".join(self.packed + rest) + b"]"

    def _unpack(self) -> None:
        if self.packed:
            self.events = orjson.loads(self.saved())
            self.packed = []

    def _pack(self) -> None:
        if self.events:
            # A slice is as large as it must be: what `dumps` returns leaves a gap never filled.
            self.packed.append(orjson.dumps(self.events)[1:-1])
            self.events = []

    def _empty(self) -> None:
        """Nothing is left but what is known from outside; what is empty is shared by all."""
        self.away = True
        self.events = _NO_EVENTS
        self.visits, self.waiting = _NO_VISITS, _NO_VISITS
        self.legs, self.open_legs = _NO_LEGS, _NO_OPEN_LEGS
        self.rings, self.declines, self.segments = _NO_RINGS, _NO_DECLINES, _NO_SEGMENTS
        self.due = NEVER

    def restore_away(self, events: list[Event], frontier: int, inconsistent: int) -> None:
        """Is what it was when it was saved while it was away."""
        self.events = events
        self._pack()
        self._empty()
        self.frontier, self.inconsistent = frontier, inconsistent
