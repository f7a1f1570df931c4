"""What a site's settings say of its sources, checked by the sources themselves."""

from __future__ import annotations

import difflib
from pathlib import Path

from pydantic import ValidationError

from pipeline.sources import SOURCES
from schemas.settings import SettingsError, SiteSettings, load_site_file


def load_site(path: Path) -> SiteSettings:
    """Read a site's file with the options of its sources; raise `SettingsError` if it is wrong."""
    settings = load_site_file(path)
    check_sources(settings, str(path))
    return settings


def check_sources(settings: SiteSettings, file: str) -> None:
    """Raise `SettingsError` for a platform that there is not, or an option it does not know."""
    for name, options in settings.sources.items():
        source = SOURCES.get(name)
        if source is None:
            near = difflib.get_close_matches(name, SOURCES, n=1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(SOURCES)}"
            raise SettingsError(file, f"sources.{name}", f"is no platform; {hint}")
        try:
            source.options.model_validate(options)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            path = ".".join(["sources", name, *(str(part) for part in first["loc"])])
            known = ", ".join(source.options.model_fields) or "none"
            reason = first["msg"].replace("Input should", "should")
            if first["type"] == "extra_forbidden":
                reason = f"unknown key; known are {known}"
            raise SettingsError(file, path, reason) from None
