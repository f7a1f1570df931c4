"""A new epoch: its number, and from which snapshot each site goes on.

The memory broker forgets everything when it stops, so each of its starts is an epoch. A snapshot
is used only if the store already has all rows up to it: what lies after is told anew by the
journal, and so every row reaches the store.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from agents_stream.checkpoint import epoch_of
from agents_stream.snapshots import SUFFIX, folder_of
from pipeline.ingest.feeding import Fed, journal_folder

log = logging.getLogger(__name__)

EPOCH_FILE = "epoch.json"


@dataclass(frozen=True, slots=True)
class Found:
    """A snapshot file with the journal sequence and the version that its name tells."""

    path: Path
    journal: int
    version: int


def read_epoch(data_dir: Path) -> dict[str, Any]:
    """The content of the epoch file; empty before the first epoch or if it holds none.

    A machine that lost its power may leave an empty file.
    """
    path = data_dir / EPOCH_FILE
    try:
        obj = orjson.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except orjson.JSONDecodeError:
        obj = None
    if not isinstance(obj, dict) or not isinstance(obj.get("epoch"), int):
        log.warning("%s holds no epoch; store and snapshots tell the last one", path)
        return {}
    return obj


def begin_epoch(data_dir: Path, sites: Iterable[str], durable: Mapping[str, int]) -> int:
    """Writes the next epoch's file and returns its number.

    `durable` is, by site, the version up to which the store has all rows. The epoch is greater than
    any that its file, the store, the snapshots or the door know of: rows of a lower one would never
    count.
    """
    epoch = _last_epoch(data_dir, durable) + 1
    restore: dict[str, Any] = {}
    needed: list[int] = []
    for site in sites:
        found = snapshots_of(data_dir / "snapshots", site)
        needed.append(found[0].journal if found else 0)
        usable = [s for s in found if s.version <= durable.get(site, -1)]
        if usable:
            path = str(usable[-1].path.relative_to(data_dir))
            restore[site] = {"snapshot": path, "journal": usable[-1].journal}
    obj = {"epoch": epoch, "restore": restore, "prune": min(needed, default=0)}
    _write_safely(data_dir / EPOCH_FILE, orjson.dumps(obj, option=orjson.OPT_INDENT_2))
    return epoch


def _last_epoch(data_dir: Path, durable: Mapping[str, int]) -> int:
    # A folder of a site's snapshots may be left where its settings are gone.
    left = (data_dir / "snapshots").glob(f"*/*{SUFFIX}")
    versions = [*durable.values(), *(found.version for found in map(_found, left) if found)]
    fed = Fed.read(journal_folder(data_dir)).epoch
    epochs = [int(read_epoch(data_dir).get("epoch", 0)), fed, epoch_of(max(versions, default=0))]
    return max(epochs)


def _write_safely(path: Path, content: bytes) -> None:
    """Replace a file so that also after a loss of power it is the old one or the new one."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def snapshots_of(root: Path, site: str) -> list[Found]:
    """The snapshots of a site, oldest first."""
    found = map(_found, folder_of(root, site).glob(f"*{SUFFIX}"))
    return sorted((one for one in found if one), key=lambda s: s.version)


def _found(path: Path) -> Found | None:
    journal, _, version = path.name.removesuffix(SUFFIX).partition("-")
    if journal.isdigit() and version.isdigit():
        return Found(path, int(journal), int(version))
    return None
