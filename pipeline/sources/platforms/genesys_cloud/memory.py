"""What is remembered of conversations: who waits, and which legs came from a queue.

A session's end gives durations only. Whether its leg was answered from a queue, and is known
already, or is told now for the first time, is seen by what is remembered. Figures do not hang on
it: without a memory a leg is told twice, a few milliseconds apart, and the engine takes it once.
"""

from __future__ import annotations

from typing import Any

MOST_CONVERSATIONS = 5_000
_MOST_PARTS = 16

_Session = list[Any]
_Leg = list[Any]


class Conversation:
    """ACD sessions `[id, waits]` and legs from a queue `[user, media, answered, ended or 0]`."""

    __slots__ = ("legs", "sessions")

    def __init__(self, sessions: list[_Session], legs: list[_Leg]) -> None:
        self.sessions = sessions
        self.legs = legs

    def waits(self) -> bool:
        """Whether an ACD session waits for an agent."""
        return any(session[1] for session in self.sessions)

    def leg_at(self, user: str, moment: int) -> _Leg | None:
        """The user's leg answered last up to `moment`."""
        legs = [leg for leg in self.legs if leg[0] == user and leg[2] <= moment]
        return max(legs, key=lambda leg: leg[2], default=None)

    def enter(self, session: str) -> None:
        """A session begins to wait, unless its end has come before its beginning."""
        if all(known[0] != session for known in self.sessions):
            self.sessions = [*self.sessions[1 - _MOST_PARTS :], [session, 1]]

    def leave(self, session: str) -> None:
        """A session waits no more."""
        self.sessions = [known for known in self.sessions if known[0] != session]
        self.sessions = [*self.sessions[1 - _MOST_PARTS :], [session, 0]]

    def answer(self, user: str, media: str, moment: int) -> None:
        """A leg is answered from a queue."""
        if all(leg[:3] != [user, media, moment] for leg in self.legs):
            self.legs = [*self.legs[1 - _MOST_PARTS :], [user, media, moment, 0]]


class Conversations:
    """The conversations heard of last, as many as are worth remembering."""

    def __init__(self) -> None:
        self._known: dict[str, Conversation] = {}

    def get(self, conversation: str) -> Conversation | None:
        """What is remembered of it."""
        return self._known.get(conversation)

    def keep(self, conversation: str) -> Conversation:
        """What is remembered of it, from now on if nothing was."""
        known = self._known.pop(conversation, None) or Conversation([], [])
        self._known[conversation] = known
        if len(self._known) > MOST_CONVERSATIONS:
            del self._known[next(iter(self._known))]
        return known

    def memory(self) -> Any:
        """As JSON, in the order in which they were heard of."""
        return [[name, known.sessions, known.legs] for name, known in self._known.items()]

    def recall(self, memory: Any) -> None:
        """Take up what `memory` gave."""
        self._known = {name: Conversation(sessions, legs) for name, sessions, legs in memory or ()}
