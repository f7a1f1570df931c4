"""The demo's feeder: posts the bank's events to the door when they come due by the paced clock.

`python -m pipeline.demo.feeder` runs it as a process, configured by the environment like the other
roles: plan and position lie in the data folder as `demo.json` and `feeder.json`.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.collect.door_client import DoorClient, Receipt
from pipeline.demo.day import DemoError, DemoPlan
from pipeline.simulate.feed import Feeder, Position, pause_of
from pipeline.simulate.process import run_process, say_retry, until_answered
from pipeline.simulate.stream import Record
from pipeline.sources.bank1999 import SITE
from schemas.clock import Clock
from schemas.config import Config

PLAN_FILE = "demo.json"
POSITION_FILE = "feeder.json"


def position_of(plan: DemoPlan, path: Path) -> Position:
    """How far the feeder of this plan got; another plan's position counts for nothing."""
    about: dict[str, str | int] = {
        "zone": plan.zone,
        "local_date": plan.local_date.isoformat(),
        "bank_day": plan.bank_day.isoformat(),
    }
    return Position(path, about)


async def feed_demo(
    plan: DemoPlan,
    clock: Clock,
    address: str,
    position_file: Path,
    token: str = "",
    site: str = SITE,
) -> Receipt:
    """Post the plan's events as the clock reaches them, for ever, from where the last run stopped.

    Without a position it begins with the first event of the plan's first day.
    """

    def source(after: int | None) -> Iterator[Record]:
        return plan.records(after, site)

    position = position_of(plan, position_file)
    async with DoorClient(address, token, on_retry=say_retry) as door:
        return await Feeder(door, source, clock.now_ms, position, pause_of(clock)).run()


async def run(config: Config) -> None:
    """Feed until cancelled. Raises `DemoError` when there is no plan, `DoorRefused`."""
    plan = DemoPlan.load(config.data_dir / PLAN_FILE)
    if plan is None:
        raise DemoError(f"{config.data_dir / PLAN_FILE}: no such file; the stack writes it")
    # The bank's files take seconds to read, in which no time of the site may go by.
    next(plan.records(position_of(plan, config.data_dir / POSITION_FILE).at), None)
    await until_answered(config.door_host, config.door_port)
    clock = Clock.from_file(config.clock_file)
    address = f"http://{config.door_host}:{config.door_port}"
    await feed_demo(plan, clock, address, config.data_dir / POSITION_FILE, config.door_token)


if __name__ == "__main__":
    run_process("feeder", run)
