"""Webhooks of platforms at a door over real HTTP, with a real broker behind it."""

from __future__ import annotations

import asyncio
import base64
import hmac
import logging
from collections.abc import AsyncIterator
from hashlib import sha1
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import aiohttp
import orjson
import pytest

from pipeline.ingest.door import Door
from pipeline.ingest.raw import MAX_EVENT_BYTES
from pipeline.ingest.reading import MAX_BODY_BYTES
from schemas.config import Config
from schemas.topics import RAW
from tests.ingest.broker import Reader
from tests.ingest.roles import running_door, until

TOKEN = "the token of the door"
SECRET = "the secret of the hook"
JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


class Caller:
    """Calls a door as a platform does, and reads what arrives in the raw topic."""

    def __init__(self, door: Door, http: aiohttp.ClientSession, raw: Reader) -> None:
        self.door = door
        self.raw = raw
        self._http = http
        self._base = f"http://127.0.0.1:{door.config.door_port}"

    def url(self, source: str, site: str = "north") -> str:
        return f"{self._base}/v1/sources/{source}?site={site}"

    async def call(
        self,
        source: str,
        body: bytes,
        headers: dict[str, str] | None = None,
        site: str = "north",
        kind: str = JSON,
    ) -> tuple[int, dict[str, Any]]:
        sent = {"Content-Type": kind, **(headers or {})}
        async with self._http.post(self.url(source, site), data=body, headers=sent) as response:
            return response.status, await response.json()

    async def arrived(self, count: int) -> list[Any]:
        await until(lambda: len(self.raw.records) >= count, self.raw)
        assert len(self.raw.records) == count
        return self.raw.records

    async def metric(self, name: str) -> float:
        async with self._http.get(f"{self._base}/metrics") as page:
            lines = (await page.text()).splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


@pytest.fixture
async def caller(config: Config, tmp_path: Path) -> AsyncIterator[Caller]:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("twilio", "genesys-cloud", "amazon-connect"):
        (hooks / name).write_text(SECRET)
    secured = config.model_copy(update={"hooks_dir": hooks, "door_token": TOKEN})
    async with (
        running_door(secured) as door,
        aiohttp.ClientSession() as http,
        Reader(config.bootstrap, RAW) as raw,
    ):
        yield Caller(door, http, raw)


SHOWN = {"X-Api-Key": SECRET}


async def test_payloads_arrive_as_they_came_with_their_format(caller: Caller) -> None:
    one, other = b'{"b": 1.0,  "a": "\xc3\xbc"}', b'{"x": 2}'
    assert (await caller.call("genesys-cloud", one, SHOWN))[0] == 200
    status, told = await caller.call("genesys-cloud", one + b"\n" + other, SHOWN)
    assert (status, told["taken"]) == (200, 2)
    records = await caller.arrived(3)
    assert [record.value for record in records] == [one, one, other]
    for record in records:
        headers = dict(record.headers)
        assert (record.key, headers["format"]) == (b"north", b"genesys-cloud")


async def test_a_form_is_one_payload_and_its_signature_is_checked(caller: Caller) -> None:
    fields = {"EventType": "task.created", "TaskSid": "WT1", "TaskAttributes": '{"a": "b c"}'}
    body = urlencode(fields).encode()
    text = caller.url("twilio") + "".join(name + fields[name] for name in sorted(fields))
    mac = base64.b64encode(hmac.digest(SECRET.encode(), text.encode(), sha1)).decode()
    right = {"X-Twilio-Signature": mac}
    assert (await caller.call("twilio", body, right, kind=FORM))[0] == 200
    assert (await caller.call("twilio", body + b"&x=y", right, kind=FORM))[0] == 401
    assert [record.value for record in await caller.arrived(1)] == [body]


async def test_a_forged_call_is_counted_and_nothing_of_it_is_kept(
    caller: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        for headers in ({}, {"X-Api-Key": "wrong secret"}, {"Authorization": f"Bearer {SECRET}x"}):
            status, told = await caller.call("genesys-cloud", b"{}", headers)
            assert status == 401
            assert SECRET not in str(told)
    assert await caller.metric("callboard_door_forged_requests_total{") == 3
    assert (await caller.call("genesys-cloud", b'{"real": 1}', SHOWN))[0] == 200
    assert len(await caller.arrived(1)) == 1
    assert SECRET not in caplog.text
    assert "wrong secret" not in caplog.text
    assert TOKEN not in caplog.text


async def test_a_collector_shows_the_door_s_token(caller: Caller) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    lines = b"1|NONE|NONE|NONE|QUEUESTART|\n2|NONE|NONE|NONE|CONFIGRELOAD|\n"
    for kind in ("text/plain", "application/x-ndjson"):
        status, told = await caller.call("asterisk-queue-log", lines, bearer, kind=kind)
        assert (status, told["taken"], told["refused_count"]) == (200, 2, 0)
    assert (await caller.call("asterisk-queue-log", lines, {}))[0] == 401
    assert (await caller.call("genesys-cloud", b"{}", bearer))[0] == 200
    values = [record.value for record in await caller.arrived(5)]
    assert values[:2] == lines.splitlines()


async def test_firehose_is_unpacked_and_answered_in_its_way(caller: Caller) -> None:
    events = [b'{"EventId": "1"}', b'{"EventId": "2"}', b'{"EventId": "3"}']
    data = [events[0] + b"\n" + events[1], events[2]]
    records = [{"data": base64.b64encode(item).decode()} for item in data]
    body = orjson.dumps({"requestId": "r-1", "timestamp": 5, "records": records})
    headers = {"X-Amz-Firehose-Request-Id": "r-1"}
    shown = {**headers, "X-Amz-Firehose-Access-Key": SECRET}
    status, told = await caller.call("amazon-connect", body, shown)
    assert (status, told["requestId"]) == (200, "r-1")
    assert told.keys() == {"requestId", "timestamp"}
    status, told = await caller.call("amazon-connect", body, headers)
    assert (status, told["requestId"]) == (401, "r-1")
    assert "secret" in told["errorMessage"]
    for broken in (b"no JSON", b"[]", b'{"records": 1}', b'{"records": [{"data": "?"}]}'):
        assert (await caller.call("amazon-connect", broken, shown))[0] == 400
    assert [record.value for record in await caller.arrived(3)] == events


async def test_what_cannot_be_taken_is_refused_with_its_reason(caller: Caller) -> None:
    large = b"x" * (MAX_BODY_BYTES + 1)
    wrong: list[tuple[int, str, dict[str, Any]]] = [
        (404, "genesis", {}),
        (404, "genesys-cloud", {"site": "nowhere"}),
        (400, "genesys-cloud", {"site": ""}),
        (415, "genesys-cloud", {"kind": "image/png"}),
        (413, "genesys-cloud", {"body": large}),
    ]
    for status, source, how in wrong:
        given = {"body": b"{}", "headers": SHOWN, **how}
        got, told = await caller.call(source, **given)
        assert (got, bool(told["error"])) == (status, True), how
    status, told = await caller.call("genesys-cloud", b'"%s"' % (b"x" * MAX_EVENT_BYTES), SHOWN)
    assert (status, told["taken"], told["refused_count"]) == (200, 0, 1)
    (record,) = await caller.arrived(1)
    assert dict(record.headers)["truncated"] == b"%d" % (MAX_EVENT_BYTES + 2)


async def test_a_platform_may_look_first(caller: Caller) -> None:
    async with aiohttp.ClientSession() as http:
        for source, status in (("zoho", 200), ("genesis", 404)):
            async with http.get(caller.url(source)) as response:
                assert response.status == status


async def test_without_a_token_only_this_machine_is_believed(config: Config) -> None:
    async with running_door(config) as door, aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{config.door_port}/v1/sources/genesys-cloud?site=north"
        async with http.post(url, json={}) as response:
            assert response.status == 200
        for header in ("X-Forwarded-For", "Forwarded", "Via", "Origin"):
            # A proxy on the machine, or a page in its browser, calls from it too.
            async with http.post(url, json={}, headers={header: "x"}) as response:
                assert response.status == 401
        door._hooks._open = lambda request, site: False  # type: ignore[method-assign]  # from elsewhere
        async with http.post(url, json={}) as response:
            assert response.status == 401


async def test_bodies_are_read_within_a_bound(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many large posts at once: what goes beyond the bound is to be sent again."""
    monkeypatch.setattr("pipeline.ingest.door.MAX_UNPROVED_BYTES", 3_000)
    async with running_door(config), aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{config.door_port}/v1/sources/genesys-cloud?site=north"

        async def slow() -> AsyncIterator[bytes]:
            yield b'{"a": "'
            async with http.post(url, data=b"x" * 2_000, headers={"Content-Type": JSON}) as other:
                assert other.status == 503
                assert other.headers["Retry-After"]
            yield b'"}'

        async with http.post(url, data=slow(), headers={"Content-Type": JSON}) as response:
            assert response.status == 200
        async with http.post(url, data=b"{}", headers={"Content-Type": JSON}) as response:
            assert response.status == 200


async def test_a_body_that_does_not_end_keeps_nobody_out(
    config: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.ingest.reading.READ_WITHIN_S", 0.05)
    async with running_door(config) as door, aiohttp.ClientSession() as http:
        url = f"http://127.0.0.1:{config.door_port}/v1/sources/genesys-cloud?site=north"
        answered = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            yield b"{"
            await answered.wait()

        async with http.post(url, data=endless(), headers={"Content-Type": JSON}) as response:
            assert response.status == 408
            answered.set()
        assert door._unproved._held == 0


async def test_what_a_caller_sent_is_repeated_to_it_also_where_it_is_no_text(
    config: Config,
) -> None:
    async with running_door(config):
        reader, writer = await asyncio.open_connection("127.0.0.1", config.door_port)
        writer.write(
            b"POST /v1/sources/genesys-cloud?site=north HTTP/1.1\r\nHost: x\r\n"
            b"Connection: close\r\nContent-Type: text/\xff\r\nContent-Length: 2\r\n"
            b"X-Amz-Firehose-Request-Id: \xff\r\n\r\n{}"
        )
        answer = await reader.read()
        writer.close()
    assert answer.startswith(b"HTTP/1.1 415")
    assert (
        orjson.loads(answer.rpartition(b"\r\n\r\n")[2].replace(b"\\udcff", b""))["requestId"] == ""
    )


async def test_a_platform_is_told_to_send_again_while_nothing_can_be_kept(caller: Caller) -> None:
    caller.door.intake.open = False
    url, headers = caller.url("genesys-cloud"), {**SHOWN, "Content-Type": JSON}
    try:
        async with (
            aiohttp.ClientSession() as http,
            http.post(url, data=b"{}", headers=headers) as told,
        ):
            assert told.status == 503
            assert int(told.headers["Retry-After"]) > 0
    finally:
        caller.door.intake.open = True
