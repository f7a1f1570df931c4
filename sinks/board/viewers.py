"""Who may see the board: a YAML file of names, sites and digests of tokens.

    viewers:
      - name: Berlin wall
        sites: [berlin]              # or "*"
        sha256: 5e88…                # of the token, which itself is nowhere
        expires: 2027-01-31T00:00:00Z
        wall: true

Tokens have 256 random bits, so a digest without salt and stretching gives nothing away. The file is
read again when it changes; one that cannot be read leaves the last good one in force and is logged.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from schemas.events import MAX_ID
from schemas.moments import MomentError, iso, parse_moment
from schemas.yaml_source import YamlProblem, read_yaml

log = logging.getLogger(__name__)

TOKEN_PREFIX = "cb_"
"""Lets scanners for secrets that got into the wrong place know one."""
MAX_TOKEN = 200
LOOK_S = 1.0
"""How often the file is looked at: so long may a token that was taken away still work."""

SiteId = Annotated[str, Field(min_length=1, max_length=MAX_ID)]


class ViewersError(ValueError):
    """A file of viewers that cannot be used; the message names the file and what is wrong."""


class Entry(BaseModel):
    """One token: whose, for which sites, until when (epoch ms, None for ever).

    A `wall` is a screen: it stays logged in for as long as its token holds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=100)]
    sites: list[SiteId] | Literal["*"]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
    expires: int | None = None
    wall: bool = False

    @field_validator("expires", mode="before")
    @classmethod
    def _moment(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return parse_moment(value)
        except MomentError as error:
            raise ValueError(str(error)) from None

    def sees(self, site: str) -> bool:
        """Whether the token is for this site."""
        return self.sites == "*" or site in self.sites

    def over(self, now: int) -> bool:
        """Whether it has expired at epoch ms `now`."""
        return self.expires is not None and now >= self.expires


def new_token() -> str:
    """A token that nobody can guess."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def digest_of(token: str) -> str:
    """What the file holds of a token."""
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def read_viewers(path: Path) -> list[Entry]:
    """The entries of a file; none if there is no file. Raises `ViewersError`."""
    if not path.exists():
        return []
    try:
        value = read_yaml(path).value
        if not isinstance(value, dict) or not isinstance(value.get("viewers"), list):
            raise ViewersError(f"{path}: a list `viewers` is expected")
        entries = [Entry.model_validate(one) for one in value["viewers"]]
    except YamlProblem as error:
        raise ViewersError(str(error)) from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"]))
        raise ViewersError(f"{path}: {where}: {first['msg']}") from None
    _refuse_twice(path, entries)
    return entries


def _refuse_twice(path: Path, entries: Sequence[Entry]) -> None:
    for what in ("name", "sha256"):
        found = [getattr(entry, what) for entry in entries]
        twice = next((one for one in found if found.count(one) > 1), None)
        if twice is not None:
            raise ViewersError(f"{path}: {what} {twice} stands twice")


def write_viewers(path: Path, entries: Sequence[Entry]) -> None:
    """Put a file in place of what is there, all at once.

    Everybody may read it: it holds no token, and a container that reads it is another user.
    """
    rows = [_row(entry) for entry in entries]
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, fresh = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            yaml.safe_dump({"viewers": rows}, file, sort_keys=False, allow_unicode=True)
        os.chmod(fresh, 0o644)
        os.replace(fresh, path)
    except BaseException:
        os.unlink(fresh)
        raise


def _row(entry: Entry) -> dict[str, object]:
    row = entry.model_dump(exclude_defaults=True)
    return row if entry.expires is None else {**row, "expires": iso(entry.expires)}


class Viewers:
    """The file as it is now; `monotonic` is seconds of a clock that only ticks."""

    def __init__(self, path: Path, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._path = path
        self._monotonic = monotonic
        self._looked = float("-inf")
        self._fingerprint: tuple[int, int, int] | None = None
        self._entries: dict[str, Entry] = {}

    def of_token(self, token: str) -> Entry | None:
        """The entry of a token."""
        return self.of_digest(digest_of(token)) if token else None

    def of_digest(self, digest: str) -> Entry | None:
        """The entry of a digest; the comparison takes the same time for any other."""
        self._look()
        found = None
        for entry in self._entries.values():
            if hmac.compare_digest(entry.sha256, digest):
                found = entry
        return found

    def of_id(self, id_: str) -> Entry | None:
        """The entry whose digest begins so; what this is asked for is signed by us."""
        self._look()
        return self._entries.get(id_)

    def _look(self) -> None:
        now = self._monotonic()
        if now - self._looked < LOOK_S:
            return
        self._looked = now
        fingerprint = self._stat()
        if fingerprint == self._fingerprint:
            return
        self._fingerprint = fingerprint
        try:
            entries = read_viewers(self._path)
        except ViewersError as error:
            log.error("%s; who could log in before still can", error)
            return
        self._entries = {id_of(entry): entry for entry in entries}
        log.info("%d viewers may log in", len(entries))

    def _stat(self) -> tuple[int, int, int] | None:
        try:
            stat = self._path.stat()
        except OSError:
            return None
        return stat.st_mtime_ns, stat.st_size, stat.st_ino


def id_of(entry: Entry) -> str:
    """A name for a token that says nothing of it."""
    return entry.sha256[:16]
