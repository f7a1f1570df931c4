"""Sources: one module a platform, each translating lines of what it writes to canonical events.

A reader is a generator over the lines of a file. It yields validated events and, in their place, a
`BadLine` for what it cannot read; it raises nothing for the content of a line. `FORMATS` names the
readers that files can be read with.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.sources import bank1999, canonical
from pipeline.sources.lines import BadLine

__all__ = ["FORMATS", "BadLine", "Format"]

Read = Callable[[Iterable[bytes], str | None], Iterator[dict[str, Any] | BadLine]]


@dataclass(frozen=True, slots=True)
class Format:
    """How files of one platform are read; `settings` are those of a site that gives none itself."""

    name: str
    read: Read
    settings: Path | None = None


FORMATS: dict[str, Format] = {
    "canonical": Format("canonical", canonical.read),
    "bank-1999": Format("bank-1999", bank1999.read, bank1999.SETTINGS),
}
"""The readers by the name a user gives."""
