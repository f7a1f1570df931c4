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


def siblings(log: Path) -> list[Sibling]:
    """The log and what it was rotated into (`LOG.1`, `LOG-20240115`, `LOG.2.gz`…), oldest first.

    Empty files are left out. One that goes while it is looked at is not there.
    """
    found = []
    names = [name for name in _names(log.parent) if _is_of(log.name, name)]
    for name in names:
        sibling = _look(log.parent / name, name == log.name)
        if sibling is not None and sibling.size:
            found.append(sibling)
    return sorted(found, key=lambda one: one.order)


def _names(folder: Path) -> list[str]:
    try:
        return os.listdir(folder)
    except FileNotFoundError:
        return []


def _is_of(log: str, name: str) -> bool:
    return name == log or (name.startswith((f"{log}.", f"{log}-")) and not name.endswith("~"))


def _look(path: Path, is_log: bool) -> Sibling | None:
    try:
        with path.open("rb", buffering=0) as file:
            stat = os.fstat(file.fileno())
            head = file.read(HEAD_BYTES) or b""
    except OSError:
        return None
    return Sibling(
        path, stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime_ns, head, is_log
    )  # fmt: skip


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
    # A file that was empty begins as all do; of that one only the inode was known.
    others = fitting if position.head_bytes else []
    return next(iter([*same, *others]), None)
