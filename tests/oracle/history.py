"""Which settings were in force when: a visit keeps the limits it was queued under."""

from dataclasses import dataclass, field
from typing import NamedTuple

from schemas.settings import SiteSettings


class Limits(NamedTuple):
    """Milliseconds: service-level threshold, short abandon, stuck after."""

    threshold: int
    short: int
    stuck: int


@dataclass
class History:
    """The settings of a site with the moment each took effect; the first hold from the start."""

    first: SiteSettings
    changes: list[tuple[int, SiteSettings]] = field(default_factory=list)

    @property
    def current(self) -> SiteSettings:
        return self.changes[-1][1] if self.changes else self.first

    def change(self, moment: int, settings: SiteSettings) -> None:
        self.changes.append((moment, settings))

    def at(self, moment: int) -> SiteSettings:
        in_force = self.first
        for valid_from, settings in self.changes:
            if valid_from <= moment:
                in_force = settings
        return in_force

    def limits(self, queue: str, moment: int) -> Limits:
        resolved = self.at(moment).queue(queue)
        return Limits(resolved.threshold_ms, resolved.short_abandon_ms, resolved.stuck_after_ms)

    def stuck_after(self, queue: str | None, moment: int) -> int:
        """Of a leg answered at `moment`; one without queue has the limit of the site."""
        if queue is None:
            return self.at(moment).stuck_after_ms
        return self.limits(queue, moment).stuck
