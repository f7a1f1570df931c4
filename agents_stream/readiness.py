"""The worker's own small page: is it alive, is it ready, what are its figures.

Faust's page answers OK in every state, so it is off. Here `/healthz` says that the main loop turned
a moment ago, `/readyz` that the state is recovered and frames flow, `/metrics` what was published
last. All three answer from the first moment of the process on.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from aiohttp import web

METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
LOOP_PATIENCE_S = 10.0


class StatusPage:
    """Serves the three addresses; `port` 0 takes a free one, which `start` returns."""

    def __init__(
        self,
        unready: Callable[[], list[str]],
        loop_age: Callable[[], float],
        metrics: Callable[[], Awaitable[bytes]],
    ) -> None:
        self._unready = unready
        self._loop_age = loop_age
        self._metrics = metrics
        self._runner: web.AppRunner | None = None

    async def start(self, host: str, port: int) -> int:
        """Listen; raises `OSError` if the port is taken."""
        app = web.Application()
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics_page)
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

    async def _healthz(self, _request: web.Request) -> web.Response:
        age = self._loop_age()
        if age > LOOP_PATIENCE_S:
            return web.Response(status=503, text=f"the main loop has not turned for {age:.0f} s\n")
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        reasons = self._unready()
        if reasons:
            return web.Response(status=503, text="".join(f"{reason}\n" for reason in reasons))
        return web.Response(text="ready\n")

    async def _metrics_page(self, _request: web.Request) -> web.Response:
        page = await self._metrics()
        return web.Response(body=page, headers={"Content-Type": METRICS_TYPE})
