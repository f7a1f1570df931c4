"""A payload made wrong in every place: fields missing, null, of another type, huge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

WRONG: tuple[Any, ...] = (
    None,
    True,
    -1,
    17,
    2**62,
    -(2**63),
    18_446_744_073_709_551_615,
    1.5,
    1e308,
    "",
    " ",
    "x" * 5_000,
    "2024-13-45T99:99:99Z",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-14:00",
    "²³",
    "1_000",
    "\u0000|\n",
    [],
    [None],
    [[]],
    {},
    {"x": None},
)
_TEXTS = (b"", b" ", b"NONE", b"-1", b"1e9", b"9" * 30, b"x" * 5_000, b"\xff\xfe", b"|", b"\x00")


_DEEP = b"[" * 1_000 + b"]" * 1_000
"""As deep as JSON may be, and deeper than Python writes it out again."""


def nested(payload: bytes) -> Iterator[bytes]:
    """The payload with each of its places nested without an end in sight; none if it is no JSON."""
    try:
        whole = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return
    for path in list(_paths(whole)):
        changed, holder = _copied(whole, path)
        holder[path[-1]] = "<here>"
        yield orjson.dumps(changed).replace(b'"<here>"', _DEEP)


def mutations(payload: bytes) -> Iterator[bytes]:
    """The payload with each of its places made wrong in each way."""
    yield from (b"", b"null", b"[]", b"{}", b"17", b'"x"', b"\xff", payload[: len(payload) // 2])
    try:
        whole = orjson.loads(payload)
    except orjson.JSONDecodeError:
        yield from _of_fields(payload)
        return
    for path in list(_paths(whole)):
        # Copied along the path alone: whole copies took most of the suite's time.
        whole_again, holder = _copied(whole, path)
        del holder[path[-1]]
        yield orjson.dumps(whole_again)
        whole_again, holder = _copied(whole, path)
        for value in WRONG:
            holder[path[-1]] = value
            yield orjson.dumps(whole_again)


def _of_fields(payload: bytes) -> Iterator[bytes]:
    fields = payload.split(b"|")
    for index in range(len(fields)):
        yield b"|".join(fields[:index])
        yield b"|".join(fields[:index] + fields[index + 1 :])
        for text in _TEXTS:
            yield b"|".join([*fields[:index], text, *fields[index + 1 :]])


def _paths(value: Any, before: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    entries: Any = ()
    if isinstance(value, dict):
        entries = value.items()
    elif isinstance(value, list):
        entries = enumerate(value)
    for key, inner in entries:
        yield (*before, key)
        yield from _paths(inner, (*before, key))


def _copied(value: Any, path: tuple[Any, ...]) -> tuple[Any, Any]:
    """A copy in which what holds the end of the path may be changed, and that holder."""
    copy = holder = value.copy()
    for key in path[:-1]:
        holder[key] = holder[key].copy()
        holder = holder[key]
    return copy, holder
