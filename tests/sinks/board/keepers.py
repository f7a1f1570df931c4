"""A board that asks for tokens, over a file of viewers that a test writes."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from schemas.config import Config
from schemas.settings import parse_site
from service.callers import Proxies
from sinks.board.access import ByToken, Guard
from sinks.board.explain import Asked, Explained
from sinks.board.server import create_app
from sinks.board.sessions import Sessions
from sinks.board.viewers import Entry, Viewers, digest_of, new_token, write_viewers
from tests.sinks.board.centre import NOON, Centre, Queue, bank
from tests.sinks.board.test_server import Board

KEY = "k" * 40
START = 1_800_000_000_000


class Keeper:
    """Gives tokens and takes them away; `now` is the guard's clock, epoch ms."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "viewers.yml"
        self.now = START
        self._entries: list[Entry] = []
        # Each look at this clock is a second later, so the file is looked at every time.
        self._ticks = itertools.count()

    def give(self, name: str, sites: Any = "*", **more: Any) -> str:
        """A token for somebody."""
        token = new_token()
        self._entries.append(Entry(name=name, sites=sites, sha256=digest_of(token), **more))
        write_viewers(self.path, self._entries)
        return token

    def take(self, name: str) -> None:
        """Somebody's token away."""
        self._entries = [entry for entry in self._entries if entry.name != name]
        write_viewers(self.path, self._entries)

    def guard(self, proxies: str = "", board_url: str = "", key: str = KEY) -> ByToken:
        """A guard over the file, as a board that has just started has one."""
        viewers = Viewers(self.path, lambda: float(next(self._ticks)))
        return ByToken(
            viewers, Sessions(key), Proxies(proxies), board_url, lambda: self.now, lambda: 0.0
        )


class Telling:
    """In place of the store: it tells of every site, with names that begin with the site's own."""

    def __init__(self, _config: Config) -> None:
        pass

    async def explain(self, asked: Asked, known: Any) -> Explained:
        """One contact."""
        contact = dict.fromkeys(
            ("contact", "queue", "channel", "agent", "outcome", "why", "state", "team"),
            f"{asked.site}-contact",
        )
        numbers = ("queued_at", "outcome_at", "wait_ms", "threshold_ms", "duration_ms")
        contact |= dict.fromkeys((*numbers, "in_numerator", "in_denominator"), 1)  # type: ignore[arg-type]
        settings = parse_site({"site": asked.site}, "a test")
        return Explained(
            asked, NOON, NOON, NOON, settings, 1, 1, 1.0, None, "asa_ms", 1, [contact], []
        )

    async def close(self) -> None:
        """Nothing is open."""


def guarded(guard: Guard, *centres: Centre, config: Config | None = None) -> Board:
    """A board behind a guard."""
    board = Board(guard)
    board.app = create_app(board.hub, lambda: board.ready, guard, config)
    board.feed(*(centres or (bank(),)))
    return board


def named(site: str) -> Centre:
    """A centre all of whose names begin with its own."""
    queues = [Queue(f"{site}-queue-{n}", f"{site} queue {n}", waiting=n) for n in range(3)]
    centre = bank()
    agents = centre.agents[:5]
    for number, agent in enumerate(agents):
        agent.id, agent.team, agent.reason = f"{site}-agent-{number}", f"{site}-team", f"{site}-why"
    return Centre(site, f"{site} name", queues, agents, {f"{site}-team": f"{site} team"})
