"""The settings folder: one YAML file a site, watched; the last good settings of each stay in force.

A file that becomes bad is said in the log once, with file, key and remedy, and changes nothing. A
file that is removed removes its site. Two files for one site are an error that names both; the one
that was there first, or comes first by name, counts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from watchfiles import awatch

from pipeline.sources.options import load_site
from schemas.settings import SettingsError, SiteSettings
from service.logs import about

log = logging.getLogger(__name__)

SUFFIXES = (".yml", ".yaml")
POLL_MS = 1000
"""How often the folder is read again even if nobody tells of a change, as on a network share."""

_Fingerprint = tuple[int, int, int]


@dataclass(slots=True)
class _File:
    fingerprint: _Fingerprint
    settings: SiteSettings | None = None
    error: str = ""


class SettingsFolder:
    """The sites that exist. `refresh` reads what has changed; `sites` is what holds now."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sites: Mapping[str, SiteSettings] = {}
        self.errors: Mapping[str, str] = {}
        """What is wrong now, by file."""
        self._files: dict[Path, _File] = {}
        self._owners: dict[str, Path] = {}

    @property
    def empty(self) -> bool:
        """Whether no settings file has ever been seen here, good or bad, or all are gone."""
        return not self._files

    def refresh(self) -> bool:
        """Read new and changed files; say whether sites, settings or errors have changed."""
        before = self.sites, self.errors
        self._read_changes()
        return (self.sites, self.errors) != before

    def _read_changes(self) -> None:
        found = self._scan()
        if found is None:
            return
        for path in [path for path in self._files if path not in found]:
            del self._files[path]
        for path, fingerprint in found.items():
            held = self._files.get(path)
            if held is None or held.fingerprint != fingerprint:
                self._files[path] = self._read(path, fingerprint, held)
        self._settle()

    async def watch(self, changed: asyncio.Event) -> None:
        """Refresh on every change of the folder, and now and then; set the event on news."""
        while True:
            try:
                async for _ in awatch(
                    self.folder, rust_timeout=POLL_MS, yield_on_timeout=True, recursive=False
                ):
                    if self.refresh():
                        changed.set()
            except (FileNotFoundError, OSError) as error:
                log.debug("cannot watch %s, polling: %r", self.folder, error)
            await asyncio.sleep(POLL_MS / 1000)
            if self.refresh():
                changed.set()

    def _scan(self) -> dict[Path, _Fingerprint] | None:
        """The files by name; None if the folder cannot be read, which is not the same as empty."""
        found = {}
        try:
            for path in sorted(self.folder.iterdir()):
                if path.suffix in SUFFIXES and not path.name.startswith("."):
                    stat = path.stat()
                    found[path] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError as error:
            self._say(self.folder, f"cannot be read: {error.strerror}; sites stay as they are")
            return None
        self._unsay(self.folder)
        return found

    def _read(self, path: Path, fingerprint: _Fingerprint, held: _File | None) -> _File:
        try:
            return _File(fingerprint, load_site(path))
        except (SettingsError, OSError) as error:
            kept = held.settings if held is not None else None
            stays = f"; site {kept.site} keeps its last good settings" if kept else ""
            log.error("%s%s", error, stays, extra=about(site=kept.site if kept else None))
            return _File(fingerprint, kept, str(error))

    def _settle(self) -> None:
        """Give each site to one file and tell of news."""
        owners: dict[str, Path] = {}
        errors = {str(path): file.error for path, file in self._files.items() if file.error}
        for path, file in sorted(self._files.items(), key=self._seniority):
            if file.settings is None:
                continue
            site = file.settings.site
            if site in owners:
                errors[str(path)] = f"{path}: site {site} is already defined by {owners[site]}"
            else:
                owners[site] = path
        self._say_doubles(errors)
        sites = {site: self._settings(path) for site, path in owners.items()}
        self.sites, self.errors, self._owners = sites, errors, owners

    def _seniority(self, entry: tuple[Path, _File]) -> tuple[bool, Path]:
        path, file = entry
        owner = None if file.settings is None else self._owners.get(file.settings.site)
        return owner != path, path

    def _settings(self, path: Path) -> SiteSettings:
        settings = self._files[path].settings
        assert settings is not None
        return settings

    def _say_doubles(self, errors: Mapping[str, str]) -> None:
        for path, error in errors.items():
            if "already defined" in error and self.errors.get(path) != error:
                log.error("%s; this file is ignored", error)

    def _say(self, path: Path, error: str) -> None:
        if self.errors.get(str(path)) != error:
            log.error("%s: %s", path, error)
            self.errors = {**self.errors, str(path): error}

    def _unsay(self, path: Path) -> None:
        if str(path) in self.errors:
            self.errors = {key: error for key, error in self.errors.items() if key != str(path)}
