"""The zone in which it is the middle of the morning now, whatever the clock says."""

from __future__ import annotations

from pipeline.simulate.options import HOUR

MORNING_HOUR = 10
_EASTERNMOST = 12


def morning_zone(now_ms: int, hour: int = MORNING_HOUR) -> str:
    """The `Etc/GMT` zone whose clocks show `hour` o'clock and some minutes at this moment."""
    offset = (hour - now_ms // HOUR) % 24
    if offset > _EASTERNMOST:
        offset -= 24
    # The names are those of POSIX: Etc/GMT-3 lies three hours east of Greenwich.
    return "Etc/GMT" if offset == 0 else f"Etc/GMT{-offset:+d}"
