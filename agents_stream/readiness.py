"""The worker's own page: is it alive, is it ready, what are its figures.

Faust's page answers OK in every state, so it is off. Here `/healthz` says that the loops turned a
moment ago, `/readyz` that the state is recovered and frames flow, `/metrics` what was published
last. All answer from the first moment of the process on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

from service.operator_page import OperatorPage
from service.operator_routes import operator_routes

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class StatusPage:
    """Serves the operator's page and the metrics."""

    def __init__(self, page: OperatorPage, metrics: Callable[[], Awaitable[bytes]]) -> None:
        self._page = page
        self._metrics = metrics
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; `port` 0 takes a free one, which is returned. Raises `OSError` if it is taken."""
        app = web.Application()
        app.add_routes([*operator_routes(self._page), web.get("/metrics", self._metrics_page)])
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port)
        await site.start()
        bound: int = self._runner.addresses[0][1]
        return bound

    async def stop(self) -> None:
        """Close the page."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics_page(self, _request: web.Request) -> web.Response:
        page = await self._metrics()
        return web.Response(body=page, headers={"Content-Type": METRICS_TYPE})
