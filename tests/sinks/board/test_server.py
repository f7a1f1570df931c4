"""The board over real HTTP: page, JSON, stream, access, slow viewers, health."""

from __future__ import annotations

import asyncio
import copy
import dataclasses
import re
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import web

from schemas.clock import Clock
from schemas.config import Config
from sinks.board import server
from sinks.board.access import Guard
from sinks.board.server import STATIC, create_app
from sinks.board.stream import BACKLOG, Hub
from tests.sinks.board.centre import NOON, Centre, bank, large
from tests.sinks.board.guards import Only

CONTRACT_KEYS = {
    "site", "at", "queues", "teams", "all", "late", "inconsistent", "dead_lettered"
}  # fmt: skip


class Board:
    """A served hub that a test feeds by hand."""

    def __init__(self, guard: Guard | None = None) -> None:
        self.hub = Hub(Clock(pace=1.0))
        self.ready = True
        self.app = create_app(self.hub, lambda: self.ready, guard)
        self.url = ""
        self.offset = 0

    def feed(self, *centres: Centre, at: int = NOON) -> None:
        self.offset += 1
        for centre in centres:
            for record in centre.records(at, 1, self.offset):
                self.hub.apply(copy.deepcopy(record))


@asynccontextmanager
async def serving(board: Board) -> AsyncIterator[aiohttp.ClientSession]:
    runner = web.AppRunner(board.app, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    board.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    turning = asyncio.create_task(board.hub.run())
    try:
        jar = aiohttp.CookieJar(unsafe=True)  # else it keeps no cookies of an address
        async with aiohttp.ClientSession(board.url, cookie_jar=jar) as session:
            yield session
    finally:
        turning.cancel()
        await runner.cleanup()


async def events(response: aiohttp.ClientResponse) -> AsyncIterator[tuple[str, dict[str, Any]]]:
    """Server-sent events as (event, data)."""
    name = ""
    async for line in response.content:
        if line.startswith(b"event: "):
            name = line[7:].strip().decode()
        elif line.startswith(b"data: "):
            yield name, orjson.loads(line[6:])


async def first(response: aiohttp.ClientResponse, wanted: str) -> dict[str, Any]:
    async with asyncio.timeout(180):
        async for name, data in events(response):
            if name == wanted:
                return data
    raise AssertionError(f"no {wanted}")


async def test_by_default_only_this_machine_reaches_the_board() -> None:
    async with server.serving(Config(bootstrap="127.0.0.1:1", board_port=0)) as address:
        assert address.startswith("http://127.0.0.1:")


async def test_the_page_is_held_to_itself() -> None:
    async with serving(Board()) as session, session.get("/") as response:
        policy = response.headers["Content-Security-Policy"]
        assert response.content_type == "text/html"
        assert response.headers["X-Content-Type-Options"] == "nosniff"
    directives = dict(part.strip().split(" ", 1) for part in policy.split(";"))
    assert directives["default-src"] == "'none'"
    assert "unsafe" not in policy
    assert set(directives.values()) == {"'none'", "'self'"}


def test_no_file_of_the_page_names_another_host() -> None:
    files = [p for p in STATIC.rglob("*") if p.suffix in (".html", ".css", ".js")]
    assert len(files) > 8
    for path in files:
        text = path.read_text().replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"https?:|//[\w.-]+\.\w{2,}/|@import", text), path


async def test_every_file_the_page_names_is_there() -> None:
    async with serving(Board()) as session:
        async with session.get("/") as response:
            page = await response.text()
        names = set(re.findall(r'(?:src|href)="(static/[^"]+)"', page))
        modules = {p.relative_to(STATIC.parent) for p in (STATIC / "js").iterdir()}
        for name in names | {str(m) for m in modules}:
            async with session.get("/" + name) as response:
                assert response.status == 200, name
                assert response.headers["Cache-Control"] == "no-cache"
        for script in (STATIC / "js").glob("*.js"):
            for used in re.findall(r'from "\./([\w.]+)"', script.read_text()):
                assert (STATIC / "js" / used).exists()


async def test_sites_and_their_boards_as_json() -> None:
    board = Board()
    async with serving(board) as session:
        async with session.get("/api/board", params={"site": "bank"}) as response:
            assert response.status == 404
        board.feed(bank())
        async with session.get("/api/board") as response:
            only = await response.json()
        board.feed(large())
        async with session.get("/api/sites") as response:
            sites = await response.json()
            assert re.fullmatch("[0-9a-f]{16}", response.headers["X-Board-Version"])
        async with session.get("/api/board") as response:
            assert response.status == 404, "which of the two?"
        async with session.get("/api/board", params={"site": "metro"}) as response:
            metro = await response.json()
    assert only.keys() >= CONTRACT_KEYS | {"agents", "trend", "now", "age_ms"}
    assert [(s["site"], s["name"]) for s in sites] == [
        ("bank", "Anonymous Bank"),
        ("metro", "Metropolitan Services"),
    ]
    assert len(metro["queues"]) == 40
    assert len(metro["agents"]) == 200


async def test_the_stream_begins_with_the_whole_and_goes_on_with_changes() -> None:
    board = Board()
    board.feed(bank("busy"))
    async with serving(board) as session, session.get("/stream?site=bank") as response:
        assert response.content_type == "text/event-stream"
        whole = await first(response, "board")
        assert whole.keys() >= CONTRACT_KEYS
        board.feed(bank("breached"), at=NOON + 1000)
        change = await first(response, "change")
        beat = await first(response, "beat")
    assert change["at"] == beat["at"] == NOON + 1000
    assert {path[0] for path, *_ in change["ops"]} >= {"queues", "agents", "all"}
    assert beat["now"] > NOON
    assert beat["age_ms"] > 5000


async def test_a_reconnect_gets_the_whole_again_whatever_it_says_it_has() -> None:
    board = Board()
    board.feed(bank())
    async with serving(board) as session:
        for last in ("", "17", "-1; drop", "9" * 5000):
            headers = {"Last-Event-ID": last}
            async with session.get("/stream?site=bank&view=wall", headers=headers) as response:
                assert (await first(response, "board"))["site"] == "bank"
        async with asyncio.timeout(180):
            while board.hub.viewers():
                await asyncio.sleep(0.05)


async def test_nonsense_is_refused() -> None:
    board = Board()
    board.feed(bank(), large())
    async with serving(board) as session:
        for path, status in {
            "/stream?site=bank&view=attic": 400,
            "/stream": 404,
            "/static/../server.py": 404,
            "/static/js/": 403,
            "/nothing": 404,
        }.items():
            async with session.get(path) as response:
                assert response.status == status, path
                assert "Content-Security-Policy" in response.headers
        async with session.post("/api/board") as response:
            assert response.status == 405


async def test_a_viewer_of_one_site_learns_nothing_of_another() -> None:
    board = Board(Only("bank"))
    board.feed(bank(), large())
    async with serving(board) as session:
        async with session.get("/api/sites") as response:
            assert [s["site"] for s in await response.json()] == ["bank"]
        async with session.get("/api/board") as response:
            assert (await response.json())["site"] == "bank"
        for path in ("/api/board?site={}", "/stream?site={}"):
            answers = []
            for site in ("metro", "nowhere"):
                async with session.get(path.format(site)) as response:
                    answers.append((response.status, (await response.text()).replace(site, "")))
            assert answers[0] == answers[1], "a hidden site looks like none"
            assert answers[0][0] == 404


async def test_a_viewer_that_stops_reading_costs_no_memory_and_holds_up_nobody(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "STALLED_S", 1.0)
    board = Board()
    board.feed(large())
    async with serving(board) as session:
        port = int(board.url.rsplit(":", 1)[1])
        stalled = socket.socket()
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        stalled.connect(("127.0.0.1", port))
        stalled.sendall(b"GET /stream?site=metro HTTP/1.1\r\nHost: board\r\n\r\n")
        async with session.get("/stream?site=metro&view=wall") as response:
            await first(response, "board")
            assert board.hub.viewers() == 2
            for second in range(1, 80):
                # Other figures everywhere: only much data fills the kernel's own buffers.
                other = dataclasses.replace(large(), seed=second)
                board.feed(other, at=NOON + second * 60_000)
                change = await first(response, "change")
                assert change["at"] == NOON + second * 60_000
                if board.hub.viewers() == 1:
                    break
                audience = board.hub._sites["metro"].audiences["all"]
                assert all(len(v._messages) <= BACKLOG for v in audience.viewers)
            assert board.hub.viewers() == 1, "the stalled viewer is let go"
        stalled.close()


VIEWERS = 300


async def test_three_hundred_viewers_at_once_get_the_whole_once_and_then_the_changes() -> None:
    board = Board()
    board.feed(bank())
    last = NOON + 6000
    async with serving(board):
        # One of them never reads; the rest must not notice.
        stalled = socket.create_connection(("127.0.0.1", int(board.url.rsplit(":", 1)[1])))
        stalled.sendall(b"GET /stream?site=bank&view=wall HTTP/1.1\r\nHost: board\r\n\r\n")
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(board.url, connector=connector) as crowd:
            ready = asyncio.Semaphore(0)

            async def watch() -> list[tuple[str, int]]:
                heard = []
                async with crowd.get("/stream?site=bank&view=wall") as response:
                    async for name, data in events(response):
                        heard.append((name, data["at"]))
                        if name == "board":
                            ready.release()
                        if name == "change" and data["at"] == last:
                            break
                return heard

            viewers = [asyncio.create_task(watch()) for _ in range(VIEWERS)]
            async with asyncio.timeout(180):
                for _ in range(VIEWERS):
                    await ready.acquire()
                assert board.hub.viewers() == VIEWERS + 1
                for second in range(1, 7):
                    board.feed(dataclasses.replace(bank(), seed=second), at=NOON + second * 1000)
                    await asyncio.sleep(0.3)
                    [audience] = board.hub._sites["bank"].audiences.values()
                    # What waits for slow readers is the same few messages, whoever waits.
                    waiting = {id(m) for v in audience.viewers for m in v._messages}
                    assert len(waiting) <= BACKLOG
                heard = await asyncio.gather(*viewers)
        stalled.close()
        for messages in heard:
            names = [name for name, _ in messages]
            assert names[0] == "board"
            assert names.count("board") == 1, "the whole only once"
            moments = [at for _, at in messages]
            assert moments == sorted(moments)


async def test_viewers_are_let_go_at_the_end() -> None:
    board = Board()
    board.feed(bank())
    async with serving(board) as session:
        async with session.get("/healthz") as response:
            assert response.status == 200
        async with session.get("/stream?site=bank") as response:
            await first(response, "board")
            await board.app.shutdown()
            async with asyncio.timeout(180):
                async for _ in response.content:
                    pass


async def test_health_means_that_the_loop_turns_and_readiness_that_all_was_read() -> None:
    board = Board()
    board.ready = False
    async with serving(board) as session:
        async with session.get("/readyz") as response:
            assert response.status == 503
        board.ready = True
        async with session.get("/readyz") as response:
            assert response.status == 200
        async with session.get("/healthz") as response:
            assert response.status == 200
        board.feed(bank())
        async with session.get("/readyz") as response:
            assert (response.status, await response.text()) == (200, "ready\n")
        [site] = board.hub._sites.values()
        assert site.heard is not None
        site.heard -= 60
        async with session.get("/readyz") as response:
            assert response.status == 503
            assert "no live record for 6" in await response.text()
        async with session.get("/servez") as response:
            assert response.status == 200, "a board with old figures says so and goes on"
        async with session.get("/log-level") as response:
            assert response.status == 403, "this machine may be a proxy"
        board.hub._turned -= 60
        async with session.get("/healthz") as response:
            assert response.status == 503
            assert "the loop that sends has not turned for 6" in await response.text()
