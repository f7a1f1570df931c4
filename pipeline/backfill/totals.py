"""KPI totals of the replaced visits, before and after, by the local day of queueing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from schemas.kpis import ratio, service_level_parts
from schemas.moments import to_datetime
from schemas.settings import SiteSettings

Counts = Counter[str]


class Totals:
    """Counts of visits by day; `level` makes a service level of them by the site's formula."""

    def __init__(self, settings: SiteSettings) -> None:
        self._zone = ZoneInfo(settings.time_zone)
        self._settings = settings
        self.before: dict[str, Counts] = {}
        self.after: dict[str, Counts] = {}

    def add(self, stored: Iterable[dict[str, Any]], told: Iterable[dict[str, Any]]) -> None:
        """Count visits as they are stored, and as they are told now."""
        for row in stored:
            self.before.setdefault(self._day(row), Counter()).update(_counts(row))
        for row in told:
            self.after.setdefault(self._day(row), Counter()).update(_counts(row))

    def changed_days(self) -> list[tuple[str, Counts, Counts]]:
        """The days whose counts are not the same, with what they were and what they become."""
        days = sorted(self.before.keys() | self.after.keys())
        found = [(d, self.before.get(d, Counter()), self.after.get(d, Counter())) for d in days]
        return [(day, old, new) for day, old, new in found if old != new]

    def level(self, counts: Counts) -> float | None:
        """The service level by the formula of the site's defaults."""
        queue = self._settings.queue("")
        return ratio(*service_level_parts(counts, queue.formula, queue.exclude_short))

    def _day(self, row: dict[str, Any]) -> str:
        moment: datetime | None = to_datetime(row["queued_at"])
        return "" if moment is None else moment.astimezone(self._zone).date().isoformat()


def _counts(row: dict[str, Any]) -> Counts:
    found: Counts = Counter(offered=1)
    outcome_at = row["outcome_at"]
    if outcome_at is None:
        return found
    wait = outcome_at - row["queued_at"]
    outcome, in_time = row["outcome"], wait <= row["threshold_ms"]
    if outcome in ("answered", "abandoned"):
        found[outcome] = 1
        found[f"{outcome}_in"] = int(in_time)
        found["abandoned_short"] = int(outcome == "abandoned" and wait <= row["short_abandon_ms"])
        found["sl_met" if outcome == "answered" else "sl_abandoned"] = int(in_time)
    found["sl_missed"] = int(not in_time)
    return found
