"""Compression of bodies: every encoding, cut anywhere, never more than asked for."""

import gzip
import random
import zlib

import lz4.frame  # type: ignore[import-untyped]
import pytest

from sinks.clickhouse.local.codec import PIECE_BYTES, Unpacker, choose_encoding, pack
from sinks.clickhouse.local.errors import StoreError

ENCODINGS = ["lz4", "zstd", "gzip", "deflate"]


def unpack(data: bytes, encoding: str, step: int) -> list[bytes]:
    unpacker = Unpacker(encoding)
    pieces: list[bytes] = []
    for start in range(0, len(data), step):
        pieces.extend(unpacker.unpack(data[start : start + step]))
    unpacker.finish()
    return pieces


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("step", [1, 7, 1000, 1 << 22])
def test_a_body_cut_anywhere_is_the_same(encoding: str, step: int) -> None:
    body = random.Random(1).randbytes(5000) + b"x" * 20_000
    assert b"".join(unpack(pack(body, encoding), encoding, step)) == body


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_small_body_does_not_unpack_into_all_of_the_memory(encoding: str) -> None:
    packed = pack(b"\0" * 50_000_000, encoding)
    pieces = unpack(packed, encoding, 1 << 22)
    assert sum(map(len, pieces)) == 50_000_000
    assert max(map(len, pieces)) <= PIECE_BYTES


@pytest.mark.parametrize("encoding", ["lz4", "zstd", "gzip"])
@pytest.mark.parametrize("step", [1, 1 << 20])
def test_frames_one_after_another_are_one_body(encoding: str, step: int) -> None:
    packed = pack(b"one", encoding) + pack(b"two" * 1000, encoding)
    assert b"".join(unpack(packed, encoding, step)) == b"one" + b"two" * 1000


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_body_that_ends_too_early_is_refused(encoding: str) -> None:
    packed = pack(random.Random(2).randbytes(3000), encoding)
    with pytest.raises(StoreError, match="too early"):
        unpack(packed[:-5], encoding, 1 << 20)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_noise_is_refused(encoding: str) -> None:
    with pytest.raises(StoreError, match="Cannot decompress"):
        unpack(b"this is no frame at all, in no encoding", encoding, 1 << 20)


def test_an_unknown_encoding_is_refused() -> None:
    with pytest.raises(StoreError, match="snappy"):
        Unpacker("snappy")


def test_an_empty_body_is_empty() -> None:
    assert unpack(b"", "gzip", 1) == []
    assert b"".join(unpack(b"plain", "", 2)) == b"plain"


def test_the_first_encoding_known_here_is_chosen() -> None:
    assert choose_encoding("br, zstd, gzip") == "zstd"
    assert choose_encoding("gzip;q=0, deflate;q=0.5") == "deflate"
    assert choose_encoding("") == ""
    assert choose_encoding("identity, *") == ""


def test_what_is_packed_here_others_can_read() -> None:
    body = b"rows" * 1000
    assert gzip.decompress(pack(body, "gzip")) == body
    assert zlib.decompress(pack(body, "deflate")) == body
    assert lz4.frame.decompress(pack(body, "lz4")) == body
