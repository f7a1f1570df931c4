"""What the terminal's tables write for a figure."""

from __future__ import annotations

import pytest

from pipeline.replay.tables import NO_DATA, duration, percent


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
