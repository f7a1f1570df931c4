"""Every route of the board, asked for every site by everybody: nobody gets what is not theirs."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import pytest
from aiohttp import web

from service.callers import Proxies
from sinks.board import explain_site
from sinks.board.access import ByProxy, Guard, Open
from tests.sinks.board.keepers import Keeper, Telling, guarded, named
from tests.sinks.board.test_server import Board, first, serving

MINE, OTHER = "alpha", "zzother"
NOWHERE = "xxother"
"""As long as the other, so that answers that repeat a name are as long."""
PUBLIC = ("/healthz", "/readyz", "/servez", "/login", "/logout", "/static/")
"""Open to everybody; `/log-level` asks for a token of its own."""
PARTS = {"name": ["ServiceLevelLow", "nothing"], "filename": ["js/app.js", "nothing"]}
ACCEPTS = ("text/html", "application/json")
STREAM_S = 1.2
"""Long enough for what a stream begins with, and a heartbeat."""


def resources(board: Board) -> Iterator[tuple[str, str]]:
    """Each method and pattern of a path that the application answers."""
    for route in board.app.router.routes():
        resource = route.resource
        assert resource is not None
        info = resource.get_info()
        path = info.get("path") or info.get("formatter") or f"{info['prefix']}/{{filename}}"
        yield route.method, path


def paths(pattern: str) -> Iterator[str]:
    names = [part for part in PARTS if f"{{{part}}}" in pattern]
    for values in itertools.product(*(PARTS[name] for name in names)):
        yield pattern.format(**dict(zip(names, values, strict=True)))


def queries(site: str) -> Iterator[str]:
    """How one may try to say a site."""
    yield ""
    quoted = quote(site, safe="")
    for more in ("", "&kpi=service_level", "&kpi=occupancy&format=html", "&view=wall"):
        yield f"?site={quoted}{more}"
    yield f"?site={MINE}&site={quoted}"
    yield f"?site={MINE}&kpi=waiting&queue={quoted}-queue-1"
    yield f"?site={MINE}&kpi=occupancy&team={quoted}-team"
    yield f"?site={quoted.upper()}"
    yield f"?site=*&view=all&q={quoted}"
    yield f"?site={quoted}%00"


async def answered(
    session: aiohttp.ClientSession, method: str, address: str, headers: dict[str, str]
) -> tuple[int, str]:
    """Status and everything that is sent, of a stream what comes in its first moments."""
    body = {"json": {"token": "wrong"}} if method == "POST" else {}
    async with session.request(
        method, address, headers=headers, allow_redirects=False, **body
    ) as response:
        text = b""
        try:
            async with asyncio.timeout(STREAM_S):
                async for chunk in response.content.iter_any():
                    text += chunk
        except TimeoutError:
            assert response.content_type == "text/event-stream", address
        told = "".join(f"{name}: {value}\n" for name, value in response.headers.items())
        return response.status, told + text.decode("utf-8", "replace")


def without_moments(text: str) -> str:
    """An answer without what no two answers share."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("Date: "))


def names_of(text: str, asked: str) -> str:
    """What an answer says beyond repeating what it was asked."""
    return text.replace(asked, "").replace(asked.upper(), "")


class Walk:
    """One who asks for everything."""

    def __init__(self, session: aiohttp.ClientSession, board: Board, headers: dict[str, str]):
        self._session = session
        self._board = board
        self._headers = headers

    async def answers(self, site: str) -> dict[tuple[str, str, str], tuple[int, str]]:
        """By method, address and what is accepted."""
        asked = [
            (method, path + query, accept)
            for method, pattern in resources(self._board)
            for path in paths(pattern)
            for query in queries(site)
            for accept in ACCEPTS
            if method == "GET" or query == f"?site={quote(site)}"
        ]
        turns = asyncio.Semaphore(80)

        async def one(method: str, address: str, accept: str) -> tuple[int, str]:
            async with turns:
                headers = {**self._headers, "Accept": accept}
                return await answered(self._session, method, address, headers)

        found = await asyncio.gather(*(one(*each) for each in asked))
        return dict(zip(asked, found, strict=True))


def token_board(tmp_path: Path) -> tuple[Board, dict[str, str]]:
    keeper = Keeper(tmp_path)
    keeper.give("other", [OTHER])
    token = keeper.give("mine", [MINE])
    return guarded(keeper.guard(), named(MINE), named(OTHER)), {"Authorization": f"Bearer {token}"}


def proxy_board(_path: Path) -> tuple[Board, dict[str, str]]:
    guard = ByProxy(Proxies("127.0.0.1"), "", "X-User", "X-Sites")
    return guarded(guard, named(MINE), named(OTHER)), {"X-User": "anna", "X-Sites": MINE}


@pytest.mark.parametrize("make", [token_board, proxy_board])
async def test_who_may_see_one_site_gets_nothing_of_another_by_any_route(
    make: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explain_site, "Explainer", Telling)
    board, headers = make(tmp_path)
    async with serving(board) as session:
        walk = Walk(session, board, headers)
        seen = await walk.answers(OTHER)
        hidden = await walk.answers(NOWHERE)
        mine = await walk.answers(MINE)
    assert {key[1].split("?")[0] for key in seen} > {"/api/board", "/api/sites", "/stream"}
    for (method, address, accept), (status, text) in seen.items():
        said = names_of(text, quote(OTHER)) if f"={OTHER}" in address else text
        for leak in (f"{OTHER}-", f"{OTHER} name", f"{OTHER} queue", f"{OTHER} team"):
            assert leak not in said, (method, address, accept)
        if status == 200 and not address.startswith("/explain"):
            assert OTHER not in text, (method, address, accept)
        # What may not be seen looks, to the last header, like what does not exist.
        twin = hidden[method, address.replace(OTHER, NOWHERE).replace(OTHER.upper(),
                      NOWHERE.upper()), accept]  # fmt: skip
        assert status == twin[0], (method, address, accept)
        if status not in (200, 503):
            assert without_moments(names_of(text, OTHER)) == without_moments(
                names_of(twin[1], NOWHERE)
            )
    # The walk does find things where they may be seen, else all of this would be idle.
    rich = [key for key, (status, text) in mine.items() if status == 200 and f"{MINE}-" in text]
    assert {key[1].split("?")[0] for key in rich} == {"/api/board", "/explain", "/stream"}
    assert any("event: board" in text for _, text in mine.values())


async def test_who_is_not_logged_in_gets_nothing_by_any_route(tmp_path: Path) -> None:
    board, _ = token_board(tmp_path)
    async with serving(board) as session:
        answers = await Walk(session, board, {}).answers(OTHER)
    for (_, address, _), (status, text) in answers.items():
        if not address.startswith(PUBLIC):
            assert status in ((401, 403) if address.startswith("/log-level") else (401,)), address
        assert MINE not in text, address
        assert OTHER not in text or f"{OTHER}" in address
        assert f"{OTHER}-" not in text
    assert {status for (_, address, _), (status, _) in answers.items() if "/readyz" in address} == {
        200
    }


async def test_a_route_that_does_not_exist_says_nothing_either(tmp_path: Path) -> None:
    board, headers = token_board(tmp_path)
    async with serving(board) as session:
        for path in ("/nothing", "/api/nothing", "/metrics", "/static/../api/board?site=zzother"):
            assert (await answered(session, "GET", path, {}))[0] in (401, 404), path
            assert (await answered(session, "GET", path, headers))[0] == 404, path


async def test_a_new_route_is_closed_until_somebody_opens_it(tmp_path: Path) -> None:
    board, headers = token_board(tmp_path)

    async def secret(_request: web.Request) -> web.Response:
        return web.Response(text="secret")

    board.app.router.add_get("/api/new", secret)
    async with serving(board) as session:
        async with session.get("/api/new") as response:
            assert response.status == 401
        async with session.get("/api/new", headers=headers) as response:
            assert await response.text() == "secret"


@pytest.mark.parametrize("guard", [Open()])
async def test_an_open_board_shows_every_site(guard: Guard) -> None:
    board = guarded(guard, named(MINE), named(OTHER))
    async with serving(board) as session:
        async with session.get("/api/sites") as response:
            assert [site["site"] for site in await response.json()] == [MINE, OTHER]
        async with session.get("/api/session") as response:
            assert (await response.json())["access"] == "open"
        async with session.get(f"/stream?site={OTHER}") as response:
            assert (await first(response, "board"))["site"] == OTHER
