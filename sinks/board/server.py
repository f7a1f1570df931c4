"""The board's HTTP side: the page, the board as JSON, the stream, health.

Every request goes through a `Guard`, which says whose it is and which sites that one may see; a
site one may not see looks like a site that does not exist. The page loads nothing from elsewhere
and its policy header holds browsers to that.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

from aiohttp import web

from schemas.clock import Clock
from schemas.config import Config
from service.health import Check
from service.operator_page import OperatorPage
from service.serving import Connections, proxies_of, serve
from sinks.board.access import Guard, Identity, Open, frame_ancestors, guard_of
from sinks.board.explain_site import ExplainSite
from sinks.board.feed import LiveFeed
from sinks.board.health import health_routes, operator_page
from sinks.board.login import IDENTITY, Login, guarding
from sinks.board.login import json_response as _json
from sinks.board.places import Crowded, Full, Places
from sinks.board.runbooks import Runbooks
from sinks.board.state import VIEWS, View, as_view
from sinks.board.stream import Hub, Viewer

log = logging.getLogger(__name__)

STATIC = Path(__file__).parent / "static"
STALLED_S = 20.0
"""How long one write to a viewer may take before the viewer is let go."""
RETRY_AFTER_S = 10

MAX_BODY_BYTES = 8192
"""Nothing of any size is ever sent to a board."""

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": (
        "camera=(), microphone=(), geolocation=(), payment=(), usb=(), serial=(), "
        "display-capture=(), fullscreen=(self)"
    ),
}
_CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; img-src 'self'; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors {frames}"
)
_HTTPS_ONLY = "max-age=31536000"


OPERATOR = web.AppKey("operator", OperatorPage)


class BoardSite:
    """The handlers of one board."""

    def __init__(self, hub: Hub, guard: Guard, places: Places) -> None:
        self._hub = hub
        self._guard = guard
        self._places = places
        self._version = _version()

    def routes(self) -> list[web.AbstractRouteDef]:
        """All routes."""
        return [
            web.get("/", self.page),
            web.get("/api/sites", self.sites),
            web.get("/api/board", self.board),
            web.get("/stream", self.stream, allow_head=False),
        ]

    def public_routes(self) -> list[web.AbstractRouteDef]:
        """What says nothing of any site, and is open to who is not logged in."""
        return [
            web.static("/static", STATIC),
        ]

    async def page(self, _request: web.Request) -> web.StreamResponse:
        """The page."""
        return web.FileResponse(STATIC / "index.html")

    async def sites(self, request: web.Request) -> web.Response:
        """The sites this request may see."""
        response = _json([s for s in self._hub.sites() if may_see(request, s["site"])])
        response.headers["X-Board-Version"] = self._version
        return response

    async def board(self, request: web.Request) -> web.Response:
        """The whole board of one site; without `site` that of the only one."""
        site = request.query.get("site") or self._only_site(request)
        board = self._hub.board(site) if may_see(request, site) else {}
        if not board:
            return _json({"error": f"no site {site!r}"}, status=404)
        return _json(board)

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Server-sent events of one site, as much of it as the view shows."""
        view = as_view(request.query.get("view", "all"))
        if view is None:
            return _json({"error": f"view is one of {', '.join(VIEWS)}"}, status=400)
        site = request.query.get("site") or self._only_site(request)
        if not site or not may_see(request, site):
            return _json({"error": f"no site {site!r}"}, status=404)
        try:
            with self._places.one_more(self._guard.address(request)):
                return await self._streamed(request, site, view)
        except (Crowded, Full) as refused:
            response = _json({"error": str(refused)}, 429 if isinstance(refused, Crowded) else 503)
            response.headers["Retry-After"] = str(RETRY_AFTER_S)
            return response

    async def _streamed(self, request: web.Request, site: str, view: View) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "X-Accel-Buffering": "no"}
        )
        await response.prepare(request)
        viewer = self._hub.join(site, view)
        try:
            await _send(request, response, self._allowed(request[IDENTITY], site, viewer))
        finally:
            self._hub.leave(site, view, viewer)
        return response

    async def _allowed(self, identity: Identity, site: str, viewer: Viewer) -> AsyncIterator[bytes]:
        """The messages for as long as this one may see the site; one comes each second."""
        began, stream_ms = time.monotonic(), self._guard.stream_ms
        async for message in viewer:
            if not self._guard.still(identity, site):
                return
            yield message
            if stream_ms is not None and (time.monotonic() - began) * 1000 > stream_ms:
                yield b"event: again\ndata: {}\n\n"
                return

    def _only_site(self, request: web.Request) -> str:
        seen = [s["site"] for s in self._hub.sites() if may_see(request, s["site"])]
        return seen[0] if len(seen) == 1 else ""


def may_see(request: web.Request, site: str) -> bool:
    """Whether a request that has been let in may see a site."""
    return request[IDENTITY].sees(site)


async def _send(
    request: web.Request, response: web.StreamResponse, messages: AsyncIterator[bytes]
) -> None:
    try:
        await response.write(b"retry: 1000\n\n")
        async for message in messages:
            async with asyncio.timeout(STALLED_S):
                await response.write(message)
    except TimeoutError:
        log.info("a viewer at %s has stopped reading and was let go", request.remote)
        if request.transport is not None:
            request.transport.abort()
    except ConnectionError:
        pass


def _harden(guard: Guard, frames: str) -> Callable[[web.Request, web.StreamResponse], Any]:
    """What every answer says to the browser; `frames` are the pages that may hold it in a frame."""
    headers = {
        "Content-Security-Policy": _CONTENT_POLICY.format(frames=frames),
        **SECURITY_HEADERS,
    }

    async def harden(request: web.Request, response: web.StreamResponse) -> None:
        response.headers.update(headers)
        # Pages are small and local; one of before an upgrade must not run yesterday's script.
        response.headers.setdefault("Cache-Control", "no-cache")
        if guard.is_secure(request):
            response.headers["Strict-Transport-Security"] = _HTTPS_ONLY

    return harden


def _version() -> str:
    """A digest of the page's files: a viewer whose page came from others loads it anew."""
    digest = hashlib.sha256()
    for path in sorted(p for p in STATIC.rglob("*") if p.is_file()):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def create_app(
    hub: Hub,
    ready: Callable[[], bool],
    guard: Guard | None = None,
    config: Config | None = None,
    checks: Iterable[Check] = (),
) -> web.Application:
    """The web application over a hub that somebody else runs and feeds.

    `ready` says whether the live topic has been read to its end, `checks` what is stuck.
    `config` says where the store is, which is asked for explanations only, how many streams there
    may be and who may frame the board. Raises `ConfigError`.
    """
    guard, config = guard or Open(), config or Config()
    public: set[web.AbstractResource | None] = set()
    app = web.Application(
        client_max_size=MAX_BODY_BYTES,
        middlewares=[guarding(guard, lambda request: resource_of(request) in public)],
    )
    places = Places(config.board_streams, config.board_streams_of_one)
    board = BoardSite(hub, guard, places)
    operator = app[OPERATOR] = operator_page(hub, ready, config, checks)
    login = Login(guard, config.board_logout_url)
    open_to_all = app.add_routes(
        [*board.public_routes(), *login.public_routes(), *health_routes(operator, ready)]
    )
    public.update(route.resource for route in open_to_all)
    explaining = ExplainSite(hub, ready, may_see, config)
    app.add_routes([*board.routes(), *login.routes(), *explaining.routes(), *Runbooks().routes()])
    app.on_cleanup.append(explaining.close)
    app.on_response_prepare.append(_harden(guard, frame_ancestors(config)))

    async def let_go(_app: web.Application) -> None:
        hub.close()

    app.on_shutdown.append(let_go)
    return app


def resource_of(request: web.Request) -> web.AbstractResource | None:
    """What a request is for, None if there is no such thing."""
    return request.match_info.route.resource


def connections_of(config: Config) -> Connections:
    """A page holds its stream, and beside it a connection for all else. Raises `ConfigError`."""
    streams, of_one = config.board_streams, config.board_streams_of_one
    return Connections(2 * streams, 2 * of_one, proxies_of(config))


@contextlib.asynccontextmanager
async def serving(config: Config, *, signals: bool = False) -> AsyncIterator[str]:
    """Run the whole board: feed, hub and server; yields its address. Raises `ConfigError`.

    With `signals` SIGUSR1 changes the level of its log, which only a main thread can hear.
    """
    hub = Hub(Clock.from_file(config.clock_file), ready=lambda: feed.caught_up)
    feed = LiveFeed(config.brokers, hub.apply)
    stuck = [feed.pulse.stuck]
    app = create_app(hub, lambda: feed.caught_up, guard_of(config), config, stuck)
    if signals:
        app[OPERATOR].levels.listen()
    tasks = [asyncio.create_task(hub.run()), asyncio.create_task(feed.run())]
    try:
        runner = await serve(app, config.board_host, config.board_port, connections_of(config))
        try:
            host, port = runner.addresses[0][:2]
            yield f"http://{f'[{host}]' if ':' in host else host}:{port}"
        finally:
            # First, or streams would go on for as long as shutting down may take.
            await runner.cleanup()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def run_board(config: Config) -> None:
    """Serve until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    async with serving(config, signals=True) as address:
        log.info("board at %s, reading %s", address, config.bootstrap)
        await stop.wait()
