"""The door's journal: every raw record on disk before anybody is told that it was taken.

The broker of the embedded stack keeps its log in memory, so this is the copy that survives it.
Records are lines of JSON in segment files named by their first sequence number. `append` returns
when the lines are on disk; what a crash left half written was promised to nobody and is cut off,
kept aside in a file beside the segment.

`JournalError` is raised for a journal that cannot be used or written.
"""

from __future__ import annotations

import base64
import fcntl
import logging
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import IO, Any

import orjson

from pipeline.ingest.raw import CANONICAL, RawRecord

log = logging.getLogger(__name__)

SEGMENT_BYTES = 64 * 1024 * 1024
SUFFIX = ".seg"
TORN = ".torn"
FIRST = 1

Entry = tuple[int, RawRecord]


class JournalError(OSError):
    """The journal cannot be used, or records could not be written to it."""


class Journal:
    """An open journal. One process writes it at a time; methods block and are not thread-safe."""

    def __init__(self, folder: Path, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Open or begin a journal; raise `JournalError` if another process holds it."""
        self.folder = folder
        self._segment_bytes = segment_bytes
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(folder / "lock")
        segments = segments_of(folder)
        if segments:
            self.next_seq, size = _recover(segments[-1])
            self._file, self._size = _opened(segments[-1]), size
        else:
            self.next_seq = FIRST
            self._file, self._size = self._begin_segment()

    def append(self, records: Sequence[RawRecord]) -> int:
        """Write records and wait until they are on disk; return the sequence of the first.

        After a `JournalError` none of them is in the journal.
        """
        first = self.next_seq
        lines = b"".join(_line(seq, record) for seq, record in enumerate(records, first))
        try:
            if self._size >= self._segment_bytes:
                self._rotate()
            self._write(lines)
        except OSError as error:
            self._undo()
            raise JournalError(f"{self.folder}: {error.strerror or error}") from error
        self._size += len(lines)
        self.next_seq = first + len(records)
        return first

    def prune(self, below: int) -> list[Path]:
        """Remove the segments all of whose records are below a sequence; return them."""
        removed = []
        segments = segments_of(self.folder)
        for segment, follower in zip(segments, segments[1:], strict=False):
            if _first_of(follower) > below:
                break
            segment.unlink()
            removed.append(segment)
        return removed

    def close(self) -> None:
        """Release the journal."""
        self._file.close()
        self._lock.close()

    def _write(self, lines: bytes) -> None:
        view = memoryview(lines)
        while view:
            view = view[os.write(self._file.fileno(), view) :]
        os.fdatasync(self._file.fileno())

    def _undo(self) -> None:
        """After a failed write go on in a new segment: what the old one holds is uncertain."""
        try:
            os.ftruncate(self._file.fileno(), self._size)
            self._rotate()
        except OSError as error:
            log.error("journal %s: %s", self.folder, error)

    def _rotate(self) -> None:
        if self._size:
            file, size = self._begin_segment()
            self._file.close()
            self._file, self._size = file, size

    def _begin_segment(self) -> tuple[IO[bytes], int]:
        file = _opened(self.folder / f"{self.next_seq:016d}{SUFFIX}")
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
        return file, 0


def read_journal(folder: Path, after: int = FIRST - 1) -> Iterator[Entry]:
    """The records above a sequence, in order; segments wholly at or below it are not opened.

    A line that cannot be read is said in the log and left out.
    """
    segments = segments_of(folder)
    followers: Iterable[Path | None] = [*segments[1:], None] if segments else []
    for segment, follower in zip(segments, followers, strict=True):
        if follower is not None and _first_of(follower) <= after + 1:
            continue
        yield from (entry for entry in _entries_of(segment) if entry[0] > after)


def last_received(folder: Path) -> int | None:
    """When the newest records were received, epoch ms; None for an empty journal.

    Only the last segment that holds any is read: weeks of a busy centre are millions of lines.
    """
    for segment in reversed(segments_of(folder)):
        newest = max((record.received for _, record in _entries_of(segment)), default=None)
        if newest is not None:
            return newest
    return None


def _entries_of(segment: Path) -> Iterator[Entry]:
    with segment.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            entry = _entry(line)
            if entry is None:
                log.error("%s: line %d cannot be read and is left out", segment, number)
            else:
                yield entry


def segments_of(folder: Path) -> list[Path]:
    """The segment files in order."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if path.stem.isdigit())


def _first_of(segment: Path) -> int:
    return int(segment.stem)


def _line(seq: int, record: RawRecord) -> bytes:
    obj: dict[str, Any] = {
        "seq": seq,
        "received": record.received,
        "site": record.site,
        "format": record.format,
        "source": record.source,
    }
    if record.truncated:
        obj["truncated"] = record.truncated
    try:
        obj["payload"] = record.payload.decode()
    except UnicodeDecodeError:
        obj["payload_base64"] = base64.b64encode(record.payload).decode()
    return orjson.dumps(obj, option=orjson.OPT_APPEND_NEWLINE)


def _entry(line: bytes) -> Entry | None:
    """The record of a line, None if the line is not whole."""
    if not line.endswith(b"\n"):
        return None
    try:
        obj = orjson.loads(line)
        text = obj.get("payload")
        payload = base64.b64decode(obj["payload_base64"]) if text is None else text.encode()
        record = RawRecord(
            obj["site"],
            payload,
            obj["received"],
            obj.get("source", ""),
            obj.get("format", CANONICAL),
            obj.get("truncated", 0),
        )
        return obj["seq"], record
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _recover(segment: Path) -> tuple[int, int]:
    """The next sequence and the whole bytes of the last segment; a torn tail is cut off."""
    seq, size = _first_of(segment), 0
    with segment.open("rb") as lines:
        for line in lines:
            entry = _entry(line)
            if entry is None or entry[0] != seq:
                break
            seq, size = seq + 1, size + len(line)
        lines.seek(size)
        tail = lines.read()
    if tail:
        aside = segment.with_suffix(TORN)
        with aside.open("ab") as torn:
            torn.write(tail)
        os.truncate(segment, size)
        log.warning("%s: cut a torn end of %d bytes off, kept in %s", segment, len(tail), aside)
    return seq, size


def _opened(path: Path) -> IO[bytes]:
    return path.open("ab", buffering=0)


def _locked(path: Path) -> IO[bytes]:
    lock = path.open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise JournalError(f"{path.parent}: another door writes this journal") from None
    return lock
