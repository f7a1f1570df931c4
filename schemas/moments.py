"""Moments for people: epoch milliseconds from and to ISO text, and the local day that holds one.

A `ts` may be any 64-bit integer, far beyond the years a datetime can express; nothing here raises
for such a moment.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

DAY_MS = 86_400_000

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# Two days inside what a datetime can express, so that any zone's offset still fits.
_FIRST_MS = (datetime(1, 1, 3, tzinfo=UTC) - _EPOCH) // _MILLISECOND
_LAST_MS = (datetime(9999, 12, 29, tzinfo=UTC) - _EPOCH) // _MILLISECOND
_SUBSECOND = re.compile(r"[.,]\d{3}(\d*?[1-9]\d*)(?=[Zz+-])")


class MomentError(ValueError):
    """Text that names no moment to the millisecond."""


def expressible(ms: int) -> bool:
    """Whether a datetime can express the moment in any zone."""
    return _FIRST_MS <= ms <= _LAST_MS


def to_datetime(ms: int) -> datetime | None:
    """The moment in UTC, or None beyond the years 1 to 9999."""
    return _EPOCH + ms * _MILLISECOND if expressible(ms) else None


def from_datetime(moment: datetime) -> int:
    """Epoch ms of an aware datetime, rounded down."""
    return (moment - _EPOCH) // _MILLISECOND


def iso(ms: int, zone: str = "UTC") -> str:
    """The moment as ISO 8601 with milliseconds; its number where a datetime cannot express it."""
    moment = to_datetime(ms)
    if moment is None:
        return str(ms)
    text = moment.astimezone(ZoneInfo(zone)).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z") if zone == "UTC" else text


def parse_moment(text: str) -> int:
    """Epoch ms of `1999-02-07T15:30:00.000+02:00` or of epoch ms as digits.

    Raises `MomentError` for ISO text without a zone or finer than a millisecond, and for a number
    beyond 64 bits.
    """
    text = text.strip()
    if re.fullmatch(r"[+-]?[0-9]+", text):
        return _int64(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise MomentError(
            f"{text!r} is neither epoch milliseconds nor ISO time such as 2026-03-01T09:30:00Z"
        ) from None
    if moment.tzinfo is None:
        raise MomentError(f"{text!r} names no zone; add Z or an offset such as +02:00")
    if _SUBSECOND.search(text):
        raise MomentError(f"{text!r} is finer than a millisecond")
    return from_datetime(moment)


def _int64(text: str) -> int:
    # Longer digits would be refused by int() itself, with a message about its own limit.
    if len(text) <= 20 and -(2**63) <= int(text) < 2**63:
        return int(text)
    raise MomentError(f"{text[:40]} is beyond 64 bits")


def local_date(ms: int, zone: ZoneInfo) -> date | None:
    """The local calendar date of a moment, or None where a datetime cannot express it."""
    moment = to_datetime(ms)
    return None if moment is None else moment.astimezone(zone).date()


def day_start(ms: int, zone: ZoneInfo) -> int:
    """Epoch ms of the first moment of the local calendar date of `ms`.

    Holds on days whose midnight a clock change skips or repeats. Where a datetime cannot express
    the moment, days are those of UTC.
    """
    day = local_date(ms, zone)
    if day is None:
        return ms - ms % DAY_MS
    # Of a midnight that comes twice fold 0 is the first; one that is skipped lies within the gap.
    start = from_datetime(datetime(day.year, day.month, day.day, tzinfo=zone))
    if local_date(start - 1, zone) != day:
        return start
    low, high = start - DAY_MS, start
    while high - low > 1:
        middle = (low + high) // 2
        if local_date(middle, zone) == day:
            high = middle
        else:
            low = middle
    return high
