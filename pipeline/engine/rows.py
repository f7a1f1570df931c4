"""Rows for the store: what a frame changed, each key once, and what it withdrew.

A row says all that is known of its visit, leg, decline, interval or pane now; the store keeps the
one of the highest version. Moments are integer milliseconds. Of a pane that was forgotten before it
was edited the engine holds the edit alone: its row says so with ``is_whole`` 0 and no figures.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson

from pipeline.engine.agents import Agent, Interval
from pipeline.engine.model import OPEN, OUTCOMES, Decline, Leg, Visit
from schemas.events import event_key
from schemas.kpis import AGENT_STATES, COUNTERS, TEAM_TIMES

if TYPE_CHECKING:
    from pipeline.engine.ledger import Ledger, RowKey
    from pipeline.engine.site import Site

Row = dict[str, Any]
Rows = dict[str, list[Row]]

_FEEDBACK = (
    "queue",
    "agent",
    "customer",
    "csat",
    "nps",
    "ces",
    "resolved",
    "score",
    "escalation_risk",
    "issue",
    "form",
    "url",
    "source",
)


def drain(site: Site) -> Rows:
    """The rows of everything that changed since the last call."""
    ledger = site.ledger
    tables: Rows = {
        "visits": [_visit(site, v) for v in ledger.changed_visits],
        "legs": [_leg(site, leg) for leg in ledger.changed_legs],
        "declines": [_decline(site, d) for d in ledger.changed_declines],
    }
    _withdrawn(site, ledger, tables)
    intervals: list[Row] = []
    tables["agent_intervals"] = intervals
    for agent in ledger.changed_agents:
        _intervals(site, agent, intervals)
    tables["queue_panes"], tables["team_panes"] = _panes(site)
    if site.feedback:
        tables["feedback"] = [_feedback(site, event) for event in site.feedback]
        site.feedback = []
    if site.new_settings:
        site.new_settings = False
        tables["pane_settings"] = [_settings(site)]
    return {table: found for table, found in tables.items() if found}


def _moment(at: int) -> int | None:
    return None if at == OPEN else at


def _visit(site: Site, visit: Visit) -> Row:
    limits = visit.limits
    return {
        "site": site.site,
        "contact": visit.contact,
        "queued_at": visit.queued_at,
        "story": visit.story,
        "queue": visit.queue,
        "channel": visit.channel,
        "direction": visit.direction,
        "customer": visit.customer,
        "priority": visit.priority,
        "outcome": OUTCOMES[visit.outcome],
        "reason": visit.reason,
        "outcome_at": _moment(visit.outcome_at),
        "agent": visit.agent,
        "threshold_ms": limits.threshold_ms,
        "short_abandon_ms": limits.short_abandon_ms,
        "stuck_after_ms": limits.stuck_after_ms,
        "formula": limits.formula,
        "exclude_short": int(limits.exclude_short),
        "anchor": site.settings.anchor,
        "is_deleted": 0,
    }


def _leg(site: Site, leg: Leg) -> Row:
    handled = leg.wrapped_at != OPEN and not leg.stuck
    released = leg.released_at != OPEN
    return {
        "site": site.site,
        "contact": leg.contact,
        "answered_at": leg.answered_at,
        "story": leg.story,
        "agent": leg.agent,
        "queue": leg.queue,
        "channel": leg.channel,
        "visit_queued_at": _moment(leg.visit_queued_at),
        "released_at": _moment(leg.released_at),
        "wrapped_at": _moment(leg.wrapped_at),
        "release_reason": leg.reason,
        "code": leg.code,
        "hold_ms": leg.hold_ms,
        "talk_ms": leg.released_at - leg.answered_at - leg.hold_ms if released else 0,
        "wrap_ms": leg.wrapped_at - leg.released_at if handled else 0,
        "handled": int(handled),
        "stuck": int(leg.stuck),
        "team": leg.team,
        "is_deleted": 0,
    }


def _decline(site: Site, decline: Decline) -> Row:
    return {
        "site": site.site,
        "contact": decline.contact,
        "declined_at": decline.at,
        "story": decline.story,
        "agent": decline.agent,
        "ordinal": decline.ordinal,
        "queue": decline.queue,
        "channel": decline.channel,
        "reason": decline.reason,
        "is_deleted": 0,
    }


def _withdrawn(site: Site, ledger: Ledger, tables: Rows) -> None:
    if not ledger.withdrawn:
        return
    kept = {("visits", v.contact, v.queued_at, v.queue, v.story, 0) for v in ledger.changed_visits}
    for leg in ledger.changed_legs:
        kept.add(("legs", leg.contact, leg.answered_at, leg.agent, leg.story, 0))
    for d in ledger.changed_declines:
        kept.add(("declines", d.contact, d.at, d.agent, d.story, d.ordinal))
    for key, (queue, channel, agent) in ledger.withdrawn.items():
        if key not in kept:
            tables[key[0]].append(_tombstone(site, key, queue, channel, agent))


def _tombstone(site: Site, key: RowKey, queue: str, channel: str, agent: str) -> Row:
    table, contact, at, _, story, ordinal = key
    moment = {"visits": "queued_at", "legs": "answered_at", "declines": "declined_at"}[table]
    row: Row = {"site": site.site, "contact": contact, moment: at, "queue": queue}
    row["channel"] = channel
    row["story"] = story
    if table != "visits":
        row["agent"] = agent
    if table == "declines":
        row["ordinal"] = ordinal
    row["is_deleted"] = 1
    return row


def _intervals(site: Site, agent: Agent, found: list[Row]) -> None:
    after = agent.intervals
    if agent.same == len(after) and not agent.lost:
        return
    # The last interval that stands ends at another moment now.
    first = max(0, agent.same - 1)
    for i in range(first, len(after)):
        if after[i][1] >= 0:
            found.append(_interval(site, agent, after, i))
    if agent.lost:
        kept = {start for start, state, _ in after[first:] if state >= 0}
        for start, state, team in agent.lost:
            if state >= 0 and start not in kept:
                found.append(_interval_row(site, agent, start, None, state, team, 1))


def _interval(site: Site, agent: Agent, timeline: list[Interval], i: int) -> Row:
    start, state, team = timeline[i]
    end = timeline[i + 1][0] if i + 1 < len(timeline) else None
    return _interval_row(site, agent, start, end, state, team, 0)


def _interval_row(
    site: Site, agent: Agent, start: int, end: int | None, state: int, team: str, deleted: int
) -> Row:
    return {
        "site": site.site,
        "agent": agent.id,
        "started_at": start,
        "ended_at": end,
        "state": AGENT_STATES[state],
        "team": team,
        "is_deleted": deleted,
    }


def _panes(site: Site) -> tuple[list[Row], list[Row]]:
    books = site.ledger.books
    queues = [_queue_pane(site, *key) for key in books.edited_rows]
    teams = [_team_pane(site, *key) for key in books.edited_teams]
    books.edited_rows.clear()
    books.edited_teams.clear()
    # At a pane's very end it is complete for the site's time, though a tie may still come.
    if site.at == books.edge:
        start = books.edge - books.pane
        for cell in books.active:
            if cell.open is not None:
                queues.append(_pane(site, start, cell.open, COUNTERS, cell.queue, cell.channel))
        for team in books.teams.values():
            if any(team.open) or team.team in books.early:
                books.early[team.team] = None
                teams.append(_pane(site, start, team.open, TEAM_TIMES, team.team, None))
    return queues, teams


def _queue_pane(site: Site, start: int, queue: str, channel: str) -> Row:
    vector = site.ledger.books.cell(queue, channel).panes[start]
    return _pane(site, start, vector, COUNTERS, queue, channel)


def _team_pane(site: Site, start: int, team: str) -> Row:
    return _pane(site, start, site.ledger.books.team(team).panes[start], TEAM_TIMES, team, None)


def _pane(
    site: Site,
    start: int,
    vector: list[int],
    names: tuple[str, ...],
    place: str,
    channel: str | None,
) -> Row:
    row: Row = {"site": site.site, "pane_start": start}
    books = site.ledger.books
    if channel is None:
        row["team"] = place
        whole = start >= books.team_floor
    else:
        row["queue"], row["channel"] = place, channel
        whole = start >= books.floor
    row.update(zip(names, vector if whole else [0] * len(names), strict=True))
    row["is_whole"] = int(whole)
    row["is_deleted"] = 0
    return row


def _feedback(site: Site, event: Row) -> Row:
    row: Row = {
        "site": site.site,
        "contact": event["contact"],
        "at": event["ts"],
        "type": event["type"],
        "key": sha256(event_key(event)).hexdigest()[:32],
    }
    for name in _FEEDBACK:
        row[name] = event.get(name)
    row["is_deleted"] = 0
    return row


def _settings(site: Site) -> Row:
    since, settings = site.ledger.history[-1]
    return {
        "site": site.site,
        "valid_from": max(since, 0),
        "pane_ms": settings.pane_ms,
        "time_zone": settings.time_zone,
        "anchor": settings.anchor,
        "lateness_ms": settings.lateness_ms,
        "settings": orjson.dumps(settings.dump()).decode(),
        "is_deleted": 0,
    }
