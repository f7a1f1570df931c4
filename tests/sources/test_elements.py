"""A capture of webhooks may have posted arrays: they are taken apart as by the door."""

from __future__ import annotations

import pytest

from pipeline.sources import SOURCES

POSTED = ["zendesk", "liveperson", "salesforce", "hubspot", "zoho", "feedback", "feedback-csv"]


@pytest.mark.parametrize("name", POSTED)
def test_an_array_of_a_line_is_as_many_payloads(name: str) -> None:
    lines = [b'[{"a":1},{"b":[2]}]\n', b"\n", b'{"c":3}\n', b'[{"d"\n', b"[]\n"]
    assert list(SOURCES[name].payloads(lines)) == [
        (1, b'{"a":1}'),
        (1, b'{"b":[2]}'),
        (3, b'{"c":3}'),
        (4, b'[{"d"'),
    ]
