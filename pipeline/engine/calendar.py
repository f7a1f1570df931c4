"""The site's own midnight: where ``today`` begins, in a zone whose days have 23, 24 or 25 hours."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

DAY_MS = 86_400_000
_SPAN_MS = 900_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class SiteCalendar:
    """Finds the first moment of the local calendar date of a moment."""

    def __init__(self, zone: str) -> None:
        self._zone = ZoneInfo(zone)
        self._date: date | None = None
        self._start = 0
        self._since = 0
        self._until = 0

    def day_start(self, at: int) -> int:
        """First moment (ms) of the site's calendar date at ``at``.

        Moments beyond the calendar's years (1 to 9999) fall back to days of UTC.
        """
        if self._since <= at < self._until:
            return self._start
        try:
            day = self._local(at).date()
            if day != self._date:
                self._start = self._first_moment(day, at)
                self._date = day
            self._remember(at, day)
        except (OverflowError, ValueError):
            self._until = self._since
            return at - at % DAY_MS
        return self._start

    def _remember(self, at: int, day: date) -> None:
        """Note the span around ``at`` that is surely of this date: clocks stand, date the same."""
        self._since = at - at % _SPAN_MS
        self._until = self._since + _SPAN_MS
        first, last = self._local(self._since), self._local(self._until - 1)
        if not first.date() == day == last.date() or first.utcoffset() != last.utcoffset():
            self._until = self._since

    def _local(self, at: int) -> datetime:
        return (_EPOCH + timedelta(milliseconds=at)).astimezone(self._zone)

    def _first_moment(self, day: date, at: int) -> int:
        midnight = datetime(day.year, day.month, day.day, tzinfo=self._zone, fold=0)
        start = round((midnight - _EPOCH) / timedelta(milliseconds=1))
        if self._local(start - 1).date() < day <= self._local(start).date():
            return start
        return self._jump_into(day, start)

    def _jump_into(self, day: date, near: int) -> int:
        """The clock change that skips midnight is the day's first moment: bisect for it."""
        low, high = near - DAY_MS, near + DAY_MS
        while high - low > 1:
            middle = (low + high) // 2
            if self._local(middle).date() < day:
                low = middle
            else:
                high = middle
        return high
