"""Rows of feedback and of contacts around it, and what the views of quality say of them."""

from __future__ import annotations

from typing import Any

from sinks.clickhouse.quality import COUNTS
from tests.sinks.clickhouse.store import Database
from tests.sinks.clickhouse.view_rows import Row, leg, visit

HOUR = 3_600_000
DAY_MS = 24 * HOUR
_FACTS = (
    *("queue", "agent", "customer", "csat", "nps", "ces", "resolved", "score"),
    *("escalation_risk", "issue", "form", "url", "source"),
)


def fact(contact: str, at: int, type_: str = "survey.answered", **said: Any) -> Row:
    """A row of feedback; its key tells what is said, as the engine's digest does."""
    row: Row = {"site": "s", "contact": contact, "at": at, "type": type_, **dict.fromkeys(_FACTS)}
    row |= {"key": repr((type_, at, sorted(said.items()))), "is_deleted": 0}
    return row | said


def handled(
    contact: str, queued_at: int, customer: str = "", talk_ms: int = 60_000, **more: Any
) -> tuple[Row, Row]:
    """A contact that waits ten seconds, is answered and wrapped: its visit and its leg."""
    agent, queue = more.pop("agent", "ann"), more.pop("queue", "sales")
    answered = queued_at + 10_000
    waited = visit(contact, queued_at, "answered", 10_000, customer=customer, queue=queue)
    waited |= {"agent": agent} | {k: more.pop(k) for k in ("direction",) if k in more}
    end = answered + talk_ms
    done = {"released_at": end, "wrapped_at": end, "release_reason": "completed", "handled": 1}
    spoken = leg(contact, answered, agent=agent, queue=queue, talk_ms=talk_ms, **done, **more)
    return waited, spoken


def tables(*contacts: tuple[Row, Row], feedback: list[Row] | None = None) -> dict[str, list[Row]]:
    """Rows of the store by table."""
    return {
        "visits": [visit for visit, _ in contacts],
        "legs": [leg for _, leg in contacts],
        "feedback": feedback or [],
    }


def moment(at: int | None) -> str:
    return "NULL" if at is None else f"fromUnixTimestamp64Milli(toInt64({at}), 'UTC')"


_NAMES = {"all": (), "queue": ("queue", "channel")}


def cells_by_sql(
    db: Database, start: int, end: int, at: int | None = None, site: str = "s"
) -> dict[str, dict[tuple[str, ...], dict[str, float]]]:
    """Counts of each site by place as `quality_cells` has them; zeros left out."""
    call = f"site = '{site}', from = {moment(start)}, to = {moment(end)}, at = {moment(at)}"
    found: dict[str, dict[tuple[str, ...], dict[str, float]]] = {}
    for row in db.rows(f"SELECT * FROM quality_cells({call}, step_ms = 0)"):
        names = _NAMES.get(row["scope"], (row["scope"],))
        place = (row["scope"], *(row[name] for name in names))
        found.setdefault(row["site"], {})[place] = {name: row[name] for name in COUNTS if row[name]}
    return found


def site_figures(db: Database, start: int, end: int, at: int | None = None) -> Row:
    """The row of the site, empty if there is none."""
    call = f"site = 's', from = {moment(start)}, to = {moment(end)}, at = {moment(at)}, step_ms = 0"
    rows = db.rows(f"SELECT * FROM quality_cells({call}) WHERE scope = 'all'")
    return rows[0] if rows else {}
