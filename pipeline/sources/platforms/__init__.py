"""One module a platform. What has a `SOURCE` in it is a source; nothing else has to name it."""

from __future__ import annotations

import pkgutil
from importlib import import_module

from pipeline.sources.source import Source


def sources() -> dict[str, Source]:
    """The sources of all modules here, by the name a user gives."""
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    found = (getattr(import_module(f"{__name__}.{name}"), "SOURCE", None) for name in modules)
    return {source.name: source for source in found if source is not None}
