"""The bank's day through everything: board, page, metrics, SQL and time machine say the same."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.running import Json, RunningStack, contract, replayed

pytestmark = [pytest.mark.stack, pytest.mark.timeout(400)]

SITE = "bank"
COUNTS = ("offered", "answered", "answered_in", "abandoned", "sl_met", "sl_missed", "handled")


class Frozen:
    """A stack whose time stands still, with what each place says of that moment."""

    def __init__(self, stack: RunningStack, folder: Path) -> None:
        self.stack = stack
        time.sleep(15)
        self.at = stack.freeze(SITE)
        self.board = stack.board(SITE)
        file = stack.journalled(folder / "events.ndjson", SITE)
        self.replay = replayed(file, stack.folder / "settings" / f"{SITE}.yml", self.at)


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Frozen]:
    """The demo at sixty times its pace for a while, then frozen."""
    folder = tmp_path_factory.mktemp("day")
    with RunningStack(folder / "data", "--pace", "60") as stack:
        found = Frozen(stack, folder)
        yield found
        stack.thaw()


def test_the_board_is_in_the_middle_of_a_busy_morning(frozen: Frozen) -> None:
    today = frozen.board["all"]["queues"]["windows"]["today"]
    assert today["offered"] > 300
    assert today["answered"] > 250


def test_the_board_says_what_the_time_machine_says(frozen: Frozen) -> None:
    assert contract(frozen.board) == contract(frozen.replay)
    assert frozen.replay["at"] == frozen.at
    assert frozen.replay["late"] == 0


def test_the_metrics_say_what_the_board_says(frozen: Frozen) -> None:
    metrics = frozen.stack.metrics()
    assert metrics[f'callboard_site_time_timestamp_seconds{{site="{SITE}"}}'] * 1000 == frozen.at
    for queue, channels in frozen.board["queues"].items():
        for window in ("5m", "60m", "today", "total"):
            figures = channels["voice"]["windows"][window]
            for counter, metric in (("offered", "offered"), ("answered", "answered")):
                value = _sample(metrics, metric, queue, window)
                assert value == figures[counter], (queue, window, counter)


def _sample(metrics: dict[str, float], counter: str, queue: str, window: str) -> float:
    wanted = (f'queue="{queue}"', f'window="{window}"', f'site="{SITE}"')
    found = [
        value
        for name, value in metrics.items()
        if name.startswith(f"callboard_queue_{counter}{{")
        and all(label in name for label in wanted)
    ]
    assert len(found) == 1, (counter, queue, window, found)
    return found[0]


@pytest.mark.parametrize("window", ["5m", "15m", "30m", "60m", "today", "total"])
def test_sql_says_what_the_board_says(frozen: Frozen, window: str) -> None:
    rows = frozen.stack.sql(
        f"SELECT * FROM kpi_window(site = '{SITE}', window = '{window}', at = NULL)"
    )
    seen: Json = {row["queue"]: row for row in rows}
    for queue, channels in frozen.board["queues"].items():
        figures = channels["voice"]["windows"][window]
        for counter in figures:
            if counter == "parts" or figures["offered"] == 0 == figures["handled"]:
                continue
            if isinstance(figures[counter], int):
                assert int(seen[queue][counter]) == figures[counter], (queue, counter)


def test_the_store_reconciles(frozen: Frozen) -> None:
    assert frozen.stack.sql("SELECT * FROM reconciliation") == []
    contacts = frozen.stack.sql("SELECT count() AS n FROM contacts")
    assert int(contacts[0]["n"]) == frozen.board["all"]["queues"]["windows"]["total"]["offered"]


def test_the_page_shows_what_the_board_says(frozen: Frozen, tmp_path: Path) -> None:
    if shutil.which("chromium") is None or shutil.which("chromedriver") is None:
        pytest.skip("no chromium and chromedriver on this machine: the page is not looked at")
    from tests.e2e.page import shown_figures

    port = frozen.stack.config.board_port
    shown = shown_figures(f"http://127.0.0.1:{port}/?site={SITE}&window=today#queues", tmp_path)
    for queue, channels in frozen.board["queues"].items():
        figures = channels["voice"]["windows"]["today"]
        for kpi in ("offered", "answered", "abandoned", "service_level"):
            if (queue, kpi) in shown and figures[kpi] is not None:
                assert shown[queue, kpi] == pytest.approx(figures[kpi], abs=0), (queue, kpi)
    assert len([kpi for queue, kpi in shown if kpi == "offered"]) >= 5
