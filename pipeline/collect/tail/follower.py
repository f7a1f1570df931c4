"""Lines of a log in their order, each at least once, while others write, rename and truncate it.

What a log may do: be renamed and made anew (the writer goes on in the old file until it opens the
new one), be copied and truncated, be truncated alone, be rotated any number of times while nobody
reads. A file is known by what it begins with, not by its name; that is looked at again after each
read, so that what was read of a file truncated meanwhile is thrown away. Lines that a program wrote
between its copying and its truncating are lost by that program, and nobody can find them.
"""

from __future__ import annotations

import logging
import os
import time
from dataclasses import dataclass
from pathlib import Path

from pipeline.collect.tail.position import HEAD_BYTES, Position, hash_of
from pipeline.collect.tail.siblings import Sibling, began, find, siblings

log = logging.getLogger(__name__)

CHUNK = 256 * 1024
"""Bytes of a batch at most, and of a line: a longer one is left out."""
QUIET_S = 1.0
"""How long a renamed log is quiet before it is left; raise it where Asterisk reloads slowly."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Lines without their ends, and the position once they are safe."""

    lines: list[bytes]
    position: Position


@dataclass(slots=True)
class _Open:
    """A file being read: up to `offset`; `head` is what it begins with as far as known."""

    fd: int
    offset: int
    head: bytes
    device: int
    inode: int
    skipping: bool = False

    def position(self) -> Position:
        return Position(
            self.device, self.inode, self.offset, len(self.head), hash_of(self.head),
            began(self.head),
        )  # fmt: skip


class Follower:
    """Follows one log from a position on; without one from its beginning, or `from_end`.

    A renamed log is left once the new one has lines and the old one has had none for `quiet_s`:
    programs that append by name are in the new one sooner than the one that has it open. The
    methods raise `OSError` for a file that may not be read.
    """

    def __init__(
        self,
        path: Path,
        position: Position | None,
        from_end: bool = False,
        quiet_s: float = QUIET_S,
    ) -> None:
        self._path = path
        self._sought = position
        self._from_end = from_end
        self._quiet_ns = int(quiet_s * 1e9)
        self._file: _Open | None = None
        self._gap_told = False

    def next_batch(self) -> Batch | None:
        """The next lines, None if there are none now. Call again later."""
        while True:
            file = self._file or self._begin()
            if file is None:
                return None
            chunk = os.pread(file.fd, CHUNK, file.offset)
            if not self._still_begins_so(file):
                self._lose(file)
                continue
            batch = self._complete(file, chunk)
            if batch is not None:
                return batch
            if len(chunk) == CHUNK:
                self._skip(file, len(chunk))
                continue
            following = self._following(file)
            if following is None:
                return None
            # Whoever writes the next file has left this one: now its end is final.
            rest = os.pread(file.fd, CHUNK, file.offset)
            return self._complete(file, rest) or self._last(file, rest, following)

    def position(self) -> Position | None:
        """The position now, None before the first look."""
        return self._file.position() if self._file is not None else self._sought

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file.fd)
            self._file = None

    # Where to begin

    def _begin(self) -> _Open | None:
        files = siblings(self._path)
        if files is None:
            return None
        if self._sought is None:
            self._sought = Position(0, 0, 0, others=tuple(f.inode for f in files if not f.is_log))
            return self._begin_anew(files)
        sought = self._sought
        if not sought.head_bytes:
            fresh = [f for f in files if not f.compressed and f.inode not in sought.others]
            return self._open(fresh[0], 0) if fresh else None
        found = find(files, sought)
        if found is not None:
            return self._open(found, min(sought.offset, found.size))
        following = self._after_gap(files, sought)
        return None if following is None else self._open(following, 0)

    def _begin_anew(self, files: list[Sibling]) -> _Open | None:
        file = self._open(files[-1], 0) if files and files[-1].is_log else None
        if file is not None and self._from_end:
            file.offset = _last_line_start(file.fd)
        return file

    def _after_gap(self, files: list[Sibling], sought: Position) -> Sibling | None:
        """The oldest file that is newer than the one that is gone."""
        newer = [
            one
            for one in files
            if not one.compressed and (one.is_log or began(one.head) >= sought.began)
        ]
        if not self._gap_told:
            self._gap_told = True
            log.warning(
                "gap: the file of %s that was read up to byte %d is not there any more, nor a copy "
                "of it; what was written to it after that is not sent", self._path, sought.offset,
            )  # fmt: skip
            _name_compressed(files, None, newer[0] if newer else None)
        return newer[0] if newer else None

    def _open(self, seen: Sibling, offset: int) -> _Open | None:
        """Go over to a file; None, and nothing has changed, if it is not what was seen any more."""
        try:
            fd = os.open(seen.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        stat, head = os.fstat(fd), os.pread(fd, HEAD_BYTES, 0)
        same = (stat.st_dev, stat.st_ino) == (seen.device, seen.inode)
        if not same or not head.startswith(seen.head):
            os.close(fd)
            return None
        self.close()
        self._file = _Open(fd, offset, head, stat.st_dev, stat.st_ino)
        self._sought, self._gap_told = None, False
        log.info("reading %s from byte %d", seen.path, offset)
        return self._file

    # Reading

    def _still_begins_so(self, file: _Open) -> bool:
        head = os.pread(file.fd, HEAD_BYTES, 0)
        if not head.startswith(file.head) or os.fstat(file.fd).st_size < file.offset:
            return False
        file.head = head
        return True

    def _lose(self, file: _Open) -> None:
        """The file was truncated: what was not read of it may stand in a copy."""
        log.info("%s was truncated after byte %d", self._path, file.offset)
        self._sought = file.position()
        self.close()

    def _complete(self, file: _Open, chunk: bytes) -> Batch | None:
        end = chunk.rfind(b"\n") + 1
        if not end:
            return None
        lines = chunk[: end - 1].split(b"\n")
        if file.skipping:
            file.skipping = False
            del lines[0]
        file.offset += end
        return Batch([line for line in lines if line.strip()], file.position())

    def _skip(self, file: _Open, length: int) -> None:
        if not file.skipping:
            log.warning("%s: a line at byte %d is longer than %d bytes, left out",
                        self._path, file.offset, CHUNK)  # fmt: skip
        file.skipping = True
        file.offset += length

    # Going on with the next file

    def _following(self, file: _Open) -> Sibling | None:
        """The file after this one, None while this one is the log or the next one is empty."""
        place = (file.device, file.inode)
        try:
            now = self._path.stat()
        except FileNotFoundError:
            return None
        if (now.st_dev, now.st_ino) == place:
            return None
        written = os.fstat(file.fd).st_mtime_ns
        here = (False, began(file.head), written)
        files = siblings(self._path) or []
        later = [one for one in files if one.order > here and (one.device, one.inode) != place]
        following = next((one for one in later if not one.compressed), None)
        if following is None or 0 <= time.time_ns() - written < self._quiet_ns:
            return None
        _name_compressed(files, written, following)
        return following

    def _last(self, file: _Open, rest: bytes, following: Sibling) -> Batch | None:
        """The end of a file, with a line that will never be finished, and on to the next one."""
        if file.head and following.head.startswith(file.head):
            # Both hold the same: a copy that is still being made, and the log it is made of.
            offset, lines = min(file.offset, following.size), []
        else:
            offset, lines = 0, [] if file.skipping or not rest.strip() else [rest]
        fresh = self._open(following, offset)
        return None if fresh is None else Batch(lines, fresh.position())


def _name_compressed(files: list[Sibling], after: int | None, until: Sibling | None) -> None:
    for one in files:
        if not one.compressed or (after is not None and one.mtime_ns <= after):
            continue
        if until is None or one.mtime_ns < until.mtime_ns:
            log.warning("gap: %s is compressed, what is in it and was not read is not sent",
                        one.path)  # fmt: skip


def _last_line_start(fd: int) -> int:
    """Where the last line begins that has no end yet, or the end of the file."""
    size = os.fstat(fd).st_size
    tail = os.pread(fd, CHUNK, max(0, size - CHUNK))
    return size - len(tail) + tail.rfind(b"\n") + 1
