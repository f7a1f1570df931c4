"""Says in the stack's own log what becomes of an edit in the settings folder.

Ingest says it too, but in a file that nobody looks at who has just saved his settings.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pipeline.ingest.settings_folder import SettingsFolder
from pipeline.ingest.site_state import fixed_of
from pipeline.ingest.sites import refused_changes
from schemas.settings import SiteSettings

log = logging.getLogger(__name__)


class SettingsWatch:
    """The settings folder as the stack sees it. Broken files are said by the folder itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = SettingsFolder(folder)
        self._fixed: dict[str, Mapping[str, Any]] = {}
        self._told: Mapping[str, SiteSettings] = {}
        self._wrong = False
        self.listeners: list[Callable[[], None]] = []
        """Called after each change."""

    @property
    def settings(self) -> Mapping[str, SiteSettings]:
        """The settings in force, by site."""
        return self._folder.sites

    def sites(self) -> list[str]:
        """The sites there are now."""
        self._folder.refresh()
        self._tell()
        return list(self._folder.sites)

    async def run(self) -> None:
        """Watch, and tell of edits, until cancelled."""
        changed = asyncio.Event()
        watching = asyncio.create_task(self._folder.watch(changed))
        try:
            while True:
                await changed.wait()
                changed.clear()
                self._tell()
                for listener in self.listeners:
                    listener()
        finally:
            watching.cancel()

    def _tell(self) -> None:
        """Tell of sites that were there before; what a site begins with is nothing new."""
        told, self._told = self._told, self._folder.sites
        for site, settings in self._told.items():
            fixed = self._fixed.setdefault(site, fixed_of(settings))
            if settings == told.get(site):
                continue
            if not refused_changes(settings, fixed) and site in told:
                log.info("site %s: its new settings hold", site)
        wrong, self._wrong = self._wrong, bool(self._folder.errors)
        if wrong and not self._wrong:
            log.info("all files in %s are good again", self._folder.folder)
