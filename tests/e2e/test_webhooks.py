"""Three platforms call the door over HTTP, signed as each signs; the board shows their calls."""

from __future__ import annotations

import base64
import hmac
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from hashlib import sha1, sha256
from pathlib import Path

import orjson
import pytest
import yaml

from pipeline.simulate.options import MINUTE, Options
from pipeline.simulate.settings import site_settings
from pipeline.simulate.stream import Simulation
from pipeline.simulate.zones import morning_zone
from tests.e2e.figures import Json, differences, of_board
from tests.e2e.running import RunningStack, contract, replayed
from tests.e2e.sites import new_site, now_ms

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

SECRET = "known to both sides"
Call = tuple[str, bytes, dict[str, str]]
"""An address, a body and its headers."""
Sign = Callable[[bytes, str], Call]


def genesys(payload: bytes, url: str) -> Call:
    """EventBridge calls an API destination with the key of its connection."""
    return url, payload, {"Content-Type": "application/json", "X-Api-Key": SECRET}


def twilio(payload: bytes, url: str) -> Call:
    """Event Streams posts JSON; the address holds the body's hash and is what is signed."""
    url = f"{url}&bodySHA256={sha256(payload).hexdigest()}"
    mac = base64.b64encode(hmac.digest(SECRET.encode(), url.encode(), sha1)).decode()
    return url, payload, {"Content-Type": "application/json", "X-Twilio-Signature": mac}


def zendesk(payload: bytes, url: str) -> Call:
    """Zendesk signs the time and the body."""
    stamp = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    mac = base64.b64encode(hmac.digest(SECRET.encode(), stamp.encode() + payload, sha256)).decode()
    headers = {
        "Content-Type": "application/json",
        "X-Zendesk-Webhook-Signature": mac,
        "X-Zendesk-Webhook-Signature-Timestamp": stamp,
    }
    return url, payload, headers


PLATFORMS: dict[str, Sign] = {
    "genesys-cloud": genesys,
    "twilio": twilio,
    "zendesk": zendesk,
}


def test_signed_webhooks_reach_the_board_and_forged_ones_do_not(
    empty: RunningStack, tmp_path: Path
) -> None:
    hooks = empty.folder / "hooks"
    hooks.mkdir(exist_ok=True)
    captures: dict[str, Path] = {}
    for name, sign in PLATFORMS.items():
        (hooks / name).write_text(SECRET)
        simulation = _centre(name)
        settings = site_settings(simulation.centres[0].plan)
        new_site(empty, name, yaml.safe_dump({k: v for k, v in settings.items() if k != "site"}))
        captures[name] = _captured(tmp_path / name, [r.payload for r in simulation.records()])
        _call(empty, name, sign, captures[name].read_bytes().splitlines())
        assert _forged(empty, name, sign) == 401
    for name in PLATFORMS:
        empty.drained(name)
    empty.freeze("zendesk")
    for name, capture in captures.items():
        board = empty.board(name)
        assert board["all"]["queues"]["windows"]["total"]["answered"] > 3, name
        settings_file = empty.folder / "settings" / f"{name}.yml"
        replay = replayed(capture, settings_file, board["at"], "--format", name)
        assert contract(board) == contract(replay), name
        assert board["dead_lettered"] == 0
        empty.until(lambda n=name, b=board: _agrees(empty, n, b), 60, f"{name} is stored")
    assert empty.sql("SELECT * FROM reconciliation") == []
    _customers_are_hashed(empty)
    forged = [
        line for line in empty.metrics("door").splitlines() if "forged_requests_total{" in line
    ]
    assert sorted(float(line.rpartition(" ")[2]) for line in forged) == [1.0, 1.0, 1.0]


def _agrees(stack: RunningStack, name: str, board: Json) -> bool:
    return differences(stack.figures_in_sql(name), of_board(board)) == []


def _centre(name: str) -> Simulation:
    """Eight minutes of a centre that end a little before now."""
    start = now_ms() - 9 * MINUTE
    zone = morning_zone(start)
    return Simulation(
        Options(
            agents=40,
            queues=2,
            duration_ms=8 * MINUTE,
            start=start,
            time_zone=zone,
            site=name,
            platform=name,
            seed=3,
        )
    )


def _captured(path: Path, payloads: Iterable[bytes]) -> Path:
    path.write_bytes(b"\n".join(payloads) + b"\n")
    return path


def _call(stack: RunningStack, name: str, sign: Sign, payloads: list[bytes]) -> None:
    url = _url(stack, name)
    for payload in payloads:
        address, body, headers = sign(payload, url)
        request = urllib.request.Request(address, data=body, headers=headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            assert orjson.loads(response.read())["taken"] == 1


def _forged(stack: RunningStack, name: str, sign: Sign) -> int:
    url = _url(stack, name)
    address, _, signed = sign(b"{}", url)
    headers = {
        key: value if key == "Content-Type" or "Timestamp" in key else "forged"
        for key, value in signed.items()
    }
    request = urllib.request.Request(address, data=b"{}", headers=headers)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=60)
    return refused.value.code


def _url(stack: RunningStack, name: str) -> str:
    return f"http://127.0.0.1:{stack.config.door_port}/v1/sources/{name}?site={name}"


def _customers_are_hashed(stack: RunningStack) -> None:
    rows: list[Json] = stack.sql(
        "SELECT DISTINCT customer FROM visits WHERE site IN ('genesys-cloud', 'twilio', 'zendesk')"
        " AND customer != ''"
    )
    assert rows
    assert all(len(row["customer"]) == 32 for row in rows)
    assert not any("cust-" in row["customer"] for row in rows)
