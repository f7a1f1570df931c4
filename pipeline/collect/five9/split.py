"""Frames as payloads: one line each, and none larger than the door and a frame of ingest take."""

from __future__ import annotations

from typing import Any

import orjson

MOST_AGENTS = 200
MOST_BYTES = 256 * 1024
"""The door takes four times as much; agents of one source differ in size."""
_STATES = "AGENT_STATE"
_PARTS = ("data", "added", "updated", "removed")


def payloads_of(frame: bytes, most: int = MOST_AGENTS, most_bytes: int = MOST_BYTES) -> list[bytes]:
    """The frame as it came where it is small and one line, else its parts under the same context.

    What is no frame of Five9 is passed on too: ingest says what is wrong with it.
    """
    try:
        obj = orjson.loads(frame)
    except orjson.JSONDecodeError:
        return [b" ".join(frame.split())] if frame.strip() else []
    if _fits(obj, most) and len(frame) <= most_bytes:
        return [orjson.dumps(obj) if b"\n" in frame or b"\r" in frame else frame]
    parts = [part for source in _sources(obj) for part in _cut(source, most, most_bytes)]
    return [orjson.dumps(obj | {"payLoad": [part]}) for part in parts] or [orjson.dumps(obj)]


def _sources(obj: Any) -> list[Any]:
    found = obj.get("payLoad") if isinstance(obj, dict) else None
    return found if isinstance(found, list) else []


def _fits(obj: Any, most: int) -> bool:
    """Whether no source of states has more agents than a payload may have."""
    states = (source for source in _sources(obj) if _is_states(source))
    return sum(len(_entries(source) or ()) for source in states) <= most


def _is_states(source: Any) -> bool:
    return isinstance(source, dict) and source.get("dataSource") == _STATES


def _entries(source: Any) -> list[tuple[str, Any]] | None:
    """What a source lists, each with the list that it stands in; None if it is none to be cut."""
    if not isinstance(source, dict):
        return None
    lists = {part: source.get(part) or [] for part in _PARTS}
    if not all(isinstance(found, list) for found in lists.values()):
        return None
    return [(part, entry) for part, found in lists.items() for entry in found]


def _cut(source: Any, most: int, most_bytes: int) -> list[Any]:
    """A source in parts of so many entries, and fewer if they are large."""
    entries = _entries(source)
    if not entries:
        return [source]
    share = most_bytes * len(entries) // len(orjson.dumps(source))
    step = max(1, min(most, share))
    if len(entries) <= step:
        return [source]
    rest = {name: value for name, value in source.items() if name not in _PARTS}
    return [_part(rest, entries[start : start + step]) for start in range(0, len(entries), step)]


def _part(rest: dict[str, Any], entries: list[tuple[str, Any]]) -> dict[str, Any]:
    part = dict(rest)
    for name, entry in entries:
        part.setdefault(name, []).append(entry)
    return part
