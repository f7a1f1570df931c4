"""The collector of the event socket against a scripted FreeSWITCH."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import orjson
import pytest

from pipeline.collect.door_client import DoorClient
from pipeline.collect.event_socket import EVENTS, SOURCE, Login, session, table
from pipeline.collect.link import LoginRefused, Pace, collect
from pipeline.collect.outbox import Outbox
from pipeline.sources import SOURCES
from tests.collect.scripted import EventSocketScript, event_json, serving, until
from tests.collect.sources_door import SourcesDoor, open_sources_door

QUICK = Pace(first_s=0.01, most_s=0.05, patience_s=0.1, farewell_s=10.0)
QUEUES = "name|strategy|moh_sound\nsupport@default|longest-idle-agent|local_stream://moh\n+OK\n"
MEMBERS = (
    "queue|instance_id|uuid|session_uuid|cid_number|cid_name|system_epoch|joined_epoch|"
    "rejoined_epoch|bridge_epoch|abandoned_epoch|base_score|skill_score|serving_agent|"
    "serving_system|state|score\n"
    "support@default|single_box|m-1|call-1|5550101|A|pipe in a name|1700000000|1700000000|0|0|0|0|0"
    "|||Waiting|12\n+OK\n"
)
AGENTS = (
    "name|instance_id|uuid|type|contact|status|state\n"
    "1001@default|single_box||callback|[x=1|y=2]user/1001|Available|Waiting\n+OK\n"
)
TABLES = {
    "strmicroepoch": "1700000030500000",
    "callcenter_config queue list": QUEUES,
    "callcenter_config queue list members support@default": MEMBERS,
    "callcenter_config agent list": AGENTS,
}


def event(action: str, call: str, at: int, **more: str) -> bytes:
    headers = {
        "Event-Name": "CUSTOM",
        "Event-Date-Timestamp": str(at * 1_000_000),
        "Event-Subclass": "callcenter::info",
        "CC-Queue": "support@default",
        "CC-Action": action,
        "CC-Member-UUID": f"m-{call}",
        "CC-Member-Session-UUID": call,
        "CC-Member-CID-Number": "5550101",
    }
    return orjson.dumps(headers | more)


@asynccontextmanager
async def collecting(
    switch: EventSocketScript, door: SourcesDoor, most: int = 1000, **changes: Any
) -> AsyncIterator[asyncio.Task[None]]:
    """The collector at work; what it raises is raised at the end."""
    login = Login("127.0.0.1", switch.port, **({"password": switch.password} | changes))
    async with DoorClient(door.address, first_delay_s=0.01, source=SOURCE) as client:
        work = collect("FreeSWITCH", lambda: session(login), Outbox(client, "s", most), QUICK)
        task = asyncio.create_task(work)
        try:
            yield task
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task


def names(door: SourcesDoor) -> list[str]:
    rows = [orjson.loads(payload) for payload in door.taken]
    return [row.get("Callboard-Action") or row["CC-Action"] for row in rows]


async def test_lists_come_first_and_events_as_freeswitch_wrote_them() -> None:
    start, offer = event("member-queue-start", "call-2", 1_700_000_031), b'{"a": "\xc3\xa4"}'
    switch = EventSocketScript(tables=TABLES)
    async with (
        open_sources_door(SourcesDoor()) as door,
        serving(switch),
        collecting(switch, door),
    ):
        await until(lambda: len(door.taken) == 4)
        await switch.say(event_json(start) + event_json(offer))
        await until(lambda: len(door.taken) == 6)
    rows = [orjson.loads(payload) for payload in door.taken[:4]]
    assert [row["Callboard-Action"] for row in rows] == ["connected", "agent", "member", "complete"]
    assert {row["CallboardReceived"] for row in rows} == {1_700_000_030_500}
    assert rows[1]["contact"] == "[x=1|y=2]user/1001"
    assert (rows[2]["cid_name"], rows[2]["state"]) == ("A|pipe in a name", "Waiting")
    assert door.taken[4:] == [start, offer]
    assert door.places == {("freeswitch", "s")}
    assert switch.commands[1] == f"event json {EVENTS}"


async def test_events_that_come_before_the_lists_are_not_lost() -> None:
    early = event("member-queue-start", "call-3", 1_700_000_030)
    switch = EventSocketScript(tables=TABLES, aside=[event_json(early)])
    async with (
        open_sources_door(SourcesDoor()) as door,
        serving(switch),
        collecting(switch, door),
    ):
        await until(lambda: "complete" in names(door))
    assert names(door) == ["connected", "member-queue-start", "agent", "member", "complete"]


async def test_a_wrong_password_ends_the_collector() -> None:
    async with open_sources_door(SourcesDoor()) as door, serving(EventSocketScript()) as switch:
        with pytest.raises(LoginRefused, match="refuses the password"):
            async with collecting(switch, door, password="wrong") as task:
                await task
    assert door.taken == []


async def test_a_caller_who_is_gone_after_a_gap_is_lost_and_one_who_waits_is_not() -> None:
    switch = EventSocketScript(tables=dict(TABLES), refused={2})
    async with (
        open_sources_door(SourcesDoor()) as door,
        serving(switch),
        collecting(switch, door),
    ):
        await until(lambda: "complete" in names(door))
        await switch.say(event_json(event("member-queue-start", "call-2", 1_700_000_040)))
        await until(lambda: "member-queue-start" in names(door))
        switch.tables["strmicroepoch"] = "1700000100000000"
        switch.drop()
        await until(lambda: names(door).count("complete") == 2)
    translator = SOURCES[SOURCE].begin("s", {})
    events = [event for payload in door.taken for event in translator.translate(payload)]
    told = [(event["type"], event.get("contact"), event["ts"]) for event in events]
    assert told == [
        ("agent.state", None, 1_700_000_030_500),
        ("contact.queued", "call-1", 1_700_000_000_000),
        ("contact.queued", "call-2", 1_700_000_040_000),
        ("contact.left", "call-2", 1_700_000_100_000),
    ]
    assert (events[1]["customer"], events[-1]["reason"]) == ("5550101", "lost")


async def test_while_the_door_is_away_little_is_held_and_then_it_is_a_gap() -> None:
    away = False
    door = SourcesDoor(lambda number: "refuse" if away else "take")
    switch = EventSocketScript(tables=TABLES)
    async with open_sources_door(door), serving(switch), collecting(switch, door, most=20):
        await until(lambda: "complete" in names(door))
        away = True
        with suppress(OSError):
            for number in range(60):
                await switch.say(event_json(event("members-count", f"call-{number}", 1)))
        await until(lambda: not switch.inside)
        assert switch.sessions == 1
        away = False
        await until(lambda: names(door).count("complete") == 2)
    held = [orjson.loads(p) for p in door.taken[4:24]]
    assert [row["CC-Member-Session-UUID"] for row in held] == [f"call-{n}" for n in range(20)]
    assert names(door)[24:] == ["connected", "agent", "member", "complete"]


async def test_a_freeswitch_that_says_nothing_is_left() -> None:
    switch = EventSocketScript(tables=TABLES)
    async with (
        open_sources_door(SourcesDoor()) as door,
        serving(switch),
        collecting(switch, door, idle_s=0.05),
    ):
        await until(lambda: "complete" in names(door))
        switch.mute = True
        await until(lambda: switch.sessions >= 2)


async def test_without_mod_callcenter_no_lists_are_taken_for_empty_ones() -> None:
    error = "-ERR callcenter_config Command not found!\n"
    switch = EventSocketScript(tables=TABLES | {"callcenter_config agent list": error})
    async with (
        open_sources_door(SourcesDoor()) as door,
        serving(switch),
        collecting(switch, door),
    ):
        await until(lambda: switch.sessions >= 3)
        switch.tables = TABLES
        await until(lambda: "complete" in names(door))
    assert set(names(door)) == {"connected", "agent", "member", "complete"}


def test_a_table_without_rows_is_empty() -> None:
    assert list(table("+OK\n")) == []
    assert list(table("")) == []


async def test_the_command_says_what_is_wrong_and_not_the_password() -> None:
    async with open_sources_door(SourcesDoor()) as door, serving(EventSocketScript()) as switch:
        words = f"collect freeswitch --site s --port {switch.port} --to {door.address}"
        command = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "pipeline.cli.main", *words.split()),
            env=os.environ | {"CALLBOARD_ESL_PASSWORD": "not-the-password"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await asyncio.wait_for(command.communicate(), 60)
    assert command.returncode == 1, said
    assert b"FreeSWITCH refuses the password: -ERR invalid" in said
    assert b"not-the-password" not in said
