"""The sink's page for operators: theirs as of every role, and /metrics."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from service.operator_page import OperatorPage
from service.operator_routes import operator_routes
from sinks.clickhouse.metrics import SinkMetrics


async def serve(metrics: SinkMetrics, page: OperatorPage, host: str, port: int) -> web.AppRunner:
    """Serve the page; the caller cleans the runner up. Raises `OSError` if the port is taken."""

    async def show(_request: web.Request) -> web.Response:
        metrics.ready.set(page.readyz().status == 200)
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=generate_latest(metrics.registry), headers=headers)

    app = web.Application()
    app.add_routes([*operator_routes(page), web.get("/metrics", show)])
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=2.0)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
