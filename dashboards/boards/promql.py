"""PromQL of the boards: each figure once, chosen by the variables of a board.

While a site moves from one worker to another both may export it for a moment, so every figure is
the `max by` of its labels, never a sum over workers. A ratio is never averaged: for several queues
together numerators and denominators are added and divided again.

Grafana cannot read a threshold from a metric. Colours therefore come from the query: a KPI is asked
in three parts, `missed`, `met` and `unjudged`, of which exactly one holds a series at a time, and
each part has a colour of its own. A target changed in the settings needs no change of a board.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from schemas.kpis import FORMULA_TEXT
from sinks.prometheus import names
from sinks.prometheus.names import Metric, Quotient

QUEUE = ("site", "queue", "channel")
TEAM = ("site", "team")
SITE = ("site",)

_SUFFIX = {"gauge": "", "counter": "_total", "info": "_info"}


@dataclass(frozen=True, slots=True)
class Scope:
    """Which series a figure is about: the labels that tell them apart, and what is selected."""

    by: tuple[str, ...]
    where: str

    def newest(self, metric: Metric, *more: str) -> str:
        """The figure of a metric; `more` are further label matchers."""
        return f"max by ({', '.join(self.by)}) ({self.series(metric, *more)})"

    def series(self, metric: Metric, *more: str) -> str:
        """The series as they are stored, one a worker that exports them."""
        return f"{exposed(metric)}{{{', '.join(part for part in (self.where, *more) if part)}}}"


ONE_SITE = Scope(SITE, 'site="$site"')
QUEUES = Scope(QUEUE, 'site="$site", queue=~"$queue", channel=~"$channel"')
ALL_QUEUES = Scope(QUEUE, 'site="$site"')
TEAMS = Scope(TEAM, 'site="$site", team=~"$team"')
SITES = Scope(SITE, 'site=~"$site"')
QUEUES_OF_SITES = Scope(QUEUE, 'site=~"$site", queue=~"$queue", channel=~"$channel"')
TEAMS_OF_SITES = Scope(TEAM, 'site=~"$site", team=~"$team"')

WINDOW = 'window="$window"'


def exposed(metric: Metric) -> str:
    """The name on the page: counters and infos have a suffix there."""
    return metric.name + _SUFFIX[metric.kind]


@dataclass(frozen=True, slots=True)
class Kpi:
    """A KPI of queues with its target, or the site's default of it.

    `key` is its name for `/explain`. A ratio is judged where its window holds the minimum volume.
    """

    key: str
    title: str
    formula: str
    unit: str
    better: Literal["higher", "lower"]
    parts: tuple[str, str]
    queue: Quotient | Metric
    site: Quotient | Metric
    target_key: str

    def value(self, scope: Scope) -> str:
        """The KPI itself; absent without data."""
        found = self._metric(scope)
        if isinstance(found, Quotient):
            return scope.newest(found.value, WINDOW)
        return scope.newest(found)

    def numerator(self, scope: Scope) -> str:
        """Numerator of a KPI that is a quotient."""
        return scope.newest(self._quotient(scope).numerator, WINDOW)

    def denominator(self, scope: Scope) -> str:
        """Denominator of a KPI that is a quotient."""
        return scope.newest(self._quotient(scope).denominator, WINDOW)

    def target(self, scope: Scope) -> str:
        """What is aimed at; absent without an aim."""
        targets = names.SITE_TARGETS if scope.by == SITE else names.QUEUE_TARGETS
        return scope.newest(targets[self.target_key])

    def missed(self, scope: Scope) -> str:
        """The KPI where it misses its target, nothing elsewhere."""
        sign = "<" if self.better == "higher" else ">"
        return f"{self.value(scope)} {sign} {self.target(scope)}{self._and_enough(scope)}"

    def met(self, scope: Scope) -> str:
        """The KPI where it meets its target, nothing elsewhere."""
        sign = ">=" if self.better == "higher" else "<="
        return f"{self.value(scope)} {sign} {self.target(scope)}{self._and_enough(scope)}"

    def unjudged(self, scope: Scope) -> str:
        """The KPI where there is no target, or too little traffic for a judgement."""
        return f"{self.value(scope)} unless ({self.target(scope)}{self._and_enough(scope)})"

    def against(self, scope: Scope) -> str:
        """By how much the target is missed (negative) or met; absent where it is unjudged."""
        value, target = self.value(scope), self.target(scope)
        if self.better == "higher":
            return f"({value} - {target}){self._and_enough(scope)}"
        return f"({target} - {value}){self._and_enough(scope)}"

    def worst(self, scope: Scope, limit: int) -> str:
        """Labels of the series that miss their targets most; unjudged ones come after."""
        # What lies on its target ranks below what misses it and above what has none.
        shortfall = f"(-1 * ({self.against(scope)})) or ({self.value(scope)} * 0 - 1e9)"
        return f"topk({limit}, {shortfall})"

    def _and_enough(self, scope: Scope) -> str:
        if isinstance(self._metric(scope), Metric):
            return ""
        least = names.SITE_MIN_VOLUME if scope.by == SITE else names.QUEUE_MIN_VOLUME
        return f" and ({self.denominator(scope)} >= {scope.newest(least)})"

    def _metric(self, scope: Scope) -> Quotient | Metric:
        return self.site if scope.by == SITE else self.queue

    def _quotient(self, scope: Scope) -> Quotient:
        found = self._metric(scope)
        if isinstance(found, Metric):
            raise TypeError(f"{self.title} is no quotient")
        return found

    @property
    def is_quotient(self) -> bool:
        """Whether it has a numerator and a denominator."""
        return isinstance(self.queue, Quotient)


SERVICE_LEVEL = Kpi(
    key="service_level",
    title="Service level",
    formula=f"{FORMULA_TEXT['service_level']}: numerator / denominator",
    unit="percentunit",
    better="higher",
    parts=("in time", "of"),
    queue=names.QUEUE_SERVICE_LEVEL,
    site=names.SITE_SERVICE_LEVEL,
    target_key="service_level",
)
ABANDONMENT = Kpi(
    key="abandonment",
    title="Abandonment",
    formula=FORMULA_TEXT["abandonment"],
    unit="percentunit",
    better="lower",
    parts=("abandoned", "of"),
    queue=names.QUEUE_ABANDONMENT,
    site=names.SITE_ABANDONMENT,
    target_key="abandonment",
)
SPEED_OF_ANSWER = Kpi(
    key="asa",
    title="Speed of answer",
    formula=FORMULA_TEXT["asa_ms"],
    unit="s",
    better="lower",
    parts=("waited", "answered"),
    queue=names.QUEUE_SPEED_OF_ANSWER,
    site=names.SITE_SPEED_OF_ANSWER,
    target_key="asa_ms",
)
HANDLE_TIME = Kpi(
    key="aht",
    title="Handle time",
    formula=FORMULA_TEXT["aht_ms"],
    unit="s",
    better="lower",
    parts=("worked", "handled"),
    queue=names.QUEUE_HANDLE_TIME,
    site=names.SITE_HANDLE_TIME,
    target_key="aht_ms",
)
LONGEST_WAIT = Kpi(
    key="longest_wait",
    title="Longest wait",
    formula=FORMULA_TEXT["longest_wait_ms"],
    unit="s",
    better="lower",
    parts=("", ""),
    queue=names.QUEUE_LONGEST_WAIT,
    site=names.SITE_LONGEST_WAIT,
    target_key="longest_wait_ms",
)


def occupancy(scope: Scope) -> str:
    """Occupancy of teams or of the site."""
    return scope.newest(_occupancy(scope).value, WINDOW)


def occupancy_parts(scope: Scope) -> tuple[str, str]:
    """Busy time, and busy and available time."""
    found = _occupancy(scope)
    return scope.newest(found.numerator, WINDOW), scope.newest(found.denominator, WINDOW)


def occupancy_band(scope: Scope) -> tuple[str, str]:
    """Low and high end a team aims at; absent without an aim."""
    return scope.newest(names.TEAM_OCCUPANCY_LOW), scope.newest(names.TEAM_OCCUPANCY_HIGH)


def occupancy_outside(scope: Scope) -> str:
    """Occupancy of the teams that are below or above the band they aim at."""
    low, high = occupancy_band(scope)
    value = occupancy(scope)
    return f"({value} < {low}) or ({value} > {high})"


def _occupancy(scope: Scope) -> Quotient:
    return names.SITE_OCCUPANCY if scope.by == SITE else names.TEAM_OCCUPANCY


def data_age(scope: Scope) -> str:
    """Seconds between the clock of the installation and the time all figures stand for."""
    clock = f"scalar(max({exposed(names.CLOCK)}))"
    return f"{clock} - {scope.newest(names.SITE_TIME)}"


def site_time_ms(scope: Scope) -> str:
    """The site's time in epoch milliseconds, for links; beside the labels of the scope."""
    if scope.by == SITE:
        return f"1000 * {scope.newest(names.SITE_TIME)}"
    site = Scope(SITE, scope.where.split(",")[0])
    any_metric = names.QUEUE_WAITING if scope.by == QUEUE else names.TEAM_AGENTS
    # The labels of each queue or team, with the time of its site as the value.
    moment = f"1000 * {site.newest(names.SITE_TIME)}"
    return f"0 * {scope.newest(any_metric)} + on (site) group_left {moment}"


def named(expression: str, scope: Scope) -> str:
    """The expression of queues with the label `name`, which people know a queue by."""
    by = ", ".join(scope.by)
    # Two workers may know two names for a moment: one of them is enough.
    info = f"topk by ({by}) (1, {scope.series(names.QUEUE_INFO)})"
    return f"({expression}) * on ({by}) group_left (name) {info}"
