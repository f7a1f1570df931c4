"""A new epoch: its number, and from which snapshot each site goes on.

The memory broker forgets everything when it stops, so each of its starts is an epoch. A snapshot
is used only if the store already has all rows up to it: what lies after is told anew by the
journal, and so every row reaches the store.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from agents_stream.snapshots import SUFFIX, folder_of

EPOCH_FILE = "epoch.json"


@dataclass(frozen=True, slots=True)
class Found:
    """A snapshot file with the journal sequence and the version that its name tells."""

    path: Path
    journal: int
    version: int


def read_epoch(data_dir: Path) -> dict[str, Any]:
    """The content of the epoch file; empty before the first epoch."""
    try:
        obj: dict[str, Any] = orjson.loads((data_dir / EPOCH_FILE).read_bytes())
    except FileNotFoundError:
        return {}
    return obj


def begin_epoch(data_dir: Path, sites: Iterable[str], durable: Mapping[str, int]) -> int:
    """Writes the next epoch's file and returns its number.

    `durable` is, by site, the version up to which the store has all rows.
    """
    epoch = int(read_epoch(data_dir).get("epoch", 0)) + 1
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
    fresh = data_dir / (EPOCH_FILE + ".new")
    fresh.write_bytes(orjson.dumps(obj, option=orjson.OPT_INDENT_2))
    fresh.replace(data_dir / EPOCH_FILE)
    return epoch


def snapshots_of(root: Path, site: str) -> list[Found]:
    """The snapshots of a site, oldest first."""
    found = []
    for path in folder_of(root, site).glob(f"*{SUFFIX}"):
        journal, _, version = path.name.removesuffix(SUFFIX).partition("-")
        if journal.isdigit() and version.isdigit():
            found.append(Found(path, int(journal), int(version)))
    return sorted(found, key=lambda s: s.version)
