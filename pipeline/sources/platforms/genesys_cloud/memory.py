"""What is remembered of conversations: which legs came from a queue.

A session's end gives durations only. Whether its leg was answered from a queue, and is known
already, or is told now for the first time, is seen by what is remembered. Figures do not hang on
it: without a memory a leg is told twice, a few milliseconds apart, and the engine takes it once.
"""

from __future__ import annotations

from typing import Any

MOST_CONVERSATIONS = 5_000
_MOST_LEGS = 16

_Leg = list[Any]
"""User, medium, moment answered, moment ended or 0."""


class Conversations:
    """The conversations heard of last, as many as are worth remembering."""

    def __init__(self) -> None:
        self._legs: dict[str, list[_Leg]] = {}

    def leg_at(self, conversation: str, user: str, moment: int) -> _Leg | None:
        """The user's leg answered last up to `moment`, to be marked where it ends."""
        legs = self._legs.get(conversation, ())
        own = [leg for leg in legs if leg[0] == user and leg[2] <= moment]
        return max(own, key=lambda leg: leg[2], default=None)

    def answer(self, conversation: str, user: str, media: str, moment: int) -> None:
        """A leg is answered from a queue; said again it is the same leg."""
        legs = self._legs.pop(conversation, [])
        self._legs[conversation] = legs
        if all(leg[:3] != [user, media, moment] for leg in legs):
            legs.append([user, media, moment, 0])
            del legs[:-_MOST_LEGS]
        if len(self._legs) > MOST_CONVERSATIONS:
            del self._legs[next(iter(self._legs))]

    def memory(self) -> Any:
        """As JSON, in the order in which they were heard of."""
        return list(self._legs.items())

    def recall(self, memory: Any) -> None:
        """Take up what `memory` gave."""
        self._legs = {name: [list(leg) for leg in legs] for name, legs in memory or ()}
