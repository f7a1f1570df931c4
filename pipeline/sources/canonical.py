"""Canonical events as lines of JSON."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from sys import intern
from typing import Any

from pipeline.sources.lines import BadLine
from schemas.events import EventError, parse_payload, readable_site, validate_event


def read(lines: Iterable[bytes], site: str | None) -> Iterator[dict[str, Any] | BadLine]:
    """Yield the site's validated events, and a `BadLine` for each line that is none.

    Empty lines are nothing. An object that names another site is skipped unread. Without `site`
    the first readable event decides it.
    """
    numbered = enumerate(lines, 1)
    if site is None:
        early: list[tuple[str | None, BadLine]] = []
        for number, line in numbered:
            named, item = _read_line(number, line, None)
            if isinstance(item, BadLine):
                early.append((named, item))
            elif item is not None:
                site = item["site"]
                yield from (bad for other, bad in early if other in (None, site))
                yield item
                break
        else:
            yield from (bad for _, bad in early)
    for number, line in numbered:
        item = _read_line(number, line, site)[1]
        if item is not None:
            yield item


def _read_line(
    number: int, line: bytes, site: str | None
) -> tuple[str | None, dict[str, Any] | BadLine | None]:
    """The site a line names and what it holds: nothing, an event or something unreadable."""
    if line.isspace() or not line:
        return None, None
    named = None
    try:
        obj = parse_payload(line)
        named = readable_site(obj)
        if site is not None and named is not None and named != site:
            return named, None
        return named, _shared(validate_event(obj))
    except EventError as error:
        return named, BadLine(number, error.field, error.reason)
    except RecursionError:
        return named, BadLine(number, "payload", "is nested too deeply")


def _shared(event: dict[str, Any]) -> dict[str, Any]:
    """One string for equal names: a million events name few sites, queues and agents."""
    event["site"] = intern(event["site"])
    for field in ("agent", "queue"):
        name = event.get(field)
        if name is not None:
            event[field] = intern(name)
    return event
