"""The sites ingest knows, with the state of each that all partitions of the process share."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.ingest.site_state import SiteState, Told, fixed_of
from schemas.settings import SiteSettings
from service.logs import about

log = logging.getLogger(__name__)


class Sites:
    """Known sites by name; a site that is removed keeps its time and what is fixed."""

    def __init__(self) -> None:
        self._states: dict[str, SiteState] = {}
        self._known: frozenset[str] = frozenset()
        self._asked: Mapping[str, SiteSettings] = {}
        self._refused: dict[str, Mapping[str, Any]] = {}

    def __contains__(self, site: object) -> bool:
        return site in self._known

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __getitem__(self, site: str) -> SiteState:
        return self._states[site]

    @property
    def refused(self) -> Mapping[str, Mapping[str, Any]]:
        """By site, the values of its file that do not hold because they are fixed while it runs."""
        return {site: keys for site, keys in self._refused.items() if site in self._known}

    def update(self, settings: Mapping[str, SiteSettings]) -> None:
        """Take what the folder says now; running sites get it with their next tick."""
        for site, wanted in settings.items():
            state = self._states.get(site)
            if state is None:
                self._states[site] = SiteState(wanted)
            elif state.told is None:
                state.settings = wanted
                self._refused.pop(site, None)
            elif self._asked.get(site) != wanted:
                state.change(self._holding_fixed(wanted, fixed_of(state.settings)))
        self._known, self._asked = frozenset(settings), settings

    def reopen(self, site: str) -> None:
        """Announce the settings of a site again: its partition has just been taken over."""
        state = self._states[site]
        state.settings, state.coming = state.coming or state.settings, None
        state.announced, state.told = False, None

    def resume(self, site: str, now: int, told: Told | None) -> None:
        """Go on where the frames of an earlier owner end.

        Settings that changed while no ingest ran are announced by a tick, like any other change,
        and not by the first frame of a backlog, which would date them too early.
        """
        state = self._states[site]
        state.now = max(state.now, now)
        if state.announced or told is None:
            return
        state.told = told
        state.settings = self._holding_fixed(state.settings, told.fixed)
        if Told.of(state.settings) != told:
            state.announced, state.coming = True, state.settings

    def _holding_fixed(self, wanted: SiteSettings, fixed: Mapping[str, Any]) -> SiteSettings:
        """The wanted settings with the fixed values of the running site."""
        refused = refused_changes(wanted, fixed)
        self._refused.pop(wanted.site, None)
        if refused:
            self._refused[wanted.site] = refused
        return wanted.model_copy(update=refused) if refused else wanted


def refused_changes(wanted: SiteSettings, fixed: Mapping[str, Any]) -> dict[str, Any]:
    """The values a running site keeps although its file says others; each is said in the log."""
    refused = {key: value for key, value in fixed.items() if getattr(wanted, key) != value}
    for key, value in refused.items():
        log.error(
            "site %s: %s stays %s and does not become %s: it takes effect only with a new epoch "
            "and a backfill; the other settings of the file hold",
            wanted.site,
            key,
            value,
            getattr(wanted, key),
            extra=about(site=wanted.site),
        )
    return refused
