"""Sites spread over the partitions, and their settings."""

from __future__ import annotations

from pathlib import Path

from pipeline.topics import partition_of
from schemas.settings import SiteSettings, parse_site

PARTITIONS = 8

_ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata")


def spread(word: str, count: int, partitions: int = PARTITIONS) -> list[str]:
    """Names of so many sites on as many partitions as there are, two on one where it is full."""
    taken: list[int] = []
    found: list[str] = []
    number = 0
    # One pair shares a partition on purpose: a frame of one must not hide a frame of the other.
    places = max(1, min(count - 1, partitions))
    while len(found) < count:
        site, number = f"{word}{number}", number + 1
        place = partition_of(site, partitions)
        if place not in taken or len(taken) >= places:
            taken.append(place)
            found.append(site)
    return found


def settings_of(site: str, number: int) -> SiteSettings:
    """Settings that differ from site to site."""
    return parse_site(
        {
            "site": site,
            "time_zone": _ZONES[number % len(_ZONES)],
            "anchor": "arrival" if number % 3 == 2 else "outcome",
            "defaults": {
                "threshold_ms": 2_000 + 1_000 * (number % 3),
                "short_abandon_ms": 700,
                "formula": ("abandons_negative", "sl_event_negative")[number % 2],
            },
        },
        "test",
    )


def write(folder: Path, settings: SiteSettings) -> None:
    """Put a site's file into the settings folder, as an editor does that replaces files."""
    fresh = folder / f"{settings.site}.new"
    given = settings.defaults
    fresh.write_text(
        f"site: {settings.site}\ntime_zone: {settings.time_zone}\nanchor: {settings.anchor}\n"
        f"defaults:\n  threshold_ms: {given.threshold_ms}\n"
        f"  short_abandon_ms: {given.short_abandon_ms}\n  formula: {given.formula}\n"
    )
    fresh.replace(folder / f"{settings.site}.yml")
