"""What a demo's plan plays at a moment, and what lies behind one that starts then."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from zoneinfo import ZoneInfo

from pipeline.demo.day import DemoPlan, _day_after
from schemas.moments import local_date


def bank_day_at(plan: DemoPlan, now_ms: int) -> date:
    """The bank's day that is played at that moment."""
    today = local_date(now_ms, ZoneInfo(plan.zone))
    assert today is not None
    return _day_after(plan.bank_day, (today - plan.local_date).days)


def morning_records(
    plan: DemoPlan, now_ms: int, after: int | None = None
) -> Iterator[tuple[int, bytes]]:
    """What lies behind a demo that starts at `now_ms`: (received ms, payload), in order.

    `after` leaves out what came due before it; the feeder continues at `now_ms + 1`.
    """
    for record in plan.records(after):
        if record.at > now_ms:
            return
        yield record.at, record.payload
