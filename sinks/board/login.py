"""The way into the board and out of it.

`POST /login` exchanges a token for a cookie, `POST /logout` takes the cookie away, `/api/session`
says who is logged in. A page that is asked for by somebody unknown answers 401 and is the page to
log in, at its own address, so that what was asked for opens afterwards; data answers 401 as JSON.

A link that logs in has the token behind `#`, which browsers send to nobody: `/login#token=…`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from html import escape

import orjson
from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from service.serving import NoBody, small_body
from sinks.board.access import ALL, ByToken, Guard, Identity, Open, Stranger, cookie_name
from sinks.board.explain_page import page
from sinks.board.login_page import login_page
from sinks.board.viewers import MAX_TOKEN, Entry

MAX_LOGIN_BYTES = 1000

IDENTITY = web.RequestKey("identity", Identity)
"""Of a request that a guard has let through."""


class Login:
    """The routes; `logout_url` is where a proxy's own log-out is."""

    def __init__(self, guard: Guard, logout_url: str) -> None:
        self._guard = guard
        self._logout_url = logout_url

    def public_routes(self) -> list[web.AbstractRouteDef]:
        """What must be open to who is not logged in."""
        return [
            web.get("/login", self.login_page),
            web.post("/login", self.login),
            web.post("/logout", self.logout),
        ]

    def routes(self) -> list[web.AbstractRouteDef]:
        """What is for those who are."""
        return [web.get("/api/session", self.session)]

    async def session(self, request: web.Request) -> web.Response:
        """Who sends this request, what they may see and until when."""
        identity = request[IDENTITY]
        response = json_response(
            {
                "access": self._guard.kind,
                "name": identity.name,
                "sites": ALL if identity.sites is None else sorted(identity.sites),
                "until": identity.until,
                "logout": self._logout_url if self._guard.kind == "proxy" else "",
            }
        )
        self._renew(request, identity, response)
        return response

    async def login_page(self, request: web.Request) -> web.StreamResponse:
        """The page to log in, also of who is logged in; elsewhere there is none."""
        if not isinstance(self._guard, ByToken):
            raise web.HTTPSeeOther("./")
        return html_response(login_page(""))

    async def login(self, request: web.Request) -> web.Response:
        """Exchange the token in `{"token": …}` for a cookie."""
        guard = self._guard
        if not isinstance(guard, ByToken):
            return json_response({"error": "there is no log-in here"}, 404)
        refused = self._refusal(request)
        if refused:
            return refused
        token = await _token_of(request)
        if token is None:
            return json_response({"error": 'send {"token": "…"}'}, 400)
        try:
            entry = guard.admit(request, token)
        except Stranger as stranger:
            return stranger_as_json(stranger)
        response = json_response({"name": entry.name})
        self._remember(request, guard, entry, response)
        return response

    async def logout(self, request: web.Request) -> web.Response:
        """Take the cookie away."""
        refused = self._refusal(request)
        if refused:
            return refused
        response = web.Response(status=204)
        secure = self._guard.is_secure(request)
        response.del_cookie(
            cookie_name(secure=secure), path="/", secure=secure, httponly=True, samesite="Strict"
        )
        return response

    def _refusal(self, request: web.Request) -> web.Response | None:
        """Of a request that a page of somebody else may have made."""
        if not self._guard.is_same_origin(request):
            return json_response({"error": "this request comes from another page"}, 403)
        return None

    def _remember(
        self, request: web.Request, guard: ByToken, entry: Entry, response: web.Response
    ) -> None:
        now = guard.now_ms()
        cookie, end = guard.sessions.issue(entry, now)
        secure = guard.is_secure(request)
        response.set_cookie(
            cookie_name(secure=secure),
            cookie,
            max_age=max(1, (end - now) // 1000),
            path="/",
            secure=secure,
            httponly=True,
            samesite="Strict",
        )

    def _renew(self, request: web.Request, identity: Identity, response: web.Response) -> None:
        """A wall asks now and then, and so is never asked to log in again."""
        guard, end = self._guard, identity.cookie_until
        if not isinstance(guard, ByToken) or end is None:
            return
        entry = guard.viewers.of_digest(identity.digest)
        if entry is not None and guard.sessions.ages(entry, end, guard.now_ms()):
            self._remember(request, guard, entry, response)


def guarding(guard: Guard, is_public: Callable[[web.Request], bool]) -> Middleware:
    """The middleware through which every request goes, also one for what does not exist."""

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_public(request):
            return await handler(request)
        try:
            request[IDENTITY] = guard.identify(request)
        except Stranger as stranger:
            return _turned_away(request, guard, stranger)
        return await handler(request)

    return guarded


def _turned_away(request: web.Request, guard: Guard, stranger: Stranger) -> web.Response:
    wants_page = "text/html" in request.headers.get("Accept", "")
    if stranger.wait_s or not wants_page or request.path.startswith(("/api/", "/stream")):
        return stranger_as_json(stranger)
    # As the browser has it: a %2F is no step of the address there.
    root = "../" * (request.rel_url.raw_path.count("/") - 1)
    if isinstance(guard, ByToken):
        return html_response(login_page(root), 401)
    if isinstance(guard, Open):
        body = f"<h1>Not by this name</h1><p class='lead'>{escape(stranger.reason)}</p>"
        return html_response(page("Not by this name", body, root), 401)
    body = (
        "<h1>Not logged in</h1><p class='lead'>This board is reached through the log-in in front "
        "of it, which has not said who you are, or for which sites.</p>"
    )
    return html_response(page("Not logged in", body, root), 401)


def stranger_as_json(stranger: Stranger) -> web.Response:
    """401, or 429 for an address that has failed too often."""
    response = json_response({"error": stranger.reason}, 429 if stranger.wait_s else 401)
    if stranger.wait_s:
        response.headers["Retry-After"] = str(math.ceil(stranger.wait_s))
    else:
        response.headers["WWW-Authenticate"] = 'Bearer realm="callboard"'
    return response


async def _token_of(request: web.Request) -> str | None:
    """The token of a body; a page of somebody else cannot send this content type unasked."""
    if request.content_type != "application/json":
        return None
    if (request.content_length or MAX_LOGIN_BYTES + 1) > MAX_LOGIN_BYTES:
        return None
    try:
        said = orjson.loads(await small_body(request, MAX_LOGIN_BYTES))
    except (NoBody, orjson.JSONDecodeError):
        return None
    token = said.get("token") if isinstance(said, dict) else None
    return token.strip()[: MAX_TOKEN + 1] if isinstance(token, str) else None


def json_response(data: object, status: int = 200) -> web.Response:
    """An answer that nobody keeps."""
    return web.Response(
        body=orjson.dumps(data),
        status=status,
        content_type="application/json",
        headers={"Cache-Control": "no-store"},
    )


def html_response(text: str, status: int = 200) -> web.Response:
    """A page that nobody keeps."""
    headers = {"Cache-Control": "no-store"}
    return web.Response(text=text, status=status, content_type="text/html", headers=headers)
