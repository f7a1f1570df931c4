"""The state of one site that every partition of an ingest process shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import orjson

from schemas.settings import SiteSettings

FIXED = ("pane_ms", "time_zone", "anchor")
"""What cannot change while a site runs: every pane and `today` are cut by it."""


@dataclass(frozen=True, slots=True)
class Told:
    """What the frames have said of a site's settings: the fixed values and a digest of all."""

    fixed: Mapping[str, Any]
    digest: str

    @classmethod
    def of(cls, settings: SiteSettings) -> Told:
        """What a frame with these settings says."""
        text = orjson.dumps(settings.dump(), option=orjson.OPT_SORT_KEYS)
        return cls(fixed_of(settings), blake2b(text, digest_size=8).hexdigest())


@dataclass(slots=True)
class SiteState:
    """A site's time, its settings and which of them this process and earlier ones have told.

    `now` is the greatest `now` any of its frames carried, epoch ms, -1 before the first. `settings`
    are those in force; `coming` are newer ones, which the next tick tells and puts in force.
    `announced` says that this process has told the settings, `told` what was told last by any.
    """

    settings: SiteSettings
    now: int = -1
    announced: bool = False
    coming: SiteSettings | None = None
    told: Told | None = None

    def change(self, settings: SiteSettings) -> None:
        """Take newer settings. A tick carries them: in a backlog they would date from the past."""
        self.coming = settings if settings != self.settings else None

    def news_bytes(self) -> int:
        """What announcing the settings adds to the next frame of a site not yet announced."""
        return 0 if self.announced else len(orjson.dumps(self.settings.dump()))

    def announce(self) -> dict[str, Any]:
        """The settings for a frame, from which on they are in force."""
        self.settings, self.coming = self.coming or self.settings, None
        self.announced = True
        self.told = Told.of(self.settings)
        return self.settings.dump()


def fixed_of(settings: SiteSettings) -> dict[str, Any]:
    """The values that cannot change while the site runs."""
    return {key: getattr(settings, key) for key in FIXED}
