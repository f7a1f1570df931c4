"""The rows of a CSV file as JSON objects, or the lines of NDJSON as they are.

People's tools write CSV with commas, semicolons or tabs, with and without a byte order mark, with
line breaks inside quotes, and put files of several days together, header and all.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from itertools import chain, islice

import orjson

from pipeline.sources.lines import BadLine
from pipeline.sources.source import Payloads, elements_of

DELIMITERS = ",;\t|"
MAX_RECORD_LINES = 100
"""A quote that is opened and never closed costs one record, not the rest of the file."""
_HEADER_LINES = 20
_BOM = b"\xef\xbb\xbf"
_OBJECTS = re.compile(rb"\{|\[\s*(?:\{|$)")
"""A column may be called [kind], too."""
_SEPARATOR = re.compile(rb'"?sep=([,;\t|])"?')
"""Excel writes and reads this as the first line."""
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def rows_of(lines: Iterable[bytes]) -> Payloads:
    """Each row, with the number of its first line; a file that begins with `{` or `[` is NDJSON."""
    stream = iter(lines)
    before: list[bytes] = []
    for line in stream:
        head = line.removeprefix(_BOM) if not before else line
        before.append(head)
        if head.strip():
            break
    else:
        return
    first = before[-1].lstrip()
    if _OBJECTS.match(first):
        yield from elements_of(chain(before, stream))
    elif first.startswith(_UTF16) or b"\0" in before[-1]:
        yield BadLine(len(before), "payload", "is UTF-16; save it as UTF-8")
    else:
        yield from _csv_rows(_Numbered(stream, len(before)), before[-1], len(before))


class _Numbered:
    """Lines with their numbers, of which some may be put back."""

    def __init__(self, lines: Iterator[bytes], number: int) -> None:
        self._lines = lines
        self._number = number
        self._back: list[tuple[int, bytes]] = []

    def __iter__(self) -> _Numbered:
        return self

    def __next__(self) -> tuple[int, bytes]:
        if self._back:
            return self._back.pop()
        line = next(self._lines)
        self._number += 1
        return self._number, line

    def put_back(self, lines: list[tuple[int, bytes]]) -> None:
        self._back.extend(reversed(lines))


def _csv_rows(stream: _Numbered, first: bytes, number: int) -> Payloads:
    said = _SEPARATOR.fullmatch(first.strip(b"\r\n"))
    if said is not None:
        number, first = next(stream, (number, b""))
    header = _header(stream, first, number, said[1].decode() if said is not None else DELIMITERS)
    if isinstance(header, BadLine):
        yield header
        return
    delimiter, names = header
    for at, line in stream:
        if not line.strip():
            continue
        fields = _record(stream, at, line, delimiter)
        if isinstance(fields, BadLine):
            yield fields
        elif [field.strip() for field in fields] != names:
            row = _row(at, fields, names)
            if row is not None:
                yield row


def _header(
    stream: _Numbered, first: bytes, number: int, delimiters: str
) -> tuple[str, list[str]] | BadLine:
    """The delimiter that makes most columns, and their names, which may have line breaks."""
    ahead = list(islice(stream, _HEADER_LINES - 1))
    stream.put_back(ahead)

    def fields_by(delimiter: str, lines: _Numbered) -> list[str]:
        fields = _record(lines, number, first, delimiter)
        return [] if isinstance(fields, BadLine) else fields

    tried = {
        each: len(fields_by(each, _Numbered(iter([line for _, line in ahead]), number)))
        for each in delimiters
    }
    delimiter = max(tried, key=lambda each: tried[each])
    names = [name.strip() for name in fields_by(delimiter, stream)] if tried[delimiter] else []
    if not names:
        return BadLine(number, "payload", f"the header {_unreadable(first)}")
    for name in names:
        if name and names.count(name) > 1:
            return BadLine(number, name[:200], "stands twice in the header")
    return delimiter, names


def _unreadable(header: bytes) -> str:
    if _text(header) is None:
        return "is not UTF-8; save the file as UTF-8"
    if b"\r" in header.rstrip(b"\r\n"):
        return "ends with a carriage return alone, and so do all lines; end them with a line feed"
    return "cannot be read"


def _record(stream: _Numbered, at: int, line: bytes, delimiter: str) -> list[str] | BadLine:
    """The fields of the record that begins with a line; it goes on while a quote is open."""
    text, more = _text(line), list[tuple[int, bytes]]()
    while text is not None:
        fields = _split(text, delimiter)
        if fields is not None:
            return fields
        following = next(stream, None) if len(more) < MAX_RECORD_LINES else None
        if following is None:
            stream.put_back(more)
            return BadLine(at, "payload", "a quote is opened and not closed as CSV wants it")
        more.append(following)
        added = _text(following[1])
        text = None if added is None else f"{text}\n{added}"
    stream.put_back(more)
    return BadLine(at, "payload", "is not UTF-8; save the file as UTF-8")


def _split(text: str, delimiter: str) -> list[str] | None:
    try:
        return next(csv.reader([text], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return None


def _row(at: int, fields: list[str], names: list[str]) -> tuple[int, bytes] | BadLine | None:
    if len(fields) > len(names) and any(fields[len(names) :]):
        reason = f"has {len(fields)} fields, the header {len(names)}"
        return BadLine(at, "payload", reason)
    row = {name: field for name, field in zip(names, fields, strict=False) if name and field}
    return (at, orjson.dumps(row)) if row else None


def _text(line: bytes) -> str | None:
    try:
        return line.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        return None
