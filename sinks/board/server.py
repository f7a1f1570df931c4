"""The board's HTTP side: the page, the board as JSON, the stream, health.

Everything a viewer can ask for goes through `Access`, which says whether a request may see a site;
a site one may not see looks like a site that does not exist. The page loads nothing from elsewhere
and its policy header holds browsers to that.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import orjson
from aiohttp import web

from schemas.clock import Clock
from schemas.config import Config
from sinks.board.explain_site import ExplainSite
from sinks.board.feed import LiveFeed
from sinks.board.runbooks import Runbooks
from sinks.board.state import VIEWS, as_view
from sinks.board.stream import FLUSH_MS, Hub, Viewer

log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
STALLED_S = 20.0
"""How long one write to a viewer may take before the viewer is let go."""
TURN_LIMIT_MS = 20 * FLUSH_MS

SECURITY_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
        "img-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}

Access = Callable[[web.Request, str], bool]
"""Whether a request may see a site."""


def everyone(_request: web.Request, _site: str) -> bool:
    """The access of a board bound to its own machine: whoever reaches it sees every site."""
    return True


class BoardSite:
    """The handlers of one board; `ready` says whether the live topic has been read to its end."""

    def __init__(self, hub: Hub, ready: Callable[[], bool], access: Access) -> None:
        self._hub = hub
        self._ready = ready
        self._access = access
        self._version = _version()

    def routes(self) -> list[web.AbstractRouteDef]:
        """All routes."""
        return [
            web.get("/", self.page),
            web.get("/api/sites", self.sites),
            web.get("/api/board", self.board),
            web.get("/stream", self.stream),
            web.get("/healthz", self.healthz),
            web.get("/readyz", self.readyz),
            web.static("/static", STATIC),
        ]

    async def page(self, _request: web.Request) -> web.StreamResponse:
        """The page."""
        return web.FileResponse(STATIC / "index.html")

    async def sites(self, request: web.Request) -> web.Response:
        """The sites this request may see."""
        response = _json([s for s in self._hub.sites() if self._access(request, s["site"])])
        response.headers["X-Board-Version"] = self._version
        return response

    async def board(self, request: web.Request) -> web.Response:
        """The whole board of one site; without `site` that of the only one."""
        site = request.query.get("site") or self._only_site(request)
        board = self._hub.board(site) if self._access(request, site) else {}
        if not board:
            return _json({"error": f"no site {site!r}"}, status=404)
        return _json(board)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events of one site, as much of it as the view shows."""
        view = as_view(request.query.get("view", "all"))
        if view is None:
            return _json({"error": f"view is one of {', '.join(VIEWS)}"}, status=400)
        site = request.query.get("site") or self._only_site(request)
        if not site or not self._access(request, site):
            return _json({"error": f"no site {site!r}"}, status=404)
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        viewer = self._hub.join(site, view)
        try:
            await _send(request, response, viewer)
        finally:
            self._hub.leave(site, view, viewer)
        return response

    async def healthz(self, _request: web.Request) -> web.Response:
        """200 while the sending loop turns."""
        turned = self._hub.turned_ms_ago()
        return _json(
            {"turned_ms_ago": round(turned), "viewers": self._hub.viewers()},
            status=200 if turned < TURN_LIMIT_MS else 503,
        )

    async def readyz(self, _request: web.Request) -> web.Response:
        """200 once everything the live topic retains has been read and while its broker answers."""
        ready = self._ready()
        return _json({"ready": ready}, status=200 if ready else 503)

    def _only_site(self, request: web.Request) -> str:
        seen = [s["site"] for s in self._hub.sites() if self._access(request, s["site"])]
        return seen[0] if len(seen) == 1 else ""


async def _send(request: web.Request, response: web.StreamResponse, viewer: Viewer) -> None:
    try:
        await response.write(b"retry: 1000\n\n")
        async for message in viewer:
            async with asyncio.timeout(STALLED_S):
                await response.write(message)
    except TimeoutError:
        log.info("a viewer at %s has stopped reading and was let go", request.remote)
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        pass


async def _harden(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(SECURITY_HEADERS)
    # Pages are small and local; a board that has been updated must not run yesterday's script.
    response.headers.setdefault("Cache-Control", "no-cache")


def _version() -> str:
    """A digest of the page's files: a viewer whose page came from others loads it anew."""
    digest = hashlib.sha256()
    for path in sorted(p for p in STATIC.rglob("*") if p.is_file()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def create_app(
    hub: Hub, ready: Callable[[], bool], access: Access = everyone, config: Config | None = None
) -> web.Application:
    """The web application over a hub that somebody else runs and feeds.

    `config` says where the store is, which is asked for explanations only.
    """
    app = web.Application()
    app.add_routes(BoardSite(hub, ready, access).routes())
    explaining = ExplainSite(hub, ready, access, config or Config())
    app.add_routes([*explaining.routes(), *Runbooks().routes()])
    app.on_cleanup.append(explaining.close)
    app.on_response_prepare.append(_harden)

    async def let_go(_app: web.Application) -> None:
        hub.close()

    app.on_shutdown.append(let_go)
    return app


@contextlib.asynccontextmanager
async def serving(config: Config, access: Access = everyone) -> AsyncIterator[str]:
    """Run the whole board: feed, hub and server; yields its address."""
    hub = Hub(Clock.from_file(config.clock_file), ready=lambda: feed.caught_up)
    feed = LiveFeed(config.brokers, hub.apply)
    runner = web.AppRunner(
        create_app(hub, lambda: feed.caught_up, access, config),
        access_log=None,
        shutdown_timeout=2.0,
    )
    await runner.setup()
    tasks = [asyncio.create_task(hub.run()), asyncio.create_task(feed.run())]
    try:
        site = web.TCPSite(runner, config.board_host, config.board_port)
        await site.start()
        host, port = runner.addresses[0][:2]
        yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await runner.cleanup()


async def run_board(config: Config) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with serving(config) as address:
        log.info("board at %s, reading %s", address, config.bootstrap)
        await stop.wait()


def _json(data: object, status: int = 200) -> web.Response:
    return web.Response(
        body=orjson.dumps(data),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )
