"""What the board shows: the object of CONTRACT 7, whole or in the parts that changed.

Formula and targets are those in force now; they are for display and never touch a counter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pipeline.engine.model import HOLD, OPEN, RING, TALK, WRAP
from pipeline.engine.trend import RunningTrend, trend
from pipeline.engine.windows import (
    RunningWindows,
    Vectors,
    all_queue_vectors,
    all_team_vectors,
    queue_form,
    queue_vectors,
    queue_windows,
    team_vectors,
    team_windows,
)
from schemas.hours import is_open
from schemas.kpis import AGENT_STATES
from schemas.live import ONLY_PART, part_of

if TYPE_CHECKING:
    from pipeline.engine.agents import Agent
    from pipeline.engine.cells import QueueCell, TeamCell
    from pipeline.engine.site import Site

Json = dict[str, Any]
Part = tuple[str, str, Json]


def whole(site: Site) -> Json:
    """Everything the board shows of a site at its time."""
    cells = list(site.ledger.books.cells.values())
    view: Json = {"site": site.site, "at": site.at, "queues": _queues(site, cells)}
    view["teams"] = _teams(site, list(site.ledger.books.teams.values()))
    view |= _totals(site, all_queue_vectors(site))
    view["agents"] = {a.id: _agent(a) for a in site.ledger.agents.values() if a.state() >= 0}
    view["trend"] = trend(site)
    return view


# --- queues -------------------------------------------------------------------------------------


def _queues(site: Site, cells: list[QueueCell], kept: RunningWindows | None = None) -> Json:
    queues: Json = {}
    for cell in sorted(cells, key=lambda c: (c.queue, c.channel)):
        if cell.is_empty():
            continue
        queues.setdefault(cell.queue, {})[cell.channel] = _queue_entry(site, cell, kept)
    return queues


def _queue_entry(site: Site, cell: QueueCell, kept: RunningWindows | None) -> Json:
    now = _now(site, [cell])
    if kept is not None:
        return {"now": now, **kept.of(cell)}
    limits = site.settings.queue(cell.queue)
    windows = queue_windows(queue_vectors(site, cell), limits.formula, limits.exclude_short)
    return {"now": now, "windows": windows, **queue_form(limits)}


def _now(site: Site, cells: list[QueueCell]) -> Json:
    waiting = past = served = 0
    longest: int | None = None
    for cell in cells:
        served += cell.in_service
        waiting += len(cell.waiting)
        for visit in cell.waiting:
            waited = site.at - visit.queued_at
            if longest is None or waited > longest:
                longest = waited
            if waited > visit.limits.threshold_ms:
                past += 1
    return {
        "waiting": waiting,
        "longest_wait_ms": longest,
        "in_service": served,
        "waiting_past_threshold": past,
    }


# --- teams and agents ---------------------------------------------------------------------------


def _teams(site: Site, cells: list[TeamCell]) -> Json:
    teams: Json = {}
    for cell in sorted(cells, key=lambda c: c.team):
        if cell.is_empty():
            continue
        settings = site.settings.team(cell.team)
        band = settings.occupancy
        teams[cell.team] = {
            "agents": _present(cell),
            "windows": team_windows(team_vectors(site, cell)),
            "name": settings.name or cell.team,
            "occupancy_target": None if band is None else list(band),
        }
    return teams


def _present(cell: TeamCell) -> dict[str, int]:
    """Agents of a team by state now."""
    return {state: n for state, n in zip(AGENT_STATES, cell.count, strict=True) if n}


def _agent(agent: Agent) -> Json:
    start, state, team = agent.intervals[-1]
    entry: Json = {"team": team, "state": AGENT_STATES[state], "since": start}
    if agent.reason:
        entry["reason"] = agent.reason
    contacts = _contacts(agent)
    if contacts:
        entry["contacts"] = contacts
    return entry


def _contacts(agent: Agent) -> list[str]:
    """Contacts that take the agent's time now, in the order in which that began."""
    missing = agent.counts[TALK] + agent.counts[HOLD] + agent.counts[WRAP]
    contacts: list[str] = []
    # They are among the last of all that is remembered, which may be thousands after a flood.
    for segment in reversed(agent.segments):
        if len(contacts) == missing:
            break
        if segment.end == OPEN and segment.kind != RING:
            contacts.append(segment.contact)
    contacts.reverse()
    return contacts


# --- the whole site -----------------------------------------------------------------------------


def _totals(site: Site, queues: Vectors) -> Json:
    settings, books = site.settings, site.ledger.books
    return {
        "all": {
            "agents": _all_agents(site),
            "windows": team_windows(all_team_vectors(site)),
            "queues": _all_queues(site, queues),
        },
        "late": site.late,
        "inconsistent": site.inconsistent,
        "dead_lettered": site.dead_lettered,
        "name": settings.name or site.site,
        "time_zone": settings.time_zone,
        "sources": dict(sorted(site.sources.newest().items())),
        "day_start": books.day,
        "open": is_open(settings, site.at),
        "formula": settings.defaults.formula,
        "exclude_short": settings.defaults.exclude_short,
        "threshold_ms": settings.defaults.threshold_ms,
        "min_volume": settings.defaults.min_volume or 0,
        "targets": settings.defaults.targets.given(),
    }


def _all_agents(site: Site) -> dict[str, int]:
    agents: dict[str, int] = {}
    for cell in site.ledger.books.teams.values():
        for state, n in _present(cell).items():
            agents[state] = agents.get(state, 0) + n
    return agents


def _all_queues(site: Site, vectors: Vectors) -> Json:
    defaults = site.settings.defaults
    windows = queue_windows(vectors, defaults.formula, defaults.exclude_short)
    return {"now": _now(site, list(site.ledger.books.cells.values())), "windows": windows}


# --- changes ------------------------------------------------------------------------------------


class Publisher:
    """Remembers what the board was last told, and finds the parts that changed since."""

    def __init__(self) -> None:
        self.everything: bool = True
        self._at: int = 0
        self._agents: dict[str, Json] = {}
        self._trend = RunningTrend()
        self._windows = RunningWindows()

    def parts(self, site: Site, full: bool) -> list[Part]:
        """Parts (kind, part, data) that changed since the last call, or all of them.

        They share what has not changed with those of other calls and are only to be read.
        """
        books = site.ledger.books
        if site.at == self._at and not (full or self.everything or books.touched):
            return []
        everything = full or self.everything or self._windows.moved(books)
        found = self._queue_parts(site, everything)
        found += self._agent_parts(site, full or self.everything)
        found += self._team_parts(site, everything)
        found.append(("totals", ONLY_PART, _totals(site, self._windows.total)))
        if everything:
            found.append(("trend", ONLY_PART, self._trend.look(site)))
        self._at, self.everything = site.at, False
        return found

    def _queue_parts(self, site: Site, everything: bool) -> list[Part]:
        books = site.ledger.books
        wanted = {part_of(cell.queue) for cell in books.touched}
        # A wait grows with the clock though nothing happens.
        wanted |= {part_of(cell.queue) for cell in books.cells.values() if cell.waiting}
        # Whatever a cell counts touches it, and nobody but this forgets that.
        self._windows.renew(site, books.touched)
        for cell in books.touched:
            cell.touched = False
        books.touched.clear()
        by_part: dict[str, list[QueueCell]] = {}
        for cell in books.cells.values():
            part = part_of(cell.queue)
            if everything or part in wanted:
                by_part.setdefault(part, []).append(cell)
        kept = self._windows
        return [("queues", part, _queues(site, cells, kept)) for part, cells in by_part.items()]

    def _team_parts(self, site: Site, everything: bool) -> list[Part]:
        by_part: dict[str, list[TeamCell]] = {}
        wanted: set[str] = set()
        if everything:
            # Earlier releases sent all teams in this one, which must not stay.
            by_part[ONLY_PART] = []
            wanted.add(ONLY_PART)
        for cell in site.ledger.books.teams.values():
            part = part_of(cell.team)
            by_part.setdefault(part, []).append(cell)
            # The time of who is there grows with the clock though nothing happens.
            if everything or cell.touched or cell.is_counting():
                wanted.add(part)
            cell.touched = False
        return [("teams", part, _teams(site, by_part[part])) for part in sorted(wanted)]

    def _agent_parts(self, site: Site, everything: bool) -> list[Part]:
        ledger = site.ledger
        changed = list(ledger.agents) if everything else list(ledger.live_agents)
        ledger.live_agents.clear()
        if everything:
            self._agents = {}
        wanted: dict[str, None] = {}
        for name in changed:
            part = part_of(name)
            wanted[part] = None
            self._take_agent(self._agents.setdefault(part, {}), ledger.agents[name])
        return [("agents", part, self._agents[part].copy()) for part in wanted]

    def _take_agent(self, entries: Json, agent: Agent) -> None:
        if agent.state() >= 0:
            entries[agent.id] = _agent(agent)
        else:
            entries.pop(agent.id, None)
