"""kill -9 of everything in the middle of the day: the day's totals are the same integers."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import orjson
import pytest

from tests.e2e.running import Json, RunningStack, contract, replayed

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

SITE = "bank"
ROLES = ("agents", "sink", "ingest", "store", "door")


def _same_as_replayed(stack: RunningStack, folder: Path) -> Json:
    """Board, time machine and SQL at one moment; the board's object."""
    at = stack.freeze(SITE)
    board = stack.board(SITE)
    file = stack.journalled(folder / f"events-{at}.ndjson", SITE)
    replay = replayed(file, stack.folder / "settings" / f"{SITE}.yml", at)
    assert contract(board) == contract(replay)
    rows = stack.sql(f"SELECT * FROM kpi_window(site = '{SITE}', window = 'total', at = NULL)")
    for row in rows:
        figures = board["queues"][row["queue"]][row["channel"]]["windows"]["total"]
        for counter in ("offered", "answered", "abandoned", "handled", "talk_ms", "sl_missed"):
            assert int(row[counter]) == figures[counter], (row["queue"], counter)
    assert stack.sql("SELECT * FROM reconciliation") == []
    stack.thaw()
    return board


def test_the_day_survives_kills_of_every_process(tmp_path: Path) -> None:
    with RunningStack(tmp_path / "data", "--pace", "10") as stack:
        before = stack.board(SITE)["all"]["queues"]["windows"]["total"]["offered"]
        for role in ROLES:
            time.sleep(3)
            stack.signal(role, signal.SIGKILL)
        time.sleep(6)
        stack.signal("broker", signal.SIGKILL)
        stack.until(lambda: _epoch(stack) == 2, 30, "a new epoch begins")
        stack.until(lambda: stack.board(SITE)["epoch"] == 2, 60, "the board is back")
        board = _same_as_replayed(stack, tmp_path)
        assert board["late"] == 0
        assert board["all"]["queues"]["windows"]["total"]["offered"] > before
        assert stack.stop() == 0
        stack.start()
        again = _same_as_replayed(stack, tmp_path)
        assert again["at"] > board["at"]


def _epoch(stack: RunningStack) -> int:
    epoch: int = orjson.loads((stack.folder / "epoch.json").read_bytes())["epoch"]
    return epoch


def test_nothing_is_late_after_ingest_and_worker_were_down_for_half_an_hour(
    tmp_path: Path,
) -> None:
    with RunningStack(tmp_path / "data", "--pace", "120") as stack:
        time.sleep(3)
        before = stack.board(SITE)["at"]
        for role in ("ingest", "agents"):
            stack.signal(role, signal.SIGSTOP)
        time.sleep(16)
        for role in ("ingest", "agents"):
            stack.signal(role, signal.SIGKILL)
        stack.until(lambda: stack.board(SITE)["at"] > before + 1_800_000, 60, "time goes on")
        assert _same_as_replayed(stack, tmp_path)["late"] == 0


def test_a_contact_that_waits_across_a_restart_is_answered_in_sql(tmp_path: Path) -> None:
    with RunningStack(tmp_path / "data", "--empty") as stack:
        now = int(time.time() * 1000)
        about = {"site": "default", "contact": "c-1"}
        queued = {"type": "contact.queued", "ts": now, "queue": "support", **about}
        assert stack.post("default", queued)["taken"] == 1
        stack.until(lambda: _waiting(stack) == 1, 20, "the contact waits")
        stack.signal("broker", signal.SIGKILL)
        stack.until(lambda: _epoch(stack) == 2 and _waiting(stack) == 1, 60, "it still waits")
        answered = {"type": "contact.answered", "ts": now + 60, "agent": "ann", **about}
        stack.until(lambda: stack.post("default", answered)["taken"] == 1, 30, "the door takes it")
        stack.until(lambda: _outcomes(stack) == ["answered"], 40, "SQL knows the answer")


def _waiting(stack: RunningStack) -> int:
    waiting: int = stack.board("default")["all"]["queues"]["now"]["waiting"]
    return waiting


def _outcomes(stack: RunningStack) -> list[str]:
    return [row["outcome"] for row in stack.sql("SELECT outcome FROM contacts")]
