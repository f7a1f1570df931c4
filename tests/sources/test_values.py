"""Values of payloads are checked whatever they are, and nothing of them is kept for long."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.sources import values
from pipeline.sources.source import Unread


def nested(depth: int) -> Any:
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


def test_what_is_nested_too_deeply_to_be_shown_is_refused_all_the_same() -> None:
    for read in (values.word_at, values.whole_at, values.iso_at, values.name_at):
        with pytest.raises(Unread, match="deeply nested list"):
            read({"field": nested(5_000)}, "field")


def test_long_text_is_no_time_and_is_not_kept() -> None:
    values.iso("2026-03-02T09:00:00.000Z", "field")
    before = values._moment.cache_info().currsize
    with pytest.raises(Unread, match="no time"):
        values.iso("2026-03-02T09:00:00Z" + "0" * 100_000, "field")
    assert values._moment.cache_info().currsize == before
