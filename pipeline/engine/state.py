"""The state of a site in parts, for checkpoints and snapshots.

Stories are kept as their events and told again on restore; what they have counted lies in the
cells. So a restored site has the same integers by construction, and a part holds only facts.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

import orjson

from pipeline.engine import agent_state
from pipeline.engine.books import Books
from pipeline.engine.cells import LONGEST_MS, Cell, QueueCell, TeamCell
from schemas.settings import parse_site

if TYPE_CHECKING:
    from pipeline.engine.site import Site
    from pipeline.engine.story import Story

VERSION = 4
READABLE: Final = (1, 2, 3, VERSION)
"""In version 1 an agent's reports are whole events, and ended segments name their contact. Up to
version 2 the segments of all contacts remembered are told again from their events, and up to
version 3 an agent's history stands beside what holds now."""
Json = dict[str, Any]


def dirty(site: Site) -> dict[str, bytes | None]:
    """Parts that changed since the last call; None for those that are gone."""
    parts: dict[str, bytes | None] = {}
    wanted = site.ledger.dirty_parts
    books = site.ledger.books
    stories = _stories_by_part(site, wanted)
    for name in wanted:
        if name.startswith("story:"):
            parts[name] = _stories(stories[name]) if name in stories else None
    parts.update(_agents(site, wanted))
    parts.update(_changed_history(site))
    for start in books.edited:
        parts[f"pane:{start}"] = _pane(books, start)
    for name in site.dropped_parts:
        parts[name] = None
    parts.update(_core(site))
    site.ledger.dirty_parts, site.dropped_parts, books.edited = {}, {}, {}
    return parts


def everything(site: Site) -> dict[str, bytes]:
    """All parts; what counts as changed since the last checkpoint stays as it is."""
    parts = _core(site)
    for name, stories in _stories_by_part(site, None).items():
        parts[name] = _stories(stories)
    parts.update(_agents(site, None))
    for key, part in agent_state.history(site.ledger, None).items():
        parts[agent_state.part_name(key)] = _pack(part)
    books = site.ledger.books
    for start in sorted(books.holders):
        parts[f"pane:{start}"] = _pane(books, start)
    return parts


def restore(parts: Mapping[str, bytes], rows: bool) -> Site:
    """The site that was saved; raises `ValueError` if parts are missing or of another version."""
    from pipeline.engine.site import Site

    if "meta" not in parts:
        raise ValueError("no part 'meta' in the saved state")
    meta = _unpack(parts["meta"])
    if meta["version"] not in READABLE:
        raise ValueError(f"saved state of version {meta['version']}, this reads {READABLE}")
    history = [(since, parse_site(found, "saved state")) for since, found in meta["settings"]]
    site = Site(history[0][1], rows=rows)
    site.ledger.use(history)
    _restore_meta(site, meta)
    _restore_cells(site, parts)
    site.ledger.books.silent = True
    _restore_agents(site, parts)
    unsaved = site.ledger.dirty_parts.copy()
    _restore_stories(site, parts)
    for agent in site.ledger.agents.values():
        agent.rebuild(site.ledger.books)
    _restore_notes(site, meta)
    site.ledger.dirty_parts = unsaved
    return site


# --- the core: meta, cells ----------------------------------------------------------------------


def _core(site: Site) -> dict[str, bytes]:
    books = site.ledger.books
    queues = [[c.queue, c.channel, _cell(c), c.open, c.future] for c in books.cells.values()]
    teams = [[t.team, _cell(t), t.open, t.count] for t in books.teams.values()]
    parts = {"meta": _pack(_meta(site)), "teams": _pack(teams)}
    for i in range(0, max(1, len(queues)), 500):
        parts[f"queues:{i // 500}"] = _pack(queues[i : i + 500])
    return parts


def _meta(site: Site) -> Json:
    books = site.ledger.books
    return {
        "version": VERSION,
        "settings": [[since, found.dump()] for since, found in site.ledger.history],
        "at": site.at,
        "epoch": site.epoch,
        "offset": site.offset,
        "journal": site.journal,
        "late": site.late,
        "inconsistent": site.inconsistent,
        "dead_lettered": site.dead_lettered,
        "sources": site.sources.newest(),
        "raw_seen": [[p, seen] for p, seen in site.raw_seen.items()],
        "settled_once": site.settled_once,
        "next_sweep": site.next_sweep,
        "edge": books.edge,
        "floor": [books.floor, books.team_floor],
        "early": list(books.early),
        "day": books.day,
        "days": list(books.days),
        "stuck_due": site.ledger.stuck_due,
    }


def _restore_meta(site: Site, meta: Json) -> None:
    site.at = site.ledger.at = meta["at"]
    site.epoch, site.offset, site.journal = meta["epoch"], meta["offset"], meta["journal"]
    site.late, site.inconsistent = meta["late"], meta["inconsistent"]
    site.dead_lettered = meta["dead_lettered"]
    site.sources.restore(meta["sources"])
    site.raw_seen = dict(meta["raw_seen"])
    site.settled_once = meta["settled_once"]
    site.next_sweep = meta["next_sweep"]
    books = site.ledger.books
    books.edge, books.day = meta["edge"], meta["day"]
    # States of the first release do not say; panes of the last hour were never forgotten.
    held = books.edge - LONGEST_MS - books.pane
    books.floor, books.team_floor = meta.get("floor", (held, held))
    books.early = dict.fromkeys(meta.get("early", ()))
    books.days = dict.fromkeys(meta["days"])


def _restore_notes(site: Site, meta: Json) -> None:
    """Whatever telling the stories again has noted was noted before they were saved."""
    ledger = site.ledger
    ledger.books.silent = False
    ledger.dirty_agents = {}
    ledger.forget_changes()
    ledger.stuck_due = meta["stuck_due"]
    site.new_settings = False


def _cell(cell: Cell) -> list[Any]:
    return [cell.total, [[day, before] for day, before in cell.before.items()]]


def _restore_cell(cell: Cell, saved: list[Any]) -> None:
    cell.total = saved[0]
    cell.before = dict(saved[1])


def _restore_cells(site: Site, parts: Mapping[str, bytes]) -> None:
    books = site.ledger.books
    for name in parts:
        if name.startswith("queues:"):
            _restore_queues(books, _unpack(parts[name]))
    for name, saved, open_pane, count in _unpack(parts["teams"]):
        team = books.team(name)
        _restore_cell(team, saved)
        team.open, team.count = open_pane, count
    for name in parts:
        if name.startswith("pane:"):
            _restore_pane(books, int(name[5:]), _unpack(parts[name]))
    for cell in books.all_cells():
        cell.panes = dict(sorted(cell.panes.items()))


def _restore_queues(books: Books, saved: list[Any]) -> None:
    for queue, channel, cell_saved, open_pane, future in saved:
        cell = books.cell(queue, channel)
        _restore_cell(cell, cell_saved)
        cell.open, cell.future = open_pane, future
        if open_pane is not None:
            books.active.append(cell)
        if future is not None:
            books.later.append(cell)


# --- panes --------------------------------------------------------------------------------------


def _pane(books: Books, start: int) -> bytes:
    queues: list[Any] = []
    teams: list[Any] = []
    for cell in books.holders.get(start, ()):
        if isinstance(cell, QueueCell):
            queues.append([cell.queue, cell.channel, cell.panes[start]])
        elif isinstance(cell, TeamCell):
            teams.append([cell.team, cell.panes[start]])
    return _pack([queues, teams])


def _restore_pane(books: Books, start: int, saved: list[Any]) -> None:
    for queue, channel, vector in saved[0]:
        books.lay_out(books.cell(queue, channel), start, vector)
    for team, vector in saved[1]:
        books.lay_out(books.team(team), start, vector)


# --- stories ------------------------------------------------------------------------------------


def _stories_by_part(site: Site, wanted: Mapping[str, None] | None) -> dict[str, list[Story]]:
    found: dict[str, list[Story]] = {}
    for story in site.stories.values():
        if wanted is None or story.part in wanted:
            found.setdefault(story.part, []).append(story)
    return found


def _stories(stories: list[Story]) -> bytes:
    return _pack([_story(story) for story in stories])


def _story(story: Story) -> list[Any]:
    saved: list[Any] = [story.contact, orjson.Fragment(story.saved()), story.born]
    away = [story.frontier, story.inconsistent] if story.away else None
    if away or story.returns:
        saved += [story.returns, away]
    return saved


def _restore_stories(site: Site, parts: Mapping[str, bytes]) -> None:
    from pipeline.engine.story import Story

    for name in parts:
        if not name.startswith("story:"):
            continue
        for contact, events, *rest in _unpack(parts[name]):
            story = site.stories[contact] = Story(contact, name, events[0]["ts"])
            # States of the first release do not say, and the store knows their rows by 0.
            story.born = rest[0] if rest else 0
            story.returns, away = rest[1:] or (0, None)
            if away:
                story.restore_away(events, *away)
                continue
            story.events = events
            story.retell(site.ledger)
            if story.is_over():
                site.over[story] = None
    for cell in site.ledger.books.cells.values():
        for visit in cell.waiting:
            visit.missed = visit.queued_at + visit.limits.threshold_ms < site.at
            if not visit.missed:
                site.ledger.await_threshold(visit)


# --- agents -------------------------------------------------------------------------------------


def _agents(site: Site, wanted: Mapping[str, None] | None) -> dict[str, bytes]:
    found = agent_state.agents(site.ledger, wanted)
    return {name: _pack(agents) for name, agents in found.items()}


def _changed_history(site: Site) -> dict[str, bytes | None]:
    ledger = site.ledger
    changed, ledger.changed_history = ledger.changed_history, {}
    found = agent_state.history(ledger, changed)
    parts: dict[str, bytes | None] = {}
    for key in changed:
        part = found.get(key)
        parts[agent_state.part_name(key)] = None if part is None else _pack(part)
        if part is None:
            ledger.saved_history.pop(key, None)
        else:
            ledger.saved_history[key] = None
    return parts


def _restore_agents(site: Site, parts: Mapping[str, bytes]) -> None:
    keys: list[int] = []
    for name in parts:
        if name.startswith("agent:"):
            agent_state.restore_agents(site.ledger, _unpack(parts[name]))
        key = agent_state.part_key(name)
        if key is not None:
            keys.append(key)
    for key in sorted(keys):
        part = _unpack(parts[agent_state.part_name(key)])
        agent_state.restore_history(site.ledger, key, part)
        site.ledger.saved_history[key] = None


# --- bytes --------------------------------------------------------------------------------------


def _pack(value: object) -> bytes:
    return zlib.compress(orjson.dumps(value), 1)


def _unpack(data: bytes) -> Any:
    return orjson.loads(zlib.decompress(data))
