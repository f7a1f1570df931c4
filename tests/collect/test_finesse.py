"""The collector of Finesse against a scripted notification service."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.collect.door_client import DoorClient
from pipeline.collect.finesse import SOURCE, Login, session
from pipeline.collect.link import LinkBroken, LoginRefused, Pace, collect
from pipeline.collect.outbox import Outbox
from pipeline.sources import SOURCES
from tests.collect.finesse_script import DOMAIN, FinesseScript, rest_api
from tests.collect.scripted import serving, until
from tests.collect.sources_door import SourcesDoor, open_sources_door
from tests.sources.fixtures import fixture_of

NOW = 1_705_312_800_000
QUICK = Pace(first_s=0.01, most_s=0.05, patience_s=0.1, farewell_s=10.0)
NODES = [
    "/finesse/api/User/1017",
    "/finesse/api/User/1017/Dialogs",
    "/finesse/api/User/1017/Dialogs/Media",
    "/finesse/api/Team/5000/Users",
]


def login_to(server: FinesseScript, **changes: Any) -> Login:
    made: dict[str, Any] = {
        "host": "127.0.0.1",
        "user": server.user,
        "password": server.password,
        "agents": ("1017",),
        "teams": ("5000",),
        "port": server.port,
        "domain": DOMAIN,
        "tls": False,
        "now": lambda: NOW,
    }
    return Login(**(made | changes))


@asynccontextmanager
async def collecting(
    server: FinesseScript, door: SourcesDoor, most: int = 1000, **changes: Any
) -> AsyncIterator[asyncio.Task[None]]:
    """The collector at work; what it raises is raised at the end."""
    login = login_to(server, **changes)
    async with DoorClient(door.address, first_delay_s=0.01, source=SOURCE) as client:
        work = collect("Finesse", lambda: session(login), Outbox(client, "s", most), QUICK)
        task = asyncio.create_task(work)
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def _reached(items: list[Any], count: int) -> bool:
    return len(items) == count


def fixture_updates() -> list[tuple[str, str]]:
    payloads = [orjson.loads(payload) for _, payload in fixture_of(SOURCE).payloads[:60]]
    return [(p["node"], p["update"]) for p in payloads if isinstance(p, dict)]


async def test_notifications_arrive_in_their_order_and_unchanged() -> None:
    """However the network cuts them, and with their own escapes in them."""
    async with open_sources_door(SourcesDoor()) as door, serving(FinesseScript()) as server:
        updates = fixture_updates()
        async with collecting(server, door):
            await until(lambda: len(server.nodes) == len(NODES))
            for node, update in updates:
                await server.publish(node, update)
            await until(lambda: len(door.taken) >= len(updates))
    assert server.nodes == NODES
    got = [orjson.loads(payload) for payload in door.taken]
    assert [(payload["node"], payload["update"]) for payload in got] == updates
    assert door.places == {(SOURCE, "s")}
    translator = SOURCES[SOURCE].begin("s", {})
    assert any(translator.translate(payload) for payload in door.taken)


async def test_nobody_stays_subscribed() -> None:
    async with open_sources_door(SourcesDoor()) as door, serving(FinesseScript()) as server:
        async with collecting(server, door):
            await until(lambda: len(server.nodes) == len(NODES))
        await until(lambda: server.left == NODES)


async def test_a_lost_connection_comes_again() -> None:
    async with open_sources_door(SourcesDoor()) as door, serving(FinesseScript()) as server:
        node, update = fixture_updates()[0]
        async with collecting(server, door):
            for times in (1, 2, 3):
                await until(partial(_reached, server.nodes, times * len(NODES)))
                await server.publish(node, update)
                await until(partial(_reached, door.taken, times))
                server.drop()
    assert server.logins >= 3


async def test_how_things_stand_is_asked_first(caplog: pytest.LogCaptureFixture) -> None:
    user = fixture_updates()[2][1].split("<data>")[1].split("</data>")[0]
    known = {
        "/finesse/api/User/1017": f'<?xml version="1.0" encoding="UTF-8"?>\n{user}',
        "/finesse/api/User/1017/Dialogs": "<Dialogs></Dialogs>",
    }
    async with (
        open_sources_door(SourcesDoor()) as door,
        serving(FinesseScript()) as server,
        rest_api(known) as rest,
        collecting(server, door, rest=rest, agents=("1017", "1099")),
    ):
        await until(lambda: len(door.taken) == 2)
    translator = SOURCES[SOURCE].begin("s", {})
    (event,) = [event for payload in door.taken for event in translator.translate(payload)]
    # It has been so for longer than an event may be old, so it is so now.
    assert (event["agent"], event["state"], event["ts"]) == ("1017", "available", NOW)
    assert "does not tell /finesse/api/User/1099" in caplog.text


async def test_a_wrong_password_ends_it_at_first_and_never_later() -> None:
    async with open_sources_door(SourcesDoor()) as door:
        async with serving(FinesseScript(password="other")) as server:
            with pytest.raises(LoginRefused, match="1001050"):
                async with collecting(server, door, password="s3cret") as task:
                    await task
        async with serving(FinesseScript(refused={2})) as server:
            node, update = fixture_updates()[0]
            async with collecting(server, door):
                await until(lambda: len(server.nodes) == len(NODES))
                await server.publish(node, update)
                await until(lambda: len(door.taken) == 1)
                server.drop()
                await until(lambda: server.logins == 2)


async def test_a_node_that_is_refused_is_named(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    async with (
        open_sources_door(SourcesDoor()) as door,
        serving(FinesseScript(unknown={NODES[2]})) as server,
        collecting(server, door),
    ):
        await until(lambda: NODES[2] in caplog.text)


async def test_a_dead_server_is_found_by_its_silence() -> None:
    async with (
        open_sources_door(SourcesDoor()) as door,
        serving(FinesseScript(alive=False)) as server,
        collecting(server, door, ping_s=0.05),
    ):
        await until(lambda: server.sessions >= 2)
    assert server.pings >= 2


async def test_a_living_server_is_pinged() -> None:
    """Also while it has nothing to say; what it says then arrives."""
    async with (
        open_sources_door(SourcesDoor()) as door,
        serving(FinesseScript()) as server,
        collecting(server, door, ping_s=0.3),
    ):
        await until(lambda: server.pings >= 3)
        node, update = fixture_updates()[0]
        while not door.taken:
            # On a machine that stands still for long the session may just be another one.
            with suppress(OSError):
                await server.publish(node, update)
            await asyncio.sleep(0.05)


async def test_a_door_that_fails_loses_nothing() -> None:
    answers = ("lose", "refuse", "refuse", "take")
    door = SourcesDoor(answer=lambda n: answers[n] if n < len(answers) else "take")
    async with open_sources_door(door), serving(FinesseScript()) as server:
        updates = fixture_updates()[:20]
        async with collecting(server, door):
            await until(lambda: len(server.nodes) == len(NODES))
            for node, update in updates:
                await server.publish(node, update)
            expected = [{"node": n, "update": u, "received": NOW} for n, u in updates]
            await until(lambda: set(door.taken) == {orjson.dumps(each) for each in expected})


async def test_unescaped_notifications_are_read_too() -> None:
    async with (
        open_sources_door(SourcesDoor()) as door,
        serving(FinesseScript()) as server,
        collecting(server, door),
    ):
        await until(lambda: len(server.nodes) == len(NODES))
        node, update = fixture_updates()[2]
        await server.publish(node, update, escaped=False)
        await until(lambda: len(door.taken) == 1)
    escaped = orjson.dumps({"node": node, "update": update, "received": NOW})
    events = [
        SOURCES[SOURCE].begin("s", {}).translate(payload) for payload in (door.taken[0], escaped)
    ]
    assert events[0] == events[1] != []


@pytest.mark.parametrize(
    "raw",
    [
        b"<message><body>" + b"x" * 1_100_000,
        b"<message>" + b"<a>" * 50_000 + b"</a>" * 50_000 + b"</message>",
        b"<message></iq>",
        b"<stream:error><conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
        b"</stream:stream>",
        b"<message>&undefined;</message>",
    ],
)
async def test_a_stream_that_goes_wrong_is_broken_off(raw: bytes) -> None:
    async with serving(FinesseScript()) as server, session(login_to(server)) as payloads:
        reading = asyncio.ensure_future(anext(payloads))
        await until(lambda: bool(server.inside))
        server.inside[0].write(raw)
        with pytest.raises(LinkBroken):
            await reading


async def test_a_document_type_is_refused() -> None:
    async def hostile(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'<!DOCTYPE a [<!ENTITY b "c">]><stream:stream>&b;')
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hostile, "127.0.0.1", 0)
    async with server:
        script = FinesseScript(port=server.sockets[0].getsockname()[1])
        with pytest.raises(LinkBroken, match="document type"):
            async with session(login_to(script)) as payloads:
                await anext(payloads)


async def test_a_server_without_plain_is_said() -> None:
    async with serving(FinesseScript(mechanism="EXTERNAL")) as server:
        with pytest.raises(LinkBroken, match="PLAIN"):
            async with session(login_to(server)) as payloads:
                await anext(payloads)


async def test_the_command_asks_for_its_secret(tmp_path: Path) -> None:
    agents = tmp_path / "agents"
    agents.write_text("1017\n\n1018\n")
    command = [sys.executable, "-m", "pipeline.cli.main", "collect", "finesse", "--site", "s"]
    command += ["--host", "127.0.0.1", "--user", "1001050", "--agents", str(agents), "--port", "1"]
    environ = {k: v for k, v in os.environ.items() if not k.startswith("CALLBOARD_FINESSE")}
    process = await asyncio.create_subprocess_exec(
        *command, env=environ, stderr=asyncio.subprocess.PIPE
    )
    _, said = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2
    assert b"CALLBOARD_FINESSE_PASSWORD" in said


def test_a_login_does_not_show_its_password() -> None:
    assert "s3cret" not in repr(login_to(FinesseScript()))
