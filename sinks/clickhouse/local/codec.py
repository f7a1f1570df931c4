"""Compression of HTTP bodies: what clients send, and what they ask for.

Decompression is bounded piece by piece, so a small body cannot unpack into all of the memory.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Protocol, cast

import lz4.frame  # type: ignore[import-untyped]

from sinks.clickhouse.local.errors import (
    CANNOT_DECOMPRESS,
    UNKNOWN_COMPRESSION_METHOD,
    StoreError,
)

try:
    from compression import zstd  # type: ignore[import-not-found, unused-ignore]
except ImportError:
    from backports import zstd

PIECE_BYTES = 1 << 20


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes | None: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


def _lz4_decompressor() -> _Decompressor:
    return cast(_Decompressor, lz4.frame.LZ4FrameDecompressor())


def _zstd_decompressor() -> _Decompressor:
    return cast(_Decompressor, zstd.ZstdDecompressor())


class _Inflater:
    """zlib's decompressor in the shape of the others: it keeps its own unread input."""

    def __init__(self, window_bits: int) -> None:
        self._inner: Any = zlib.decompressobj(window_bits)

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inner.unused_data)

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return bytes(self._inner.decompress(self._inner.unconsumed_tail + data, max_length))


_DECOMPRESSORS: dict[str, Callable[[], _Decompressor]] = {
    "lz4": _lz4_decompressor,
    "zstd": _zstd_decompressor,
    "gzip": lambda: _Inflater(31),
    "x-gzip": lambda: _Inflater(31),
    "deflate": lambda: _Inflater(15),
}

_COMPRESSORS: dict[str, Callable[[bytes], bytes]] = {
    "lz4": lz4.frame.compress,
    "zstd": zstd.compress,
    "gzip": lambda data: gzip.compress(data, compresslevel=3),
    "deflate": lambda data: zlib.compress(data, level=3),
}


class Unpacker:
    """Unpacks a body that comes in pieces; frames one after another are one body."""

    def __init__(self, encoding: str) -> None:
        """Raise `StoreError` for an encoding not known here."""
        name = encoding.strip().lower() or "identity"
        self._make = None if name == "identity" else _DECOMPRESSORS.get(name)
        if self._make is None and name != "identity":
            known = ", ".join(sorted(_DECOMPRESSORS))
            raise StoreError(
                UNKNOWN_COMPRESSION_METHOD,
                f"Unknown compression method of Content-Encoding: {encoding}; known are {known}",
            )
        self._current: _Decompressor | None = None

    def unpack(self, data: bytes) -> Iterator[bytes]:
        """The bytes behind `data`, in pieces of at most a megabyte."""
        if self._make is None:
            yield data
            return
        while data or self._current is not None:
            if self._current is None or self._current.eof:
                self._current = self._make()
            piece = self._step(self._current, data)
            if piece:
                yield piece
            data = (self._current.unused_data or b"") if self._current.eof else b""
            if not data and (self._current.eof or len(piece) < PIECE_BYTES):
                return

    def finish(self) -> None:
        """Raise `StoreError` if the body ended in the middle."""
        if self._current is not None and not self._current.eof:
            raise StoreError(CANNOT_DECOMPRESS, "Cannot decompress: the body ends too early")

    def _step(self, decompressor: _Decompressor, data: bytes) -> bytes:
        try:
            return decompressor.decompress(data, PIECE_BYTES)
        except (RuntimeError, OSError, EOFError, ValueError, zlib.error, zstd.ZstdError) as error:
            raise StoreError(CANNOT_DECOMPRESS, f"Cannot decompress the body: {error}") from None


def choose_encoding(accepted: str) -> str:
    """The first encoding of an Accept-Encoding header that is known here, empty if none is."""
    for entry in accepted.split(","):
        name, _, weight = entry.strip().lower().partition(";")
        if name.strip() in _COMPRESSORS and weight.replace(" ", "") not in ("q=0", "q=0.0"):
            return name.strip()
    return ""


def pack(data: bytes, encoding: str) -> bytes:
    """`data` in an encoding that `choose_encoding` gave."""
    return _COMPRESSORS[encoding](data)
