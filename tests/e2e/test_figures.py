"""The bank's day through everything: page, board, metrics, SQL and time machine say the same."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import page
from tests.e2e.figures import (
    RATIOS,
    WINDOWS,
    Json,
    differences,
    of_board,
    of_metrics,
    without_sums,
)
from tests.e2e.running import RunningStack, contract, replayed

pytestmark = [pytest.mark.stack, pytest.mark.timeout(600)]

SITE = "bank"


class Frozen:
    """A stack whose time stands still, with what its board says of that moment."""

    def __init__(self, stack: RunningStack) -> None:
        self.stack = stack
        began = stack.board(SITE)["at"]
        stack.until(lambda: stack.board(SITE)["at"] > began + 600_000, 60, "ten minutes go by")
        self.at = stack.freeze(SITE)
        self.board = stack.board(SITE)
        self.figures = of_board(self.board)


@pytest.fixture(scope="module")
def frozen(bank: RunningStack) -> Iterator[Frozen]:
    """The demo some minutes after its start."""
    yield Frozen(bank)
    bank.thaw()


def test_the_board_is_in_the_middle_of_a_busy_morning(frozen: Frozen) -> None:
    today = frozen.board["all"]["queues"]["windows"]["today"]
    assert today["offered"] > 300
    assert today["answered"] > 250
    assert sum(frozen.board["all"]["agents"].values()) >= 5
    # Every scope has figures in every window, or the comparisons below would compare nothing.
    assert {window for _, window, _ in frozen.figures} == set(WINDOWS)
    assert {kind for (kind, *_), _, _ in frozen.figures} == {
        "queue",
        "team",
        "all queues",
        "all agents",
    }
    assert len(frozen.figures) > 250


def test_the_board_says_what_the_time_machine_says(frozen: Frozen, tmp_path: Path) -> None:
    file = frozen.stack.journalled(tmp_path / "events.ndjson", SITE)
    replay = replayed(file, frozen.stack.folder / "settings" / f"{SITE}.yml", frozen.at)
    assert replay["at"] == frozen.board["at"] == frozen.at
    assert replay["late"] == 0
    assert differences(frozen.figures, of_board(replay)) == []
    assert contract(frozen.board) == contract(replay)


def test_the_metrics_say_what_the_board_says(frozen: Frozen) -> None:
    text = frozen.stack.metrics()
    right = without_sums(frozen.figures)
    found = of_metrics(text, SITE)
    assert found.keys() == right.keys()
    # Averages are in seconds there: the same double divided and multiplied by 1000.
    assert found == pytest.approx(right, rel=1e-15, abs=0)
    exact = {name for name in right if not (name[2] in RATIOS and name[2].endswith("_ms"))}
    assert {n: found[n] for n in exact} == {n: right[n] for n in exact}
    assert f'callboard_site_time_timestamp_seconds{{site="{SITE}"}}' in text
    for queue, channels in frozen.board["queues"].items():
        waiting = f'callboard_queue_waiting{{channel="voice",queue="{queue}",site="{SITE}"}}'
        assert _sample(text, waiting) == channels["voice"]["now"]["waiting"]


def _sample(text: str, name: str) -> float:
    """A sample whatever the order of its labels."""
    metric, _, labels = name.rstrip("}").partition("{")
    for line in text.splitlines():
        if line.startswith(f"{metric}{{"):
            found, _, value = line.rpartition("} ")
            if sorted(found.partition("{")[2].split(",")) == sorted(labels.split(",")):
                return float(value)
    raise AssertionError(f"no sample {name}")


def test_sql_says_what_the_board_says(frozen: Frozen) -> None:
    assert differences(frozen.stack.figures_in_sql(SITE), frozen.figures) == []


def test_the_store_reconciles_and_knows_every_contact(frozen: Frozen) -> None:
    assert frozen.stack.sql("SELECT * FROM reconciliation") == []
    printed = frozen.stack.command("sql", "--format", "json", "SELECT count() AS n FROM contacts")
    offered = frozen.board["all"]["queues"]["windows"]["total"]["offered"]
    assert int(json.loads(printed)["n"]) == offered


def test_the_page_shows_what_the_board_says(frozen: Frozen, tmp_path: Path) -> None:
    if lacking := page.missing_programs():
        pytest.skip(f"this machine has no {' and no '.join(lacking)}: the page is not looked at")
    port = frozen.stack.config.board_port
    with page.opened(f"http://127.0.0.1:{port}/?site={SITE}", tmp_path / "profile") as opened:
        for window in ("5m", "15m", "30m", "60m", "today"):
            shown = {**opened.shown("queues", window), **opened.shown("wall", window)}
            right = _to_show(frozen.board, window)
            compared = {name: shown[name] for name in right if name in shown}
            assert compared == {name: right[name] for name in compared}
            assert len(compared) >= 7 * (len(frozen.board["queues"]) + 1)


def _to_show(board: Json, window: str) -> dict[tuple[str, str, str], str]:
    """What cells must hold, by queue (empty for all), window and KPI; a dash holds nothing."""
    rows = {queue: channels["voice"] for queue, channels in board["queues"].items()}
    rows[""] = board["all"]["queues"]
    right = {
        (queue, window, kpi): row["windows"][window][kpi]
        for queue, row in rows.items()
        for kpi in ("offered", "answered", "abandoned", *RATIOS)
    }
    right |= {(queue, window, "waiting"): row["now"]["waiting"] for queue, row in rows.items()}
    right["", window, "occupancy"] = board["all"]["windows"][window]["occupancy"]
    return {name: _as_page(value) for name, value in right.items()}


def _as_page(value: float | None) -> str:
    """As JavaScript writes a number."""
    if value is None:
        return ""
    return str(int(value)) if value == int(value) else repr(value)
