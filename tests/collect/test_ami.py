"""The collector of AMI against a scripted Asterisk: logins, pieces, gaps, a door that is away."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import orjson
import pytest

from pipeline.collect.ami import SOURCE, Login, parse, session
from pipeline.collect.door_client import DoorClient, DoorRefused
from pipeline.collect.link import LinkBroken, LoginRefused, Pace, collect
from pipeline.collect.outbox import DoorAway, Outbox
from pipeline.sources import SOURCES
from tests.collect.scripted import AmiScript, frame, serving, until
from tests.collect.sources_door import SourcesDoor, open_sources_door

QUICK = Pace(first_s=0.01, most_s=0.05, patience_s=0.1, farewell_s=10.0)
NOW = 1_700_000_000_000
JOIN = {
    "Event": "QueueCallerJoin",
    "Privilege": "agent,all",
    "Timestamp": "1700000010.250000",
    "Channel": "PJSIP/trunk-00000001",
    "CallerIDNum": "5550101",
    "Uniqueid": "1700000010.1",
    "Linkedid": "1700000010.1",
    "ChanVariable": ["one=1", "two=2"],
    "Queue": "support",
    "Position": "1",
    "Count": "1",
}
NOISE = {"Event": "Newchannel", "Uniqueid": "1700000010.9"}
ROW = {
    "Event": "QueueMember",
    "Queue": "support",
    "Name": "Agent/1001",
    "Location": "PJSIP/1001",
    "Status": "1",
    "Paused": "0",
    "PausedReason": "",
    "InCall": "0",
}


def login_of(asterisk: AmiScript, **changes: Any) -> Login:
    given: dict[str, Any] = {"secret": asterisk.secret, "now": lambda: NOW} | changes
    return Login("127.0.0.1", asterisk.port, "callboard", **given)


@asynccontextmanager
async def collecting(
    asterisk: AmiScript, door: SourcesDoor, most: int = 1000, **changes: Any
) -> AsyncIterator[asyncio.Task[None]]:
    """The collector at work; what it raises is raised at the end."""
    login = login_of(asterisk, **changes)
    async with DoorClient(door.address, first_delay_s=0.01, source=SOURCE) as client:
        work = collect("Asterisk", lambda: session(login), Outbox(client, "s", most), QUICK)
        task = asyncio.create_task(work)
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def names(door: SourcesDoor) -> list[str]:
    return [orjson.loads(payload)["Event"] for payload in door.taken]


async def test_all_that_counts_is_handed_on_in_order_whatever_the_pieces() -> None:
    async with (
        open_sources_door(SourcesDoor()) as door,
        serving(AmiScript(status=[ROW])) as asterisk,
        collecting(asterisk, door),
    ):
        await until(lambda: "QueueStatusComplete" in names(door))
        await asterisk.say(frame(NOISE) + frame(JOIN) + frame(NOISE))
        await until(lambda: "QueueCallerJoin" in names(door))
    assert names(door) == [
        "CallboardConnected",
        "FullyBooted",
        "QueueMember",
        "QueueStatusComplete",
        "QueueCallerJoin",
    ]
    assert door.places == {("asterisk-ami", "s")}
    assert orjson.loads(door.taken[-1]) == JOIN


async def test_what_has_no_time_gets_the_time_of_asterisk() -> None:
    """Its answer to Ping tells how far its clock is from ours."""
    async with open_sources_door(SourcesDoor()) as door:
        asterisk = AmiScript(status=[ROW], clock="1700003600.125000")
        async with serving(asterisk), collecting(asterisk, door):
            await until(lambda: "QueueStatusComplete" in names(door))
    assert {orjson.loads(payload)["CallboardReceived"] for payload in door.taken} == {
        1_700_003_600_125
    }


async def test_a_wrong_secret_ends_the_collector() -> None:
    async with open_sources_door(SourcesDoor()) as door, serving(AmiScript()) as asterisk:
        with pytest.raises(LoginRefused, match="Authentication failed"):
            async with collecting(asterisk, door, secret="wrong") as task:
                await task
    assert door.taken == []


async def test_what_is_no_asterisk_breaks_the_link_only() -> None:
    async def other(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            writer.write(b"x" * 3_000_000)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(other, "127.0.0.1", 0)
    async with server:
        login = Login("127.0.0.1", server.sockets[0].getsockname()[1], "callboard", "secret")
        with pytest.raises(LinkBroken, match="more than"):
            async with session(login) as payloads:
                await anext(payloads)


async def test_a_clock_that_is_no_number_changes_nothing() -> None:
    async with serving(AmiScript(clock="inf")) as asterisk, session(login_of(asterisk)) as payloads:
        assert orjson.loads(await anext(payloads))["CallboardReceived"] == NOW


async def test_what_waits_for_the_door_is_bounded_in_bytes() -> None:
    outbox = Outbox(DoorClient("127.0.0.1:1"), "s", most_bytes=1_000)
    for _ in range(3):
        await outbox.put(b"x" * 400, 0.01)
    with pytest.raises(DoorAway):
        await outbox.put(b"x", 0.01)


async def test_a_login_that_is_refused_later_is_tried_again() -> None:
    async with (
        open_sources_door(SourcesDoor()) as door,
        serving(AmiScript(refused={2, 3})) as asterisk,
        collecting(asterisk, door),
    ):
        await until(lambda: "QueueStatusComplete" in names(door))
        asterisk.drop()
        await until(lambda: names(door).count("QueueStatusComplete") == 2)
        assert asterisk.sessions == 4


async def test_a_caller_who_is_gone_after_a_gap_is_lost_and_one_who_waits_is_not() -> None:
    gone = JOIN | {"Uniqueid": "1700000010.2", "Linkedid": "1700000010.2"}
    async with (
        open_sources_door(SourcesDoor()) as door,
        serving(AmiScript()) as asterisk,
        collecting(asterisk, door),
    ):
        await until(lambda: "QueueStatusComplete" in names(door))
        await asterisk.say(frame(JOIN) + frame(gone))
        await until(lambda: names(door).count("QueueCallerJoin") == 2)
        entry = {"Event": "QueueEntry", "Queue": "support", "Uniqueid": JOIN["Uniqueid"]}
        asterisk.status = [entry | {"Wait": "90", "CallerIDNum": "5550101"}]
        asterisk.clock = "1700000100.000000"
        asterisk.drop()
        await until(lambda: names(door).count("QueueStatusComplete") == 2)
    translator = SOURCES[SOURCE].begin("s", {})
    events = [event for payload in door.taken for event in translator.translate(payload)]
    told = [(event["type"], event["contact"], event["ts"]) for event in events]
    assert told == [
        ("contact.queued", "1700000010.1", 1_700_000_010_250),
        ("contact.queued", "1700000010.2", 1_700_000_010_250),
        ("contact.left", "1700000010.2", 1_700_000_100_000),
    ]
    assert events[-1]["reason"] == "lost"


async def test_while_the_door_is_away_little_is_held_and_then_it_is_a_gap() -> None:
    away = False
    door = SourcesDoor(lambda number: "refuse" if away else "take")
    async with (
        open_sources_door(door),
        serving(AmiScript()) as asterisk,
        collecting(asterisk, door, most=20),
    ):
        await until(lambda: "QueueStatusComplete" in names(door))
        away = True
        with suppress(OSError):
            for number in range(60):
                await asterisk.say(frame(JOIN | {"Uniqueid": f"call-{number}"}))
        await until(lambda: not asterisk.inside)
        assert asterisk.sessions == 1
        away = False
        await until(lambda: names(door).count("QueueStatusComplete") == 2)
    before, after = names(door).index("QueueCallerJoin"), names(door).count("QueueCallerJoin")
    calls = [orjson.loads(p)["Uniqueid"] for p in door.taken[before : before + after]]
    assert calls == [f"call-{number}" for number in range(20)]
    assert names(door)[before + after :] == [
        "CallboardConnected",
        "FullyBooted",
        "QueueStatusComplete",
    ]


async def test_an_asterisk_that_says_nothing_is_left() -> None:
    async with (
        open_sources_door(SourcesDoor()) as door,
        serving(AmiScript()) as asterisk,
        collecting(asterisk, door, idle_s=0.05),
    ):
        await until(lambda: "QueueStatusComplete" in names(door))
        asterisk.mute = True
        await until(lambda: asterisk.sessions >= 2)


async def test_queue_status_is_asked_again_when_asterisk_has_booted() -> None:
    async with (
        open_sources_door(SourcesDoor()) as door,
        serving(AmiScript()) as asterisk,
        collecting(asterisk, door),
    ):
        await until(lambda: "QueueStatusComplete" in names(door))
        await asterisk.say(frame({"Event": "FullyBooted", "Timestamp": "1700000200.000000"}))
        await until(lambda: names(door).count("QueueStatusComplete") == 2)
        assert asterisk.actions.count("QueueStatus") == 2


async def test_a_door_that_refuses_for_good_ends_the_collector() -> None:
    async with serving(AmiScript()) as asterisk, open_sources_door(SourcesDoor()) as door:
        login = login_of(asterisk)
        async with DoorClient(f"{door.address}/nowhere", source=SOURCE) as client:
            with pytest.raises(DoorRefused, match="404"):
                await collect("Asterisk", lambda: session(login), Outbox(client, "s"), QUICK)


def test_headers_that_repeat_are_a_list() -> None:
    raw = b"Event: X\r\nOne: a\r\nEmpty: \r\nOne: b: c\r\nno header\r\nOne: d\r\n\r\n"
    assert parse(raw) == {"Event": "X", "One": ["a", "b: c", "d"], "Empty": ""}


async def test_the_command_reads_its_secret_from_a_file_and_stops_when_told(tmp_path: Path) -> None:
    async with open_sources_door(SourcesDoor()) as door, serving(AmiScript()) as asterisk:
        secret = tmp_path / "secret"
        secret.write_text(f"{asterisk.secret}\n")
        words = f"collect ami --site s --user callboard --port {asterisk.port} --to {door.address}"
        command = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "pipeline.cli.main", *words.split()),
            env=os.environ | {"CALLBOARD_AMI_SECRET_FILE": str(secret)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        await until(lambda: "QueueStatusComplete" in names(door))
        command.send_signal(signal.SIGTERM)
        said, _ = await asyncio.wait_for(command.communicate(), 60)
    assert command.returncode == 0, said
    assert b"connected and logged in" in said
    assert asterisk.secret.encode() not in said
