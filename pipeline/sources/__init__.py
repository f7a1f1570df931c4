"""Sources: what platforms write, translated to canonical events.

`SOURCES` names the platforms whose payloads ingest translates; each is one module in `platforms/`.
`FORMATS` names the readers that files can be read with: the canonical format, the bank's files,
and a capture of every platform. A reader yields validated events and, in their place, a `BadLine`
for what it cannot read; it raises nothing for the content of a line.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from pipeline.sources import bank1999, canonical
from pipeline.sources.capture import read_capture
from pipeline.sources.lines import BadLine
from pipeline.sources.platforms import sources
from pipeline.sources.source import Source
from schemas.settings import SiteSettings

__all__ = ["FORMATS", "SOURCES", "BadLine", "Format", "Source"]

Items = Iterator[dict[str, Any] | BadLine]
Read = Callable[[Iterable[bytes], str | None, SiteSettings | None], Items]


@dataclass(frozen=True, slots=True)
class Format:
    """How files of one platform are read; `settings` are those of a site that gives none itself.

    `read` takes the lines, the site, and the settings of the site where there are any.
    """

    name: str
    read: Read
    settings: Path | None = None


def _canonical(lines: Iterable[bytes], site: str | None, _: SiteSettings | None) -> Items:
    return canonical.read(lines, site)


def _bank(lines: Iterable[bytes], site: str | None, _: SiteSettings | None) -> Items:
    return bank1999.read(lines, site)


SOURCES: dict[str, Source] = sources()
"""The platforms by the name in a raw record's header `format`."""

FORMATS: dict[str, Format] = {
    "canonical": Format("canonical", _canonical),
    "bank-1999": Format("bank-1999", _bank, bank1999.SETTINGS),
    **{name: Format(name, partial(read_capture, source)) for name, source in SOURCES.items()},
}
"""The readers by the name a user gives."""
