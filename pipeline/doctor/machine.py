"""This machine: Python, libraries, engine, disks."""

from __future__ import annotations

import importlib.metadata
import re
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from pipeline.doctor.around import Around
from pipeline.doctor.finding import Finding, failed, ok, skipped, warning
from pipeline.engine import COMPILED
from schemas.config import ENGINE, Config

LOCK = Path(__file__).resolve().parents[2] / "requirements.lock"
OLDEST = (3, 11)
FEW_FILES = 4096
LOW_BYTES, NO_BYTES = 2_000_000_000, 300_000_000
_SHOWN = 4
_PINNED = re.compile(r"^([A-Za-z0-9._-]+)==([^\s;\\]+)", re.MULTILINE)


async def check(around: Around) -> list[Finding]:
    """Look at what everything here runs on."""
    return [
        _python(),
        _libraries(LOCK),
        _engine(around.environ),
        _files(),
        *_disks(around.config),
    ]


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if sys.version_info[:2] < OLDEST:
        return failed("Python", version, "use 3.11 or newer")
    return ok("Python", version)


def _libraries(lock: Path) -> Finding:
    try:
        pinned = dict(_PINNED.findall(lock.read_text(encoding="utf-8")))
    except OSError:
        return skipped("libraries", "no lock file beside this installation")
    found = {name: _installed(name) for name in pinned}
    here = {name: version for name, version in found.items() if version}
    other = [f"{n} {v} (lock {pinned[n]})" for n, v in here.items() if v.lstrip("v") != pinned[n]]
    if other:
        more = f" and {len(other) - _SHOWN} more" if len(other) > _SHOWN else ""
        told = f"not as locked: {', '.join(other[:_SHOWN])}{more}"
        return warning("libraries", told, "pip install --require-hashes -r requirements.lock")
    return ok("libraries", f"{len(here)} as locked")


def _installed(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _engine(environ: Mapping[str, str]) -> Finding:
    if COMPILED:
        return ok("engine", "compiled")
    if environ.get(ENGINE) == "python":
        return ok("engine", f"plain Python, as {ENGINE} asks")
    told = "plain Python: the same figures, several times slower"
    return warning("engine", told, "make native, with a C compiler installed")


def _files() -> Finding:
    limit, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= limit < FEW_FILES:
        told = f"{limit} open files at most: each viewer and each connection is one"
        return warning("open files", told, f"ulimit -n {min(65536, most) if most > 0 else 65536}")
    return ok("open files", f"{limit} at most" if limit > 0 else "unlimited")


def _disks(config: Config) -> Iterator[Finding]:
    """The data folder with its journal and snapshots; where there is none, what backfill uses."""
    folders = {"temporary folder": Path(tempfile.gettempdir())}
    if config.journal:
        folders = {"data folder": config.data_dir, "journal": config.data_dir / "journal"}
    if config.snapshot_dir:
        folders["snapshots"] = Path(config.snapshot_dir)
    seen: set[int] = set()
    for name, folder in folders.items():
        try:
            # What is not there yet is made on the disk of the folder above.
            there = folder if folder.exists() or name == "data folder" else folder.parent
            device, usage = there.stat().st_dev, shutil.disk_usage(there)
        except OSError as error:
            todo = "CALLBOARD_DATA_DIR names the folder"
            yield failed("disk", f"{name} {folder}: {error.strerror}", todo)
            continue
        if device not in seen:
            yield _room(f"{name} {folder}", usage.free, usage.total)
        seen.add(device)


def _room(name: str, free: int, total: int) -> Finding:
    told = f"{name}: {free / 1e9:.1f} GB free of {total / 1e9:.0f}"
    if free < NO_BYTES:
        return failed("disk", told, "make room now: the journal refuses events when it is full")
    if free < LOW_BYTES:
        return warning("disk", told, "make room")
    return ok("disk", told)
