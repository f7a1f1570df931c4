"""Rows of the store made by hand, for the tests of the views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from tests.sinks.clickhouse.store import Database

DAY = 1_767_571_200_000  # 2026-01-05T00:00Z, a Monday
TEN = DAY + 10 * 3_600_000
SPAN = "from = '2026-01-05 00:00:00', to = '2026-01-06 00:00:00'"

Row = dict[str, Any]
Fill = Callable[..., Database]


def visit(contact: str, queued_at: int, outcome: str, wait: int | None = None, **more: Any) -> Row:
    row = {"site": "s", "contact": contact, "queued_at": queued_at, "queue": "sales"}
    row |= {"channel": "voice", "direction": "inbound", "customer": "", "priority": None}
    row |= {"outcome": outcome, "reason": "", "agent": ""}
    row |= {"outcome_at": None if wait is None else queued_at + wait}
    row |= {"threshold_ms": 20_000, "short_abandon_ms": 5_000, "stuck_after_ms": 14_400_000}
    row |= {"formula": "abandons_negative", "exclude_short": 0, "anchor": "outcome"}
    return row | {"is_deleted": 0} | more


def leg(contact: str, answered_at: int, **more: Any) -> Row:
    row = {"site": "s", "contact": contact, "answered_at": answered_at, "agent": "ann"}
    row |= {"queue": "sales", "channel": "voice", "visit_queued_at": None, "released_at": None}
    row |= {"wrapped_at": None, "release_reason": "", "code": "", "hold_ms": 0, "talk_ms": 0}
    row |= {"wrap_ms": 0, "handled": 0, "stuck": 0, "team": "", "is_deleted": 0}
    return row | more


def interval(agent: str, start: int, end: int | None, state: str, team: str = "red") -> Row:
    row = {"site": "s", "agent": agent, "started_at": start, "ended_at": end, "state": state}
    return row | {"team": team, "is_deleted": 0}


def site_settings(since: int = 0, **settings: Any) -> Row:
    row = {"site": "s", "valid_from": since, "pane_ms": 10_000, "time_zone": "UTC"}
    row |= {"anchor": "outcome", "lateness_ms": 900_000, "is_deleted": 0}
    for name in ("time_zone", "pane_ms"):
        row[name] = settings.get(name, row[name])
    return row | {"settings": orjson.dumps(settings).decode()}


def queue(db: Database, call: str) -> Row:
    (row,) = db.rows(f"SELECT * FROM {call}")
    return row
