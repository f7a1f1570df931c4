"""What stands behind a figure of the board: its parts and its contacts, asked from the store.

The views `explain_…` count as the board did at a time of the site. All parts are exact; of the
contacts only the first are fetched.

    AskError        a parameter that cannot be used; the message names it and the right words
    UnknownName     a site, queue or team that does not exist
    NotYet          the store cannot answer now: it is away, or has not come as far
"""

from __future__ import annotations

import asyncio
import difflib
import logging
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from schemas.config import Config
from schemas.kpis import WINDOWS, ratio
from schemas.moments import MomentError, parse_moment
from schemas.settings import SiteSettings, parse_site
from sinks.clickhouse.query import ANALYST
from sinks.clickhouse.tables import FIRST_MS, LAST_MS
from sinks.clickhouse.writer import HttpStore, Unavailable

log = logging.getLogger(__name__)

MAX_CONTACTS = 500
MAX_WORST = 20
PATIENCE_S = 5.0
"""How long a moment that the store has not reached is waited for."""
ASK_S = 10.0
"""How long one question to the store may take, there as here."""
ANSWER_S = 25.0
"""How long an answer of several questions may take, those of others before it included."""
AT_ONCE = 2
"""Questions to the store at the same time: the queue there is everybody's."""
MAX_ASKING = 16
"""Answers being made or waiting; the next is told to come back."""
POLL_S = 0.3
DEFAULT_WINDOW = "30m"
MAX_NAME = 200

KPIS: dict[str, str] = {
    "service_level": "Service level",
    "abandonment": "Abandonment",
    "asa": "Average speed of answer",
    "aht": "Average handle time",
    "longest_wait": "Longest wait",
    "waiting": "Waiting",
    "declined": "Rings without an answer",
    "occupancy": "Occupancy",
}
NOW = ("longest_wait", "waiting")
"""KPIs of the moment, which have no window."""
PARAMETERS = ("site", "kpi", "queue", "channel", "team", "window", "at", "format", "theme")
FORMATS = ("json", "html")
CHANNELS = ("voice", "chat", "email", "message", "social", "callback", "task")


class AskError(ValueError):
    """A parameter that cannot be used."""


class UnknownName(LookupError):
    """A site, queue or team that does not exist."""


class NotYet(Exception):
    """The store cannot answer now."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One figure: `at` is the site's time in epoch ms, None for the newest known."""

    site: str
    kpi: str
    queue: str = ""
    channel: str = ""
    team: str = ""
    window: str = DEFAULT_WINDOW
    at: int | None = None


@dataclass(slots=True)
class Explained:
    """The answer; times in ms. `total` is how many contacts there are, shown or not."""

    asked: Asked
    at: int
    start: int
    end: int
    settings: SiteSettings
    numerator: int | None
    denominator: int | None
    value: float | None
    target: Any
    formula: str
    total: int
    contacts: list[dict[str, Any]] = field(default_factory=list)
    worst: list[dict[str, Any]] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The object of the interface."""
        asked = self.asked
        return {
            "site": asked.site,
            "kpi": asked.kpi,
            "queue": asked.queue,
            "channel": asked.channel,
            "team": asked.team,
            "window": "" if asked.kpi in NOW else asked.window,
            "at": self.at,
            "from": self.start,
            "to": self.end,
            "numerator": self.numerator,
            "denominator": self.denominator,
            "value": self.value,
            "target": self.target,
            "formula": self.formula,
            "contacts_total": self.total,
            "contacts_shown": len(self.contacts),
            "contacts": self.contacts,
            "worst": self.worst,
        }


def read(query: Mapping[str, str]) -> Asked:
    """The question of an address. Raises `AskError`."""
    for name in query:
        if name not in PARAMETERS:
            raise AskError(f"{name} is no parameter{_near(name, PARAMETERS)}")
    for name in ("site", "kpi"):
        if not query.get(name):
            raise AskError(f"{name} is missing")
    for name in ("site", "queue", "team"):
        if len(query.get(name, "")) > MAX_NAME:
            raise AskError(f"{name} is longer than {MAX_NAME} characters")
    if query.get("format"):
        _one_of("format", query["format"], FORMATS)
    kpi = _one_of("kpi", query["kpi"], KPIS)
    channel = query.get("channel", "")
    if kpi == "occupancy" and (query.get("queue") or channel):
        raise AskError("occupancy is of a team or of the site: use team instead of queue, channel")
    if kpi != "occupancy" and query.get("team"):
        raise AskError(f"team has no {kpi}: it is for occupancy, use queue and channel")
    return Asked(
        query["site"],
        kpi,
        query.get("queue", ""),
        channel and _one_of("channel", channel, CHANNELS),
        query.get("team", ""),
        _one_of("window", query.get("window") or DEFAULT_WINDOW, WINDOWS),
        _at(query.get("at", "")),
    )


def _one_of(name: str, word: str, words: Collection[str]) -> str:
    if word not in words:
        raise AskError(f"{name} {word[:80]!r} is not one of {', '.join(words)}{_near(word, words)}")
    return word


def _near(word: str, words: Collection[str]) -> str:
    near = difflib.get_close_matches(word, words, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else ""


def _at(text: str) -> int | None:
    if not text:
        return None
    try:
        at = parse_moment(text)
    except MomentError as error:
        raise AskError(f"at: {error}") from None
    if not FIRST_MS <= at <= LAST_MS:
        raise AskError(f"at {at} lies outside the years 1900 to 2299")
    return at


# --- asking the store --------------------------------------------------------------------------

_MS = "toUnixTimestamp64Milli"
_COLUMNS = (
    *("contact", "queue", "channel", "agent", "queued_at", "outcome", "outcome_at", "wait_ms"),
    *("threshold_ms", "in_numerator", "in_denominator", "why"),
)
_WORST = (*_COLUMNS[:9], "why")
_ORDER = {
    "service_level": "in_numerator, wait_ms DESC",
    "abandonment": "in_numerator DESC, wait_ms DESC",
    "aht": "numerator DESC",
    "declined": "outcome_at DESC",
}
_AGENT = ("agent", "team", "state", "duration_ms", "in_numerator", "in_denominator", "why")


class Explainer:
    """Asks the store as the read-only user; every method may raise `NotYet`."""

    def __init__(self, config: Config) -> None:
        reader = config
        if config.analyst_password:
            mine = {"clickhouse_user": ANALYST, "clickhouse_password": config.analyst_password}
            reader = config.model_copy(update=mine)
        self._store = HttpStore(reader)
        # An analyst is read-only anyway, and on some servers may not even say so.
        bounds = {"readonly": 1, "max_execution_time": int(ASK_S)}
        self._settings = {} if config.analyst_password else bounds
        self._database = config.clickhouse_database
        self._turns = asyncio.Semaphore(AT_ONCE)
        self._asking = 0

    async def close(self) -> None:
        """Close the connections."""
        await self._store.close()

    async def explain(self, asked: Asked, known: Collection[str] | None) -> Explained:
        """The parts and contacts of a figure.

        `known` are the queues (of occupancy the teams) that the board has, None if it does not
        know the site. Raises `UnknownName` for others of which the store has nothing either.
        """
        if self._asking >= MAX_ASKING:
            raise NotYet("Too many figures are being explained.")
        self._asking += 1
        try:
            async with asyncio.timeout(ANSWER_S):
                return await self._explain(asked, known)
        except TimeoutError as error:
            raise NotYet("The store takes too long.") from error
        finally:
            self._asking -= 1

    async def _explain(self, asked: Asked, known: Collection[str] | None) -> Explained:
        at = await self._reached(asked)
        row = await self._bounds(asked, at)
        settings = parse_site({"site": asked.site, **orjson.loads(row[2])}, "the store")
        found = _begun(asked, at, row, settings)
        await (self._agents(found) if asked.kpi == "occupancy" else self._contacts(found))
        name = asked.team or asked.queue
        named = settings.teams if asked.kpi == "occupancy" else settings.queues
        if name and not found.total and name not in {*(known or ()), *named}:
            kind = "team" if asked.team else "queue"
            raise UnknownName(f"no {kind} {name!r}{_near(name, {*(known or ()), *named})}")
        return found

    async def _reached(self, asked: Asked) -> int:
        """The moment asked for, once the store has come so far."""
        deadline = time.monotonic() + PATIENCE_S
        while True:
            rows = await self._ask(
                f"SELECT {_MS}(at) FROM {{db}}.progress WHERE site = {_text(asked.site)}"
            )
            newest = int(rows[0][0]) if rows else None
            if newest is not None and newest >= (asked.at or newest):
                return newest if asked.at is None else asked.at
            if time.monotonic() > deadline:
                raise NotYet("The store has not come as far as this moment.")
            await asyncio.sleep(POLL_S)

    async def _bounds(self, asked: Asked, at: int) -> list[Any]:
        bounds = f"site = {_text(asked.site)}, window = {_text(asked.window)}, at = {_moment(at)}"
        rows = await self._ask(
            f"SELECT {_MS}(b.starts_at), {_MS}(b.ends_at), s.settings "
            f"FROM {{db}}.settings_at(at = {_moment(at)}) AS s "
            f"CROSS JOIN {{db}}.window_bounds({bounds}) AS b WHERE s.site = {_text(asked.site)}"
        )
        if not rows:
            raise NotYet("The store has no settings of this site yet.")
        return rows[0]

    async def _contacts(self, found: Explained) -> None:
        asked = found.asked
        view = _view(asked, found.at)
        shown = ", ".join(_shown(name) for name in _COLUMNS)
        rows = await self._ask(
            "SELECT count() OVER (), sum(numerator) OVER (), sum(denominator) OVER (), "
            "max(wait_ms) OVER (), countIf(wait_ms > threshold_ms) OVER (), "
            f"{shown} FROM {{db}}.{view} WHERE in_numerator OR in_denominator "
            f"ORDER BY {_ORDER.get(asked.kpi, 'wait_ms DESC')}, contact LIMIT {MAX_CONTACTS}"
        )
        sums = [int(value or 0) for value in rows[0][:5]] if rows else [0] * 5
        found.contacts = [dict(zip(_COLUMNS, row[5:], strict=True)) for row in rows]
        await self._count(found, *sums)
        scope = _scope(asked, found.at)
        worst = await self._ask(
            f"SELECT {', '.join(_shown(name) for name in _WORST)} FROM "
            f"{{db}}.explain_worst({scope}, window = {_text(asked.window)}) LIMIT {MAX_WORST}"
        )
        found.worst = [dict(zip(_WORST, row, strict=True)) for row in worst]

    async def _count(
        self, found: Explained, total: int, above: int, below: int, longest: int, past: int
    ) -> None:
        kpi, found.total = found.asked.kpi, total
        if kpi == "waiting":
            found.numerator, found.value = total, float(total)
        elif kpi == "longest_wait":
            found.numerator, found.denominator = past, total
            found.value = float(longest) if total else None
        else:
            if kpi == "declined":
                below = above + await self._answered(found)
            found.numerator, found.denominator = above, below
            found.value = ratio(above, below)

    async def _answered(self, found: Explained) -> int:
        """Rings that ended with an answer, beside which those without are seen."""
        scope, window = _scope(found.asked, found.at), _text(found.asked.window)
        view = f"explain_visits({scope}, kpi = 'asa', window = {window})"
        rows = await self._ask(f"SELECT sum(denominator) FROM {{db}}.{view}")
        return int(rows[0][0] or 0)

    async def _agents(self, found: Explained) -> None:
        asked = found.asked
        scope = f"site = {_text(asked.site)}, team = {_text(asked.team)}, at = {_moment(found.at)}"
        view = f"explain_agents({scope}, window = {_text(asked.window)})"
        rows = await self._ask(
            "SELECT count() OVER (), sum(above) OVER (), sum(below) OVER (), agent, team, state, "
            "lasted, in_above, in_below, reason FROM (SELECT agent, team, state, "
            "sum(numerator) AS above, sum(denominator) AS below, sum(duration_ms) AS lasted, "
            "max(in_numerator) AS in_above, max(in_denominator) AS in_below, any(why) AS reason "
            f"FROM {{db}}.{view} WHERE in_denominator GROUP BY agent, team, state) "
            f"ORDER BY in_above DESC, lasted DESC, agent LIMIT {MAX_CONTACTS}"
        )
        total, above, below = [int(value) for value in rows[0][:3]] if rows else [0] * 3
        found.total, found.numerator, found.denominator = total, above, below
        found.value = ratio(above, below)
        found.contacts = [dict(zip(_AGENT, row[3:], strict=True)) for row in rows]

    async def _ask(self, sql: str) -> list[list[Any]]:
        statement = sql.replace("{db}", self._database, 2)
        try:
            async with self._turns, asyncio.timeout(ASK_S):
                rows = await self._store.check(statement, dict(self._settings))
        except (Unavailable, TimeoutError) as error:
            # What the store says names servers and statements, which are not for every viewer.
            log.warning("the store does not explain: %s", error or "it takes too long")
            raise NotYet("The store does not answer.") from error
        return [list(row) for row in rows]


def _begun(asked: Asked, at: int, row: list[Any], settings: SiteSettings) -> Explained:
    start, end = (at, at) if asked.kpi in NOW else (int(row[0]), int(row[1]))
    target, formula = _aim(asked, settings)
    return Explained(asked, at, start, end, settings, None, None, None, target, formula, 0)


def _aim(asked: Asked, settings: SiteSettings) -> tuple[Any, str]:
    """The target and the name of the formula in force."""
    if asked.kpi == "occupancy":
        band = settings.team(asked.team).occupancy if asked.team else None
        return (None if band is None else list(band)), "occupancy"
    own = settings.queue(asked.queue) if asked.queue else None
    targets = settings.defaults.targets if own is None else own.targets
    name = {"asa": "asa_ms", "aht": "aht_ms", "longest_wait": "longest_wait_ms"}.get(asked.kpi)
    target = targets.given().get(name or asked.kpi)
    if asked.kpi == "service_level":
        return target, settings.defaults.formula if own is None else own.formula
    return target, name or asked.kpi


def _view(asked: Asked, at: int) -> str:
    scope, window = _scope(asked, at), f"window = {_text(asked.window)}"
    if asked.kpi in NOW:
        return f"explain_waiting({scope})"
    if asked.kpi == "aht":
        return f"explain_legs({scope}, {window})"
    if asked.kpi == "declined":
        return f"explain_declines({scope}, {window})"
    return f"explain_visits({scope}, {window}, kpi = {_text(asked.kpi)})"


def _scope(asked: Asked, at: int) -> str:
    names = {"site": asked.site, "queue": asked.queue, "channel": asked.channel}
    given = ", ".join(f"{name} = {_text(value)}" for name, value in names.items())
    return f"{given}, at = {_moment(at)}"


def _shown(name: str) -> str:
    return f"{_MS}({name}) AS {name}_ms" if name.endswith("_at") else name


def _text(value: str) -> str:
    """A literal of ClickHouse. Braces would name a parameter."""
    quoted = value.replace("\\", "\\\\").replace("'", "\\'")
    return "'" + quoted.replace("{", "\\x7B").replace("}", "\\x7D") + "'"


def _moment(at: int) -> str:
    return f"fromUnixTimestamp64Milli(toInt64({at}), 'UTC')"
