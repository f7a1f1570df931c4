"""The operator's page of a role over HTTP."""

from __future__ import annotations

from aiohttp import web

from service.operator_page import MAX_BODY_BYTES, Caller, OperatorPage, Reply
from service.serving import NoBody, small_body


def operator_routes(page: OperatorPage) -> list[web.AbstractRouteDef]:
    """Routes for /healthz, /readyz and /log-level."""

    async def healthz(_: web.Request) -> web.Response:
        return response(page.healthz())

    async def readyz(_: web.Request) -> web.Response:
        return response(page.readyz())

    async def show(request: web.Request) -> web.Response:
        return response(page.show_levels(_caller(request)))

    async def change(request: web.Request) -> web.Response:
        # Nothing is read of those who may not: a body that never ends would hold its connection.
        refused = page.refusal(_caller(request))
        if refused is not None:
            return response(refused)
        try:
            body = await small_body(request, MAX_BODY_BYTES)
        except NoBody as error:
            return response(Reply(error.status, f"{error}\n"))
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
