"""Lines of a file, plain or compressed, and what is said of one that cannot be read."""

from __future__ import annotations

import gzip
import lzma
import os
import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

_GZIP, _XZ = b"\x1f\x8b", b"\xfd7zXZ\x00"
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no event: its number from 1, the field that is wrong and why."""

    line: int
    field: str
    reason: str


class InputError(OSError):
    """A file that cannot be opened or whose compressed stream is broken."""


class LineFile:
    """An input of lines; its content, not its name, says whether it is compressed (gzip or xz).

    `path` `-` is standard input. Use it as a context manager.
    """

    def __init__(self, path: str | Path) -> None:
        self.name = "stdin" if str(path) == "-" else str(path)
        try:
            self._raw: IO[bytes] = (
                sys.stdin.buffer if self.name == "stdin" else Path(path).open("rb")  # noqa: SIM115  # __exit__ closes it
            )
            head = cast(Any, self._raw).peek(len(_XZ))
        except OSError as error:
            raise InputError(f"{self.name}: {error.strerror}") from None
        self._text = _uncompressed(self._raw, head)

    def __enter__(self) -> LineFile:
        return self

    def __exit__(self, *_: object) -> None:
        if self._raw is not sys.stdin.buffer:
            self._raw.close()

    def __iter__(self) -> Iterator[bytes]:
        try:
            for number, line in enumerate(self._text):
                yield line.removeprefix(_BOM) if number == 0 else line
        except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
            raise InputError(f"{self.name}: {error}") from None

    @property
    def size(self) -> int | None:
        """Bytes on disk, None where that is not known beforehand."""
        return os.fstat(self._raw.fileno()).st_size or None if self._raw.seekable() else None

    @property
    def position(self) -> int:
        """Bytes on disk read so far, for a progress bar; 0 for a pipe."""
        return self._raw.tell() if self._raw.seekable() else 0


def _uncompressed(raw: IO[bytes], head: bytes) -> IO[bytes]:
    if head.startswith(_GZIP):
        return cast(IO[bytes], gzip.GzipFile(fileobj=raw))
    if head.startswith(_XZ):
        return cast(IO[bytes], lzma.LZMAFile(raw))
    return raw
