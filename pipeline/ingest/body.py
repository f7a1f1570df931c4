"""The body of a post, taken apart: one payload a line or element, each told good or bad. Pure.

Refused payloads are kept as raw records too: ingest dead-letters them once, where an operator looks
for them. Of one that is larger than an event may be only the start is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import orjson

from pipeline.ingest.raw import KEPT_BYTES, MAX_EVENT_BYTES, RawRecord
from schemas.events import EventError, parse_payload, readable_site, validate_event

MAX_TOLD = 100
"""Refused lines that are told one by one; the rest is only counted."""


MAX_PAYLOADS = 100_000
"""Payloads of one body: each takes half a kilobyte of memory, however short it is."""


class TooManyPayloads(ValueError):
    """A body of more payloads than are taken at once."""

    def __init__(self) -> None:
        super().__init__(f"the body has more than {MAX_PAYLOADS} payloads; send it in parts")


Unknown = Callable[[str], str]
"""Why events of a site lead nowhere, empty if the site is known."""


def all_known(_site: str) -> str:
    """For a door that cannot tell which sites there are."""
    return ""


@dataclass(slots=True)
class Taken:
    """What became of a body: records to keep, the number taken and what was refused, by line."""

    records: list[RawRecord] = field(default_factory=list)
    taken: int = 0
    refused: list[dict[str, Any]] = field(default_factory=list)
    refused_count: int = 0

    def refuse(self, line: int, field_: str, reason: str) -> None:
        """Count a refused line; `line` counts lines or array elements from 1."""
        self.refused_count += 1
        if len(self.refused) < MAX_TOLD:
            self.refused.append({"line": line, "field": field_, "reason": reason})

    def answer(self) -> dict[str, Any]:
        """The JSON object of the answer."""
        return {
            "taken": self.taken,
            "refused": self.refused,
            "refused_count": self.refused_count,
        }


def take_body(
    body: bytes, site: str | None, source: str, received: int, unknown: Unknown = all_known
) -> Taken:
    """Take a body apart. `site` is the one the post names; without it each event names its own.

    A record is keyed by the post's site, also when its event names another: that one is refused
    here and again by ingest.
    """
    taken = Taken()
    for line, payload in payloads_of(body):
        named, error = _look(payload, site, unknown)
        if error is None:
            taken.taken += 1
        else:
            taken.refuse(line, error.field, error.reason)
        large = len(payload) > MAX_EVENT_BYTES
        kept = payload[:KEPT_BYTES] if large else payload
        cut = len(payload) if large else 0
        record = RawRecord(site or named or "", kept, received, source, truncated=cut)
        taken.records.append(record)
    return taken


def payloads_of(body: bytes) -> Iterator[tuple[int, bytes]]:
    """The payloads with their numbers: elements of an array, one object, or lines.

    Raises `TooManyPayloads`.
    """
    for count, payload in enumerate(_payloads_of(body)):
        if count == MAX_PAYLOADS:
            raise TooManyPayloads
        yield payload


def _payloads_of(body: bytes) -> Iterator[tuple[int, bytes]]:
    start = body.lstrip()[:1]
    if start in (b"[", b"{") and (start == b"[" or b"\n" in body.strip()):
        whole = _decoded(body)
        if isinstance(whole, list):
            yield from enumerate((orjson.dumps(element) for element in whole), 1)
            return
        if isinstance(whole, dict):
            yield 1, body.strip()
            return
    for line, text in enumerate(body.split(b"\n"), 1):
        payload = text.strip()
        if payload:
            yield line, payload


def _decoded(body: bytes) -> object:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        return None


def _look(
    payload: bytes, site: str | None, unknown: Unknown
) -> tuple[str | None, EventError | None]:
    """The site a payload names, if it can be read, and what is wrong with it, if anything is."""
    if len(payload) > MAX_EVENT_BYTES:
        limit = f"{len(payload)} bytes, more than the {MAX_EVENT_BYTES} an event may have"
        return None, EventError("payload", limit)
    named = None
    try:
        obj = parse_payload(payload)
        named = readable_site(obj)
        validate_event(obj)
    except EventError as error:
        return named, error
    except RecursionError:
        return named, EventError("payload", "is nested too deeply")
    if site is not None and named != site:
        return named, EventError("site", f"is {named!r}, but the post is for {site!r}")
    why = unknown(named or "")
    return named, EventError("site", why) if why else None
