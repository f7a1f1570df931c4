"""Five9's collector against a scripted server: REST and WebSocket over real sockets."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest
from aiohttp import WSMsgType, web

from pipeline.collect.door_client import DoorClient, DoorRefused
from pipeline.collect.five9 import Account, Collector, Five9Refused
from pipeline.collect.five9.collector import Pace
from pipeline.collect.five9.session import Session
from pipeline.collect.five9.split import payloads_of
from pipeline.ingest.framer import MAX_EVENTS
from pipeline.ingest.raw import MAX_EVENT_BYTES
from pipeline.sources import SOURCES

Json = Any
PATH = "/supsvcs/rs/svc"
QUICK = Pace(ping_s=0.02, silence_s=30.0, pause_s=0.01)


def frame(event: str, payload: Json, at: int = 1_768_554_000_000) -> Json:
    return {"context": {"eventId": event, "timeStamp": at, "tenantId": "t"}, "payLoad": payload}


def states(part: str, *agents: str, state: str = "READY") -> Json:
    items = [{"id": a, "state": state, "stateSince": 1_768_553_990_000} for a in agents]
    return {"dataSource": "AGENT_STATE", part: items}


@dataclass
class Domain:
    """A scripted Five9: what its login state is, what it sends, and what it was asked."""

    login_states: list[str] = field(default_factory=lambda: ["WORKING"])
    login_status: list[int] = field(default_factory=list)
    script: list[Callable[[web.WebSocketResponse, Domain], Awaitable[None]]] = field(
        default_factory=list
    )
    picture: Json = field(default_factory=lambda: frame("5000", [states("data", "a1")]))
    notices: Json = field(
        default_factory=lambda: [{"id": "8213", "accepted": False}, {"id": "8", "accepted": 1}]
    )
    asked: list[str] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    logins: list[Json] = field(default_factory=list)
    pings: int = 0
    port: int = 0
    full: asyncio.Event = field(default_factory=asyncio.Event)
    hold: asyncio.Event = field(default_factory=asyncio.Event)

    def metadata(self) -> Json:
        """What the login answers."""
        old = {"apiUrls": [{"host": "127.0.0.1", "port": "1", "routeKey": "OLD"}], "active": False}
        here = {
            "apiUrls": [{"host": "127.0.0.1", "port": str(self.port), "routeKey": "K"}],
            "active": True,
        }
        return {
            "tokenId": "token-1",
            "sessionId": "session-1",
            "orgId": "o-1",
            "userId": "u-1",
            "context": {"farmId": "149"},
            "metadata": {"freedomUrl": "", "dataCenters": [old, here]},
        }

    async def login(self, request: web.Request) -> web.Response:
        self.logins.append(await request.json())
        status = self.login_status.pop(0) if self.login_status else 200
        answer = web.json_response(self.metadata(), status=status)
        answer.set_cookie("clientId", "c-1")
        return answer

    async def rest(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"] == "Bearer-token-1"
        assert request.headers["farmId"] == "149"
        assert request.cookies["clientId"] == "c-1"
        asked = f"{request.method} {request.match_info['rest']}"
        self.asked.append(asked)
        if asked == "GET login_state":
            first = self.login_states[0]
            if len(self.login_states) > 1:
                self.login_states.pop(0)
            return web.json_response(first)
        if asked == "GET maintenance_notices":
            return web.json_response(self.notices)
        if asked == "PUT request_full_statistics":
            self.full.set()
        return web.Response()

    async def socket(self, request: web.Request) -> web.WebSocketResponse:
        assert request.headers["Authorization"] == "Bearer-token-1"
        self.keys.append(request.match_info["key"])
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.send_json(frame("1010", None))
        act = self.script.pop(0) if self.script else stay
        reading = asyncio.create_task(self.read(socket))
        await self.full.wait()
        self.full.clear()
        await socket.send_json(self.picture)
        await act(socket, self)
        reading.cancel()
        with suppress(asyncio.CancelledError):
            await reading
        return socket

    async def read(self, socket: web.WebSocketResponse) -> None:
        async for message in socket:
            assert (message.type, message.data) == (WSMsgType.TEXT, "ping")
            self.pings += 1
            await socket.send_json(frame("1202", "pong"))


async def stay(socket: web.WebSocketResponse, domain: Domain) -> None:
    """Keep the connection until the test is over."""
    await domain.hold.wait()


async def drop(socket: web.WebSocketResponse, domain: Domain) -> None:
    """The connection breaks without a word."""
    assert socket._req is not None
    transport = socket._req.transport
    assert transport is not None
    transport.abort()


@dataclass
class Door:
    """What arrived, with 503 for the posts that are to fail."""

    refuse: int = 0
    status: int = 503
    port: int = 0
    site: str = ""
    taken: list[bytes] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def post(self, request: web.Request) -> web.Response:
        body = await request.read()
        if self.refuse:
            self.refuse -= 1
            return web.Response(status=self.status)
        self.site = request.query["site"]
        self.taken += body.split(b"\n")[:-1]
        async with self.arrived:
            self.arrived.notify_all()
        return web.json_response({"refused_count": 0})

    async def until(self, found: Callable[[list[Json]], bool]) -> list[Json]:
        """Wait until what arrived satisfies; the payloads."""
        async with asyncio.timeout(180), self.arrived:
            await self.arrived.wait_for(lambda: found(self.frames))
        return self.frames

    @property
    def frames(self) -> list[Json]:
        return [orjson.loads(payload) for payload in self.taken]


@asynccontextmanager
async def serve(*routes: web.RouteDef) -> AsyncIterator[int]:
    app = web.Application(client_max_size=2**26)
    app.add_routes(routes)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


@asynccontextmanager
async def five9(domain: Domain) -> AsyncIterator[str]:
    routes = [
        web.post(f"{PATH}/auth/login", domain.login),
        web.route("*", PATH + "/supervisors/u-1/{rest:.*}", domain.rest),
        web.get("/supsvcs/sws/{key}", domain.socket),
    ]
    async with serve(*routes) as port:
        domain.port = port
        try:
            yield f"http://127.0.0.1:{port}"
        finally:
            domain.hold.set()


@asynccontextmanager
async def collecting(domain: Domain, door: Door, pace: Pace = QUICK) -> AsyncIterator[Any]:
    """The collector at work; stopped as SIGTERM does it."""
    async with (
        five9(domain) as login,
        serve(web.post("/v1/sources/five9", door.post)) as port,
        DoorClient(f"http://127.0.0.1:{port}", first_delay_s=0.01, source="five9") as client,
    ):
        collector = Collector(Account("sup", "secret", login), "here", client, pace)
        task = asyncio.create_task(collector.run())
        try:
            yield task
        finally:
            domain.hold.set()
            task.cancel()
            await asyncio.wait({task})


def events(frames: list[Json]) -> list[str]:
    return [found["context"]["eventId"] for found in frames]


async def test_it_logs_in_goes_to_work_and_hands_frames_on_as_they_came() -> None:
    async def speak(socket: web.WebSocketResponse, domain: Domain) -> None:
        await socket.send_json(frame("5012", [states("updated", "a1", state="ON_CALL")]))
        await domain.hold.wait()

    domain, door = Domain(["SELECT_STATION", "ACCEPT_NOTICE", "WORKING"]), Door()
    domain.script = [speak]
    async with collecting(domain, door):
        frames = await door.until(lambda frames: "5012" in events(frames))
        async with asyncio.timeout(180):
            while domain.pings < 3:
                await asyncio.sleep(0.01)
    assert events(frames) == ["1010", "5000", "5012"]
    assert door.site == "here"
    assert domain.logins == [
        {
            "passwordCredentials": {"username": "sup", "password": "secret"},
            "appKey": "callboard",
            "policy": "AttachExisting",
        }
    ]
    assert domain.asked == [
        "GET login_state",
        "PUT session_start",
        "GET login_state",
        "GET maintenance_notices",
        "PUT maintenance_notices/8213/accept",
        "GET login_state",
        "PUT request_full_statistics",
    ]


async def test_a_broken_connection_is_made_again_with_the_full_picture() -> None:
    domain, door = Domain(script=[drop, drop]), Door()
    async with collecting(domain, door):
        frames = await door.until(lambda frames: events(frames).count("5000") == 3)
    assert events(frames) == ["1010", "5000"] * 3
    assert len(set(domain.keys)) == 3, "two connections of one key end each other"


async def test_a_silent_connection_is_given_up() -> None:
    async def never(socket: web.WebSocketResponse) -> None:
        await domain.hold.wait()

    domain, door = Domain(), Door()
    domain.read = never  # type: ignore[method-assign]
    async with collecting(domain, door, Pace(ping_s=0.02, silence_s=0.2, pause_s=0.01)):
        await door.until(lambda frames: events(frames).count("5000") >= 2)


async def test_a_session_that_has_to_start_again_is_restarted() -> None:
    domain, door = Domain(["RELOGIN", "WORKING"]), Door()
    async with collecting(domain, door):
        await door.until(lambda frames: "5000" in events(frames))
    assert domain.asked[:2] == ["GET login_state", "PUT session_restart"]


async def test_a_domain_that_moves_is_followed_without_a_new_login() -> None:
    async def move(socket: web.WebSocketResponse, domain: Domain) -> None:
        await socket.send_json(frame("1002", new.metadata()))
        await domain.hold.wait()

    domain, new, door = Domain(script=[move]), Domain(), Door()
    new.picture = frame("5000", [states("data", "a2")])
    async with five9(new), collecting(domain, door):
        # The cookie of the old place is that of the whole host here, as it is of five9.com.
        frames = await door.until(lambda frames: events(frames).count("5000") == 2)
        domain.hold.set()
    assert frames[-1]["payLoad"][0]["data"][0]["id"] == "a2"
    assert (len(domain.logins), len(new.logins)) == (1, 0)
    assert new.asked == ["GET login_state", "PUT request_full_statistics"]


async def test_a_move_that_is_not_explained_leads_to_a_new_login() -> None:
    async def move(socket: web.WebSocketResponse, domain: Domain) -> None:
        await socket.send_json(frame("1002", None))
        await domain.hold.wait()

    domain, door = Domain(script=[move]), Door()
    async with collecting(domain, door):
        await door.until(lambda frames: events(frames).count("5000") == 2)
    assert len(domain.logins) == 2


async def test_a_login_that_fails_is_tried_again_and_one_that_is_refused_is_not() -> None:
    domain, door = Domain(login_status=[503, 435]), Door()
    async with collecting(domain, door):
        await door.until(lambda frames: "5000" in events(frames))
    assert len(domain.logins) == 3
    domain = Domain(login_status=[401])
    async with collecting(domain, Door()) as task:
        with pytest.raises(Five9Refused, match="refuses the login of sup") as refused:
            await asyncio.wait_for(asyncio.shield(task), 60)
    assert "secret" not in str(refused.value)
    assert len(domain.logins) == 1
    assert "secret" not in repr(Account("sup", "secret"))


@pytest.mark.parametrize("notices", [["odd"], {"id": "8213"}])
async def test_an_answer_of_another_shape_does_not_end_the_collector(notices: Json) -> None:
    domain, door = Domain(login_states=["ACCEPT_NOTICE", "WORKING"], notices=notices), Door()
    async with collecting(domain, door):
        await door.until(lambda frames: "5000" in events(frames))
    assert len(domain.logins) == 2


async def test_no_login_is_tried_without_a_password() -> None:
    async with aiohttp.ClientSession() as http:
        with pytest.raises(Five9Refused, match="empty"):
            await Session.open(http, Account("sup", "", "http://127.0.0.1:1"))


async def test_nothing_is_lost_while_the_door_cannot_keep_it() -> None:
    async def speak(socket: web.WebSocketResponse, domain: Domain) -> None:
        for number in range(600):
            await socket.send_json(frame("5012", [states("updated", "a1")], number))
        await domain.hold.wait()

    domain, door = Domain(script=[speak]), Door(refuse=5)
    async with collecting(domain, door):
        frames = await door.until(lambda frames: len(frames) == 602)
    assert [found["context"]["timeStamp"] for found in frames[2:]] == list(range(600))


async def test_a_door_that_will_never_take_it_ends_the_collector() -> None:
    async with collecting(Domain(), Door(refuse=1, status=401)) as task:
        with pytest.raises(DoorRefused):
            await asyncio.wait_for(asyncio.shield(task), 60)


async def test_what_waits_is_sent_when_the_collector_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # So patient here that a machine with much to do proves the same.
    monkeypatch.setattr("pipeline.collect.five9.collector._LAST_WORDS_S", 60.0)
    domain, door = Domain(), Door(refuse=3)
    async with collecting(domain, door):
        async with asyncio.timeout(180):
            while "PUT request_full_statistics" not in domain.asked or door.refuse == 3:
                await asyncio.sleep(0.01)
    assert events(door.frames)[:1] == ["1010"]


async def test_the_command_reads_its_password_from_a_file_and_stops_on_sigterm(
    tmp_path: Path,
) -> None:
    (tmp_path / "password").write_text("secret\n")
    domain, door = Domain(), Door()
    async with five9(domain) as login, serve(web.post("/v1/sources/five9", door.post)) as port:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pipeline.cli.main", "collect", "five9", "--site", "here",
            "--to", f"http://127.0.0.1:{port}", "--login-url", login, "--user", "sup",
            cwd=tmp_path, stderr=asyncio.subprocess.PIPE,
            env=os.environ | {
                "CALLBOARD_FIVE9_PASSWORD_FILE": str(tmp_path / "password"),
                "PYTHONPATH": str(Path(__file__).parents[2]),
            },
        )  # fmt: skip
        try:
            await door.until(lambda frames: "5000" in events(frames))
            process.terminate()
            _, said = await asyncio.wait_for(process.communicate(), 60)
        finally:
            if process.returncode is None:
                process.kill()
    assert process.returncode == 0
    assert b"logged in as sup" in said
    assert b"secret" not in said
    assert b"token-1" not in said
    assert domain.logins[0]["passwordCredentials"]["password"] == "secret"


def test_a_frame_of_many_agents_is_cut_so_that_ingest_can_take_it() -> None:
    names = [f"a{number}" for number in range(450)]
    other = {"dataSource": "ACD_STATUS", "data": [{"id": "q"}]}
    whole = frame("5000", [other, states("data", *names)])
    parts = [orjson.loads(part) for part in payloads_of(orjson.dumps(whole))]
    assert [part["context"] for part in parts] == [whole["context"]] * 4
    assert [source["dataSource"] for part in parts for source in part["payLoad"]] == [
        "ACD_STATUS",
        *["AGENT_STATE"] * 3,
    ]
    sizes = [len(part["payLoad"][-1]["data"]) for part in parts[1:]]
    assert sizes == [200, 200, 50]
    assert max(sizes) <= MAX_EVENTS
    translator = SOURCES["five9"].begin("s", {})
    together = [event for part in parts for event in translator.translate(orjson.dumps(part))]
    assert together == translator.translate(orjson.dumps(whole))
    assert [event["agent"] for event in together] == names


def test_parts_of_an_increment_keep_their_lists() -> None:
    source = states("added", "b1") | states("updated", *map(str, range(250))) | {"removed": ["x"]}
    parts = [orjson.loads(part) for part in payloads_of(orjson.dumps(frame("5012", [source])))]
    assert [sorted(part["payLoad"][0]) for part in parts] == [
        ["added", "dataSource", "updated"],
        ["dataSource", "removed", "updated"],
    ]


def test_a_large_frame_of_few_agents_is_cut_so_that_the_door_can_take_it() -> None:
    """The full picture has statistics as well, which are larger than the states beside them."""
    figures = {f"figure{number}": number for number in range(400)}
    statistic = {
        "dataSource": "AGENT_STATISTIC",
        "data": [{"id": str(number), **figures} for number in range(150)],
    }
    whole = orjson.dumps(frame("5000", [statistic, states("data", *map(str, range(150)))]))
    assert len(whole) > MAX_EVENT_BYTES / 2
    parts = payloads_of(whole)
    assert max(map(len, parts)) <= MAX_EVENT_BYTES / 2
    sources = [orjson.loads(part)["payLoad"][0] for part in parts]
    counted = {"AGENT_STATISTIC": 0, "AGENT_STATE": 0}
    for source in sources:
        counted[source["dataSource"]] += len(source["data"])
    assert counted == {"AGENT_STATISTIC": 150, "AGENT_STATE": 150}


@pytest.mark.parametrize("payload", [b"", b"  \n"])
def test_an_empty_frame_is_nothing(payload: bytes) -> None:
    assert payloads_of(payload) == []


def test_a_frame_is_one_line_and_else_unchanged() -> None:
    small = b'{"context": {"eventId": "5012"}, "payLoad": [1, {"dataSource": "AGENT_STATE"}]}'
    assert payloads_of(small) == [small]
    spread = orjson.dumps(orjson.loads(small), option=orjson.OPT_INDENT_2)
    assert payloads_of(spread) == [orjson.dumps(orjson.loads(small))]
    assert payloads_of(b"no\nJSON") == [b"no JSON"]
