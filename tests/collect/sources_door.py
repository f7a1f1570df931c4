"""A door for payloads of platforms: a real HTTP server that keeps what it takes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

Answer = Callable[[int], str]
"""What becomes of a post by its number: `take`, `refuse`, or `lose` (taken, answer lost)."""


@dataclass
class SourcesDoor:
    """What arrived, in order, by its source and site."""

    answer: Answer = lambda number: "take"
    posts: int = 0
    port: int = 0
    taken: list[bytes] = field(default_factory=list)
    places: set[tuple[str, str]] = field(default_factory=set)

    @property
    def address(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.port}"

    async def post(self, request: web.Request) -> web.Response:
        """Take a body line by line, or fail in the way that is due."""
        body = await request.read()
        how = self.answer(self.posts)
        self.posts += 1
        if how == "refuse":
            return web.Response(status=503, text="not now")
        self.places.add((request.match_info["source"], request.query["site"]))
        self.taken += body.split(b"\n")[:-1]
        if how == "lose":
            assert request.transport is not None
            request.transport.abort()
        return web.json_response({"refused_count": 0})


@asynccontextmanager
async def open_sources_door(door: SourcesDoor) -> AsyncIterator[SourcesDoor]:
    """Serve on a free port."""
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_post("/v1/sources/{source}", door.post)
    runner = web.AppRunner(app, shutdown_timeout=0.5)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    door.port = runner.addresses[0][1]
    try:
        yield door
    finally:
        await runner.cleanup()
