"""Checkpoints as a consistent cut, as pure logic: no Kafka, no Faust, no clock.

A checkpoint writes the state parts that changed, waits until the broker has them, then writes a
marker. A crash may stop it after any record. So every state record holds its part's value before
and after, each with the version (epoch and frame offset) it stands for, and recovery takes of each
part the value that the last marker vouches for.

Keys carry a generation. An owner never writes under a generation it recovered: it begins a higher
one with a full checkpoint. What a paused former owner still writes lands under its own generation,
which recovery ignores once a higher one has a marker. Keys that nobody needs any more are deleted
one checkpoint after the marker that made them needless: a reader that has just begun to recover may
still look at the log as it was before that marker.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import orjson

MARKER_PART = "marker"
NEVER = -1

_HEADER = struct.Struct(">BqqII")
_FORMAT = 1
_ABSENT = 0xFFFFFFFF


class CheckpointError(ValueError):
    """A state record or marker that this program did not write, or that is damaged."""


class TornCut(CheckpointError):
    """The records do not hold the state a marker vouches for."""


class Generation(NamedTuple):
    """One owner's series of checkpoints of a partition; the greater one is the later owner.

    `number` is one more than any the owner saw. `member` is the consumer group's generation, which
    keeps two owners apart that recovered the same log.
    """

    number: int
    member: int

    def __str__(self) -> str:
        return f"{self.number}.{self.member}"

    @classmethod
    def parse(cls, text: str) -> Generation:
        """The inverse of `str`; raises `CheckpointError`."""
        number, _, member = text.partition(".")
        try:
            return cls(int(number), int(member))
        except ValueError:
            raise CheckpointError(f"not a generation: {text!r}") from None


FIRST = Generation(0, 0)


class StateKey(NamedTuple):
    """Key of a state record in the tables; the marker has an empty site."""

    partition: int
    generation: str
    site: str
    part: str


def version_of(epoch: int, offset: int) -> int:
    """One number that orders frames over epochs; offsets stay below 2**40."""
    return epoch << 40 | offset


def epoch_of(version: int) -> int:
    """The epoch of a version."""
    return version >> 40


@dataclass(frozen=True, slots=True)
class StateRecord:
    """A part's value at two cuts; None is a part that did not or does not exist."""

    version: int
    after: bytes | None
    before_version: int = NEVER
    before: bytes | None = None

    def at(self, version: int) -> bytes | None:
        """The value at the cut of a marker's version; raises `TornCut` if neither is as old."""
        if self.version <= version:
            return self.after
        if self.before_version <= version:
            return self.before
        raise TornCut(f"written for {self.before_version} and {self.version}, not {version}")

    def encode(self) -> bytes:
        """The record as the value of a table key."""
        before, after = self.before, self.after
        header = _HEADER.pack(
            _FORMAT,
            self.before_version,
            self.version,
            _ABSENT if before is None else len(before),
            _ABSENT if after is None else len(after),
        )
        return b"".join((header, before or b"", after or b""))

    @classmethod
    def decode(cls, value: bytes) -> StateRecord:
        """Read a record; raises `CheckpointError`."""
        if len(value) < _HEADER.size or value[0] != _FORMAT:
            raise CheckpointError(f"not a state record: {value[:16]!r}")
        _, before_version, version, before_size, after_size = _HEADER.unpack_from(value)
        middle = _HEADER.size + (0 if before_size == _ABSENT else before_size)
        end = middle + (0 if after_size == _ABSENT else after_size)
        if end != len(value):
            raise CheckpointError(f"a state record of {len(value)} bytes should have {end}")
        return cls(
            version,
            None if after_size == _ABSENT else value[middle:],
            before_version,
            None if before_size == _ABSENT else value[_HEADER.size : middle],
        )


@dataclass(frozen=True, slots=True)
class Marker:
    """What a finished checkpoint vouches for: all frames up to `offset`, in `parts` parts.

    `digest` is over names and values of all parts, so that a loss anywhere in the log is found.
    """

    epoch: int
    offset: int
    parts: int
    digest: int

    @property
    def version(self) -> int:
        """The cut it stands for."""
        return version_of(self.epoch, self.offset)

    def encode(self) -> bytes:
        """The marker as the value of its table key."""
        return orjson.dumps(
            {
                "v": _FORMAT,
                "epoch": self.epoch,
                "offset": self.offset,
                "parts": self.parts,
                "digest": self.digest,
            }
        )

    @classmethod
    def decode(cls, value: bytes) -> Marker:
        """Read a marker; raises `CheckpointError`."""
        try:
            obj = orjson.loads(value)
            if obj["v"] != _FORMAT:
                raise CheckpointError(f"marker version {obj['v']!r}, this program reads {_FORMAT}")
            return cls(obj["epoch"], obj["offset"], obj["parts"], obj["digest"])
        except (orjson.JSONDecodeError, KeyError, TypeError) as error:
            raise CheckpointError(f"not a marker: {error!r}") from error


def digest_of(site: str, part: str, stored: bytes) -> int:
    """A part's share of the digest; the shares are combined by exclusive or."""
    return zlib.crc32(stored, zlib.crc32(f"{site}\0{part}".encode()))


Parts = dict[str, dict[str, bytes]]
"""The parts of each site, by name."""


@dataclass(slots=True)
class Recovered:
    """What the tables hold of a partition.

    Without a `marker` there is no checkpoint. `keys` are all keys seen, whatever their generation;
    `torn` are generations that have a marker but not the state it vouches for.
    """

    next: Generation
    marker: Marker | None = None
    sites: Parts = field(default_factory=dict)
    keys: list[StateKey] = field(default_factory=list)
    torn: list[str] = field(default_factory=list)


def recover(records: Iterable[tuple[StateKey, bytes]], member: int) -> Recovered:
    """Choose the highest generation whose marker finds its state, and cut the state there.

    `member` is the consumer group's generation of the new owner. Raises `CheckpointError` for
    records that cannot be read.
    """
    by_generation: dict[Generation, dict[StateKey, bytes]] = {}
    for key, value in records:
        by_generation.setdefault(Generation.parse(key.generation), {})[key] = value
    newest = max(by_generation, default=FIRST)
    found = Recovered(Generation(newest.number + 1, member))
    for generation in sorted(by_generation, reverse=True):
        held = by_generation[generation]
        found.keys.extend(held)
        if found.marker is None:
            _cut(found, generation, held)
    return found


def _cut(found: Recovered, generation: Generation, held: dict[StateKey, bytes]) -> None:
    marker_key = next((key for key in held if not key.site and key.part == MARKER_PART), None)
    if marker_key is None:
        return
    marker = Marker.decode(held[marker_key])
    try:
        found.sites = _state_at(marker, held, marker_key)
    except TornCut as torn:
        found.torn.append(f"{generation}: {torn}")
        return
    found.marker = marker


def _state_at(marker: Marker, held: dict[StateKey, bytes], marker_key: StateKey) -> Parts:
    sites: Parts = {}
    digest = count = 0
    for key, value in held.items():
        if key == marker_key:
            continue
        stored = StateRecord.decode(value).at(marker.version)
        if stored is None:
            continue
        count += 1
        digest ^= digest_of(key.site, key.part, stored)
        sites.setdefault(key.site, {})[key.part] = stored
    if (count, digest) != (marker.parts, marker.digest):
        raise TornCut(f"{count} parts of {marker.parts}, digest {digest:08x}")
    return sites


class Ledger:
    """The records an owner has written of one partition, and so what a next record must hold.

    A checkpoint is: `write` for every changed part, all settled; `marker`, settled; then `settled`,
    which tells the keys to delete. A checkpoint that fails midway must not be retried with the same
    ledger: the owner gives up the partition and recovers.
    """

    def __init__(self, partition: int, recovered: Recovered) -> None:
        self.partition = partition
        self.generation = str(recovered.next)
        self._held: dict[tuple[str, str], tuple[int, bytes | None]] = {}
        self._digest = 0
        self._parts = 0
        self._gone: list[StateKey] = []
        self._ripe: list[StateKey] = []
        self._first = True
        self._old = recovered.keys

    def write(
        self, site: str, part: str, value: bytes | None, version: int
    ) -> tuple[StateKey, bytes] | None:
        """The record of a changed part, None as the value of a part that is gone.

        Returns None where there is nothing to write: the part was not there before either.
        """
        before_version, before = self._held.get((site, part), (NEVER, None))
        if value is None and before is None:
            return None
        self._account(site, part, before, value)
        self._held[site, part] = (version, value)
        key = StateKey(self.partition, self.generation, site, part)
        if value is None:
            self._gone.append(key)
        return key, StateRecord(version, value, before_version, before).encode()

    def _account(self, site: str, part: str, before: bytes | None, after: bytes | None) -> None:
        if before is not None:
            self._digest ^= digest_of(site, part, before)
            self._parts -= 1
        if after is not None:
            self._digest ^= digest_of(site, part, after)
            self._parts += 1

    def marker(self, epoch: int, offset: int) -> tuple[StateKey, bytes]:
        """The marker of what was written so far."""
        marker = Marker(epoch, offset, self._parts, self._digest)
        return StateKey(self.partition, self.generation, "", MARKER_PART), marker.encode()

    def settled(self) -> list[StateKey]:
        """To be called once the marker is settled: the keys that may be deleted now."""
        ripe = [key for key in self._ripe if self._is_gone(key)]
        for key in ripe:
            if key.generation == self.generation:
                del self._held[key.site, key.part]
        self._ripe, self._gone = self._gone, []
        if self._first:
            self._ripe += self._old
            self._first, self._old = False, []
        return ripe

    def _is_gone(self, key: StateKey) -> bool:
        """A part may have come back since it was marked as gone."""
        if key.generation != self.generation:
            return True
        return self._held.get((key.site, key.part), (NEVER, None))[1] is None
