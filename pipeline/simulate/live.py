"""A simulation that runs live beside the embedded stack: its options and its feeder.

`python -m pipeline.simulate.live` is the feeder as a process, configured by the environment like
the other roles; options and position lie in the data folder as `simulation.json` and `feeder.json`.
The options, which hold seed and start, are all that is kept: after a restart the same centre is
simulated again up to where the feeder was.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, replace
from pathlib import Path
from zoneinfo import ZoneInfo

import orjson

from pipeline.collect.door_client import DoorClient, Receipt
from pipeline.simulate.feed import Feeder, Position, pause_of
from pipeline.simulate.options import DAY, HOUR, Options, OptionsError, Scenario
from pipeline.simulate.process import run_process, say_retry, until_answered
from pipeline.simulate.stream import Simulation
from pipeline.simulate.zones import morning_zone
from schemas.clock import Clock
from schemas.config import Config
from schemas.moments import day_start

OPTIONS_FILE = "simulation.json"
POSITION_FILE = "feeder.json"
ENDLESS_MS = 3650 * DAY
_FIRST_HOUR = 6
"""The centre wakes at this hour of its first day; the night before would add next to nothing."""


def live_options(base: Options, now_ms: int) -> Options:
    """The options for a simulation that is in its mid-morning at `now_ms` and does not end.

    An incident strikes ten minutes later, unless `base` says how long after the start.
    """
    zone = morning_zone(now_ms)
    start = day_start(now_ms, ZoneInfo(zone)) + _FIRST_HOUR * HOUR
    after = base.incident_after_ms
    if after is None:
        after = now_ms - start + HOUR // 6
    return replace(
        base, time_zone=zone, start=start, duration_ms=ENDLESS_MS, incident_after_ms=after
    )


def save_options(options: Options, path: Path) -> None:
    """Write the options to a file, replacing an earlier one at once."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_bytes(orjson.dumps(asdict(options)))
    fresh.replace(path)


def load_options(path: Path) -> Options | None:
    """The options in a file, None where there is no such file. Raises `OptionsError`."""
    try:
        fields = orjson.loads(path.read_bytes())
        return Options(**{**fields, "scenario": Scenario(fields["scenario"])})
    except FileNotFoundError:
        return None
    except OptionsError:
        raise
    except (ValueError, KeyError, TypeError) as error:
        raise OptionsError(f"{path}: not options of a simulation: {error!r}") from error


def position_of(options: Options, path: Path) -> Position:
    """How far the feeder of these options got; the position of others counts for nothing.

    Whoever has kept everything up to some moment in another way saves the next one here.
    """
    digest = hashlib.sha256(orjson.dumps(asdict(options))).hexdigest()
    return Position(path, {"simulation": digest[:16]})


async def feed_simulation(
    options: Options, clock: Clock, address: str, position_file: Path, token: str = ""
) -> Receipt:
    """Post the simulation's events as the clock reaches them, from where the last run stopped."""
    position = position_of(options, position_file)
    source = Simulation(options).records
    async with DoorClient(address, token, on_retry=say_retry) as door:
        return await Feeder(door, source, clock.now_ms, position, pause_of(clock)).run()


async def run(config: Config) -> None:
    """Feed until cancelled. Raises `OptionsError` when there are no options, `DoorRefused`."""
    options = load_options(config.data_dir / OPTIONS_FILE)
    if options is None:
        raise OptionsError(f"{config.data_dir / OPTIONS_FILE}: no such file; the stack writes it")
    await until_answered(config.door_host, config.door_port)
    clock = Clock.from_file(config.clock_file)
    address = f"http://{config.door_host}:{config.door_port}"
    state = config.data_dir / POSITION_FILE
    await feed_simulation(options, clock, address, state, config.door_token)


if __name__ == "__main__":
    run_process("feeder", run)
