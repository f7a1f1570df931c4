"""The routes that explain: one figure as a page for people or as JSON for programs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from aiohttp import web

from schemas.config import Config
from sinks.board.explain import FORMATS, Asked, AskError, Explainer, NotYet, UnknownName, read
from sinks.board.explain_page import error_page, render
from sinks.board.login import html_response, json_response
from sinks.board.stream import Hub

log = logging.getLogger(__name__)

RETRY_AFTER_S = 5
AHEAD_MS = 60_000
"""How far a moment may lie after the board's newest figures: they may be a little behind."""


class ExplainSite:
    """`GET /explain`; `ready` says whether the board knows its sites, `access` who sees which."""

    def __init__(
        self,
        hub: Hub,
        ready: Callable[[], bool],
        access: Callable[[web.Request, str], bool],
        config: Config,
    ) -> None:
        self._hub = hub
        self._ready = ready
        self._access = access
        self._explainer = Explainer(config)

    def routes(self) -> list[web.AbstractRouteDef]:
        """All routes."""
        return [web.get("/explain", self.explain)]

    async def close(self, _app: web.Application | None = None) -> None:
        """Close the connection to the store."""
        await self._explainer.close()

    async def explain(self, request: web.Request) -> web.Response:
        """The answer, or an error of the same form."""
        try:
            asked = read(request.query)
            board = self._board(request, asked)
            names = board.get("teams" if asked.kpi == "occupancy" else "queues")
            found = await self._explainer.explain(asked, names)
        except AskError as error:
            return _error(request, 400, "This cannot be asked", str(error))
        except UnknownName as error:
            return _error(request, 404, "Not known here", str(error))
        except NotYet as error:
            log.info("explain: %s", error)
            response = _error(request, 503, "Not yet", f"{error} Load this page again in a moment.")
            response.headers["Retry-After"] = str(RETRY_AFTER_S)
            return response
        if _wants_json(request):
            return json_response(found.as_json())
        return html_response(render(found))

    def _board(self, request: web.Request, asked: Asked) -> dict[str, Any]:
        """What the board knows of the site; a site one may not see does not exist."""
        board = self._hub.board(asked.site) if self._access(request, asked.site) else {}
        if not board and not self._ready():
            raise NotYet("The board does not know its sites yet.")
        if not board:
            raise UnknownName(f"no site {asked.site!r}")
        if asked.at is not None and asked.at > board["at"] + AHEAD_MS:
            raise AskError(f"at {asked.at} lies ahead: the site's time is {board['at']}")
        return board


def _wants_json(request: web.Request) -> bool:
    accepts = request.headers.get("Accept", "")
    wanted = request.query.get("format")
    if wanted in FORMATS:
        return wanted == "json"
    return "application/json" in accepts and "text/html" not in accepts


def _error(request: web.Request, status: int, title: str, text: str) -> web.Response:
    if _wants_json(request):
        return json_response({"error": text}, status)
    return html_response(error_page(title, text), status)
