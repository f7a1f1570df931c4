"""Site settings of the demo: the bank's queues under their names, with targets of our time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pipeline.sources.bank1999 import SETTINGS, SITE
from schemas.settings import load_site_file, parse_site

BANK_TEAM = "Agents"
STOCK_TEAM = "Stock exchange"
NAME = "Anonymous Bank 1999"
HOURS = "07:00-24:00"
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


def write_demo_settings(folder: Path, zone: str, site: str = SITE) -> Path:
    """Write `<site>.yml` into the folder, which is made if need be; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{site}.yml"
    fresh = path.with_name(path.name + ".new")
    text = yaml.safe_dump(demo_settings(zone, site), sort_keys=False, allow_unicode=True)
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
    return path
