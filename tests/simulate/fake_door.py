"""A real HTTP server in the door's place: it keeps what it takes, and fails when told to."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
from aiohttp import web

from pipeline.ingest.body import take_body

Verdict = Callable[[int, web.Request, bytes], web.Response | None]
"""Given the number of the post, answers in the door's place; None lets it be taken."""


@dataclass
class FakeDoor:
    """What was posted, and how posts are judged."""

    verdict: Verdict = lambda number, request, body: None
    posts: int = 0
    port: int = 0
    sizes: list[int] = field(default_factory=list)
    taken: list[tuple[str, bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def payloads(self) -> list[bytes]:
        """The payloads taken, of all sites."""
        return [payload for _, payload in self.taken]

    async def post(self, request: web.Request) -> web.Response:
        """Take a body as the door does."""
        body = await request.read()
        number, self.posts = self.posts, self.posts + 1
        answer = self.verdict(number, request, body)
        if answer is not None:
            return answer
        assert request.content_type == "application/x-ndjson"
        site = request.query["site"]
        result = take_body(body, site, "", 0)
        self.sizes.append(len(result.records))
        self.taken += [(site, record.payload) for record in result.records]
        return web.Response(body=orjson.dumps(result.answer()), content_type="application/json")


@asynccontextmanager
async def open_door(door: FakeDoor, port: int = 0) -> AsyncIterator[FakeDoor]:
    """Serve on a free port, or again on the one it had."""
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/events", door.post)
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", port, reuse_address=True)
    await site.start()
    door.port = runner.addresses[0][1]
    try:
        yield door
    finally:
        await runner.cleanup()
