"""When a site's KPI alerts are muted: time intervals as Alertmanager and Grafana both read them."""

from __future__ import annotations

from datetime import date
from typing import Any

from schemas.hours import WEEKDAYS, closed_spans
from schemas.settings import SiteSettings

_LONG = dict(
    zip(
        WEEKDAYS,
        ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"),
        strict=True,
    )
)


def interval_name(site: str) -> str:
    """Name of the interval in which a site is closed."""
    return f"closed: {site}"


def closed_times(settings: SiteSettings) -> list[dict[str, Any]]:
    """When the site is closed, in its own time zone; empty if it never is."""
    found = [_weekday(settings, number) for number in range(7)]
    found += [_holiday(day) for day in sorted(set(settings.holidays))]
    return [{**times, "location": settings.time_zone} for times in found if times]


def _weekday(settings: SiteSettings, number: int) -> dict[str, Any]:
    spans = list(closed_spans(settings, number))
    times = [{"start_time": _clock(start), "end_time": _clock(end)} for start, end in spans]
    return {"times": times, "weekdays": [_LONG[WEEKDAYS[number]]]} if times else {}


def _holiday(day: date) -> dict[str, Any]:
    return {
        "days_of_month": [str(day.day)],
        "months": [str(day.month)],
        "years": [str(day.year)],
    }


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
