"""Site settings of the demo: the bank's queues under their names, with targets of our time."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import Any

import yaml

from pipeline.sources.bank1999 import SETTINGS, SITE
from schemas.settings import SettingsError, load_site_file, parse_site

log = logging.getLogger(__name__)

BANK_TEAM = "Agents"
STOCK_TEAM = "Stock exchange"
NAME = "Anonymous Bank 1999"
HOURS = "07:00-24:00"
_ZONE = re.compile(r"^time_zone:.*$", re.MULTILINE)
_WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def demo_settings(zone: str, site: str = SITE) -> dict[str, Any]:
    """The demo's settings as plain values: those of the bank's data, in the demo's zone.

    The bank is open on every date of the demo, for only its full days are played.
    """
    bank = load_site_file(SETTINGS).dump()
    targets = {
        "service_level": 0.8,
        "abandonment": 0.08,
        "asa_ms": 30_000,
        "longest_wait_ms": 120_000,
        "aht_ms": 240_000,
    }
    defaults = {**bank["defaults"], "min_volume": 5, "targets": targets}
    settings = {
        **bank,
        "site": site,
        "name": NAME,
        "time_zone": zone,
        "hours": {day: [HOURS] for day in _WEEK},
        "defaults": defaults,
        "teams": {
            BANK_TEAM: {"name": BANK_TEAM, "occupancy": [0.6, 0.85]},
            STOCK_TEAM: {"name": STOCK_TEAM, "occupancy": [0.4, 0.8]},
            "": {"name": "Unnamed servers"},
        },
    }
    return parse_site(settings, "demo").dump()


def renew_demo_settings(folder: Path, zone: str, site: str = SITE) -> Path:
    """Move a site's settings into the zone of a new demo, as they were edited; returns their path.

    Where there are none, or none that can be used, they are written anew; what cannot be used is
    kept beside them with the ending `.old`.
    """
    path = folder / f"{site}.yml"
    if path.exists():
        text, count = _ZONE.subn(f"time_zone: {zone}", path.read_text(encoding="utf-8"))
        _replace(path, text if count else f"{text.rstrip()}\ntime_zone: {zone}\n")
        try:
            load_site_file(path)
        except SettingsError as error:
            path.replace(path.with_name(path.name + ".old"))
            log.warning("%s; written anew, the old one is %s.old", error, path.name)
        else:
            return path
    return write_demo_settings(folder, zone, site)


def write_demo_settings(folder: Path, zone: str, site: str = SITE) -> Path:
    """Write `<site>.yml` into the folder, which is made if need be; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{site}.yml"
    text = yaml.safe_dump(demo_settings(zone, site), sort_keys=False, allow_unicode=True)
    _replace(path, text)
    return path


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
