"""The files that a log was rotated into, in the order in which they were written."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from pathlib import Path

from pipeline.collect.tail.position import HEAD_BYTES, Position

_COMPRESSED = frozenset({".gz", ".bz2", ".xz", ".zst", ".lz4", ".Z", ".zip"})
_DIGITS = re.compile(rb"\d{1,18}")


@dataclass(frozen=True, slots=True)
class Sibling:
    """A file of the log, itself included, as it was when it was looked at."""

    path: Path
    device: int
    inode: int
    size: int
    mtime_ns: int
    head: bytes
    is_log: bool

    @property
    def compressed(self) -> bool:
        """Whether its lines cannot be read as they are."""
        return self.path.suffix in _COMPRESSED

    @property
    def order(self) -> tuple[bool, int, int]:
        """Files sort by the time their first line bears, then by when they were written last.

        The log itself is the last one. Numbers are no order: `.1` is the newest to logrotate and
        to Asterisk's `rotate`, the oldest to its `sequential`.
        """
        return (self.is_log, began(self.head), self.mtime_ns)


def began(head: bytes) -> int:
    """The digits a file begins with; the epoch seconds of a queue_log's first line."""
    digits = _DIGITS.match(head)
    return int(digits.group()) if digits else 0


def siblings(log: Path) -> list[Sibling] | None:
    """The log and what it was rotated into (`LOG.1`, `LOG-20240115`, `LOG.2.gz`…), oldest first.

    Left out are empty files, and the log while its first line is being written. None if files were
    renamed meanwhile: one of them might have been missed.
    """
    before = _names(log)
    found = [_look(log.parent / name, name == log.name) for name in before]
    seen = {one.path.name: one.inode for one in found if one is not None}
    if seen != before or _names(log) != before:
        return None
    there = (one for one in found if one is not None and one.size and _told_apart(one))
    return sorted(there, key=lambda one: one.order)


def _names(log: Path) -> dict[str, int]:
    names = {}
    try:
        with os.scandir(log.parent) as entries:
            for entry in entries:
                # Not entry.inode(): layered file systems give other numbers in listings.
                if _is_of(log.name, entry.name) and entry.is_file():
                    names[entry.name] = entry.stat().st_ino
    except FileNotFoundError:
        return {}
    return names


def _is_of(log: str, name: str) -> bool:
    return name == log or (name.startswith((f"{log}.", f"{log}-")) and not name.endswith("~"))


def _look(path: Path, is_log: bool) -> Sibling | None:
    try:
        stat, head = path.stat(), b""
        with path.open("rb", buffering=0) as file:
            stat = os.fstat(file.fileno())
            head = file.read(HEAD_BYTES) or b""
    except FileNotFoundError:
        return None
    except PermissionError:
        # Rotated files may be root's alone. Without a head it is none that is sought.
        if is_log:
            raise
    size = stat.st_size if head else 0
    return Sibling(path, stat.st_dev, stat.st_ino, size, stat.st_mtime_ns, head, is_log)


def _told_apart(one: Sibling) -> bool:
    # Half a first line may begin the next log just as well.
    return not one.is_log or b"\n" in one.head or len(one.head) == HEAD_BYTES


def find(files: list[Sibling], position: Position) -> Sibling | None:
    """The file of a position, whatever its name is now; a copy of it if it was truncated.

    It begins as the file did. Of several that do, it is the one with the inode. A copy may be
    shorter than what was read, if that was read after it was made; the log itself may not.
    """
    fitting = [
        one
        for one in files
        if not one.compressed
        and position.begins(one.head)
        and (one.size >= position.offset or not one.is_log)
    ]
    place = (position.device, position.inode)
    same = [one for one in fitting if (one.device, one.inode) == place]
    return next(iter([*same, *fitting]), None)
