"""Secrets of webhooks, from the folder CALLBOARD_HOOKS_DIR: a file a platform, or a site of it.

`twilio` holds for all sites, `berlin.twilio` for the site `berlin` alone, and `berlin.events` has
tokens with which somebody may send events of that site and of no other. Each line is a secret, so
that an old and a new one may hold side by side; a file that begins with `{` is one secret. Files
are read again when they change. No secret is ever logged.
"""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

TOKENS = "events"
"""In the names of files, what stands for a site's own tokens."""
_MOST_BYTES = 255
"""Of the name of a file."""


@dataclass(slots=True)
class _Held:
    fingerprint: tuple[int, int, int]
    secrets: list[bytes]


class HookSecrets:
    """The secrets by site and platform."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._held: dict[Path, _Held] = {}

    def of(self, site: str, source: str) -> list[bytes]:
        """The secrets that prove a call, those of the site before those of all."""
        return self.of_site(site, source) + self._read(self._folder / source)

    def of_site(self, site: str, source: str) -> list[bytes]:
        """Those of the site alone."""
        path = self._path(site, source)
        return [] if path is None else self._read(path)

    def has_tokens(self, site: str | None) -> bool:
        """Whether a site, or for None any site, has a file of tokens of its own.

        One that is empty or cannot be read counts: it lets nobody in, instead of everybody.
        """
        if site is None:
            return any(self._folder.glob(f"*.{TOKENS}"))
        path = self._path(site, TOKENS)
        return path is not None and os.path.lexists(path)

    def _path(self, site: str, source: str) -> Path | None:
        """The file of a site, None for a name that no file has."""
        name = f"{site}.{source}"
        fits = len(name.encode("utf-8", "replace")) <= _MOST_BYTES
        if not fits or "/" in name or "\0" in name or name.startswith("."):
            return None
        return self._folder / name

    def _read(self, path: Path) -> list[bytes]:
        try:
            stat = path.stat()
            fingerprint = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
            held = self._held.get(path)
            if held is None or held.fingerprint != fingerprint:
                held = self._held[path] = _Held(fingerprint, _secrets(path.read_bytes()))
            return held.secrets
        except FileNotFoundError:
            self._held.pop(path, None)
            return []
        except (OSError, ValueError) as error:  # ValueError: text that is no name in this system
            log.error("the secret %.99r cannot be read: %s", path.name, type(error).__name__)
            return []


def _secrets(text: bytes) -> list[bytes]:
    if text.lstrip().startswith(b"{"):
        return [text.strip()]
    return [line.strip() for line in text.splitlines() if line.strip()]
