"""A capture of a platform, read as ingest would have translated it."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable, Iterator
from pathlib import Path

from pipeline.sources.lines import BadLine
from pipeline.sources.source import Event, Source, Translator, Unread
from schemas.settings import SiteSettings

log = logging.getLogger(__name__)

SITE = "default"
"""The site of a capture that is read without settings."""


def read_capture(
    source: Source, lines: Iterable[bytes], site: str | None, settings: SiteSettings | None = None
) -> Iterator[Event | BadLine]:
    """Yield the events of a capture in its order, and a `BadLine` for each unreadable payload."""
    translator = begin(source, site, settings)
    for item in source.payloads(lines):
        if isinstance(item, BadLine):
            yield item
        else:
            number, payload = item
            translated = translate_safely(translator, payload)
            if isinstance(translated, Unread):
                yield BadLine(number, translated.field, translated.reason)
            else:
                yield from translated


def begin(source: Source, site: str | None, settings: SiteSettings | None) -> Translator:
    """A translator as the settings of the site say, or as the source does by itself."""
    if settings is None:
        return source.begin(site or SITE, {})
    options = settings.sources.get(source.name, {})
    return source.begin(site or settings.site, options, settings.time_zone)


def translate_safely(translator: Translator, payload: bytes) -> list[Event] | Unread:
    """The events of a payload, or why there are none; a defect met in one stops no others."""
    try:
        return translator.translate(payload)
    except Unread as error:
        return error
    except Exception as error:
        log.error(
            "a payload of %s cannot be translated: %s", translator.context.source, defect(error)
        )
        return Unread("payload", f"not translated: {defect(error)}")


def defect(error: Exception) -> str:
    """What went wrong and where in the code, without what the payload holds: customers' numbers."""
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} at {Path(place.filename).name}:{place.lineno}"
