"""What the terminal's tables write for a figure."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pipeline.replay import History, snapshots
from pipeline.replay.tables import NO_DATA, duration, percent, print_snapshot
from schemas.settings import SiteSettings


@pytest.mark.parametrize(
    ("ms", "text"),
    [
        (None, NO_DATA),
        (0, "0:00"),
        (499, "0:00"),
        (59_600, "1:00"),
        (61_000, "1:01"),
        (3_599_499, "59:59"),
        (3_600_000, "1:00:00"),
        (183_451.7, "3:03"),
        (360_000_000, "100:00:00"),
    ],
)
def test_durations(ms: float | None, text: str) -> None:
    assert duration(ms) == text


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, NO_DATA), (0.0, "0.0 %"), (1.0, "100.0 %"), (0.543815, "54.4 %")],
)
def test_no_data_is_not_zero_per_cent(share: float | None, text: str) -> None:
    assert percent(share) == text


def printed(width: int, *names: str) -> list[str]:
    """The lines of a snapshot with a contact waiting in each of these queues for a minute."""
    common = {"type": "contact.queued", "site": "s", "ts": 1000}
    common |= {"channel": "voice", "direction": "inbound"}
    events = [common | {"contact": name, "queue": name} for name in names]
    view = snapshots(History("s", 1000, events=events), SiteSettings(site="s"), [61_000])[0]
    text = io.StringIO()
    print_snapshot(Console(file=text, width=width), view, "UTC", "today")
    return [line.strip() for line in text.getvalue().splitlines()]


NAME = "Call-back left while waiting"


def test_a_wide_terminal_shows_a_queue_in_one_row() -> None:
    lines = printed(120, NAME, "sales")
    row = [NAME, "1", "1:00", "0", "1", "0", "0", "0", *[NO_DATA] * 4]
    assert " ".join(row) in [" ".join(line.split()) for line in lines]
    assert not any(line.startswith("Queues now") for line in lines)


def test_short_names_need_no_second_table_at_80_columns() -> None:
    assert "Queues, today" in printed(80, "sales", "help")
    assert "Queues now" not in printed(80, "sales", "help")


def test_a_narrow_terminal_shows_now_and_the_window_in_tables_of_their_own() -> None:
    """Names wrap between words, and no figure is cut."""
    lines = [" ".join(line.split()) for line in printed(80, NAME, "sales")]
    now, today = lines.index("Queues now"), lines.index("Queues, today")
    assert f"{NAME} 1 1:00 0" in lines[now:today]
    figures = f"1 0 0 0 {NO_DATA} {NO_DATA} {NO_DATA} {NO_DATA}"
    wrapped = lines.index(f"Call-back left while {figures}", today)
    assert lines[wrapped + 1] == "waiting"
    assert f"all 2 0 0 0 {NO_DATA} {NO_DATA} {NO_DATA} {NO_DATA}" in lines


@pytest.mark.parametrize("width", [60, 80, 100, 120])
def test_no_line_is_wider_than_the_terminal(width: int) -> None:
    assert max(map(len, printed(width, NAME * 5, "x" * 200))) <= width


def test_a_name_is_no_markup_and_may_be_the_word_for_the_sum() -> None:
    lines = [line.split() for line in printed(120, "[bold]help", "all")]
    assert [line[0] for line in lines if len(line) == 12][1:] == ["[bold]help", "all", "all"]
