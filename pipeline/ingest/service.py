"""What the door and ingest share as processes: signals and their page for operators."""

from __future__ import annotations

import asyncio
import signal

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from service.operator_page import OperatorPage
from service.operator_routes import operator_routes


def until_signalled() -> asyncio.Event:
    """An event that SIGTERM and SIGINT set."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def add_operator_routes(
    app: web.Application, registry: CollectorRegistry, page: OperatorPage
) -> None:
    """Add the operator's page and /metrics."""

    async def metrics(_: web.Request) -> web.Response:
        headers = {"Content-Type": CONTENT_TYPE_LATEST}
        return web.Response(body=generate_latest(registry), headers=headers)

    app.add_routes([*operator_routes(page), web.get("/metrics", metrics)])
