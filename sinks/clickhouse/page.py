"""The sink's page for operators: /readyz and /metrics."""

from __future__ import annotations

from collections.abc import Callable

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from sinks.clickhouse.metrics import SinkMetrics


async def serve(
    metrics: SinkMetrics, unready: Callable[[], str], host: str, port: int
) -> web.AppRunner:
    """Serve the page; the caller cleans the runner up.

    `unready` says why the sink is not ready, empty if it is. Raises `OSError` if the port is taken.
    """

    async def readyz(_request: web.Request) -> web.Response:
        reason = unready()
        return web.Response(text=f"{reason or 'ready'}\n", status=503 if reason else 200)

    async def show(_request: web.Request) -> web.Response:
        metrics.ready.set(not unready())
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=generate_latest(metrics.registry), headers=headers)

    app = web.Application()
    app.add_routes([web.get("/readyz", readyz), web.get("/metrics", show)])
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=2.0)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
