"""Whether the disk takes what is written, for the engine does not notice when it does not.

Measured with chDB 4.4.0: an insert whose writes fail (the disk fills after the engine has reserved
its space, a quota is used up) is answered as done, its token is taken, and the part cannot be read.
A merge that meets the same leaves a broken part in the place of good ones.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path

SCRATCH_FILE = "scratch"
SPARE_BYTES = 4 * 1024 * 1024
"""What must fit on the disk beside the body of an insert: its files, and merges beside it."""


class Disk:
    """The disk of a store's directory."""

    def __init__(self, directory: Path) -> None:
        self._scratch = directory / SCRATCH_FILE

    def refuses(self, body_bytes: int) -> str:
        """Why an insert of so many bytes might not be written; empty if it would.

        Asks for the space itself: what a disk says is free is not what a quota leaves.
        """
        try:
            file = os.open(self._scratch, os.O_CREAT | os.O_WRONLY, 0o600)
            try:
                os.posix_fallocate(file, 0, 2 * body_bytes + SPARE_BYTES)
            finally:
                os.ftruncate(file, 0)
                os.close(file)
        except OSError as error:
            return error.strerror or str(error)
        return ""


def broken_parts(directory: Path) -> str:
    """A word for the set of parts that the engine has found broken and put aside; empty for none.

    It is read from the disk and so outlives the process that met the full disk and could note
    nothing.
    """
    names = sorted(str(path) for path in directory.glob("engine/store/*/*/detached/broken*"))
    return f"{zlib.crc32(chr(0).join(names).encode()):08x}" if names else ""
