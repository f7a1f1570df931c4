"""The windows of contract section 5, as half-open spans of milliseconds."""

from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

MINUTE = 60_000
ROLLING = {"5m": 5 * MINUTE, "15m": 15 * MINUTE, "30m": 30 * MINUTE, "60m": 60 * MINUTE}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def windows(at: int, pane_ms: int, time_zone: str) -> dict[str, tuple[int, int] | None]:
    """Name -> [start, end); None for `total`, which is every moment up to and including `at`."""
    end = -(-at // pane_ms) * pane_ms
    spans: dict[str, tuple[int, int] | None] = {
        name: (end - length, end) for name, length in ROLLING.items()
    }
    spans["today"] = (day_start(at, time_zone), end)
    spans["total"] = None
    return spans


def day_start(at: int, time_zone: str) -> int:
    """The first moment whose local calendar date is that of `at`."""
    return first_moment(local_date(at // 1000, time_zone), time_zone) * 1000


def local_date(second: int, time_zone: str) -> date:
    return (EPOCH + timedelta(seconds=second)).astimezone(ZoneInfo(time_zone)).date()


@lru_cache(maxsize=4096)
def first_moment(day: date, time_zone: str) -> int:
    """Second by second where it matters: zones differ from UTC by whole seconds, under 27 hours."""
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    around = round((noon - EPOCH).total_seconds())
    minutes = range(around - 48 * 3600, around + 48 * 3600, 60)
    minute = next(m for m in minutes if local_date(m, time_zone) == day)
    return next(s for s in range(minute - 60, minute + 1) if local_date(s, time_zone) == day)
