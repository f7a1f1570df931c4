"""Logging in and out over real HTTP: tokens, cookies, proxies, and who may not."""

from __future__ import annotations

import asyncio
import logging
from http.cookies import SimpleCookie
from pathlib import Path

import aiohttp
import orjson
import pytest
from yarl import URL

from schemas.config import Config, ConfigError
from service.callers import Proxies
from sinks.board import access
from sinks.board.access import ByProxy, ByToken, Open, guard_of
from sinks.board.server import connections_of
from sinks.board.sessions import PERSON_MS, RENEW_MS, WALL_MS
from sinks.board.viewers import new_token
from tests.sinks.board.centre import bank, large
from tests.sinks.board.keepers import KEY, START, Keeper, guarded, named
from tests.sinks.board.test_server import Board, events, first, serving


async def log_in(
    session: aiohttp.ClientSession, token: str, **headers: str
) -> aiohttp.ClientResponse:
    async with session.post("/login", json={"token": token}, headers=headers) as response:
        await response.read()
        return response


async def status(session: aiohttp.ClientSession, path: str, **headers: str) -> int:
    async with session.get(path, headers=headers) as response:
        return response.status


def cookie_of(response: aiohttp.ClientResponse) -> str:
    return response.headers.getall("Set-Cookie")[0]


async def test_a_token_is_exchanged_for_a_cookie_that_scripts_cannot_read(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    token = keeper.give("Anna", ["bank"])
    async with serving(guarded(keeper.guard(), bank(), large())) as session:
        response = await log_in(session, token)
        assert (response.status, await response.json()) == (200, {"name": "Anna"})
        [(name, cookie)] = SimpleCookie(cookie_of(response)).items()
        assert name == "callboard"
        assert cookie["httponly"]
        assert cookie["samesite"] == "Strict"
        assert cookie["path"] == "/"
        assert not cookie["secure"], "over plain HTTP such a cookie would never come back"
        assert int(cookie["max-age"]) == PERSON_MS // 1000
        assert token not in cookie.value
        async with session.get("/api/session") as response:
            said = await response.json()
        assert said == {
            "access": "token", "name": "Anna", "sites": ["bank"], "until": START + PERSON_MS,
            "logout": "",
        }  # fmt: skip
        assert await status(session, "/api/board?site=bank") == 200
        assert await status(session, "/api/board?site=metro") == 404


@pytest.mark.parametrize(
    ("proxies", "board_url", "proto", "secure"),
    [
        ("", "https://board.example.org", "", True),
        ("127.0.0.1", "http://board.example.org", "https", True),
        ("10.0.0.0/8", "http://board.example.org", "https", False),
    ],
)
async def test_by_https_the_cookie_and_the_browser_are_held_to_it(
    tmp_path: Path, proxies: str, board_url: str, proto: str, secure: bool
) -> None:
    keeper = Keeper(tmp_path)
    token = keeper.give("Anna")
    forwarded = {"X-Forwarded-Proto": proto}
    async with serving(guarded(keeper.guard(proxies, board_url))) as session:
        response = await log_in(session, token, **forwarded)
        [(name, cookie)] = SimpleCookie(cookie_of(response)).items()
        assert name == ("__Host-callboard" if secure else "callboard")
        assert bool(cookie["secure"]) is secure
        assert ("Strict-Transport-Security" in response.headers) is secure
        header = f"{name}={cookie.value}"
        assert await status(session, "/api/sites", Cookie=header, **forwarded) == 200
        # What another host of the domain may have planted is not looked at.
        planted = f"{'callboard' if secure else '__Host-callboard'}={cookie.value}"
        session.cookie_jar.clear()
        assert await status(session, "/api/sites", Cookie=planted, **forwarded) == 401


async def test_programs_show_the_token_itself(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    token = keeper.give("a program", ["bank"])
    async with serving(guarded(keeper.guard())) as session:
        for scheme, wanted in (("Bearer", 200), ("bearer", 200), ("Basic", 401), ("Token", 401)):
            given = {"Authorization": f"{scheme} {token}"}
            assert await status(session, "/api/board?site=bank", **given) == wanted
        async with session.get("/api/board") as response:
            assert response.headers["WWW-Authenticate"].startswith("Bearer")
            assert response.status == 401
        for wrong in ("", new_token(), token[:-1], token + "x", "ü" * 50, "x" * 5000):
            assert await status(session, "/api/sites", Authorization=f"Bearer {wrong}") == 401


async def test_logging_out_takes_the_cookie_away(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    token = keeper.give("Anna")
    async with serving(guarded(keeper.guard())) as session:
        await log_in(session, token)
        assert await status(session, "/api/sites") == 200
        async with session.post("/logout") as response:
            assert response.status == 204
        assert await status(session, "/api/sites") == 401


@pytest.mark.parametrize("path", ["/login", "/logout"])
@pytest.mark.parametrize(
    ("headers", "wanted"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "https://evil.example.org"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://board.example.org"}, 200),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({}, 200),
    ],
)
async def test_no_page_of_others_logs_in_or_out(
    tmp_path: Path, path: str, headers: dict[str, str], wanted: int
) -> None:
    keeper = Keeper(tmp_path)
    token = keeper.give("Anna")
    guard = keeper.guard(board_url="https://board.example.org/")
    async with (
        serving(guarded(guard)) as session,
        session.post(path, json={"token": token}, headers=headers) as response,
    ):
        assert response.status == (204 if wanted == 200 and path == "/logout" else wanted)
        assert ("Set-Cookie" in response.headers) is (wanted == 200)


async def test_a_log_in_is_small_and_says_what_it_should(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    keeper.give("Anna")
    async with serving(guarded(keeper.guard())) as session:
        for body in (b"", b"{", b"[]", b'{"token": 7}', b'{"token": null}', b"x" * 3000):
            async with session.post(
                "/login", data=body, headers={"Content-Type": "application/json"}
            ) as response:
                assert response.status == 400, body
        async with session.post("/login", data={"token": "a form"}) as response:
            assert response.status == 400
        packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        async with session.post("/login", data=b"abcde", headers=packed) as response:
            assert response.status == 400


async def test_a_token_taken_away_ends_a_stream_that_runs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = Keeper(tmp_path)
    tokens = {name: keeper.give(name, ["bank"]) for name in ("goes", "stays")}
    board = guarded(keeper.guard())
    async with serving(board) as session:
        given = {name: {"Authorization": f"Bearer {token}"} for name, token in tokens.items()}
        stream = "/stream?site=bank"
        async with (
            session.get(stream, headers=given["goes"]) as gone,
            session.get(stream, headers=given["stays"]) as stays,
        ):
            await first(gone, "board")
            await first(stays, "board")
            keeper.take("goes")
            async with asyncio.timeout(30):
                names = [name async for name, _ in events(gone)]
            assert set(names) <= {"beat"}, "the stream has ended"
            await first(stays, "beat")
            assert board.hub.viewers() == 1
        assert await status(session, "/api/sites", **given["goes"]) == 401


@pytest.mark.parametrize("how", ["expired", "cookie", "scope"])
async def test_so_does_the_end_of_its_time_or_of_its_scope(tmp_path: Path, how: str) -> None:
    keeper = Keeper(tmp_path)
    expires = START + 60_000 if how == "expired" else None
    token = keeper.give("Anna", ["bank"], expires=expires)
    async with serving(guarded(keeper.guard())) as session:
        await log_in(session, token)
        async with session.get("/stream?site=bank") as stream:
            await first(stream, "board")
            if how == "scope":
                # The same token, for another site: as somebody does who edits the file.
                text = keeper.path.read_text().replace("bank", "metro")
                keeper.path.write_text(text)
            else:
                keeper.now += PERSON_MS if how == "cookie" else 60_000
            async with asyncio.timeout(30):
                async for _ in events(stream):
                    pass
        wanted = 404 if how == "scope" else 401
        assert await status(session, "/api/board?site=bank") == wanted


async def test_a_cookie_outlives_the_board_that_gave_it(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    token = keeper.give("Anna")
    async with serving(guarded(keeper.guard())) as session:
        cookie = cookie_of(await log_in(session, token)).split(";")[0]
    for key, wanted in ((KEY, 200), ("another key of at least 32 chars", 401)):
        async with serving(guarded(keeper.guard(key=key))) as session:
            assert await status(session, "/api/sites", Cookie=cookie) == wanted
    keeper.take("Anna")
    async with serving(guarded(keeper.guard())) as session:
        assert await status(session, "/api/sites", Cookie=cookie) == 401


async def test_a_wall_is_never_asked_again_and_a_person_is(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    tokens = {"wall": keeper.give("wall", wall=True), "person": keeper.give("person")}
    for kind, token in tokens.items():
        keeper.now = START
        async with serving(guarded(keeper.guard())) as session:
            await log_in(session, token)
            for day in range(1, 200):
                keeper.now = START + day * (RENEW_MS + 1000)
                # The test's own clock goes faster than that of the client's jar of cookies.
                async with session.get("/api/session") as response:
                    if kind == "person":
                        assert response.status == 401
                        break
                    assert response.status == 200, day
                    assert "Set-Cookie" in response.headers
    assert WALL_MS < 400 * RENEW_MS, "browsers keep no cookie for longer"


async def test_what_fails_too_often_is_told_to_wait_and_keeps_nobody_out(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keeper = Keeper(tmp_path)
    token = keeper.give("Anna")
    caplog.set_level(logging.DEBUG)
    async with serving(guarded(keeper.guard("127.0.0.1"))) as session:
        told = [(await log_in(session, new_token())).status for _ in range(access.FAILURES + 10)]
        assert told == [401] * access.FAILURES + [429] * 10
        refused = await log_in(session, new_token())
        assert 0 < int(refused.headers["Retry-After"]) <= access.FAILURES_S
        # A log that anybody can fill hides what happens.
        assert caplog.text.count("wrong or expired token") == access.FAILURES
        assert (await log_in(session, token)).status == 200
        other = await log_in(session, new_token(), **{"X-Forwarded-For": "203.0.113.9"})
        assert other.status == 401, "another address has its own count"
    assert token not in caplog.text


def proxied(*trusted: str) -> Board:
    guard = ByProxy(Proxies(",".join(trusted)), "", "X-User", "X-Sites")
    return guarded(guard, named("alpha"), named("b,c"))


async def test_a_proxy_says_who_it_is_and_for_which_sites() -> None:
    async with serving(proxied("127.0.0.0/8")) as session:

        async def sites(**headers: str) -> list[str] | int:
            async with session.get("/api/sites", headers=headers) as response:
                if response.status != 200:
                    return response.status
                return [site["site"] for site in await response.json()]

        assert await sites(**{"X-User": "anna", "X-Sites": "alpha, nowhere"}) == ["alpha"]
        assert await sites(**{"X-User": "anna", "X-Sites": "b%2Cc"}) == ["b,c"]
        assert await sites(**{"X-User": "anna", "X-Sites": "*"}) == ["alpha", "b,c"]
        assert await sites(**{"X-User": "anna", "X-Sites": ""}) == []
        for headers in ({}, {"X-User": "anna"}, {"X-Sites": "*"}, {"X-User": " ", "X-Sites": "*"}):
            assert await sites(**headers) == 401, headers
        async with session.get(
            "/api/sites", headers=[("X-User", "anna"), ("X-Sites", "alpha"), ("X-Sites", "*")]
        ) as response:
            assert response.status == 401, "one of the two may be the caller's own"


async def told(board: Board, head: bytes) -> tuple[int, bytes]:
    """The answer to a head that no client of ours would send."""
    url = URL(board.url)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    writer.write(head + b"Connection: close\r\n\r\n")
    async with asyncio.timeout(180):
        answer = await reader.read()
    writer.close()
    return int(answer.split()[1]), answer.partition(b"\r\n\r\n")[2]


async def test_headers_that_are_no_utf_8_are_no_error_of_ours() -> None:
    here, behind = guarded(guard_of(configured())), proxied("127.0.0.1")
    async with serving(here), serving(behind):
        code, body = await told(here, b"GET /api/sites HTTP/1.1\r\nHost: \xff.example.org\r\n")
        assert (code, "\ufffd.example.org" in body.decode()) == (401, True)
        asked = (
            b"GET /api/session HTTP/1.1\r\nHost: x\r\nX-User: M\xfcller\r\nX-Sites: \xfc,alpha\r\n"
        )
        code, body = await told(behind, asked)
        assert (code, orjson.loads(body)["name"]) == (200, "M\ufffdller")


async def test_the_log_in_finds_its_files_from_every_address(tmp_path: Path) -> None:
    asked = {"Accept": "text/html"}
    async with serving(guarded(Keeper(tmp_path).guard())) as session:
        for path, root in (("/", ""), ("/x/y", "../"), ("/x%2Fy", ""), ("/x/y%2Fz/", "../../")):
            async with session.get(URL(path, encoded=True), headers=asked) as response:
                assert f'data-root="{root}"' in await response.text(), path


async def test_from_elsewhere_nobody_may_say_who_it_is() -> None:
    async with serving(proxied("10.0.0.0/8", "::1")) as session:
        headers = {"X-User": "anna", "X-Sites": "*", "X-Forwarded-For": "10.0.0.1"}
        assert await status(session, "/api/sites", **headers) == 401
        async with session.get("/", headers={**headers, "Accept": "text/html"}) as response:
            assert response.status == 401
            assert "Not logged in" in await response.text()
        assert (await log_in(session, new_token())).status == 404


async def test_a_stream_asks_the_proxy_again_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ByProxy, "stream_ms", 1500)
    headers = {"X-User": "anna", "X-Sites": "alpha"}
    async with serving(proxied("127.0.0.1")) as session:
        async with session.get("/stream?site=alpha", headers=headers) as stream:
            async with asyncio.timeout(180):
                names = [name async for name, _ in events(stream)]
        assert names[0] == "board"
        assert names[-1] == "again"


async def test_streams_are_bounded_for_one_address_and_in_all(tmp_path: Path) -> None:
    keeper = Keeper(tmp_path)
    given = {"Authorization": f"Bearer {keeper.give('Anna')}"}
    config = Config(board_streams=3, board_streams_of_one=2)
    board = guarded(keeper.guard("127.0.0.1"), config=config)
    async with serving(board) as session:

        async def open_stream(address: str) -> aiohttp.ClientResponse:
            headers = {**given, "X-Forwarded-For": address}
            return await session.get("/stream?site=bank", headers=headers)

        one, two = await open_stream("192.0.2.1"), await open_stream("192.0.2.1")
        crowded = await open_stream("192.0.2.1")
        three, full = await open_stream("192.0.2.2"), await open_stream("192.0.2.3")
        assert [r.status for r in (one, two, crowded, three, full)] == [200, 200, 429, 200, 503]
        assert int(crowded.headers["Retry-After"]) == int(full.headers["Retry-After"]) > 0
        for response in (one, two, three):
            response.close()
        async with asyncio.timeout(180):
            while (again := await open_stream("192.0.2.1")).status != 200:
                await asyncio.sleep(0.1)
        again.close()


# --- by configuration ---------------------------------------------------------------------------


def configured(**given: object) -> Config:
    return Config.model_validate({"board_session_key": KEY, **given})


@pytest.mark.parametrize(
    ("given", "kind"),
    [
        ({}, Open),
        ({"board_host": "::1"}, Open),
        ({"board_host": "localhost"}, Open),
        ({"board_host": "0.0.0.0", "board_access": "open"}, Open),
        ({"board_host": "0.0.0.0", "board_access": "token"}, ByToken),
        ({"board_access": "proxy", "trusted_proxies": "10.0.0.0/8, 192.0.2.7"}, ByProxy),
    ],
)
def test_the_configuration_says_who_may_see_the_board(given: dict[str, str], kind: type) -> None:
    assert isinstance(guard_of(configured(**given)), kind)


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ({"board_host": "0.0.0.0"}, "CALLBOARD_BOARD_ACCESS=token"),
        ({"board_host": "board.example.org"}, "shows every site"),
        ({"board_access": "proxy"}, "CALLBOARD_TRUSTED_PROXIES"),
        ({"board_access": "token", "board_session_key": "short"}, "CALLBOARD_BOARD_SESSION_KEY"),
        ({"board_access": "token", "trusted_proxies": "10.0.0.0/99"}, "CALLBOARD_TRUSTED_PROXIES"),
    ],
)
def test_what_would_let_in_who_should_not_be_is_refused(given: dict[str, str], why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        guard_of(configured(**given))


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("127.0.0.1:7080", 200),
        ("localhost:7080", 200),
        ("[::1]:7080", 200),
        ("wall.example.org", 200),
        ("evil.example.org:7080", 401),
        ("[", 401),
    ],
)
async def test_a_page_whose_name_was_made_to_lead_here_reads_nothing(
    host: str, wanted: int
) -> None:
    guard = guard_of(configured(board_url="http://wall.example.org"))
    async with serving(guarded(guard)) as session:
        assert await status(session, "/api/sites", Host=host) == wanted
        asked = {"Host": host, "Accept": "text/html"}
        async with session.get("/", headers=asked) as response:
            assert response.status == wanted
            assert ("Not by this name" in await response.text()) is (wanted == 401)


def test_there_are_connections_for_as_many_pages_as_there_may_be_streams() -> None:
    limits = connections_of(Config(board_streams=5000, board_streams_of_one=700))
    assert (limits.most, limits.of_one) == (10_000, 1400)


def test_a_board_that_everybody_reaches_says_so(caplog: pytest.LogCaptureFixture) -> None:
    guard_of(configured(board_host="0.0.0.0", board_access="open"))
    assert "shows every site to whoever reaches it" in caplog.text


async def test_who_may_hold_the_board_in_a_frame_is_said() -> None:
    async def policy(frames: str) -> str:
        board = guarded(Open(), config=Config(board_frame_ancestors=frames))
        async with serving(board) as session, session.get("/") as response:
            found = response.headers["Content-Security-Policy"]
        return found.rpartition("frame-ancestors ")[2]

    assert await policy("") == "'none'"
    asked = "'self' https://intranet.example.org https://*.example.com:8443"
    assert await policy(asked) == asked
    for wrong in ("*", "https://a.org; script-src *", "javascript:x", "https://a.org/path"):
        with pytest.raises(ConfigError, match="CALLBOARD_BOARD_FRAME_ANCESTORS"):
            guarded(Open(), config=Config(board_frame_ancestors=wrong))
