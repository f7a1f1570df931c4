"""Arrivals of one queue: a Poisson process whose rate follows the local time of day.

The rate is constant within a quarter of an hour of the site's clock; the next arrival is found by
walking the rate until it has used up one exponential draw, so a surge of any size or a quiet night
costs no draws that are thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from random import Random
from zoneinfo import ZoneInfo

from pipeline.simulate.options import HOUR, Incident

STEP = HOUR // 4
HALF_HOURS = 48
_HORIZON_STEPS = 4 * 24 * 14

OFFICE_SHAPE: tuple[float, ...] = tuple(
    share / 100
    for hour in (
        (6, 5, 4, 4, 4, 4, 5, 6, 8, 10, 14, 20),  # 00:00 to 06:00
        (30, 42, 58, 70, 82, 90, 96, 99, 100, 100, 97, 93),  # 06:00 to 12:00
        (88, 84, 84, 87, 92, 95, 95, 92, 88, 84, 78, 72),  # 12:00 to 18:00
        (64, 56, 50, 44, 38, 33, 28, 24, 20, 16, 12, 8),  # 18:00 to 24:00
    )
    for share in hour
)
"""Half-hours of an ordinary voice day: two humps, a lunch dip, a thin night. The peak is 1."""

EVENING_SHAPE: tuple[float, ...] = tuple(
    share / 100
    for hour in (
        (14, 12, 10, 8, 7, 6, 6, 6, 7, 8, 10, 14),
        (20, 28, 36, 46, 56, 64, 72, 78, 82, 84, 86, 86),
        (86, 86, 86, 88, 88, 88, 90, 92, 94, 96, 98, 100),
        (100, 100, 98, 96, 92, 86, 78, 68, 56, 44, 32, 22),
    )
    for share in hour
)
"""Half-hours of a digital channel: later, flatter, longer into the evening. The peak is 1."""


def half_hour_of(moment: int, zone: ZoneInfo) -> int:
    """Which of the 48 half-hours of the local day a moment is in."""
    local = datetime.fromtimestamp(moment / 1000, zone)
    return local.hour * 2 + local.minute // 30


class Arrivals:
    """When the contacts of a queue arrive. `per_hour` is the rate where the shape is 1."""

    def __init__(
        self,
        per_hour: float,
        shape: Sequence[float],
        zone: ZoneInfo,
        surge: Incident,
        surge_factor: float = 1.0,
    ) -> None:
        self._per_ms = per_hour / HOUR
        self._shape = shape
        self._zone = zone
        self._surge = surge
        self._surge_factor = surge_factor
        self._edge = self._begin = 0
        self._rate = 0.0

    def after(self, moment: int, rng: Random) -> int | None:
        """The next arrival at or after `moment`; None when the next two weeks have none."""
        need = rng.expovariate(1.0)
        for _ in range(_HORIZON_STEPS):
            if not self._begin <= moment < self._edge:
                self._enter(moment)
            room = self._rate * (self._edge - moment)
            if need < room:
                return moment + int(need / self._rate)
            need -= room
            moment = self._edge
        return None

    def _enter(self, moment: int) -> None:
        """Load the stretch of constant rate that holds `moment`."""
        self._begin = moment
        self._edge = moment - moment % STEP + STEP
        self._rate = self._per_ms * self._shape[half_hour_of(moment, self._zone)]
        if self._surge_factor == 1.0:
            return
        for border in (self._surge.start, self._surge.end):
            if moment < border:
                self._edge = min(self._edge, border)
        if self._surge.start <= moment < self._surge.end:
            self._rate *= self._surge_factor
