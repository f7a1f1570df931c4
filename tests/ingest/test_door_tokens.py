"""Who may send: the tokens of the door and of one site, and what becomes of those with neither."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pipeline.ingest import door as door_module
from pipeline.ingest import reading
from schemas.config import Config
from schemas.topics import RAW
from tests.ingest.broker import Reader
from tests.ingest.roles import running_door
from tests.ingest.test_door import Client, ndjson, queued

TOKEN, NORTH, NEXT = "the token of the door", "north alone", "north from tomorrow on"


@asynccontextmanager
async def sending(config: Config, hooks: Path, token: str = TOKEN) -> AsyncIterator[Client]:
    given = config.model_copy(
        update={"hooks_dir": hooks, "door_token": token, "trusted_proxies": "127.0.0.1"}
    )
    async with (
        running_door(given) as door,
        aiohttp.ClientSession() as http,
        Reader(config.bootstrap, RAW) as raw,
    ):
        yield Client(door, http, raw)


@pytest.fixture
def hooks(tmp_path: Path) -> Path:
    folder = tmp_path / "hooks"
    folder.mkdir()
    (folder / "north.events").write_text(f"{NORTH}\n{NEXT}\n")
    return folder


async def sent(client: Client, token: str | None, site: str | None = "north", **more: str) -> int:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    status, _ = await client.post(ndjson(queued(1, site or "north")), site, **headers, **more)
    return status


async def test_a_token_of_one_site_is_good_for_that_site_alone(config: Config, hooks: Path) -> None:
    async with sending(config, hooks) as client:
        assert await sent(client, TOKEN, "south") == 200
        assert await sent(client, TOKEN) == 200
        assert await sent(client, NORTH) == await sent(client, NEXT) == 200
        assert await sent(client, NORTH, "south") == 401
        assert await sent(client, NORTH, None) == 401, "the post must name the site"
        # An event of another site, in a post of this one, is refused and counts nowhere.
        body, shown = ndjson(queued(1, "south")), {"Authorization": f"Bearer {NORTH}"}
        status, told = await client.post(body, "north", **shown)
        assert (status, told["taken"], told["refused_count"]) == (200, 0, 1)
        (hooks / "north.events").write_text(NEXT)
        assert await sent(client, NORTH) == 401
        assert await sent(client, NEXT) == 200
        async with client.http.post(
            f"{client.base}/v1/alerts", json={"alerts": []}, headers=shown
        ) as response:
            assert response.status == 401, "alerts are of no one site"


async def test_a_site_with_tokens_asks_for_one_also_where_the_door_has_none(
    config: Config, hooks: Path
) -> None:
    async with sending(config, hooks, token="") as client:
        assert await sent(client, None) == 401
        assert await sent(client, NORTH) == 200
        assert await sent(client, None, "south") == 200
        assert await sent(client, None, "south", Origin="http://evil.example.org") == 403
        # Without `site` the events themselves would name the one that has tokens.
        status, _ = await client.post(ndjson(queued(1, "north")), None)
        assert status == 401
        # Who takes out the last token shuts the site, and does not open it to everybody.
        (hooks / "north.events").write_text("\n")
        assert await sent(client, None) == await sent(client, NORTH) == 401
        platform = f"{client.base}/v1/sources/twilio?site=north"
        async with client.http.post(platform, json={}) as response:
            assert response.status == 401


async def test_wrong_tokens_are_counted_and_keep_out_nobody(config: Config, hooks: Path) -> None:
    async with sending(config, hooks) as client:
        most = door_module.FAILURES
        wrong = ["", "x", TOKEN[:-1], f"{TOKEN}x", "ü", TOKEN.upper()]
        told = [await sent(client, wrong[n % len(wrong)]) for n in range(most + 5)]
        assert told == [401] * most + [429] * 5
        assert await sent(client, TOKEN) == 200
        assert await sent(client, "x", X_Forwarded_For="203.0.113.9") == 401
        async with client.http.get(f"{client.base}/metrics") as page:
            text = await page.text()
        assert f'callboard_door_requests_total{{status="401"}} {most + 1}.0' in text
        assert 'callboard_door_requests_total{status="429"} 5.0' in text


async def test_who_proves_nothing_cannot_take_the_room_of_those_with_a_token(
    config: Config, hooks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "READ_WITHIN_S", 60.0)
    (hooks / "twilio").write_text("a secret")
    async with sending(config, hooks) as client:
        never = asyncio.Event()

        async def endless() -> AsyncIterator[bytes]:
            yield b"x"
            await never.wait()

        async def hold() -> int:
            address = f"{client.base}/v1/sources/twilio?site=north"
            kind: Any = {"Content-Type": "application/json"}
            async with client.http.post(address, data=endless(), headers=kind) as response:
                return response.status

        held = [asyncio.create_task(hold()) for _ in range(12)]
        # Those for whom there is no room are told so; the others hold all there is.
        async with asyncio.timeout(180):
            done, waiting = await asyncio.wait(held, return_when=asyncio.FIRST_COMPLETED)
        assert {task.result() for task in done} == {503}
        assert await sent(client, TOKEN) == 200
        for task in waiting:
            task.cancel()
        never.set()
        await asyncio.gather(*held, return_exceptions=True)
