"""Frames as payloads: one line each, and none with more agents than a frame of ingest can take."""

from __future__ import annotations

from typing import Any

import orjson

MOST_AGENTS = 200
_STATES = "AGENT_STATE"
_PARTS = ("data", "added", "updated", "removed")


def payloads_of(frame: bytes, most: int = MOST_AGENTS) -> list[bytes]:
    """The frame as it came where it is small and one line, else its parts under the same context.

    What is no frame of Five9 is passed on too: ingest says what is wrong with it.
    """
    try:
        obj = orjson.loads(frame)
    except orjson.JSONDecodeError:
        return [b" ".join(frame.split())] if frame.strip() else []
    parts = _cut(obj, most)
    if parts is not None:
        return [orjson.dumps(part) for part in parts]
    return [orjson.dumps(obj) if b"\n" in frame or b"\r" in frame else frame]


def _cut(obj: Any, most: int) -> list[dict[str, Any]] | None:
    """The frame in parts, None where it need not be cut."""
    if not isinstance(obj, dict) or not isinstance(obj.get("payLoad"), list):
        return None
    agents: list[tuple[str, Any]] = []
    others: list[Any] = []
    for source in obj["payLoad"]:
        found = _agents_of(source)
        if found is None:
            others.append(source)
        else:
            agents += found
    if len(agents) <= most:
        return None
    chunks = [agents[start : start + most] for start in range(0, len(agents), most)]
    payloads = [[*others, _source(chunks[0])], *([_source(chunk)] for chunk in chunks[1:])]
    return [obj | {"payLoad": payload} for payload in payloads]


def _agents_of(source: Any) -> list[tuple[str, Any]] | None:
    """The agents of a source of states with the list that each stands in, None for others."""
    if not isinstance(source, dict) or source.get("dataSource") != _STATES:
        return None
    lists = {part: source.get(part) or [] for part in _PARTS}
    if not all(isinstance(found, list) for found in lists.values()):
        return None
    return [(part, agent) for part, found in lists.items() for agent in found]


def _source(agents: list[tuple[str, Any]]) -> dict[str, Any]:
    source: dict[str, Any] = {"dataSource": _STATES}
    for part, agent in agents:
        source.setdefault(part, []).append(agent)
    return source
