"""Imports files of a platform's payloads: posts them to the door, payload by payload.

What an import has done is in a small file, written after the door has answered that all before it
is safe. Broken off, it goes on there; payloads of the last batch may come twice, which changes
nothing. A file that has grown goes on too; one whose payloads are others by now begins anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import orjson

from pipeline.collect.door_client import DoorClient
from pipeline.sources.lines import BadLine, LineFile
from pipeline.sources.source import Payloads, lines_of

MAX_RECORDS = 500
MAX_BYTES = 256 * 1024
MOST_TOLD = 20
MOST_FILES = 1_000
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


class Safe(NamedTuple):
    """How many payloads of a file are safe, and a digest of them."""

    payloads: int
    digest: str


class Progress:
    """How far each file got, the newest `MOST_FILES` of them.

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

    def of(self, file: Path) -> Safe | None:
        """What of the file is safe, None if nothing is."""
        known = self._files.get(str(file.resolve()))
        if not isinstance(known, dict):
            return None
        payloads, digest = known.get("payloads"), known.get("digest")
        if not isinstance(payloads, int) or payloads < 1 or not isinstance(digest, str):
            return None
        return Safe(payloads, digest)

    def save(self, file: Path, safe: Safe) -> None:
        """Note what of the file is safe, replacing the state at once."""
        if self._path is None:
            return
        self._files.pop(str(file.resolve()), None)
        self._files[str(file.resolve())] = safe._asdict()
        while len(self._files) > MOST_FILES:
            del self._files[next(iter(self._files))]
        fresh = self._path.with_name(self._path.name + ".new")
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_bytes(orjson.dumps({"about": self._about, "files": self._files}))
        fresh.replace(self._path)


class _Lines:
    """The lines of a file; `cut` while the last one has no end, as in a file still written."""

    def __init__(self, lines: Iterable[bytes]) -> None:
        self._lines = lines
        self.cut = False

    def __iter__(self) -> Iterator[bytes]:
        for line in self._lines:
            self.cut = not line.endswith(b"\n")
            yield line


class _Passed:
    """Payloads that are behind, counted and digested."""

    def __init__(self) -> None:
        self._count = 0
        self._digest = blake2b(digest_size=16)

    def add(self, items: Iterable[Item]) -> None:
        for item in items:
            self._count += 1
            self._digest.update(b"%d\n" % len(item.payload))
            self._digest.update(item.payload)

    def safe(self) -> Safe:
        return Safe(self._count, self._digest.hexdigest())


async def import_file(
    file: Path,
    site: str,
    payloads: Callable[[Iterable[bytes]], Payloads],
    door: DoorClient,
    progress: Progress,
    on_batch: Callable[[int], None] | None = None,
) -> Done:
    """Post a file from where it was left, or from its start if what was sent has changed since.

    `on_batch` is told the bytes of the file read so far. Raises `DoorRefused` and `InputError`.
    """
    known = progress.of(file)
    for start in (known, None) if known else (None,):
        done = Done()
        with LineFile(file) as opened:
            lines = _Lines(opened)
            items, passed = _items(payloads(lines), site, done), _Passed()
            if start is not None:
                passed.add(islice(items, start.payloads))
                if passed.safe() != start:
                    continue
                done.earlier = start.payloads
            for batch in _batches(items):
                await _send(batch, door, done)
                # A last line without an end may be half of one: it is sent again another time.
                passed.add(batch[:-1] if lines.cut else batch)
                progress.save(file, passed.safe())
                if on_batch is not None:
                    on_batch(opened.position)
        break
    return done


async def _send(batch: list[Item], door: DoorClient, done: Done) -> None:
    receipt = await door.send(batch)
    done.taken += receipt.taken
    done.refused += receipt.refused
    for place, reason in receipt.told:
        done.tell(batch[place - 1].line if 0 < place <= len(batch) else 0, reason)


def _items(payloads: Payloads, site: str, done: Done) -> Iterator[Item]:
    for item in payloads:
        if isinstance(item, BadLine):
            done.unreadable += 1
            done.tell(item.line, f"{item.field}: {item.reason}")
        else:
            yield Item(site, item[1], item[0])


def _batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    batch: list[Item] = []
    size = 0
    for item in items:
        size += len(item.payload) + 1
        if batch and (len(batch) == MAX_RECORDS or size > MAX_BYTES):
            yield batch
            batch, size = [], len(item.payload) + 1
        batch.append(item)
    if batch:
        yield batch


def payloads_of(name: str) -> Callable[[Iterable[bytes]], Payloads]:
    """How files of a format are taken apart; `KeyError` if there is no such format."""
    from pipeline.sources import SOURCES

    return lines_of if name == CANONICAL else SOURCES[name].payloads
