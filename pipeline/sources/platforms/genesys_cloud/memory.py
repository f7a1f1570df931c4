"""What is remembered of conversations: which legs came from a queue.

A session's end gives durations only. Whether its leg was answered from a queue, and is known
already, or is told now for the first time, is seen by what is remembered. Figures do not hang on
it: without a memory a leg is told twice, a few milliseconds apart, and the engine takes it once.
"""

from __future__ import annotations

from typing import Any

MOST_CONVERSATIONS = 5_000
MOST_BYTES = 700_000
"""As JSON, nearly: 5,000 conversations of one leg with ids of the usual length."""
SPAN_MS = 48 * 3_600_000
_MOST_LEGS = 16
_OVERHEAD = 48

_Leg = list[Any]
"""User, medium, moment answered, moment ended or 0."""


class Conversations:
    """The conversations heard of last, as many as are worth remembering.

    The ones that were answered from a queue longest ago are forgotten beyond their number, their
    size, and once a leg is answered that is two days younger.
    """

    def __init__(self) -> None:
        self._legs: dict[str, list[_Leg]] = {}
        self._bytes = 0

    def leg_at(self, conversation: str, user: str, moment: int) -> _Leg | None:
        """The user's leg answered last up to `moment`, to be marked where it ends."""
        legs = self._legs.get(conversation, ())
        own = [leg for leg in legs if leg[0] == user and leg[2] <= moment]
        return max(own, key=lambda leg: leg[2], default=None)

    def answer(self, conversation: str, user: str, media: str, moment: int) -> None:
        """A leg is answered from a queue; said again it is the same leg."""
        legs = self._legs.pop(conversation, [])
        self._bytes -= _size(conversation, legs)
        if all(leg[:3] != [user, media, moment] for leg in legs):
            legs.append([user, media, moment, 0])
            del legs[:-_MOST_LEGS]
        self._legs[conversation] = legs
        self._bytes += _size(conversation, legs)
        self._forget(moment - SPAN_MS)

    def _forget(self, before: int) -> None:
        while self._legs:
            oldest = next(iter(self._legs))
            legs = self._legs[oldest]
            within = len(self._legs) <= MOST_CONVERSATIONS and self._bytes <= MOST_BYTES
            if within and legs[-1][2] >= before:
                return
            del self._legs[oldest]
            self._bytes -= _size(oldest, legs)

    def memory(self) -> Any:
        """As JSON, in the order in which they were heard of."""
        return list(self._legs.items())

    def recall(self, memory: Any) -> None:
        """Take up what `memory` gave."""
        self._legs = {name: [list(leg) for leg in legs] for name, legs in memory or ()}
        self._bytes = sum(_size(name, legs) for name, legs in self._legs.items())


def _size(conversation: str, legs: list[_Leg]) -> int:
    """Bytes of a conversation, none if nothing of it is known."""
    if not legs:
        return 0
    users = sum(len(leg[0].encode()) + _OVERHEAD for leg in legs)
    return len(conversation.encode()) + users
