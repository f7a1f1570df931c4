"""Work that recurs by the clock must leave time for frames, however slow the machine has become.

Publishing and checkpoints cost the same whether much or little has come. On a machine that gives a
worker a tenth of what it needs they would take all of its time, at their usual pace, and it would
fall behind for ever. A budget lets them take a share of the time and no more.
"""

from __future__ import annotations

from collections.abc import Callable


class Budget:
    """A share of the time, with `burst_s` seconds that may be spent ahead."""

    def __init__(self, share: float, burst_s: float, monotonic: Callable[[], float]) -> None:
        self._share = share
        self._burst_s = burst_s
        self._monotonic = monotonic
        self._debt = 0.0
        self._at = monotonic()

    def spend(self, seconds: float) -> None:
        """Note that work has taken so long."""
        self._debt += seconds

    def allows(self) -> bool:
        """Whether work may begin now."""
        now = self._monotonic()
        self._debt = max(0.0, self._debt - (now - self._at) * self._share)
        self._at = now
        return self._debt <= self._burst_s
