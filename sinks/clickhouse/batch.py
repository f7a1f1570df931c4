"""A batch: the rows of a range of offsets of one partition, fixed once it is closed.

Its token names that range, and the store drops a token it has seen; so the same token must always
mean the same rows, and a batch is never changed, split differently or added to.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from schemas.topics import ROWS
from service.logs import About, about
from sinks.clickhouse.tables import FIRST_MS, LAST_MS, PROGRESS, TABLES, RowError

VERSION = 1
PAYLOAD_BYTES = 65_536
"""Of what cannot be written so much is kept in its dead letter."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record of the rows topic stands, and what it says of itself."""

    partition: int
    offset: int
    epoch: int = 0
    site: str = ""
    at: int = 0


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row, or a whole record, that cannot be written, and why."""

    place: Place
    field: str
    detail: str
    payload: bytes


def place_of(bad: BadRow, topic: str) -> About:
    """Where a bad row stood, for a line of the log."""
    place = bad.place
    return about(
        site=place.site or None,
        topic=topic,
        partition=place.partition,
        offset=place.offset,
        epoch=place.epoch,
    )


def dead_letter(bad: BadRow, topic: str, reason: str) -> tuple[bytes, bytes]:
    """Key and value of the dead letter of what a record of `topic` held."""
    place = bad.place
    letter: dict[str, Any] = {"v": 1}
    if place.site:
        letter["site"] = place.site
    letter |= {
        "reason": reason,
        "field": bad.field,
        "detail": bad.detail,
        "at": place.at,
        "epoch": place.epoch,
        "topic": topic,
        "partition": place.partition,
        "offset": place.offset,
        "payload": bad.payload[:PAYLOAD_BYTES].decode("utf-8", "replace"),
    }
    return orjson.dumps([place.epoch, topic, place.partition, place.offset]), orjson.dumps(letter)


@dataclass(slots=True)
class Lines:
    """Rows of one table as JSON lines, and the record each came from."""

    lines: list[bytes] = field(default_factory=list)
    places: list[Place] = field(default_factory=list)

    def part(self, first: int, end: int) -> Lines:
        """The rows from `first` up to `end`."""
        return Lines(self.lines[first:end], self.places[first:end])

    def body(self) -> bytes:
        """The rows as the body of an insert."""
        return b"\n".join(self.lines)


@dataclass(slots=True)
class _Progress:
    version: int
    at: int
    offset: int


@dataclass(slots=True)
class Batch:
    """Rows by table, the progress of each site, and what could not be read.

    Filled by `add` until it is written; `first` and `last` are offsets in the rows topic.
    """

    partition: int
    first: int = -1
    last: int = -1
    epoch: int = 0
    rows: int = 0
    tables: dict[str, Lines] = field(default_factory=dict)
    bad: list[BadRow] = field(default_factory=list)
    _progress: dict[str, _Progress] = field(default_factory=dict)

    def add(self, offset: int, payload: bytes) -> None:
        """Take the next record of the partition; what is wrong with it goes to `bad`."""
        if self.first < 0:
            self.first = offset
        self.last = offset
        place = Place(self.partition, offset)
        try:
            record = _read(payload)
        except (ValueError, KeyError, TypeError) as error:
            self.bad.append(BadRow(place, "record", f"cannot be read: {error}", payload))
            return
        place = Place(self.partition, offset, record["epoch"], record["site"], record["at"])
        self.epoch = max(self.epoch, place.epoch)
        for table, rows in record["tables"].items():
            self._take(place, table, rows, record["version"])
        # The rows of a large frame come in several records: they are all there with the last.
        is_last = record.get("part", 0) + 1 >= record.get("parts", 1)
        if is_last and FIRST_MS <= place.at <= LAST_MS:
            self._move(place, record["version"])

    def _take(self, place: Place, name: str, rows: object, version: int) -> None:
        table = TABLES.get(name)
        for row in rows if isinstance(rows, list) else [rows]:
            try:
                if table is None:
                    raise RowError("there is no such table")
                line = table.encode(row, version)
            except RowError as error:
                payload = orjson.dumps(row)
                self.bad.append(BadRow(place, name, str(error), payload))
                continue
            lines = self.tables.setdefault(name, Lines())
            lines.lines.append(line)
            lines.places.append(place)
            self.rows += 1

    def _move(self, place: Place, version: int) -> None:
        known = self._progress.get(place.site)
        if known is None or version >= known.version:
            self._progress[place.site] = _Progress(version, place.at, place.offset)

    def token(self, table: str) -> str:
        """The deduplication token of the batch's rows of a table."""
        return f"{self.epoch}:{ROWS}:{self.partition}:{self.first}-{self.last}:{table}"

    def progress(self) -> Lines:
        """A row of `sink_progress` for each site: its rows are in the tables up to there."""
        lines = Lines()
        for site, progress in self._progress.items():
            row = {
                "site": site,
                "version": progress.version,
                "at": progress.at / 1000,
                "topic": ROWS,
                "partition": self.partition,
                "rows_offset": progress.offset,
            }
            lines.lines.append(orjson.dumps(row))
            lines.places.append(Place(self.partition, progress.offset, self.epoch, site))
        return lines

    def parts(self) -> list[tuple[str, Lines]]:
        """What to write, in this order: the rows by table, then the progress."""
        found = [(name, self.tables[name]) for name in TABLES if name in self.tables]
        progress = self.progress()
        if progress.lines:
            found.append((PROGRESS, progress))
        return found


def _read(payload: bytes) -> dict[str, Any]:
    record: dict[str, Any] = orjson.loads(payload)
    if record["v"] != VERSION:
        raise ValueError(f"version {record['v']} is not known")
    for name, kind in _KINDS.items():
        if type(record[name]) is not kind:
            raise ValueError(f"{name} is missing or of the wrong type")
    return record


_KINDS = {"site": str, "epoch": int, "version": int, "at": int, "tables": dict}
