"""The engine as the worker runs it, with its rows written to a database as the sink writes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import orjson

from pipeline.engine import Site
from schemas.frames import Frame
from schemas.kpis import COUNTERS, TEAM_TIMES, WINDOWS
from schemas.settings import SiteSettings
from tests.sinks.clickhouse.store import Database

Event = dict[str, Any]


class EngineRows:
    """Frames in, records of `kpi.rows` out; `site` is the engine."""

    def __init__(self, settings: SiteSettings, epoch: int = 1) -> None:
        self.site = Site(settings)
        self.epoch = epoch
        self.offset = -1
        self._raw = -1

    def apply(self, events: Sequence[Event], now: int | None = None) -> bytes:
        """One frame; gives its rows as a record, with none if it changed nothing."""
        self.offset += 1
        if events:
            first, self._raw = self._raw + 1, self._raw + len(events)
            raw = (0, first, self._raw)
            offsets = list(range(first, self._raw + 1))
        else:
            raw, offsets = None, []
        moment = min(e["ts"] for e in events) if now is None else now
        frame = Frame(self.site.site, self.epoch, moment, raw, events=list(events), offsets=offsets)
        changes = self.site.apply(frame, self.offset)
        head = {"v": 1, "site": self.site.site, "epoch": self.epoch, "offset": self.offset}
        head |= {"version": self.epoch << 40 | self.offset, "at": self.site.at}
        return orjson.dumps({**head, "tables": changes.rows})

    def tick(self, now: int) -> bytes:
        return self.apply([], now)


def row_record(site: Site, tables: dict[str, list[dict[str, Any]]], name: str) -> bytes:
    """The rows of the frame a site has just applied as a record, under another name."""
    renamed = {table: [row | {"site": name} for row in rows] for table, rows in tables.items()}
    head = {"v": 1, "site": name, "epoch": site.epoch, "offset": site.offset}
    head |= {"version": site.epoch << 40 | max(site.offset, 0), "at": site.at}
    return orjson.dumps({**head, "tables": renamed})


def write_frames(db: Database, engine: EngineRows, frames: Iterable[Sequence[Event]]) -> None:
    """Apply the frames and write all their rows as one batch."""
    db.write(*[engine.apply(events) for events in frames if events])


def in_frames(events: Sequence[Event], size: int) -> list[Sequence[Event]]:
    return [events[i : i + size] for i in range(0, len(events), size)]


# --- the board, from SQL and from the engine, in one shape ---------------------------------------

_LEVELS = ("service_level", "abandonment", "asa_ms", "aht_ms")
_NOW = ("waiting", "longest_wait_ms", "in_service", "waiting_past_threshold")


def board_by_sql(
    db: Database, site: str, at: int | None = None, windows: Sequence[str] = WINDOWS
) -> dict[Any, Any]:
    """What the views say of the board at a time of the site; rows of zeros left out."""
    moment = "NULL" if at is None else f"fromUnixTimestamp64Milli(toInt64({at}), 'UTC')"
    found: dict[Any, Any] = {}
    for window in windows:
        where = f"(site = '{site}', window = '{window}', at = {moment})"
        for row in db.rows(f"SELECT * FROM kpi_window{where}"):
            found["queue", row["queue"], row["channel"], window] = _kept(row, (*COUNTERS, *_LEVELS))
        for row in db.rows(f"SELECT * FROM kpi_window_all{where}"):
            found["all queues", window] = _kept(row, (*COUNTERS, *_LEVELS))
        for row in db.rows(f"SELECT * FROM kpi_window_team{where}"):
            found["team", row["team"], window] = _kept(row, (*TEAM_TIMES, "occupancy"))
        for row in db.rows(f"SELECT * FROM kpi_window_team_all{where}"):
            found["all teams", window] = _kept(row, (*TEAM_TIMES, "occupancy"))
    here = f"(at = {moment}) WHERE site = '{site}'"
    for row in db.rows(f"SELECT * FROM now_queue{here}"):
        found["now", row["queue"], row["channel"]] = _kept(row, _NOW)
    for row in db.rows(f"SELECT team, state, count() AS n FROM now_agent{here} GROUP BY ALL"):
        found["agents", row["team"], row["state"]] = row["n"]
    return {key: value for key, value in found.items() if value}


def board_of(view: dict[str, Any], windows: Sequence[str] = WINDOWS) -> dict[Any, Any]:
    """The engine's board in the same shape."""
    found: dict[Any, Any] = {}
    for queue, channels in view["queues"].items():
        for channel, entry in channels.items():
            found["now", queue, channel] = _kept(entry["now"], _NOW)
            for window, kpis in entry["windows"].items():
                found["queue", queue, channel, window] = _kept(kpis, (*COUNTERS, *_LEVELS))
    for team, entry in view["teams"].items():
        for state, number in entry["agents"].items():
            found["agents", team, state] = number
        for window, times in entry["windows"].items():
            found["team", team, window] = _kept(times, (*TEAM_TIMES, "occupancy"))
    for window, kpis in view["all"]["queues"]["windows"].items():
        found["all queues", window] = _kept(kpis, (*COUNTERS, *_LEVELS))
    for window, times in view["all"]["windows"].items():
        found["all teams", window] = _kept(times, (*TEAM_TIMES, "occupancy"))
    kept = {key: value for key, value in found.items() if value}
    return {k: v for k, v in kept.items() if k[0] in ("now", "agents") or k[-1] in windows}


def totals_by_sql(db: Database) -> dict[Any, Any]:
    """`total` and the present of every site, in few queries."""
    found: dict[Any, Any] = {}
    span = "from = '1900-01-02 00:00:00', to = '2290-01-01 00:00:00', at = NULL, step_ms = 0"
    limits = "threshold_ms = NULL, short_ms = NULL"
    for row in db.rows(f"SELECT * FROM kpi_cells({span}, {limits})"):
        names = (*COUNTERS, *_LEVELS)
        if row["scope"] == "all":
            found[row["site"], "all queues"] = _kept(row, names)
        elif row["scope"] == "queue":
            found[row["site"], "queue", row["queue"], row["channel"]] = _kept(row, names)
    for row in db.rows(f"SELECT * FROM team_cells({span})"):
        names = (*TEAM_TIMES, "occupancy")
        if row["scope"] == "all":
            found[row["site"], "all teams"] = _kept(row, names)
        else:
            found[row["site"], "team", row["team"]] = _kept(row, names)
    for row in db.rows("SELECT * FROM now_queue(at = NULL)"):
        found[row["site"], "now", row["queue"], row["channel"]] = _kept(row, _NOW)
    agents = "SELECT site, team, state, count() AS n FROM now_agent(at = NULL) GROUP BY ALL"
    for row in db.rows(agents):
        found[row["site"], "agents", row["team"], row["state"]] = row["n"]
    return {key: value for key, value in found.items() if value}


def totals_of(view: dict[str, Any], name: str) -> dict[Any, Any]:
    """The engine's board in the shape of `totals_by_sql`."""
    found: dict[Any, Any] = {}
    for key, value in board_of(view).items():
        if key[0] in ("now", "agents"):
            found[name, *key] = value
        elif key[-1] == "total":
            found[name, *key[:-1]] = value
    return found


def _kept(row: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """The named figures, nothing if all of them are zero or null."""
    kept = {name: row[name] for name in names}
    return kept if any(kept.values()) else {}
