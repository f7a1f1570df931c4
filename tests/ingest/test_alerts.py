"""Alerts at the door: kept whole on a topic of their own, or refused with the reason."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from pipeline.ingest.alerts import MAX_ALERT_BYTES, MAX_ALERTS
from pipeline.ingest.feeding import journal_folder
from pipeline.ingest.journal import read_journal
from pipeline.ingest.raw import ALERT_FORMAT
from schemas.config import Config
from schemas.topics import ALERTS, RAW
from tests.ingest.broker import Reader, home
from tests.ingest.roles import running_door, until

BODY = orjson.dumps(
    {"version": "4", "commonLabels": {"site": "north"}, "alerts": [{"status": "firing"}, {}]}
)
JSON = {"Content-Type": "application/json"}


class Client:
    """Posts alerts to a door."""

    def __init__(self, base: str, http: aiohttp.ClientSession) -> None:
        self.base = base
        self.http = http

    async def post(self, body: bytes, **headers: str) -> tuple[int, dict[str, Any]]:
        sent = JSON | {name.replace("_", "-"): value for name, value in headers.items()}
        url = f"{self.base}/v1/alerts"
        async with self.http.post(url, data=body, headers=sent) as response:
            return response.status, await response.json()


@pytest.fixture
async def client(config: Config) -> AsyncIterator[Client]:
    async with running_door(config) as door, aiohttp.ClientSession() as http:
        yield Client(f"http://127.0.0.1:{door.config.door_port}", http)


async def test_a_webhook_is_kept_as_it_came_under_the_site_its_alerts_share(
    client: Client, config: Config
) -> None:
    async with Reader(config.bootstrap, ALERTS) as alerts, Reader(config.bootstrap, RAW) as raw:
        assert await client.post(BODY) == (200, {"taken": 2})
        async with client.http.get(f"{client.base}/metrics") as page:
            assert "callboard_door_alerts_taken_total 2.0" in await page.text()
        await until(lambda: len(alerts.records) >= 1, alerts)
        (record,) = alerts.records
        assert (record.key, record.value) == (b"north", BODY)
        assert record.partition == home("north")
        assert int(dict(record.headers)["received"]) > 0
        nobody = b'{"alerts": []}'
        assert await client.post(nobody) == (200, {"taken": 0})
        await until(lambda: len(alerts.records) >= 2, alerts)
        assert alerts.records[1].key in (None, b"")
        await raw.more()
        assert raw.records == [], "no event of any site"


@pytest.mark.parametrize("body", [b"noise", b"[]", b"{}", b'{"alerts": {}}'])
async def test_what_is_no_webhook_is_refused(client: Client, body: bytes) -> None:
    status, answer = await client.post(body)
    assert status == 400
    assert "body" in answer["error"]


async def test_other_content_and_too_much_of_it_are_refused(client: Client) -> None:
    status, answer = await client.post(BODY, Content_Type="text/plain")
    assert (status, "application/json" in answer["error"]) == (415, True)
    large = orjson.dumps({"alerts": [], "more": "x" * MAX_ALERT_BYTES})
    status, answer = await client.post(large)
    assert (status, "max_alerts" in answer["error"]) == (413, True)
    crowd = orjson.dumps({"alerts": [0] * (MAX_ALERTS + 1)})
    status, answer = await client.post(crowd)
    assert (status, "max_alerts" in answer["error"]) == (413, True)


async def test_the_token_of_events_is_demanded_here_too(config: Config) -> None:
    closed = config.model_copy(update={"door_token": "secret"})
    async with running_door(closed) as door, aiohttp.ClientSession() as http:
        client = Client(f"http://127.0.0.1:{door.config.door_port}", http)
        assert (await client.post(BODY))[0] == 401
        assert (await client.post(BODY, Authorization="Bearer secret"))[0] == 200


async def test_with_a_journal_alerts_survive_the_broker(config: Config, tmp_path: Path) -> None:
    """Snapshots restored for their site hold events only: alerts are fed all the same."""
    kept = config.model_copy(update={"journal": True, "alone": True, "data_dir": tmp_path})
    async with running_door(kept) as door, aiohttp.ClientSession() as http:
        client = Client(f"http://127.0.0.1:{door.config.door_port}", http)
        assert (await client.post(BODY))[0] == 200
    ((seq, record),) = read_journal(journal_folder(tmp_path))
    assert (record.format, record.payload) == (ALERT_FORMAT, BODY)
    told = {"epoch": 9, "restore": {"north": {"snapshot": "none", "journal": seq + 5}}}
    (tmp_path / "epoch.json").write_bytes(orjson.dumps(told))
    async with (
        running_door(kept.model_copy(update={"epoch": 9})),
        Reader(config.bootstrap, ALERTS) as alerts,
    ):
        await until(lambda: len(alerts.records) >= 2, alerts)
    first, second = alerts.records
    assert (first.value, first.headers) == (second.value, second.headers)
