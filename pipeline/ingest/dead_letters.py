"""Dead letters: what could not be used, with the reason, and where in the raw topic it stands.

A dead letter is keyed by the place of its record, so one sent twice after a crash is the same one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import orjson

from pipeline.ingest.raw import KEPT_BYTES
from schemas.events import EventError

Reason = Literal["unreadable", "unknown_site", "future", "too_large"]
REASONS: tuple[Reason, ...] = ("unreadable", "unknown_site", "future", "too_large")
"""What ingest dead-letters; later stages have reasons of their own."""

VERSION = 1


class Rejected(Exception):
    """A raw record that is dead-lettered: the `reason`, the `field` that is wrong and how.

    `site` is the one the payload names, None if it names none that can be read.
    """

    def __init__(self, reason: Reason, field: str, detail: str, site: str | None = None) -> None:
        super().__init__(f"{reason}: {field}: {detail}")
        self.reason: Reason = reason
        self.field = field
        self.detail = detail
        self.site = site

    @classmethod
    def unreadable(cls, error: EventError, site: str | None) -> Rejected:
        """The rejection for an event that breaks the contract."""
        return cls("unreadable", error.field, error.reason, site)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands, and the epoch of the frames it would have gone to."""

    epoch: int
    topic: str
    partition: int
    offset: int

    def key(self) -> bytes:
        """The Kafka key of the record's dead letter."""
        return orjson.dumps([self.epoch, self.topic, self.partition, self.offset])


def dead_letter(place: Place, rejected: Rejected, at: int, payload: bytes | None) -> bytes:
    """The value of a dead letter: `at` is epoch ms, the payload is cut to its first 64 KiB."""
    letter: dict[str, Any] = {"v": VERSION}
    if rejected.site is not None:
        letter["site"] = rejected.site
    letter |= {
        "reason": rejected.reason,
        "field": rejected.field,
        "detail": rejected.detail,
        "at": at,
        "epoch": place.epoch,
        "topic": place.topic,
        "partition": place.partition,
        "offset": place.offset,
        "payload": (payload or b"")[:KEPT_BYTES].decode("utf-8", "replace"),
    }
    return orjson.dumps(letter)
