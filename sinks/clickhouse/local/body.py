"""The body of a request, unpacked and kept whole before its turn comes: small ones in memory,
large ones in a file. The engine then gets it without waiting for a slow client.
"""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterable, AsyncIterator
from pathlib import Path

from sinks.clickhouse.local.codec import Unpacker
from sinks.clickhouse.local.errors import QUERY_IS_TOO_LARGE, StoreError
from sinks.clickhouse.local.limits import MIB

IN_MEMORY_BYTES = 4 * MIB
HEAD_BYTES = MIB
"""The statement before an insert's data is found within so many bytes."""


class Body:
    """Bytes of a request after decompression; `head` is their beginning."""

    def __init__(self, directory: Path) -> None:
        self.size = 0
        self._file = tempfile.SpooledTemporaryFile(  # noqa: SIM115 - closed by `close`
            IN_MEMORY_BYTES, dir=str(directory)
        )

    @classmethod
    async def read(
        cls, pieces: AsyncIterable[bytes], encoding: str, directory: Path, limit: int
    ) -> Body:
        """Take a body in; raise `StoreError` when it is larger than `limit` or cannot be read."""
        body = cls(directory)
        try:
            unpacker = Unpacker(encoding)
            async for piece in pieces:
                for unpacked in unpacker.unpack(piece):
                    body.append(unpacked, limit)
            unpacker.finish()
        except BaseException:
            body.close()
            raise
        return body

    def append(self, piece: bytes, limit: int) -> None:
        """Add to the end."""
        self.size += len(piece)
        if self.size > limit:
            raise StoreError(QUERY_IS_TOO_LARGE, f"The body is larger than {limit} bytes")
        self._file.write(piece)

    def head(self, limit: int = HEAD_BYTES) -> bytes:
        """The first `limit` bytes."""
        self._file.seek(0)
        return self._file.read(limit)

    async def rest(self, start: int) -> AsyncIterator[bytes]:
        """Everything from `start` on, in pieces."""
        self._file.seek(start)
        while piece := self._file.read(MIB):
            yield piece

    def close(self) -> None:
        """Let go of memory and file."""
        self._file.close()
