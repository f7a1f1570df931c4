"""The simulator's own truth: what happened, counted where it happened and not from the events.

The counters bear the contract's names, so that a round trip through any format can be compared
with them one by one.
"""

from __future__ import annotations

from schemas.kpis import COUNTERS


class QueueTotals:
    """The twenty counters of one queue since the start. Times and waits are ms."""

    __slots__ = (*COUNTERS, "_short", "_threshold")

    def __init__(self, threshold_ms: int, short_abandon_ms: int) -> None:
        self._threshold = threshold_ms
        self._short = short_abandon_ms
        self.offered = self.answered = self.answered_in = self.wait_ms = 0
        self.abandoned = self.abandoned_in = self.abandoned_short = self.abandoned_wait_ms = 0
        self.left_callback = self.left_overflow = self.left_other = 0
        self.sl_met = self.sl_missed = self.sl_abandoned = 0
        self.declined = self.transferred = self.handled = 0
        self.talk_ms = self.hold_ms = self.wrap_ms = 0

    def answer(self, wait: int) -> None:
        """A visit ends in an answer."""
        self.answered += 1
        self.wait_ms += wait
        if wait <= self._threshold:
            self.answered_in += 1
            self.sl_met += 1
        else:
            self.sl_missed += 1

    def give_up(self, wait: int) -> None:
        """A visit ends because the customer hangs up."""
        self.abandoned += 1
        self.abandoned_wait_ms += wait
        if wait <= self._short:
            self.abandoned_short += 1
        if wait <= self._threshold:
            self.abandoned_in += 1
            self.sl_abandoned += 1
        else:
            self.sl_missed += 1

    def leave(self, reason: str, wait: int) -> None:
        """A visit ends by the system's doing."""
        if reason == "callback":
            self.left_callback += 1
        elif reason in ("overflow", "timeout"):
            self.left_overflow += 1
        else:
            self.left_other += 1
        if wait > self._threshold:
            self.sl_missed += 1

    def handle(self, talk: int, hold: int, wrap: int) -> None:
        """A leg is finished."""
        self.handled += 1
        self.talk_ms += talk
        self.hold_ms += hold
        self.wrap_ms += wrap

    def as_dict(self, still_waiting: list[int]) -> dict[str, int]:
        """The counters; a wait in `still_waiting` beyond the threshold is a miss already."""
        counters = {name: getattr(self, name) for name in COUNTERS}
        counters["sl_missed"] += sum(wait > self._threshold for wait in still_waiting)
        return counters
