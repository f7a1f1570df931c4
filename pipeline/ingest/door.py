"""The door: events come in over HTTP, and `taken` is answered only when they are safe.

`POST /v1/events?site=S` takes canonical events as NDJSON or as a JSON array. Statuses: 200 all is
safe (with what was taken and refused, line by line), 400 a wrong `site` or a body that cannot be
read, 401 a wrong token, 408 a body that does not end, 413 too large, 415 another content type, 429
with Retry-After: too many wrong tokens from this address, 503 with Retry-After: not kept, send it
again later. Lines of a site without settings are kept but told as refused.
The token is `CALLBOARD_DOOR_TOKEN`, or one that the secrets folder holds for site S alone, in a
file `S.events`.
Sending events twice changes no figure.

`POST /v1/sources/{platform}?site=S` takes what a platform writes: see `hooks.door`.

`POST /v1/alerts` takes the webhook of Alertmanager or Grafana for the history of alerts, with the
same statuses; 400 is a body that is no webhook.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import math
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

from aiohttp import web
from aiokafka.errors import KafkaError

from pipeline.ingest.alerts import MAX_ALERT_BYTES, BadAlerts, TooManyAlerts, take_alerts
from pipeline.ingest.body import TooManyPayloads, take_body
from pipeline.ingest.hooks.door import Hooks, answer_of
from pipeline.ingest.hooks.secrets import TOKENS, HookSecrets
from pipeline.ingest.intake import Intake, NotKept
from pipeline.ingest.journal import JournalError
from pipeline.ingest.metrics import DoorMetrics
from pipeline.ingest.reading import MAX_BODY_BYTES, MAX_UNPROVED_BYTES, Reading, Refusal
from pipeline.ingest.service import add_operator_routes
from pipeline.ingest.settings_folder import SettingsFolder
from pipeline.sources import SOURCES
from pipeline.topics import ensure_topics_patiently
from schemas.access import USERS
from schemas.clock import Clock
from schemas.config import Config
from schemas.events import MAX_ID
from service.callers import FailureLimit
from service.operator_page import OperatorPage
from service.serving import Connections, proxies_of, serve

log = logging.getLogger(__name__)

RETRY_AFTER_S = 2
CONTENT_TYPES = frozenset(
    {
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "application/json",
    }
)
SOURCE_HEADER = "X-Callboard-Source"
MAX_SOURCE = 200
FAILURES = 20
FAILURES_S = 60.0
"""So many wrong tokens of an address, and as many more each minute, are told apart from what is
told to wait. Who shows a right one is taken all the same."""
_RETRY_S = 1.0


class Door:
    """The role as a process: the page, and the intake behind it."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.metrics = DoorMetrics()
        self.intake = Intake(config, self.metrics)
        self.operator = OperatorPage(
            "door", config, lambda: [self.intake.unready()], [self.intake.stuck], private=False
        )
        self._clock = Clock.from_file(config.clock_file)
        self._token = config.door_token.encode()
        self._settings = SettingsFolder(config.settings_dir)
        self._tokens = HookSecrets(config.hooks_dir)
        self._proxies = proxies_of(config)
        self._failures = FailureLimit(FAILURES, FAILURES_S)
        self._reading = Reading()
        self._unproved = Reading(MAX_UNPROVED_BYTES)
        self._hooks = Hooks(config, self.intake, self.metrics, self._clock, self._unknown)

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until `stop` is set. Raises `TopicsError` if the topics cannot be used."""
        self.operator.levels.listen()
        limits = Connections(proxies=self._proxies)
        host, port = self.config.door_host, self.config.door_port
        runner = await serve(self.application(), host, port, limits)
        opening = asyncio.create_task(self._open())
        watching = asyncio.create_task(self._watch_settings())
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({opening, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if opening.done():
                opening.result()
            await stopping
        finally:
            opening.cancel()
            stopping.cancel()
            watching.cancel()
            self.intake.open = False
            await runner.cleanup()
            await self.intake.stop()

    def application(self) -> web.Application:
        """The HTTP application."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_post("/v1/events", self.post)
        app.router.add_post("/v1/alerts", self.post_alerts)
        app.router.add_post("/v1/sources/{source}", self.post_payloads)
        app.router.add_get("/v1/sources/{source}", self.look)
        add_operator_routes(app, self.metrics.registry, self.operator)
        return app

    async def post(self, request: web.Request) -> web.Response:
        """Take events."""
        return await self._answered(request, self._take)

    async def post_alerts(self, request: web.Request) -> web.Response:
        """Take a webhook of alerts."""
        return await self._answered(request, self._take_alerts)

    async def post_payloads(self, request: web.Request) -> web.Response:
        """Take what a platform writes."""
        return await self._answered(request, self._take_payloads)

    async def look(self, request: web.Request) -> web.Response:
        """Some platforms look at an address before they use it."""
        known = request.match_info["source"] in SOURCES
        return web.Response(status=200 if known else 404)

    async def _answered(
        self, request: web.Request, take: Callable[[web.Request], Awaitable[dict[str, Any]]]
    ) -> web.Response:
        now = self._clock.now_ms()
        try:
            response = answer_of(request, 200, await take(request), now)
        except Refusal as refusal:
            response = self._refused(request, refusal, now)
            if refusal.status == HTTPStatus.REQUEST_TIMEOUT:
                _give_up(request, response)
        except TooManyPayloads as error:
            response = answer_of(request, 413, {"error": str(error)}, now)
        except web.HTTPRequestEntityTooLarge:
            limit = f"the body is larger than {MAX_BODY_BYTES} bytes; send it in parts"
            response = answer_of(request, 413, {"error": limit}, now)
        except web.RequestPayloadError:
            said = {"error": "the body cannot be read as its encoding says"}
            response = answer_of(request, 400, said, now)
            _give_up(request, response)
        except NotKept as error:
            said = {"error": f"not kept, send it again: {error}"}
            response = answer_of(request, 503, said, now)
            response.headers["Retry-After"] = str(RETRY_AFTER_S)
        self.metrics.requests.labels(str(response.status)).inc()
        return response

    def _refused(self, request: web.Request, refusal: Refusal, now: int) -> web.Response:
        """The answer; who proves nothing too often is told to wait, and heard all the same."""
        if refusal.status != HTTPStatus.UNAUTHORIZED:
            return answer_of(request, refusal.status, {"error": refusal.reason}, now)
        forwarded = ",".join(request.headers.getall("X-Forwarded-For", []))
        address, ticks = self._proxies.caller(request.remote, forwarded), time.monotonic()
        wait_s = self._failures.wait_s(address, ticks)
        if not wait_s:
            self._failures.failed(address, ticks)
            return answer_of(request, 401, {"error": refusal.reason}, now)
        response = answer_of(request, 429, {"error": f"{refusal.reason}; wait a little"}, now)
        response.headers["Retry-After"] = str(math.ceil(wait_s))
        return response

    async def _take(self, request: web.Request) -> dict[str, Any]:
        site = _site_of(request)
        # Without `site` each event names its own, which may be one that has tokens.
        self._check_token(request, site, asked=self._tokens.has_tokens(site))
        if request.content_type not in CONTENT_TYPES:
            kinds = "application/x-ndjson or application/json"
            raise Refusal(415, f"content type {request.content_type} is not taken, send {kinds}")
        source = request.headers.get(SOURCE_HEADER, "")[:MAX_SOURCE]
        source = source.encode("utf-8", "replace").decode()  # bytes of no text come as half pairs
        if not self.intake.open:
            raise NotKept(self.intake.unready())
        body = await self._reading.body(request)
        taken = take_body(body, site, source, self._clock.now_ms(), self._unknown)
        await self.intake.keep(taken.records)
        self.metrics.taken.inc(taken.taken)
        self.metrics.refused.inc(taken.refused_count)
        return taken.answer()

    async def _take_payloads(self, request: web.Request) -> dict[str, Any]:
        if not self.intake.open:
            raise NotKept(self.intake.unready())
        site = _site_of(request)
        believed = self._shows_token(request, site)
        reading = self._reading if believed else self._unproved
        return await self._hooks.take(request, site, reading.body, believed=believed)

    async def _take_alerts(self, request: web.Request) -> dict[str, Any]:
        self._check_token(request, None, asked=False)
        if request.content_type != "application/json":
            raise Refusal(415, f"content type {request.content_type}, send application/json")
        if not self.intake.open:
            raise NotKept(self.intake.unready())
        body = await self._reading.body(request)
        if len(body) > MAX_ALERT_BYTES:
            raise Refusal(413, f"the body is larger than {MAX_ALERT_BYTES} bytes; set max_alerts")
        try:
            record, count = take_alerts(body, self._clock.now_ms())
        except TooManyAlerts as error:
            raise Refusal(413, str(error)) from None
        except BadAlerts as error:
            raise Refusal(400, str(error)) from None
        await self.intake.keep([record])
        self.metrics.alerts.inc(count)
        return {"taken": count}

    async def _watch_settings(self) -> None:
        """A door that runs apart has no settings folder, and cannot tell a known site."""
        if not self._settings.folder.is_dir():
            log.info("%s is no folder: sites are not looked at", self._settings.folder)
            return
        self._settings.refresh()
        await self._settings.watch(asyncio.Event())

    def _unknown(self, site: str) -> str:
        """What keeps the events of a site out of all figures; ingest dead-letters them."""
        if self._settings.empty or site in self._settings.sites:
            return ""
        bad = ", ".join(sorted(Path(name).name for name in self._settings.errors))
        hint = f"; not usable there: {bad}" if bad else ""
        folder = self._settings.folder.name
        return f"{site!r} has no settings: no file in {folder}/ says `site: {site}`{hint}"

    def _check_token(self, request: web.Request, site: str | None, *, asked: bool) -> None:
        """Demand a token if the door has one, or if the site's own are `asked` for."""
        if self._token or asked:
            if not self._shows_token(request, site):
                raise Refusal(401, "send the token as `Authorization: Bearer …`")
        elif "Origin" in request.headers:
            # A name that somebody else makes lead to this machine is no way in for his page.
            raise Refusal(403, "a door without a token takes nothing from pages in browsers")

    def _accepted(self, site: str | None) -> list[bytes]:
        """The tokens that are good for a post; those of a site only if it names that site."""
        everywhere = [self._token] if self._token else []
        return everywhere + (self._tokens.of_site(site, TOKENS) if site else [])

    def _shows_token(self, request: web.Request, site: str | None) -> bool:
        """Whether one of them is there; the comparisons take the same time for any other."""
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        shown = given.strip().encode("utf-8", "replace")
        matches = [hmac.compare_digest(shown, token) for token in self._accepted(site)]
        return scheme.lower() == "bearer" and any(matches)

    async def _open(self) -> None:
        await ensure_topics_patiently(
            self.config.brokers, self.config.partitions, USERS["door"].topics
        )
        while True:
            try:
                await self.intake.start()
                break
            except (KafkaError, JournalError) as error:
                log.warning("cannot open yet: %r", error)
                await asyncio.sleep(_RETRY_S)
        self.metrics.open.set(1)
        log.info("open at http://%s:%d", self.config.door_host, self.config.door_port)


def _give_up(request: web.Request, response: web.Response) -> None:
    """What is left of the body is not waited for, nor taken for the next request."""
    request.content.feed_eof()
    response.force_close()


def _site_of(request: web.Request) -> str | None:
    site = request.query.get("site")
    if site is not None and not 0 < len(site) <= MAX_ID:
        raise Refusal(400, f"site must have 1 to {MAX_ID} characters")
    return site
