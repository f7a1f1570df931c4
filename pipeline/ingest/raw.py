"""The raw record: one payload as it came, and what the door said of it in headers.

A foreign producer may write raw records as well, so everything but the payload may be absent or
wrong when one is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from schemas.topics import HEADER_FORMAT, HEADER_JOURNAL, HEADER_RECEIVED, HEADER_SOURCE

CANONICAL = "canonical"
ALERT_FORMAT = "alerts"
"""A webhook of Alertmanager or Grafana: it goes to a topic of its own, and into no story."""
HEADER_TRUNCATED = "truncated"
"""Bytes, as ASCII digits, that a payload had before only its start was kept: it was too large."""

MAX_EVENT_BYTES = 1024 * 1024
"""A larger payload is refused, and only its start is kept."""
KEPT_BYTES = 64 * 1024
"""How much of a payload is kept where it is not needed whole."""

_MAX_DIGITS = 18

Headers = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class RawRecord:
    """One payload with the moment it was received (epoch ms) and where it comes from.

    `site` is empty if nothing tells it. `truncated` is the length of the payload before it was
    cut, 0 if it is whole.
    """

    site: str
    payload: bytes
    received: int
    source: str = ""
    format: str = CANONICAL
    truncated: int = 0

    def headers(self, journal: int = -1) -> Headers:
        """The Kafka headers; `journal` is its sequence in the door's journal, if it has one."""
        headers = [
            (HEADER_FORMAT, self.format.encode()),
            (HEADER_SOURCE, self.source.encode()),
            (HEADER_RECEIVED, b"%d" % self.received),
        ]
        if journal >= 0:
            headers.append((HEADER_JOURNAL, b"%d" % journal))
        if self.truncated:
            headers.append((HEADER_TRUNCATED, b"%d" % self.truncated))
        return headers


@dataclass(slots=True)
class RawHeaders:
    """What the headers of a raw record say; -1 where a number is absent or no number."""

    format: str = CANONICAL
    received: int = -1
    journal: int = -1
    truncated: int = -1


def read_headers(headers: Iterable[tuple[str, bytes | None]]) -> RawHeaders:
    """Read headers; what cannot be read is as if it were absent."""
    found = RawHeaders()
    for name, value in headers:
        if name == HEADER_RECEIVED:
            found.received = _number(value)
        elif name == HEADER_JOURNAL:
            found.journal = _number(value)
        elif name == HEADER_FORMAT and value:
            found.format = value.decode("utf-8", "replace")
        elif name == HEADER_TRUNCATED:
            found.truncated = _number(value)
    return found


def _number(value: bytes | None) -> int:
    if value is None or not value.isdigit() or len(value) > _MAX_DIGITS:
        return -1
    return int(value)
