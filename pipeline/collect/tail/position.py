"""The place in a log up to which lines are safe, kept in a file that is never half written."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import orjson

HEAD_BYTES = 256
"""What a file begins with tells it from others: a log's first line bears a time."""


class PositionError(ValueError):
    """The file with the position cannot be read; going on without it would send all again."""


@dataclass(frozen=True, slots=True)
class Position:
    """`offset` bytes of a file are safe. `head` is a hash of its first `head_bytes`.

    `began` are the digits that its first line begins with, 0 without any. The head itself is not
    kept, for it may hold a caller's number. While a log has no line yet there is no file; `others`
    are the inodes of those that were there before its first line.
    """

    device: int
    inode: int
    offset: int
    head_bytes: int = 0
    head: str = ""
    began: int = 0
    others: tuple[int, ...] = ()

    def begins(self, head: bytes) -> bool:
        """Whether a file that begins with `head` may be the one of this position."""
        known = head[: self.head_bytes]
        return len(known) == self.head_bytes and hash_of(known) == self.head


def hash_of(head: bytes) -> str:
    """The hash of what a file begins with."""
    return sha256(head).hexdigest()


def load(path: Path) -> Position | None:
    """The position kept in a file, None if there is none yet. Raises `PositionError`."""
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PositionError(f"{path}: {error.strerror}") from None
    try:
        kept = orjson.loads(text)
        place = [_whole(kept[name]) for name in ("device", "inode", "offset")]
        head = (_whole(kept["head_bytes"]), str(kept["head"]), _whole(kept["began"]))
        others = tuple(_whole(inode) for inode in kept["others"])
        return Position(place[0], place[1], place[2], *head, others=others)
    except (ValueError, KeyError, TypeError):
        raise PositionError(f"{path} holds no position of a log; remove it to begin anew") from None


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise ValueError(value)
    return value


def save(path: Path, position: Position) -> None:
    """Replace the kept position; whoever reads meanwhile, or after a crash, finds one or the other.

    Raises `OSError`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.new")
    with fresh.open("wb") as file:
        file.write(orjson.dumps(asdict(position)))
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
