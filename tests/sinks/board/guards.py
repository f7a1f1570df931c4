"""Guards that tests put before a board."""

from __future__ import annotations

from aiohttp import web

from sinks.board.access import Guard, Identity


class Only(Guard):
    """Everybody sees these sites and no others."""

    kind = "only"

    def __init__(self, *sites: str) -> None:
        super().__init__()
        self._sites = frozenset(sites)

    def identify(self, request: web.Request) -> Identity:
        return Identity("somebody", self._sites)
