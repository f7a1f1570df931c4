"""Snapshots of a site in a file, for the embedded stack, whose broker forgets everything.

A snapshot covers the frames up to its version and, of the door's journal, the records up to its
sequence number. At a start the stack picks one for each site and feeds the journal from there; the
worker restores it when a site has no checkpoint in the new epoch.

A file is a JSON line with what the stack must know, then the parts. It is written beside its place,
forced to disk and renamed, so that a file that is there is whole; a checksum says so again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import struct
import time
import zlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from urllib.parse import quote
from zoneinfo import ZoneInfo

import orjson

from agents_stream.checkpoint import version_of
from agents_stream.engines import Engine, EngineType
from schemas.config import Config
from service.logs import about
from sinks.prometheus.figures import WorkerFigures

log = logging.getLogger(__name__)

SUFFIX = ".snap"
FORMAT = 1
EVERY_S = 180.0
KEEP_NEWEST = 12
"""Half an hour of snapshots. A store further behind than that starts from an hourly one."""
KEEP_HOURS = 24
_HOUR_MS = 3_600_000
_LENGTHS = struct.Struct(">II")


class SnapshotError(RuntimeError):
    """A snapshot that cannot be used; the message names the file and what to do."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a site after a frame; `at` is the site's time in epoch ms."""

    site: str
    at: int
    version: int
    journal: int
    epoch: int
    parts: Mapping[str, bytes]

    @classmethod
    def of(cls, engine: Engine) -> Snapshot:
        """The present state of an engine."""
        version = version_of(engine.epoch, engine.offset)
        parts = engine.all_parts()
        return cls(engine.site, engine.at, version, engine.journal, engine.epoch, parts)


def folder_of(root: Path, site: str) -> Path:
    """Where the snapshots of a site are."""
    return root / quote(site, safe="")


def write_snapshot(root: Path, snapshot: Snapshot) -> Path:
    """Write a snapshot so that it is whole or not there at all; returns its path."""
    folder = folder_of(root, snapshot.site)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{snapshot.journal}-{snapshot.version}{SUFFIX}"
    fresh = path.with_name(path.name + ".new")
    body = _body(snapshot.parts)
    head = {
        "v": FORMAT,
        "site": snapshot.site,
        "at": snapshot.at,
        "version": snapshot.version,
        "journal": snapshot.journal,
        "epoch": snapshot.epoch,
        "parts": len(snapshot.parts),
        "crc": zlib.crc32(body),
    }
    with fresh.open("wb") as file:
        file.write(orjson.dumps(head) + b"\n" + body)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _sync_folder(folder)
    return path


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _body(parts: Mapping[str, bytes]) -> bytes:
    pieces: list[bytes] = []
    for name, value in parts.items():
        encoded = name.encode()
        pieces += (_LENGTHS.pack(len(encoded), len(value)), encoded, value)
    return b"".join(pieces)


def read_snapshot(path: Path) -> Snapshot:
    """Read a snapshot; raises `SnapshotError` if it is not there or not whole."""
    try:
        first, _, body = path.read_bytes().partition(b"\n")
        head = orjson.loads(first)
        if head["v"] != FORMAT or head["crc"] != zlib.crc32(body):
            raise SnapshotError(f"{path}: damaged or of another version; move it away")
        parts = _parts(body)
        return Snapshot(
            head["site"], head["at"], head["version"], head["journal"], head["epoch"], parts
        )
    except (OSError, ValueError, KeyError, TypeError, struct.error) as error:
        raise SnapshotError(f"{path}: cannot be read ({error!r}); move it away") from error


def _parts(body: bytes) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    at = 0
    while at < len(body):
        name_size, size = _LENGTHS.unpack_from(body, at)
        at += _LENGTHS.size
        name = body[at : at + name_size].decode()
        at += name_size
        parts[name] = body[at : at + size]
        at += size
    return parts


def prune_snapshots(root: Path, site: str) -> int:
    """Delete what is neither among the newest nor the last of one of the last hours.

    Returns how many were deleted. Hours are of the site's time.
    """
    files = sorted(folder_of(root, site).glob(f"*{SUFFIX}"), key=_version_in, reverse=True)
    kept = set(files[:KEEP_NEWEST])
    hours: dict[int, Path] = {}
    for path in files:
        hour = _head(path).get("at", 0) // _HOUR_MS
        if hour not in hours and len(hours) < KEEP_HOURS:
            hours[hour] = path
    kept.update(hours.values())
    doomed = [path for path in files if path not in kept]
    for path in doomed:
        path.unlink(missing_ok=True)
    return len(doomed)


def _version_in(path: Path) -> int:
    _, _, version = path.name.removesuffix(SUFFIX).rpartition("-")
    return int(version) if version.isdigit() else -1


def _head(path: Path) -> dict[str, int]:
    with path.open("rb") as file:
        try:
            head = orjson.loads(file.readline())
        except orjson.JSONDecodeError:
            return {}
    return head if isinstance(head, dict) else {}


@dataclass(slots=True)
class _Last:
    """What was last written of a site, or, not `written`, the site as it was first seen."""

    version: int
    day: date
    at: float
    written: bool


class SnapshotWriter:
    """Writes a snapshot of each site every few minutes, after its midnight, and at the end."""

    def __init__(
        self,
        root: Path,
        figures: WorkerFigures,
        every_s: float = EVERY_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._root = root
        self._figures = figures
        self._every_s = every_s
        self._monotonic = monotonic
        self._last: dict[str, _Last] = {}

    async def write_due(self, engines: Iterable[Engine]) -> None:
        """Write those that are due; to be called often."""
        for engine in engines:
            if self._due(engine):
                await self._write(engine)

    async def write_all(self, engines: Iterable[Engine]) -> None:
        """Write all that changed since their last snapshot."""
        for engine in engines:
            last = self._last.get(engine.site)
            version = version_of(engine.epoch, engine.offset)
            if last is None or not last.written or last.version != version:
                await self._write(engine)

    def _due(self, engine: Engine) -> bool:
        if engine.offset < 0:
            return False
        version, day = version_of(engine.epoch, engine.offset), _day_of(engine)
        last = self._last.get(engine.site)
        if last is None:
            self._last[engine.site] = _Last(version, day, self._monotonic(), written=False)
            return False
        if version == last.version:
            return False
        return day != last.day or self._monotonic() - last.at >= self._every_s

    async def _write(self, engine: Engine) -> None:
        """A snapshot that fails is logged and tried again later: the earlier ones still serve."""
        began = self._monotonic()
        snapshot = Snapshot.of(engine)
        self._last[engine.site] = _Last(snapshot.version, _day_of(engine), began, written=True)
        try:
            path = await asyncio.to_thread(write_snapshot, self._root, snapshot)
            await asyncio.to_thread(prune_snapshots, self._root, engine.site)
        except OSError as error:
            place = about(site=engine.site, offset=engine.offset, epoch=engine.epoch)
            log.error("no snapshot: %s", error, extra=place)
            self._figures.snapshot_failures += 1
            return
        self._figures.snapshots += 1
        self._figures.last_snapshot_bytes = path.stat().st_size
        self._figures.last_snapshot_seconds = self._monotonic() - began


def _day_of(engine: Engine) -> date:
    zone = ZoneInfo(engine.settings.time_zone)
    return datetime.fromtimestamp(engine.at / 1000, zone).date()


class Restorer:
    """Restores the snapshots the stack has chosen for this epoch."""

    def __init__(self, config: Config, engine: EngineType) -> None:
        self._engine = engine
        self._chosen = _chosen(config)

    def restore(self, site: str) -> Engine | None:
        """The site as its snapshot has it, None if there is none; raises `SnapshotError`."""
        path = self._chosen.get(site)
        if path is None:
            return None
        snapshot = read_snapshot(path)
        if snapshot.site != site:
            raise SnapshotError(f"{path}: holds site {snapshot.site!r}, not {site!r}")
        told = "restored from %s, journal %d"
        log.info(told, path.name, snapshot.journal, extra=about(site=site))
        return self._engine.restore(snapshot.parts)


def _chosen(config: Config) -> dict[str, Path]:
    """Paths by site from the epoch file, empty if it is of another epoch."""
    path = config.data_dir / "epoch.json"
    try:
        obj = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{path}: cannot be read ({error!r})") from error
    if obj.get("epoch") != config.epoch:
        return {}
    # An absolute path stands as it is, any other is one inside the data folder.
    return {
        site: config.data_dir / entry["snapshot"]
        for site, entry in obj.get("restore", {}).items()
        if entry.get("snapshot")
    }
