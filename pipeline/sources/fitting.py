"""What a translator remembers made to fit into what is kept of it, the oldest of it first to go."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from typing import Any, TypeVar

import orjson

T = TypeVar("T")

MOST_BYTES = 850_000
"""Of a memory, packed as ingest packs it; more than 900,000 would not be kept at all."""
_LEVEL = 1
_SLACK = 0.95
"""What goes need not have been packed as well as what stays."""


def fit(memory: T, parts: Sequence[dict[str, Any]], most: int = MOST_BYTES) -> T:
    """`memory`, once it fits: its `parts` lose their oldest entries, the first part before others.

    The parts are emptied in place, so they are copies of what is remembered. Order them by what is
    missed least. A memory that is small as it is costs one look at its length.
    """
    text = orjson.dumps(memory)
    while len(text) > most and any(parts):
        packed = len(zlib.compress(text, _LEVEL))
        if packed <= most:
            break
        surplus = len(text) - int(len(text) * most / packed * _SLACK)
        for part in parts:
            surplus -= _drop_oldest(part, surplus)
        text = orjson.dumps(memory)
    return memory


def _drop_oldest(part: dict[str, Any], surplus: int) -> int:
    """Drop entries of so many bytes, as far as there are any; returns how many bytes went."""
    gone = 0
    while part and gone < surplus:
        key = next(iter(part))
        gone += len(orjson.dumps([key, part.pop(key)]))
    return gone
