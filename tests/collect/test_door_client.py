"""The client of the door: nothing is lost while it fails, and what cannot be mended is told."""

from __future__ import annotations

import asyncio
import socket
from socket import EAI_AGAIN, EAI_NONAME
from typing import Any
from unittest.mock import Mock

import aiohttp
import orjson
import pytest
from aiohttp import web
from typer.testing import CliRunner

from pipeline.cli.collect import collect
from pipeline.collect.door_client import DoorClient, DoorRefused, events_url
from pipeline.simulate.stream import Record
from tests.ports import free_port
from tests.simulate.fake_door import FakeDoor, open_door


def record(number: int, site: str = "s") -> Record:
    event = {"type": "clock", "site": site, "ts": number}
    return Record(number, site, orjson.dumps(event))


RECORDS = [record(number) for number in range(10)]


async def send(door: FakeDoor, records: list[Record], token: str = "") -> tuple[int, int]:
    async with DoorClient(door.address, token, first_delay_s=0.01) as client:
        receipt = await client.send(records)
    return receipt.taken, receipt.refused


async def test_records_arrive_in_order_under_their_site() -> None:
    mixed = [record(1, "a"), record(2, "b/ü"), record(3, "a"), record(4, "b/ü")]
    async with open_door(FakeDoor()) as door:
        assert await send(door, mixed) == (4, 0)
    assert [p for site, p in door.taken if site == "a"] == [mixed[0].payload, mixed[2].payload]
    assert [p for site, p in door.taken if site == "b/ü"] == [mixed[1].payload, mixed[3].payload]


@pytest.mark.parametrize("status", [500, 502, 503, 429])
async def test_a_door_that_cannot_keep_events_is_asked_again(status: int) -> None:
    door = FakeDoor(
        lambda number, request, body: web.Response(status=status) if number < 3 else None
    )
    async with open_door(door):
        assert await send(door, RECORDS) == (10, 0)
    assert door.posts == 4
    assert door.payloads == [r.payload for r in RECORDS]


async def test_retry_after_is_respected_up_to_the_client_s_own_limit() -> None:
    waits: list[float] = []
    headers = {0: "1", 1: "3600", 2: "Wed, 21 Oct 2015 07:28:00 GMT"}

    def verdict(number: int, request: web.Request, body: bytes) -> web.Response | None:
        if number in headers:
            return web.Response(status=503, headers={"Retry-After": headers[number]})
        return None

    async def no_sleep(seconds: float) -> None:
        waits.append(seconds)

    async with open_door(FakeDoor(verdict)) as door:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("pipeline.collect.door_client.asyncio.sleep", no_sleep)
            assert await send(door, RECORDS) == (10, 0)
    assert waits == [1.0, 5.0, 0.04]


async def test_a_connection_cut_in_the_answer_sends_the_batch_again() -> None:
    def verdict(number: int, request: web.Request, body: bytes) -> web.Response | None:
        if number == 0:
            assert request.transport is not None
            request.transport.close()
        return None

    async with open_door(FakeDoor(verdict)) as door:
        assert await send(door, RECORDS) == (10, 0)
    assert door.payloads == [r.payload for r in RECORDS] * 2


async def test_a_closed_door_is_waited_for() -> None:
    said: list[str] = []
    door = FakeDoor()
    door.port = port = free_port()
    async with DoorClient(door.address, "", lambda why, wait: said.append(why), 0.01) as client:
        sending = asyncio.create_task(client.send(RECORDS))
        while len(said) < 3:
            await asyncio.sleep(0.01)
        async with open_door(door, port):
            receipt = await asyncio.wait_for(sending, 60)
    assert (receipt.taken, len(door.payloads)) == (10, 10)
    assert "Connect" in said[0]


async def test_a_body_that_is_too_large_is_halved_and_one_event_too_large_left_out() -> None:
    large = Record(5, "s", orjson.dumps({"type": "clock", "site": "s", "ts": 5, "x": "y" * 500}))

    def verdict(number: int, request: web.Request, body: bytes) -> web.Response | None:
        return web.Response(status=413) if len(body) > 200 else None

    async with open_door(FakeDoor(verdict)) as door:
        assert await send(door, [*RECORDS, large]) == (10, 1)
    assert door.payloads == [r.payload for r in RECORDS]


async def test_refused_lines_are_counted_and_not_sent_again() -> None:
    broken = Record(1, "s", b'{"type": "contact.queued", "site": "s", "ts": 1}')
    async with open_door(FakeDoor()) as door:
        assert await send(door, [*RECORDS, broken]) == (10, 1)
    assert door.posts == 1


@pytest.mark.parametrize(("status", "said"), [(401, "token"), (404, "404"), (415, "415")])
async def test_what_no_retry_can_mend_is_raised(status: int, said: str) -> None:
    door = FakeDoor(lambda number, request, body: web.Response(status=status, text="no"))
    async with open_door(door):
        with pytest.raises(DoorRefused, match=said):
            await send(door, RECORDS)
    assert door.posts == 1


def unresolved(code: int) -> aiohttp.ClientConnectorDNSError:
    """What the client meets where a name does not resolve."""
    error = socket.gaierror(code, "as the resolver says")
    return aiohttp.ClientConnectorDNSError(Mock(host="nowhere"), error)


@pytest.mark.parametrize("address", ["http://:1", "127.0.0.1:99999", "ftp://127.0.0.1:1"])
async def test_what_is_no_address_is_not_tried_again(address: str) -> None:
    async with DoorClient(address) as client:
        with pytest.raises(DoorRefused, match="no address"):
            await client.send(RECORDS)


async def test_a_host_that_does_not_exist_is_not_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with DoorClient("nowhere:1") as client:
        monkeypatch.setattr(client._session, "post", Mock(side_effect=unresolved(EAI_NONAME)))
        with pytest.raises(DoorRefused, match="no host nowhere"):
            await client.send(RECORDS)


async def test_a_resolver_that_is_away_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the door has been met only while the resolver asks to try again, afterwards always."""
    said: list[str] = []
    async with (
        open_door(FakeDoor()) as door,
        DoorClient(door.address, "", lambda why, wait: said.append(why), 0.01) as client,
    ):
        session = client._session
        assert session is not None
        post = session.post
        for code in (EAI_AGAIN, EAI_NONAME):
            answers = iter([unresolved(code), None])

            def answer(*args: Any, answers: Any = answers, **kwargs: Any) -> Any:
                if error := next(answers):
                    raise error
                return post(*args, **kwargs)

            monkeypatch.setattr(session, "post", answer)
            assert (await client.send(RECORDS)).taken == 10
    assert said == ["the name nowhere does not resolve"] * 2


async def test_the_token_is_sent_as_a_bearer() -> None:
    seen: list[str | None] = []

    def verdict(number: int, request: web.Request, body: bytes) -> None:
        seen.append(request.headers.get("Authorization"))

    async with open_door(FakeDoor(verdict)) as door:
        await send(door, RECORDS, "secret")
        await send(door, RECORDS)
    assert seen == ["Bearer secret", None]


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("127.0.0.1:7070", "http://127.0.0.1:7070/v1/events"),
        ("http://host:1/", "http://host:1/v1/events"),
        ("https://host/callboard/v1/events", "https://host/callboard/v1/events"),
    ],
)
def test_an_address_is_completed(address: str, url: str) -> None:
    assert events_url(address) == url


def test_a_password_in_the_address_and_a_token_are_one_too_many() -> None:
    with pytest.raises(DoorRefused, match="use one"):
        DoorClient("http://user:geheim@127.0.0.1:1", "token")


async def test_a_wrong_address_is_told_without_its_password() -> None:
    async with DoorClient("ftp://user:geheim@127.0.0.1:1") as client:
        with pytest.raises(DoorRefused) as told:
            await client.send(RECORDS)
    assert "geheim" not in str(told.value)


@pytest.mark.parametrize(
    "command",
    [
        ["queue-log", "log", "--site=s", "--to=http://user:geheim@door:7070"],
        ["ami", "--site=s", "--user=u", "--to=user:geheim@door:7070"],
        ["finesse", "--site=s", "--user=u", "--host=h", "--agents=a", "--rest=https://u:geheim@h"],
        ["import", "f", "--format=zoho", "--site=s", "--to=http://u:geheim@h"],
    ],
)
def test_a_password_on_the_command_line_is_refused(command: list[str]) -> None:
    result = CliRunner().invoke(collect, command)
    assert result.exit_code == 2
    assert "CALLBOARD_DOOR_TOKEN" in result.output
    assert "geheim" not in result.output
