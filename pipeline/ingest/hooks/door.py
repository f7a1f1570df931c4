"""`/v1/sources/{platform}?site=S`: payloads as a platform writes them, from itself or a collector.

The body is JSON (one object, an array, or lines), a form, or lines of a log. Statuses: 200 all is
safe, 400 a body that is not what it says, 401 not proved to come from the platform, 404 no such
platform or site, 413, 415, 503 with Retry-After: not kept, send it again. A call with the door's
token is believed, as for `/v1/events`; else the platform's own signature or secret decides.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any

import orjson
from aiohttp import web

from pipeline.ingest.body import Taken
from pipeline.ingest.hooks.bodies import FIREHOSE, BadBody, take_payloads
from pipeline.ingest.hooks.secrets import HookSecrets
from pipeline.ingest.hooks.signatures import FORM, Call, Forged, check
from pipeline.ingest.intake import Intake
from pipeline.ingest.metrics import DoorMetrics
from pipeline.ingest.reading import Refusal
from pipeline.sources import SOURCES
from schemas.clock import Clock
from schemas.config import Config
from service.callers import asks_for_itself
from service.logs import about

log = logging.getLogger(__name__)

Read = Callable[[web.Request], Awaitable[bytes]]

CONTENT_TYPES = frozenset(
    {
        "application/json",
        "application/x-ndjson",
        "application/ndjson",
        "application/jsonl",
        "application/x-jsonlines",
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
        "text/plain",
        FORM,
    }
)


class Hooks:
    """Takes the payloads of platforms into the intake.

    `unknown` says why a site's payloads would lead nowhere, empty if they do not.
    """

    def __init__(
        self,
        config: Config,
        intake: Intake,
        metrics: DoorMetrics,
        clock: Clock,
        unknown: Callable[[str], str],
    ) -> None:
        self._config = config
        self._intake = intake
        self._metrics = metrics
        self._clock = clock
        self._unknown = unknown
        self._secrets = HookSecrets(config.hooks_dir)

    async def take(
        self, request: web.Request, site: str | None, read: Read, *, believed: bool
    ) -> dict[str, Any]:
        """Take a post's payloads and say what was taken.

        `read` reads the body; `believed` says that the request shows the door's token.
        Raises `Refusal`, and `NotKept` if they cannot be made safe now.
        """
        source, site = self._address(request, site)
        if request.content_type not in CONTENT_TYPES:
            kinds = "application/json, application/x-ndjson, text/plain or a form"
            raise Refusal(415, f"content type {request.content_type} is not taken, send {kinds}")
        secrets = self._secrets.of(site, source)
        if not believed and not secrets and not self._open(request, site):
            self._forged(source, "neither the door's token nor a secret is configured", site)
        body = await read(request)
        if not believed and secrets:
            self._prove(request, source, body, secrets)
        taken = self._apart(request, body, site, source)
        await self._intake.keep(taken.records)
        self._metrics.taken.inc(taken.taken)
        self._metrics.refused.inc(taken.refused_count)
        return taken.answer()

    def _address(self, request: web.Request, site: str | None) -> tuple[str, str]:
        source = request.match_info["source"]
        if source not in SOURCES:
            raise Refusal(404, f"{source[:80]!r} is none of {', '.join(SOURCES)}")
        if site is None:
            raise Refusal(400, "say whose payloads these are: ?site=…")
        why = self._unknown(site)
        if why:
            raise Refusal(404, why)
        return source, site

    def _open(self, request: web.Request, site: str) -> bool:
        """Whether nobody has to prove anything: no token for the site, called from this machine.

        What a proxy on the machine hands on is not from there, nor what a page in a browser sends.
        """
        asked = self._config.door_token or self._secrets.has_tokens(site)
        here = asks_for_itself(request.remote, request.headers)
        return here and not asked and not self._config.door_public_url

    def _prove(self, request: web.Request, source: str, body: bytes, secrets: list[bytes]) -> None:
        base = self._config.door_public_url.rstrip("/") or f"{request.scheme}://{request.host}"
        # As it came: a signature is over the address as the platform wrote it.
        url = base + request.raw_path
        now = time.time_ns() // 1_000_000
        call = Call(url, request.headers, body, request.content_type, now)
        try:
            check(source, call, secrets)
        except Forged as error:
            self._forged(source, str(error), request.query.get("site"))

    def _forged(self, source: str, reason: str, site: str | None) -> None:
        self._metrics.forged.labels(source).inc()
        log.warning("a call for %s is refused: %s", source, reason, extra=about(site=site))
        raise Refusal(401, reason)

    def _apart(self, request: web.Request, body: bytes, site: str, source: str) -> Taken:
        firehose = FIREHOSE in request.headers
        try:
            return take_payloads(
                body, request.content_type, site, source, self._clock.now_ms(), firehose=firehose
            )
        except BadBody as error:
            raise Refusal(400, str(error)) from None


def answer_of(request: web.Request, status: int, said: dict[str, Any], now: int) -> web.Response:
    """The answer in the form the caller reads: Firehose wants its own. `now` is epoch ms."""
    delivery = request.headers.get(FIREHOSE)
    if delivery is not None:
        told: dict[str, Any] = {"requestId": delivery, "timestamp": now}
        if status != HTTPStatus.OK:
            told["errorMessage"] = str(said.get("error", ""))
        said = told
    try:
        body = orjson.dumps(said)
    except TypeError:  # bytes of no text in what the caller sent, repeated to it
        body = json.dumps(said).encode()
    return web.Response(status=status, body=body, content_type="application/json")
