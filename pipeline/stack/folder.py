"""The data folder of an embedded stack: what it plays, its secrets, and its clock."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import orjson

MODE_FILE = "mode.json"
SECRETS_FILE = "secrets.json"
_OURS = (
    MODE_FILE,
    SECRETS_FILE,
    "epoch.json",
    "clock.json",
    "demo.json",
    "simulation.json",
    "feeder.json",
    "stack.json",
    "lock",
    "journal",
    "snapshots",
    "store",
    "settings",
    "logs",
    "alerting",
    "viewers.yml",
)


BY_HAND = ("settings", SECRETS_FILE, "viewers.yml")
"""What a user has written, or has noted elsewhere."""


class Mode(StrEnum):
    """What the stack plays."""

    DEMO = "demo"
    SIMULATE = "simulate"
    EMPTY = "empty"


class FolderError(ValueError):
    """A data folder that cannot be used; the message says what to do."""


_SECRET_BYTES = {"writer": 18, "analyst": 9, "customer": 24, "board": 32}


@dataclass(frozen=True, slots=True)
class StoreSecrets:
    """Passwords of the local store and the keys of customers' numbers and of the board's cookies,
    made at the first start.
    """

    writer: str
    analyst: str
    customer: str
    board: str


@dataclass(frozen=True, slots=True)
class DataFolder:
    """Paths inside the folder, and what is kept there between starts."""

    root: Path

    @property
    def settings(self) -> Path:
        """The watched folder of site settings."""
        return self.root / "settings"

    @property
    def journal(self) -> Path:
        """The door's journal."""
        return self.root / "journal"

    @property
    def logs(self) -> Path:
        """One log file a role."""
        return self.root / "logs"

    @property
    def clock(self) -> Path:
        """The clock file."""
        return self.root / "clock.json"

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keeps other stacks away while the block lasts. Raises `FolderError` if one is there.

        The lock goes with the process, however that ends.
        """
        self._refuse_strangers()
        self.root.mkdir(parents=True, exist_ok=True)
        with (self.root / "lock").open("ab") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise FolderError(
                    f"a stack runs in {self.root} already; stop it, or start with --data FOLDER"
                ) from None
            yield

    def _refuse_strangers(self) -> None:
        entries = self.root.iterdir() if self.root.is_dir() else ()
        strangers = [entry.name for entry in entries if entry.name not in _OURS]
        if strangers and not (self.root / MODE_FILE).exists():
            raise FolderError(f"{self.root} is no folder of callboard: it holds {strangers[0]}")

    def claim(self, mode: Mode) -> bool:
        """Takes the folder for a mode; whether it is new. Raises `FolderError` if it is another's.

        A folder that holds something else is not touched.
        """
        self.root.mkdir(parents=True, exist_ok=True)
        path = self.root / MODE_FILE
        if path.exists():
            held = Mode(orjson.loads(path.read_bytes())["mode"])
            if held is not mode:
                raise FolderError(
                    f"{self.root} holds a stack of mode {held}; start with --fresh to begin anew, "
                    "or with --data FOLDER elsewhere"
                )
            return False
        self._refuse_strangers()
        path.write_bytes(orjson.dumps({"mode": mode}))
        return True

    def clear(self, keep: Collection[str] = ()) -> None:
        """Removes what an earlier stack left, but for what is to be kept; nothing else."""
        if not (self.root / MODE_FILE).exists():
            return
        # The lock is held by who clears.
        for name in (name for name in _OURS if name != "lock" and name not in keep):
            path = self.root / name
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)

    def store_secrets(self) -> StoreSecrets:
        """The secrets of the stack; only the owner of the folder can read them."""
        path = self.root / SECRETS_FILE
        obj = orjson.loads(path.read_bytes()) if path.exists() else {}
        if obj.keys() != _SECRET_BYTES.keys():
            obj = {name: secrets.token_urlsafe(n) for name, n in _SECRET_BYTES.items()} | obj
            fresh = path.with_suffix(".new")
            fresh.unlink(missing_ok=True)
            handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(handle, "wb") as file:
                file.write(orjson.dumps(obj))
            fresh.replace(path)
        return StoreSecrets(obj["writer"], obj["analyst"], obj["customer"], obj["board"])
