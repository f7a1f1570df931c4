"""The operator's page of a role over HTTP."""

from __future__ import annotations

from aiohttp import web

from service.operator_page import MAX_BODY_BYTES, Caller, OperatorPage, Reply


def operator_routes(page: OperatorPage) -> list[web.AbstractRouteDef]:
    """Routes for /healthz, /readyz and /log-level."""

    async def healthz(_: web.Request) -> web.Response:
        return response(page.healthz())

    async def readyz(_: web.Request) -> web.Response:
        return response(page.readyz())

    async def show(request: web.Request) -> web.Response:
        return response(page.show_levels(_caller(request)))

    async def change(request: web.Request) -> web.Response:
        body = await request.content.read(MAX_BODY_BYTES)
        return response(page.set_level(_caller(request), body))

    def response(reply: Reply) -> web.Response:
        status, text, kind = reply
        return web.Response(status=status, text=text, content_type=kind, headers=page.headers)

    return [
        web.get("/healthz", healthz),
        web.get("/readyz", readyz),
        web.get("/log-level", show),
        web.put("/log-level", change),
    ]


def _caller(request: web.Request) -> Caller:
    return Caller(request.remote, request.headers)
