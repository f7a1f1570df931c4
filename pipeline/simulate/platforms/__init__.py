"""Writers: what happens in the simulated centre, as each platform would tell it.

One module a platform, with its `WRITER`. Writers know the vendors' documentation and nothing of the
translators, so that a misunderstanding of one is not confirmed by the other.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Protocol

from pipeline.simulate.happenings import Happening


class Writer(Protocol):
    """Says what happened at a site in some format: any number of payloads a happening."""

    def payloads(self, happening: Happening) -> Iterable[bytes]:
        """The payloads for one happening, to be called in the order of time; each is one line."""
        ...


Begin = Callable[[str], Writer]
"""A writer for a site."""


def platform_writers() -> dict[str, Begin]:
    """The writers of all modules here, by the name of the platform's source."""
    modules = sorted(module.name for module in pkgutil.iter_modules(__path__))
    return {name.replace("_", "-"): import_module(f"{__name__}.{name}").WRITER for name in modules}
