"""Opening hours: whether a site is open at a moment, and when it is closed in a week."""

from __future__ import annotations

from collections.abc import Iterator
from typing import get_args
from zoneinfo import ZoneInfo

from schemas.moments import to_datetime
from schemas.settings import SiteSettings, Weekday

DAY_MINUTES = 24 * 60
WEEKDAYS: tuple[Weekday, ...] = get_args(Weekday)

Span = tuple[int, int]
"""Minutes of the local day, from (inclusive) and to (exclusive)."""


def is_open(settings: SiteSettings, at: int) -> bool:
    """Whether the site is open at the moment (epoch ms), by its own clock.

    A site without hours is open but on holidays. Beyond the years a datetime can express (1 to
    9999) every site is open.
    """
    moment = to_datetime(at)
    if moment is None:
        return True
    local = moment.astimezone(ZoneInfo(settings.time_zone))
    if local.date() in settings.holidays:
        return False
    minute = local.hour * 60 + local.minute
    return any(start <= minute < end for start, end in open_spans(settings, local.weekday()))


def open_spans(settings: SiteSettings, weekday: int) -> list[Span]:
    """When the site is open on a weekday (0 is Monday), in ascending order, merged."""
    if settings.hours is None:
        return [(0, DAY_MINUTES)]
    merged: list[Span] = []
    for start, end in sorted(map(_minutes, settings.hours.get(WEEKDAYS[weekday], []))):
        if merged and start <= merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


def closed_spans(settings: SiteSettings, weekday: int) -> Iterator[Span]:
    """When the site is closed on a weekday (0 is Monday), in ascending order."""
    minute = 0
    for start, end in open_spans(settings, weekday):
        if minute < start:
            yield minute, start
        minute = end
    if minute < DAY_MINUTES:
        yield minute, DAY_MINUTES


def _minutes(opening: str) -> Span:
    start, end = opening.split("-")
    return _minute(start), _minute(end)


def _minute(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)
