"""Canonical events in a file: whose they are, what is nothing and what is unreadable."""

from __future__ import annotations

import gzip
import json
import lzma
from pathlib import Path
from typing import Any

import pytest

from pipeline.sources import BadLine, canonical
from pipeline.sources.lines import InputError, LineFile


def clock(ts: object, **other: Any) -> bytes:
    return json.dumps({"type": "clock", "site": "s", "ts": ts, **other}).encode() + b"\n"


def read(*lines: bytes, site: str | None = "s") -> list[dict[str, Any] | BadLine]:
    return list(canonical.read(lines, site))


def test_events_come_validated_in_the_order_of_the_file() -> None:
    assert read(clock(2), clock(1, extra=1)) == [
        {"type": "clock", "site": "s", "ts": 2},
        {"type": "clock", "site": "s", "ts": 1},
    ]


def test_empty_lines_are_nothing_but_they_count_as_lines() -> None:
    assert read(b"\n", b"  \r\n", b"", b"\t\n", b"x\n") == [
        BadLine(
            5,
            "payload",
            "not JSON: unexpected character, expected a JSON value: line 1 column 1 (char 0)",
        )
    ]


def test_events_of_another_site_are_skipped_unread() -> None:
    other = [
        clock(1, site="other"),
        clock("no number", site="other"),
        b'{"site":"other"}\n',
        b'{"site":"other","type":"nonsense"}\n',
    ]
    assert read(*other) == []


@pytest.mark.parametrize(
    ("line", "field"),
    [
        (b"garbage\n", "payload"),
        (b"[]\n", "payload"),
        (b"null\n", "payload"),
        (clock(1) + b"{}", "payload"),
        (b'{"type":"clock","ts":1}\n', "site"),
        (clock(1, site=None), "site"),
        (clock(1, site=""), "site"),
        (clock(1, site=7), "site"),
        (clock(1, site="x" * 201), "site"),
        (clock("1"), "ts"),
        (b'{"site":"s"}\n', "type"),
        (b'{"type":"clock","site":"s","ts":1', "payload"),
    ],
)
def test_what_cannot_be_read_is_a_bad_line_with_its_field(line: bytes, field: str) -> None:
    [item] = read(line)
    assert isinstance(item, BadLine)
    assert (item.line, item.field) == (1, field)


def test_repeated_bad_lines_are_each_one() -> None:
    assert len(read(b"x\n", b"x\n", b"x\n")) == 3


def test_without_a_site_the_first_readable_event_decides() -> None:
    lines = [
        b"garbage\n",
        clock("wrong", site="b"),
        clock("wrong", site="a"),
        clock(1, site="b"),
        clock(2, site="a"),
        clock(3, site="b"),
        clock("wrong", site="a"),
    ]
    items = read(*lines, site=None)
    assert [item.line for item in items if isinstance(item, BadLine)] == [1, 2]
    assert [item["ts"] for item in items if isinstance(item, dict)] == [1, 3]


def test_without_any_readable_event_all_bad_lines_are_reported() -> None:
    items = read(b"x\n", clock("1"), clock("2", site="b"), site=None)
    assert [item.line for item in items if isinstance(item, BadLine)] == [1, 2, 3]


TEXT = b"first\nsecond\r\n\nlast"


@pytest.mark.parametrize("name", ["plain.ndjson", "misnamed.gz"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress, lzma.compress], ids=["plain", "gz", "xz"])
def test_the_content_says_whether_a_file_is_compressed(
    tmp_path: Path, pack: Any, name: str
) -> None:
    path = tmp_path / name
    path.write_bytes(pack(TEXT))
    with LineFile(path) as lines:
        assert list(lines) == [b"first\n", b"second\r\n", b"\n", b"last"]
        assert lines.size == path.stat().st_size
        assert 0 < lines.position <= lines.size


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "windows.ndjson"
    path.write_bytes(b"\xef\xbb\xbf" + clock(1) + b"\xef\xbb\xbf\n")
    with LineFile(path) as lines:
        assert list(lines) == [clock(1), b"\xef\xbb\xbf\n"]


def test_an_empty_file_has_no_lines(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    with LineFile(path) as lines:
        assert list(lines) == []


@pytest.mark.parametrize("pack", [gzip.compress, lzma.compress], ids=["gz", "xz"])
def test_a_stream_that_breaks_off_is_an_error_of_the_input(tmp_path: Path, pack: Any) -> None:
    path = tmp_path / "cut"
    whole = pack(b"".join(clock(n) for n in range(1000)))
    path.write_bytes(whole[: len(whole) // 2])
    with LineFile(path) as lines, pytest.raises(InputError, match="cut: "):
        list(lines)
    path.write_bytes(whole[:40] + b"\x00" * 20 + whole[60:])
    with LineFile(path) as lines, pytest.raises(InputError, match="cut: "):
        list(lines)


def test_a_missing_file_or_a_folder_is_an_error_of_the_input(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        LineFile(tmp_path / "none")
    with pytest.raises(InputError, match="Is a directory"):
        LineFile(tmp_path)


def test_what_is_nested_deeply_is_a_bad_line() -> None:
    deep = b'{"type": ' + b"[" * 1_000 + b"]" * 1_000 + b', "site": "s", "ts": 1}'
    (bad,) = canonical.read([deep], "s")
    assert bad == BadLine(1, "payload", "is nested too deeply")
