"""kill -9 of everything in the middle of the day: the day's totals are the same integers."""

from __future__ import annotations

import signal
from pathlib import Path

import orjson
import pytest

from tests.e2e.agreement import all_agree, total_of
from tests.e2e.running import RunningStack

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

SITE = "bank"
HALF_AN_HOUR = 1_800_000


def _goes_on(stack: RunningStack, minutes: int, site: str = SITE) -> None:
    began = stack.board(site)["at"]
    what = f"minutes go by: {minutes}"
    stack.until(lambda: stack.board(site)["at"] > began + minutes * 60_000, 90, what)


def _epoch(stack: RunningStack) -> int:
    epoch: int = orjson.loads((stack.folder / "epoch.json").read_bytes())["epoch"]
    return epoch


def kill_broker(stack: RunningStack, site: str) -> None:
    """Kill the broker and wait until the board is of the next epoch."""
    epoch = _epoch(stack) + 1
    stack.signal("broker", signal.SIGKILL)
    stack.until(lambda: _epoch(stack) == epoch, 60, "a new epoch begins")
    stack.until(lambda: stack.board(site)["epoch"] == epoch, 90, "the board is back")


def _kill(stack: RunningStack, role: str) -> None:
    """Kill a role and wait until another process has taken its place."""
    [pid] = stack.pids(role)
    stack.signal(role, signal.SIGKILL)
    stack.until(lambda: stack.pids(role) not in ([], [pid]), 60, f"{role} is back")


def test_the_day_survives_kills_of_every_role_and_half_an_hour_without_ingest_and_worker(
    bank: RunningStack, tmp_path: Path
) -> None:
    before = total_of(bank.board(SITE), "offered")
    for role in ("agents", "sink", "ingest", "store"):
        _kill(bank, role)
        _goes_on(bank, 1)
    began = bank.board(SITE)["at"]
    # A stopped process is not started again, as a dead one would be at once.
    for role in ("ingest", "agents"):
        bank.signal(role, signal.SIGSTOP)
    for role in ("store", "sink"):
        _kill(bank, role)
    bank.until(lambda: bank.received() > began + HALF_AN_HOUR, 90, "the door goes on")
    assert bank.board(SITE)["at"] < began + HALF_AN_HOUR
    for role in ("ingest", "agents"):
        _kill(bank, role)
    bank.until(lambda: bank.board(SITE)["at"] > began + HALF_AN_HOUR, 90, "time goes on")
    board = all_agree(bank, SITE, tmp_path)
    assert board["late"] == board["dead_lettered"] == 0
    assert total_of(board, "offered") > before


def test_the_day_survives_the_broker_and_its_memory(bank: RunningStack, tmp_path: Path) -> None:
    before = bank.board(SITE)
    kill_broker(bank, SITE)
    board = all_agree(bank, SITE, tmp_path)
    assert board["late"] == 0
    assert total_of(board, "offered") >= total_of(before, "offered")


def test_stopped_and_started_again_today_is_as_it_was(bank: RunningStack, tmp_path: Path) -> None:
    before = bank.board(SITE)
    assert bank.stop() == 0
    bank.start()
    board = all_agree(bank, SITE, tmp_path)
    assert board["at"] > before["at"]
    assert board["day_start"] == before["day_start"]
    assert total_of(board, "offered") >= total_of(before, "offered")
