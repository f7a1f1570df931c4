"""A live simulation: its options, its morning and its feeder go together."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime
from itertools import takewhile
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from pipeline.simulate import live
from pipeline.simulate.options import HOUR, MINUTE, Options, OptionsError, Scenario
from pipeline.simulate.stream import Simulation
from pipeline.simulate.zones import morning_zone
from schemas.clock import Clock
from schemas.config import Config
from tests.simulate.fake_door import FakeDoor, open_door

NOW = int(datetime(2026, 5, 4, 21, 17, 5, tzinfo=UTC).timestamp() * 1000)
SMALL = Options(agents=15, queues=3, seed=9)


def test_it_is_mid_morning_and_the_centre_woke_hours_ago() -> None:
    options = live.live_options(SMALL, NOW)
    local = datetime.fromtimestamp(NOW / 1000, ZoneInfo(options.time_zone))
    assert (local.hour, local.minute) == (10, 17)
    assert NOW - options.start == 4 * HOUR + 17 * MINUTE + 5000
    assert options.end > NOW + 1000 * 24 * HOUR
    assert (options.agents, options.seed) == (15, 9)


def test_an_incident_strikes_ten_minutes_from_now() -> None:
    options = live.live_options(replace(SMALL, scenario=Scenario.BURST), NOW)
    assert options.incident.start == NOW + 10 * MINUTE
    assert options.incident.end == NOW + 20 * MINUTE


@pytest.mark.parametrize("hour", range(24))
def test_every_hour_has_its_morning_zone(hour: int) -> None:
    for minute in (0, 59):
        now = datetime(2026, 12, 31, hour, minute, 59, tzinfo=UTC)
        zone = ZoneInfo(morning_zone(int(now.timestamp() * 1000)))
        assert now.astimezone(zone).hour == 10
        assert abs(now.astimezone(zone).utcoffset().total_seconds()) <= 12 * 3600  # type: ignore[union-attr]


def test_options_survive_in_a_file(tmp_path: Path) -> None:
    options = live.live_options(SMALL, NOW)
    live.save_options(options, tmp_path / "simulation.json")
    assert live.load_options(tmp_path / "simulation.json") == options
    assert live.load_options(tmp_path / "absent.json") is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"scenario": "flood"}', '{"agent": 1}'])
def test_a_file_without_options_is_an_error_that_names_it(tmp_path: Path, content: str) -> None:
    path = tmp_path / "simulation.json"
    path.write_text(content)
    with pytest.raises(OptionsError, match="simulation.json"):
        live.load_options(path)


def handed_over(options: Options, until: int) -> list[bytes]:
    due = takewhile(lambda record: record.at <= until, Simulation(options).records())
    return [record.payload for record in due]


async def test_morning_and_feeder_together_give_every_event_once(tmp_path: Path) -> None:
    options = live.live_options(SMALL, NOW)
    morning = handed_over(options, NOW)
    state = tmp_path / live.POSITION_FILE
    live.position_of(options, state).save(NOW + 1)
    # Ten minutes of the simulation pass in a second.
    clock = Clock(int(time.time() * 1000), NOW, 600.0)
    async with open_door(FakeDoor()) as door:
        feeding = asyncio.create_task(live.feed_simulation(options, clock, door.address, state))
        async with asyncio.timeout(180):
            while (live.position_of(options, state).at or 0) <= NOW + 10 * MINUTE:
                await asyncio.sleep(0.05)
        feeding.cancel()
        await asyncio.gather(feeding, return_exceptions=True)
    until = live.position_of(options, state).at
    assert until is not None
    got = morning + door.payloads
    whole = handed_over(options, until + 1)
    assert got[: len(whole)] == whole[: len(got)]
    assert len(got) > len(morning) + 10


async def test_without_options_the_process_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(OptionsError, match=r"simulation\.json"):
        await live.run(Config(data_dir=tmp_path))
