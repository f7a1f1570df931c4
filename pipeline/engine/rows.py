"""Rows for the store: what a frame changed, each key once, and what it withdrew.

A row says all that is known of its visit, leg, decline, interval or pane now; the store keeps the
one of the highest version. Moments are integer milliseconds. Of a pane that was forgotten before it
was edited the engine holds the edit alone: its row says so with ``is_whole`` 0 and no figures.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Any

import orjson

from pipeline.engine.agents import Agent
from pipeline.engine.cells import QueueCell, TeamCell
from pipeline.engine.model import OPEN, OUTCOMES, WAITING, Decline, Leg, Visit
from schemas.events import event_key
from schemas.kpis import AGENT_STATES, COUNTERS, TEAM_TIMES

if TYPE_CHECKING:
    from pipeline.engine.ledger import Ledger, RowKey
    from pipeline.engine.site import Site
    from schemas.settings import ResolvedQueue

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


class Forms:
    """What rows of a site have in common: a row is a copy in which the rest is filled in."""

    __slots__ = ("interval", "leg", "site")

    def __init__(self, site: str) -> None:
        self.site = site
        self.leg: Row = {
            "site": site,
            "contact": "",
            "answered_at": 0,
            "story": 0,
            "agent": "",
            "queue": "",
            "channel": "",
            "visit_queued_at": None,
            "released_at": None,
            "wrapped_at": None,
            "release_reason": "",
            "code": "",
            "hold_ms": 0,
            "talk_ms": 0,
            "wrap_ms": 0,
            "handled": 0,
            "stuck": 0,
            "team": "",
            "is_deleted": 0,
        }
        self.interval: Row = {
            "site": site,
            "agent": "",
            "started_at": 0,
            "ended_at": None,
            "state": "",
            "team": "",
            "is_deleted": 0,
        }

    def visit(self, limits: ResolvedQueue, anchor: str, cell: QueueCell) -> Row:
        """What visits of a cell have in common while its limits stay as they are."""
        if cell.limits is not limits:
            cell.limits = limits
            cell.visit_form = {
                "site": self.site,
                "contact": "",
                "queued_at": 0,
                "story": 0,
                "queue": cell.queue,
                "channel": cell.channel,
                "direction": "",
                "customer": "",
                "priority": None,
                "outcome": OUTCOMES[WAITING],
                "reason": "",
                "outcome_at": None,
                "agent": "",
                "threshold_ms": limits.threshold_ms,
                "short_abandon_ms": limits.short_abandon_ms,
                "stuck_after_ms": limits.stuck_after_ms,
                "formula": limits.formula,
                "exclude_short": int(limits.exclude_short),
                "anchor": anchor,
                "is_deleted": 0,
            }
        return cell.visit_form

    def queue_pane(self, cell: QueueCell) -> Row:
        """What panes of a queue and channel have in common."""
        form = cell.form
        if form is None:
            form = {"site": self.site, "pane_start": 0, "queue": cell.queue}
            form["channel"] = cell.channel
            cell.form = _figures(form, COUNTERS)
        return form

    def team_pane(self, cell: TeamCell) -> Row:
        """What panes of a team have in common."""
        form = cell.form
        if form is None:
            form = {"site": self.site, "pane_start": 0, "team": cell.team}
            cell.form = _figures(form, TEAM_TIMES)
        return form


def _figures(form: Row, names: tuple[str, ...]) -> Row:
    for name in names:
        form[name] = 0
    form["is_whole"] = 1
    form["is_deleted"] = 0
    return form


def drain(site: Site) -> Rows:
    """The rows of everything that changed since the last call."""
    ledger = site.ledger
    forms = site.forms
    anchor = ledger.settings.anchor
    tables: Rows = {
        "visits": [_visit(forms, anchor, v) for v in ledger.changed_visits],
        "legs": [_leg(forms, ledger, leg) for leg in ledger.changed_legs],
        "declines": [_decline(site, d) for d in ledger.changed_declines],
    }
    _withdrawn(site, ledger, tables)
    intervals: list[Row] = []
    tables["agent_intervals"] = intervals
    for agent in ledger.changed_agents:
        _intervals(forms, agent, intervals)
    tables["queue_panes"], tables["team_panes"] = _panes(site)
    if site.feedback:
        tables["feedback"] = [_feedback(site, event) for event in site.feedback]
        site.feedback = []
    if site.new_settings:
        site.new_settings = False
        tables["pane_settings"] = [_settings(site)]
    return {table: found for table, found in tables.items() if found}


def _visit(forms: Forms, anchor: str, visit: Visit) -> Row:
    row = forms.visit(visit.limits, anchor, visit.cell).copy()
    row["contact"] = visit.contact
    row["queued_at"] = visit.queued_at
    row["story"] = visit.story
    row["direction"] = visit.direction
    if visit.customer:
        row["customer"] = visit.customer
    if visit.priority is not None:
        row["priority"] = visit.priority
    if visit.outcome != WAITING:
        row["outcome"] = OUTCOMES[visit.outcome]
        row["reason"] = visit.reason
        row["outcome_at"] = visit.outcome_at
        row["agent"] = visit.agent
    return row


def _leg(forms: Forms, ledger: Ledger, leg: Leg) -> Row:
    row = forms.leg.copy()
    row["contact"] = leg.contact
    row["answered_at"] = leg.answered_at
    row["story"] = leg.story
    row["agent"] = leg.agent
    row["queue"] = leg.queue
    row["channel"] = leg.channel
    row["team"] = ledger.agent(leg.agent).team_at(leg.answered_at)
    if leg.visit_queued_at != OPEN:
        row["visit_queued_at"] = leg.visit_queued_at
    if leg.hold_ms:
        row["hold_ms"] = leg.hold_ms
    if leg.released_at != OPEN:
        row["released_at"] = leg.released_at
        row["release_reason"] = leg.reason
        row["talk_ms"] = leg.released_at - leg.answered_at - leg.hold_ms
    if leg.wrapped_at != OPEN:
        row["wrapped_at"] = leg.wrapped_at
        row["code"] = leg.code
        if leg.stuck:
            row["stuck"] = 1
        else:
            row["handled"] = 1
            row["wrap_ms"] = leg.wrapped_at - leg.released_at
    return row


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


def _intervals(forms: Forms, agent: Agent, found: list[Row]) -> None:
    after = agent.intervals
    count = len(after)
    if agent.same == count and not agent.lost:
        return
    # The last interval that stands ends at another moment now.
    first = max(0, agent.same - 1)
    for i in range(first, count):
        start, state, team = after[i]
        if state >= 0:
            row = _interval(forms, agent, start, state, team)
            if i + 1 < count:
                row["ended_at"] = after[i + 1][0]
            found.append(row)
    if agent.lost:
        kept = {start for start, state, _ in after[first:] if state >= 0}
        for start, state, team in agent.lost:
            if state >= 0 and start not in kept:
                row = _interval(forms, agent, start, state, team)
                row["is_deleted"] = 1
                found.append(row)


def _interval(forms: Forms, agent: Agent, start: int, state: int, team: str) -> Row:
    row = forms.interval.copy()
    row["agent"] = agent.id
    row["started_at"] = start
    row["state"] = AGENT_STATES[state]
    row["team"] = team
    return row


def _panes(site: Site) -> tuple[list[Row], list[Row]]:
    books = site.ledger.books
    queues: list[Row] = []
    teams: list[Row] = []
    for start, queue, channel in books.edited_rows:
        cell = books.cell(queue, channel)
        queues.append(_queue_pane(site, cell, start, cell.panes[start]))
    for start, name in books.edited_teams:
        team = books.team(name)
        teams.append(_team_pane(site, team, start, team.panes[start]))
    books.edited_rows.clear()
    books.edited_teams.clear()
    # At a pane's very end it is complete for the site's time, though a tie may still come.
    if site.at == books.edge:
        start = books.edge - books.pane
        for cell in books.active:
            if cell.open is not None:
                queues.append(_queue_pane(site, cell, start, cell.open))
        for team in books.teams.values():
            if any(team.open) or team.team in books.early:
                books.early[team.team] = None
                teams.append(_team_pane(site, team, start, team.open))
    return queues, teams


def _queue_pane(site: Site, cell: QueueCell, start: int, vector: list[int]) -> Row:
    row = site.forms.queue_pane(cell).copy()
    _fill(row, start, vector, COUNTERS, start >= site.ledger.books.floor)
    return row


def _team_pane(site: Site, cell: TeamCell, start: int, vector: list[int]) -> Row:
    row = site.forms.team_pane(cell).copy()
    _fill(row, start, vector, TEAM_TIMES, start >= site.ledger.books.team_floor)
    return row


def _fill(row: Row, start: int, vector: list[int], names: tuple[str, ...], whole: bool) -> None:
    row["pane_start"] = start
    if not whole:
        row["is_whole"] = 0
        return
    for i in range(len(vector)):
        amount = vector[i]
        if amount:
            row[names[i]] = amount


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
