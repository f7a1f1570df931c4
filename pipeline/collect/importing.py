"""Imports files of a platform's payloads: posts them to the door, payload by payload.

What an import has done is in a small file, written after the door has answered that all before it
is safe. Broken off, it goes on there; payloads of the last batch may come twice, which changes
nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import orjson

from pipeline.collect.door_client import DoorClient
from pipeline.sources.lines import BadLine, LineFile
from pipeline.sources.source import Payloads, lines_of

MAX_RECORDS = 500
MAX_BYTES = 256 * 1024
MOST_TOLD = 20
_HEAD_BYTES = 64 * 1024
CANONICAL = "canonical"


class Item(NamedTuple):
    """A payload of a file for a site, and the line it begins at."""

    site: str
    payload: bytes
    line: int


@dataclass(slots=True)
class Done:
    """What became of a file: payloads taken, refused by the door, and lines that are none.

    `earlier` were safe before this run. `told` names the first of the others, by line.
    """

    taken: int = 0
    refused: int = 0
    unreadable: int = 0
    earlier: int = 0
    told: list[tuple[int, str]] = field(default_factory=list)

    def tell(self, line: int, reason: str) -> None:
        """Note why a line is not in; of many only the first."""
        if len(self.told) < MOST_TOLD:
            self.told.append((line, reason))


class Progress:
    """How far each file got, by its first bytes: a file that was replaced begins anew.

    A file of state that cannot be read counts as none, since importing again does no harm.
    """

    def __init__(self, path: Path | None, about: str) -> None:
        self._path = path
        self._about = about
        self._files: dict[str, dict[str, int | str]] = {}
        try:
            state = orjson.loads(path.read_bytes()) if path else {}
            if state.get("about") == about and isinstance(state.get("files"), dict):
                self._files = state["files"]
        except (OSError, ValueError, AttributeError):
            return

    def of(self, file: Path) -> int:
        """How many payloads of the file are safe."""
        known = self._files.get(str(file.resolve()))
        if not isinstance(known, dict):
            return 0
        length, safe = known.get("length"), known.get("payloads")
        if not isinstance(length, int) or not isinstance(safe, int):
            return 0
        return safe if _head(file, length)[1] == known.get("head") else 0

    def save(self, file: Path, payloads: int) -> None:
        """Note that so many payloads of the file are safe, replacing the state at once."""
        if self._path is None:
            return
        length, head = _head(file, _HEAD_BYTES)
        self._files[str(file.resolve())] = {"length": length, "head": head, "payloads": payloads}
        fresh = self._path.with_name(self._path.name + ".new")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(orjson.dumps({"about": self._about, "files": self._files}))
        fresh.replace(self._path)


def _head(file: Path, most: int) -> tuple[int, str]:
    """A file that has grown is still the same one, so only as much as was there is compared."""
    with file.open("rb") as stream:
        start = stream.read(most)
    return len(start), hashlib.sha256(start).hexdigest()


async def import_file(
    file: Path,
    site: str,
    payloads: Callable[[LineFile], Payloads],
    door: DoorClient,
    progress: Progress,
    on_batch: Callable[[int], None] | None = None,
) -> Done:
    """Post a file from where it was left. `on_batch` is told the bytes of the file read so far.

    Raises `DoorRefused` and `InputError`.
    """
    done = Done(earlier=progress.of(file))
    safe = 0
    with LineFile(file) as lines:
        for batch in _batches(payloads(lines), site, done):
            fresh = batch[max(0, done.earlier - safe) :]
            safe += len(batch)
            if fresh:
                await _send(fresh, door, done)
                progress.save(file, safe)
            if on_batch is not None:
                on_batch(lines.position)
    return done


async def _send(batch: list[Item], door: DoorClient, done: Done) -> None:
    receipt = await door.send(batch)
    done.taken += receipt.taken
    done.refused += receipt.refused
    for place, reason in receipt.told:
        done.tell(batch[place - 1].line if 0 < place <= len(batch) else 0, reason)


def _batches(payloads: Payloads, site: str, done: Done) -> Iterator[list[Item]]:
    batch: list[Item] = []
    size = 0
    for item in payloads:
        if isinstance(item, BadLine):
            done.unreadable += 1
            done.tell(item.line, f"{item.field}: {item.reason}")
            continue
        line, payload = item
        size += len(payload) + 1
        if batch and (len(batch) == MAX_RECORDS or size > MAX_BYTES):
            yield batch
            batch, size = [], len(payload) + 1
        batch.append(Item(site, payload, line))
    if batch:
        yield batch


def payloads_of(name: str) -> Callable[[LineFile], Payloads]:
    """How files of a format are taken apart; `KeyError` if there is no such format."""
    from pipeline.sources import SOURCES

    return lines_of if name == CANONICAL else SOURCES[name].payloads
