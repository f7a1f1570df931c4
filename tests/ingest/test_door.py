"""The door over real HTTP, with a real broker behind it."""

from __future__ import annotations

import asyncio
import gzip
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import aiohttp
import orjson
import pytest

from pipeline.ingest.body import MAX_PAYLOADS
from pipeline.ingest.door import Door
from pipeline.ingest.raw import MAX_EVENT_BYTES, read_headers
from pipeline.ingest.reading import MAX_BODY_BYTES
from schemas.config import Config
from schemas.topics import RAW
from tests.ingest.broker import Reader, home
from tests.ingest.roles import running_door, until

NDJSON = "application/x-ndjson"


def queued(number: int, site: str = "north") -> dict[str, Any]:
    return {
        "type": "contact.queued",
        "site": site,
        "ts": 1000 + number,
        "contact": f"c{number}",
        "queue": "q",
    }


def ndjson(*events: object) -> bytes:
    return b"".join(orjson.dumps(event) + b"\n" for event in events)


class Client:
    """Posts to a door and reads what arrives in the raw topic."""

    def __init__(self, door: Door, http: aiohttp.ClientSession, raw: Reader) -> None:
        self.door = door
        self.http = http
        self.raw = raw
        self.base = f"http://127.0.0.1:{door.config.door_port}"

    async def post(
        self, body: bytes, site: str | None = "north", kind: str = NDJSON, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Status and answer."""
        params = {} if site is None else {"site": site}
        url = f"{self.base}/v1/events"
        sent = {"Content-Type": kind, **{k.replace("_", "-"): v for k, v in headers.items()}}
        async with self.http.post(url, data=body, params=params, headers=sent) as response:
            return response.status, await response.json()

    async def arrived(self, count: int) -> list[Any]:
        """Raw records, once there are so many."""
        await until(lambda: len(self.raw.records) >= count, self.raw)
        return self.raw.records


@pytest.fixture
async def client(config: Config) -> AsyncIterator[Client]:
    async with (
        running_door(config) as door,
        aiohttp.ClientSession() as http,
        Reader(config.bootstrap, RAW) as raw,
    ):
        yield Client(door, http, raw)


async def test_taken_events_are_in_the_raw_topic_when_the_answer_comes(client: Client) -> None:
    before = client.door._clock.now_ms()
    body = ndjson(queued(1), queued(2))
    assert await client.post(body, X_Callboard_Source="acd") == (
        200,
        {"taken": 2, "refused": [], "refused_count": 0},
    )
    records = await client.arrived(2)
    assert [record.value for record in records] == body.splitlines()
    for record in records:
        headers = dict(record.headers)
        assert (record.key, record.partition) == (b"north", home("north"))
        assert (headers["format"], headers["source"]) == (b"canonical", b"acd")
        assert "journal" not in headers
        assert before <= int(headers["received"]) <= client.door._clock.now_ms()


async def test_an_array_is_taken_like_lines(client: Client) -> None:
    body = orjson.dumps([queued(1), {"type": "nonsense"}, queued(2)])
    status, answer = await client.post(body, kind="application/json; charset=utf-8")
    assert (status, answer["taken"], answer["refused_count"]) == (200, 2, 1)
    assert answer["refused"][0]["line"] == 2
    assert len(await client.arrived(3)) == 3


async def test_without_a_site_events_go_where_they_say(client: Client) -> None:
    status, answer = await client.post(ndjson(queued(1), queued(2, "south"), {}), site=None)
    assert (status, answer["taken"], answer["refused_count"]) == (200, 2, 1)
    records = await client.arrived(3)
    assert sorted(record.key or b"" for record in records) == [b"", b"north", b"south"]


async def test_refused_lines_reach_the_raw_topic_too(client: Client) -> None:
    status, answer = await client.post(b"noise\n" + ndjson(queued(1, "south")))
    assert (status, answer["taken"], answer["refused_count"]) == (200, 0, 2)
    assert [(one["line"], one["field"]) for one in answer["refused"]] == [
        (1, "payload"),
        (2, "site"),
    ]
    records = await client.arrived(2)
    assert {record.key for record in records} == {b"north"}


async def test_a_site_without_settings_is_told_and_its_events_are_kept(
    client: Client, settings_dir: Path
) -> None:
    status, answer = await client.post(ndjson(queued(1), queued(2, "nroth")), site=None)
    assert (status, answer["taken"], answer["refused_count"]) == (200, 1, 1)
    assert answer["refused"] == [
        {
            "line": 2,
            "field": "site",
            "reason": "'nroth' has no settings: no file in settings/ says `site: nroth`",
        }
    ]
    assert {record.key for record in await client.arrived(2)} == {b"north", b"nroth"}
    (settings_dir / "nroth.yml").write_text("site: nroth\nlatenes_ms: 1\n")
    await until(lambda: bool(client.door._settings.errors))
    _, answer = await client.post(ndjson(queued(2, "nroth")), site="nroth")
    assert answer["refused"][0]["reason"].endswith("; not usable there: nroth.yml")
    (settings_dir / "nroth.yml").write_text("site: nroth\n")
    await until(lambda: "nroth" in client.door._settings.sites)
    assert (await client.post(ndjson(queued(2, "nroth")), site="nroth"))[1]["taken"] == 1


@pytest.mark.parametrize("made", [False, True])
async def test_a_door_that_runs_apart_knows_no_sites_and_takes_them_all(
    config: Config, tmp_path: Path, made: bool
) -> None:
    apart = config.model_copy(update={"settings_dir": tmp_path / "elsewhere"})
    if made:
        apart.settings_dir.mkdir()
    async with (
        running_door(apart) as door,
        aiohttp.ClientSession() as http,
        Reader(config.bootstrap, RAW) as raw,
    ):
        assert (await Client(door, http, raw).post(ndjson(queued(1))))[1]["taken"] == 1


async def test_half_of_a_surrogate_pair_stops_nobody(client: Client) -> None:
    """JSON may spell it, but no site, header or journal can hold it."""
    bad = b'{"type":"clock","site":"\\ud800","ts":1}\n'
    status, answer = await client.post(bad, site=None)
    assert (status, answer["taken"], answer["refused_count"]) == (200, 0, 1)
    assert answer["refused"][0]["field"] == "site"
    status, answer = await client.post(bad + ndjson(queued(1)), X_Callboard_Source="\udcff")
    assert (status, answer["taken"], answer["refused_count"]) == (200, 1, 1)
    assert len(await client.arrived(3)) == 3


async def test_of_a_line_too_large_the_start_is_kept(client: Client) -> None:
    body = b"x" * (MAX_EVENT_BYTES + 5) + b"\n" + ndjson(queued(1))
    status, answer = await client.post(body)
    assert (status, answer["taken"], answer["refused_count"]) == (200, 1, 1)
    assert str(MAX_EVENT_BYTES) in answer["refused"][0]["reason"]
    large = (await client.arrived(2))[0]
    assert read_headers(large.headers).truncated == MAX_EVENT_BYTES + 5


async def test_a_body_too_large_is_413_also_when_it_is_compressed(client: Client) -> None:
    body = b" " * (MAX_BODY_BYTES + 1)
    assert (await client.post(body))[0] == 413
    assert (await client.post(gzip.compress(body), Content_Encoding="gzip"))[0] == 413
    status, answer = await client.post(b"1\n" * (MAX_PAYLOADS + 1))
    assert (status, "in parts" in answer["error"]) == (413, True)
    assert (await client.post(gzip.compress(ndjson(queued(1))), Content_Encoding="gzip"))[0] == 200
    assert len(await client.arrived(1)) == 1


@pytest.mark.parametrize(
    "body", [b"noise", gzip.compress(b"{}", mtime=0)[:10] + b"noise" * 9], ids=["noise", "cut"]
)
async def test_a_body_that_is_not_compressed_as_it_says_is_400(
    client: Client, body: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    status, answer = await client.post(body, Content_Encoding="gzip")
    assert status == 400
    assert "cannot be read" in answer["error"]
    assert "Unhandled" not in caplog.text
    assert (await client.post(ndjson(queued(1))))[0] == 200


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "x/y"])
async def test_another_content_type_is_415(client: Client, kind: str) -> None:
    status, answer = await client.post(ndjson(queued(1)), kind=kind)
    assert status == 415
    assert "application/x-ndjson" in answer["error"]


@pytest.mark.parametrize("site", ["", "x" * 201])
async def test_a_site_that_cannot_be_one_is_400(client: Client, site: str) -> None:
    assert (await client.post(ndjson(queued(1)), site=site))[0] == 400


async def test_too_much_in_flight_is_503_until_there_is_room(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.ingest.intake.MAX_IN_FLIGHT_BYTES", 200_000)
    body = ndjson(*(queued(number) for number in range(400)))
    answers = await asyncio.gather(*(client.post(body) for _ in range(30)))
    statuses = [status for status, _ in answers]
    assert set(statuses) == {200, 503}
    assert (await client.post(body))[0] == 200
    assert client.door.intake._in_flight == 0
    assert len(await client.arrived((statuses.count(200) + 1) * 400)) == (
        (statuses.count(200) + 1) * 400
    )


async def test_the_operators_pages(client: Client) -> None:
    await client.post(ndjson(queued(1), 7))
    for page, content in (
        ("healthz", "ok"),
        ("readyz", "ready"),
        ("metrics", "callboard_door_events_taken_total 1.0"),
        ("metrics", "callboard_door_events_refused_total 1.0"),
        ("metrics", 'callboard_door_requests_total{status="200"} 1.0'),
    ):
        async with client.http.get(f"{client.base}/{page}") as response:
            assert response.status == 200
            assert content in await response.text()


async def test_with_a_token_nothing_is_taken_without_it(config: Config) -> None:
    guarded = config.model_copy(update={"door_token": "sésame"})
    async with (
        running_door(guarded) as door,
        aiohttp.ClientSession() as http,
        Reader(config.bootstrap, RAW) as raw,
    ):
        client = Client(door, http, raw)
        body = ndjson(queued(1))
        assert (await client.post(body))[0] == 401
        assert (await client.post(body, Authorization="Bearer nope"))[0] == 401
        assert (await client.post(body, Authorization="Basic sésame"))[0] == 401
        assert (await client.post(body, Authorization="Bearer sésame"))[0] == 200
        assert len(await client.arrived(1)) == 1


async def test_while_the_broker_is_away_it_is_503_and_then_taken_again(
    config: Config, broker: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.ingest.intake.KEEP_WITHIN_S", 1.0)
    monkeypatch.setattr("pipeline.ingest.lanes.REQUEST_TIMEOUT_MS", 1000)
    async with (
        running_door(config) as door,
        aiohttp.ClientSession() as http,
        Reader(config.bootstrap, RAW) as raw,
    ):
        client = Client(door, http, raw)
        assert (await client.post(ndjson(queued(1))))[0] == 200
        broker.pause()
        try:
            url, kind = f"{client.base}/v1/events", {"Content-Type": NDJSON}
            async with http.post(url, data=ndjson(queued(2)), headers=kind) as response:
                assert (response.status, await response.text()) == (503, ANY)
                assert int(response.headers["Retry-After"]) > 0
            async with http.get(f"{client.base}/readyz") as response:
                assert response.status == 503
        finally:
            broker.resume()
        deadline = asyncio.get_running_loop().time() + 90
        while (await client.post(ndjson(queued(2))))[0] != 200:
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.1)
        await until(lambda: door.intake.lanes.backlog_bytes == 0)
        contacts = {orjson.loads(one.value)["contact"] for one in await client.arrived(2)}
        assert contacts == {"c1", "c2"}
