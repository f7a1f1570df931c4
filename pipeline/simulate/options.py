"""What a user asks of the simulator: size of the centre, span of time, scenario, seed."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR

DEFAULT_START = 1_767_603_600_000
"""Monday 2026-01-05 09:00 UTC: a fixed moment, so that the same options give the same file."""


class OptionsError(ValueError):
    """An option that no centre can be made of; the message names it."""


class Scenario(StrEnum):
    """What goes wrong during the incident.

    `burst`: four times the arrivals in voice and chat. `outage`: the source is silent and sends
    what it held back when the incident ends. `blackout`: every agent drops, calls are cut.
    `rona-storm`: most rings are not answered.
    """

    NORMAL = "normal"
    BURST = "burst"
    OUTAGE = "outage"
    BLACKOUT = "blackout"
    RONA_STORM = "rona-storm"


@dataclass(frozen=True, slots=True)
class Incident:
    """When a scenario strikes: epoch ms, half-open."""

    scenario: Scenario
    start: int
    end: int

    def covers(self, scenario: Scenario, moment: int) -> bool:
        """Whether this incident is of that kind and under way at `moment`."""
        return self.scenario is scenario and self.start <= moment < self.end


@dataclass(frozen=True, slots=True)
class Options:
    """A simulation. Agents, queues and calls per hour are per site.

    `agents` is how many work on a day, spread over shifts. `calls_per_hour` is the arrivals of all
    queues in the busiest hour, `aht_s` the mean handling time of a call in seconds; whichever is
    None is chosen so that the agents are well but not hopelessly busy. The incident begins
    `incident_after_ms` after the start (default: a third of the duration, at most an hour) and
    lasts `incident_ms` (default: ten minutes, at most a quarter of the duration). `start` is epoch
    ms. `platform` names whose payloads the events become; empty are canonical events. Raises
    `OptionsError`.
    """

    sites: int = 1
    agents: int = 60
    queues: int = 6
    calls_per_hour: float | None = None
    aht_s: float | None = None
    seed: int = 1
    start: int = DEFAULT_START
    duration_ms: int = HOUR
    scenario: Scenario = Scenario.NORMAL
    incident_after_ms: int | None = None
    incident_ms: int | None = None
    time_zone: str = "UTC"
    site: str = "sim"
    source: str = "simulator"
    platform: str = ""

    def __post_init__(self) -> None:
        for name, least in (("sites", 1), ("agents", 1), ("queues", 1), ("duration_ms", 1)):
            if getattr(self, name) < least:
                raise OptionsError(f"{name} must be at least {least}, not {getattr(self, name)}")
        for name in ("calls_per_hour", "aht_s", "incident_ms"):
            value = getattr(self, name)
            if value is not None and value <= 0:
                raise OptionsError(f"{name} must be greater than 0, not {value}")
        self.zone()

    def zone(self) -> ZoneInfo:
        """The sites' time zone; the arrival curve and the shifts follow its clock."""
        try:
            return ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise OptionsError(f"time_zone: no such zone: {self.time_zone}") from error

    @property
    def end(self) -> int:
        """The first moment no longer simulated, epoch ms."""
        return self.start + self.duration_ms

    @property
    def incident(self) -> Incident:
        """When the scenario strikes; of no length when nothing goes wrong."""
        if self.scenario is Scenario.NORMAL:
            return Incident(self.scenario, self.start, self.start)
        after = self.incident_after_ms
        if after is None:
            after = min(HOUR, self.duration_ms // 3)
        length = self.incident_ms or min(10 * MINUTE, max(1, self.duration_ms // 4))
        return Incident(self.scenario, self.start + after, self.start + after + length)

    def site_ids(self) -> list[str]:
        """The names of the sites: `sim`, `sim-2`, `sim-3`…"""
        return [self.site, *(f"{self.site}-{number}" for number in range(2, self.sites + 1))]
