"""One module a platform. What has a `SOURCE` in it is a source; nothing else has to name it.

A module whose platform comes in more than one way has `SOURCES`, a tuple of them.
"""

from __future__ import annotations

import pkgutil
from importlib import import_module
from types import ModuleType

from pipeline.sources.source import Source


def sources() -> dict[str, Source]:
    """The sources of all modules here, by the name a user gives."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [import_module(f"{__name__}.{name}") for name in names]
    return {source.name: source for module in modules for source in _sources_of(module)}


def _sources_of(module: ModuleType) -> tuple[Source, ...]:
    one = getattr(module, "SOURCE", None)
    several: tuple[Source, ...] = getattr(module, "SOURCES", ())
    return several if one is None else (one, *several)
