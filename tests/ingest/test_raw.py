"""Headers of raw records, also as foreign producers write them."""

from __future__ import annotations

import pytest

from pipeline.ingest.raw import RawRecord, read_headers


def test_headers_survive_the_way_through_kafka() -> None:
    record = RawRecord("north", b"{}", 1_700_000_000_123, source="acd", truncated=9)
    read = read_headers(record.headers(journal=7))
    assert (read.format, read.received, read.journal, read.truncated) == (
        "canonical",
        1_700_000_000_123,
        7,
        9,
    )


def test_a_record_without_headers_is_canonical_and_says_nothing_else() -> None:
    read = read_headers([])
    assert (read.format, read.received, read.journal, read.truncated) == ("canonical", -1, -1, -1)


@pytest.mark.parametrize("value", [None, b"", b"soon", b"-5", b"1.5", b"\xff", b"9" * 19, b"1e3"])
def test_a_number_that_is_none_is_as_if_absent(value: bytes | None) -> None:
    read = read_headers([("received", value), ("journal", value), ("truncated", value)])
    assert (read.received, read.journal, read.truncated) == (-1, -1, -1)


def test_headers_of_others_are_ignored() -> None:
    assert read_headers([("traceparent", b"00-1"), ("received", b"5")]).received == 5
