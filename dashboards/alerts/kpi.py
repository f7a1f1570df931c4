"""Alerts on what customers and agents live through. All targets are metrics of the site settings.

Ratios are judged in 5 and in 30 minutes at once: 30 minutes say that it is no blip, 5 minutes that
it is still so, and let the alert end soon after things are good again. The better of the two is
what counts, so both must be beyond the target.
"""

from __future__ import annotations

from dataclasses import replace

from dashboards.alerts.model import Alert, Figure, Figures
from dashboards.alerts.promql import QUEUE, SITE, TEAM, newest
from sinks.prometheus import names
from sinks.prometheus.names import Metric, Quotient

_WHERE = "queue {queue} ({channel}) of {site}"
_SHORT, _LONG = 'window="5m"', 'window="30m"'
_BOTH = 'window=~"5m|30m"'

_VOLUME = newest(names.QUEUE_MIN_VOLUME, QUEUE)


def _enough(contacts: str) -> str:
    """Minimum volume, and never less than one contact."""
    return f"and on (site, queue, channel) ({contacts} >= clamp_min({_VOLUME}, 1))"


def _parts(kpi: Quotient, window: str) -> tuple[Figure, Figure]:
    return (
        Figure(newest(kpi.numerator, QUEUE, window)),
        Figure(newest(kpi.denominator, QUEUE, window)),
    )


def _queue_ratio(kpi: Quotient, target: str) -> Figures:
    met, of = _parts(kpi, _LONG)
    short_met, short_of = _parts(kpi, _SHORT)
    return Figures(
        value=Figure(newest(kpi.value, QUEUE, _LONG), "ratio"),
        target=Figure(target, "ratio"),
        numerator=met,
        denominator=of,
        more={"short_numerator": short_met, "short_denominator": short_of},
    )


_SL = names.QUEUE_SERVICE_LEVEL
_SL_TARGET = newest(names.QUEUE_TARGETS["service_level"], QUEUE)

SERVICE_LEVEL_LOW = Alert(
    name="CallboardServiceLevelLow",
    severity="critical",
    scope=QUEUE,
    value=newest(_SL.value, QUEUE, _BOTH),
    breach="below",
    trigger=_SL_TARGET,
    clear=f"clamp_max({_SL_TARGET} + 0.02, 1)",
    lasts="2m",
    summary=f"Service level of {_WHERE} is {{value}}, below its target of {{target}}.",
    description=(
        "{numerator} of {denominator} contacts were served in time in the last 30 minutes "
        "({value}), {short_numerator} of {short_denominator} in the last 5. "
        "The target is {target}."
    ),
    figures=_queue_ratio(_SL, _SL_TARGET),
    dashboard="callboard-oncall",
    guards=(_enough(newest(_SL.denominator, QUEUE, _SHORT)),),
    explained="service_level",
    window="30m",
    business_hours=True,
    hysteresis="below the target in 5m and 30m; ends 2 points above it in either",
)

_ABANDONED = names.QUEUE_ABANDONMENT
_ABANDONMENT_TARGET = newest(names.QUEUE_TARGETS["abandonment"], QUEUE)

ABANDONMENT_HIGH = Alert(
    name="CallboardAbandonmentHigh",
    severity="warning",
    scope=QUEUE,
    value=newest(_ABANDONED.value, QUEUE, _BOTH, pick="min"),
    breach="above",
    trigger=_ABANDONMENT_TARGET,
    clear=f"{_ABANDONMENT_TARGET} * 0.8",
    lasts="5m",
    summary=f"Abandonment in {_WHERE} is {{value}}, above its target of {{target}}.",
    description=(
        "{numerator} of {denominator} contacts gave up waiting in the last 30 minutes ({value}), "
        "{short_numerator} of {short_denominator} in the last 5. The target is {target}."
    ),
    figures=_queue_ratio(_ABANDONED, _ABANDONMENT_TARGET),
    dashboard="callboard-oncall",
    guards=(_enough(newest(_ABANDONED.denominator, QUEUE, _SHORT)),),
    explained="abandonment",
    window="30m",
    business_hours=True,
    hysteresis="above the target in 5m and 30m; ends at 80 % of it in either",
)

_WAIT = newest(names.QUEUE_LONGEST_WAIT, QUEUE)
_WAIT_TARGET = newest(names.QUEUE_TARGETS["longest_wait_ms"], QUEUE)
_WAITING = newest(names.QUEUE_WAITING, QUEUE)

LONGEST_WAIT = Alert(
    name="CallboardLongestWait",
    severity="warning",
    scope=QUEUE,
    value=_WAIT,
    breach="above",
    trigger=_WAIT_TARGET,
    clear=f"{_WAIT_TARGET} * 0.8",
    lasts="1m",
    summary=f"Somebody has waited {{value}} in {_WHERE}, longer than the target of {{target}}.",
    description=(
        "{numerator} of {denominator} waiting contacts have waited longer than the threshold of "
        "the queue; the longest wait is {value}. The target is {target}."
    ),
    figures=Figures(
        value=Figure(_WAIT, "seconds"),
        target=Figure(_WAIT_TARGET, "seconds"),
        numerator=Figure(newest(names.QUEUE_WAITING_PAST_THRESHOLD, QUEUE)),
        denominator=Figure(_WAITING),
    ),
    dashboard="callboard-oncall",
    explained="longest_wait",
    window="5m",
    business_hours=True,
    hysteresis="above the target; ends at 80 % of it",
)

LONGEST_WAIT_CRITICAL = replace(
    LONGEST_WAIT,
    severity="critical",
    trigger=f"{_WAIT_TARGET} * 2",
    clear=f"{_WAIT_TARGET} * 1.6",
    summary=f"Somebody has waited {{value}} in {_WHERE}, twice the target of {{target}}.",
    hysteresis="above twice the target; ends at 1.6 times of it",
)

# A queue that was not there five minutes ago, while its site was, had nobody waiting.
_WAITED = (
    f"({newest(names.QUEUE_WAITING, QUEUE, ago='301s')} or "
    f"{_WAITING} * 0 and on (site) {newest(names.SITE_TIME, SITE, ago='301s')})"
)
_MOST_NEEDED = 5
_FREE = newest(names.SITE_AGENTS, SITE, 'state="available"')

# A minimum volume is meant for contacts of a window; that many need not wait for it to be bad.
_MANY = (
    "and on (site, queue, channel) "
    f"({_WAITING} >= clamp_min(clamp_max({_VOLUME}, {_MOST_NEEDED}), 1))"
)

QUEUE_GROWING = Alert(
    name="CallboardQueueGrowingWithoutAgents",
    severity="critical",
    scope=QUEUE,
    value=f"({_WAITING} - {_WAITED})",
    breach="above",
    trigger="0",
    clear="-1",
    lasts="2m",
    summary=f"More and more wait in {_WHERE}, and no agent is free.",
    description=(
        "{numerator} contacts wait, {before} waited 5 minutes ago ({value} more), "
        "and no agent of the site is available."
    ),
    figures=Figures(
        value=Figure(f"({_WAITING} - {_WAITED})"),
        target=Figure("vector(0)"),
        numerator=Figure(_WAITING),
        more={"before": Figure(_WAITED)},
    ),
    dashboard="callboard-oncall",
    guards=(_MANY, f"unless on (site) ({_FREE} > 0)"),
    explained="waiting",
    window="5m",
    business_hours=True,
    hysteresis=(
        "5 wait (or min_volume, if that is less), more than 5 minutes ago, and no agent of the "
        "site is available; "
        "ends when fewer wait than 5 minutes ago or an agent is"
    ),
)


def _occupancy(target: Metric) -> Figures:
    kpi = names.TEAM_OCCUPANCY
    return Figures(
        value=Figure(newest(kpi.value, TEAM, _LONG), "ratio"),
        target=Figure(newest(target, TEAM), "ratio"),
        numerator=Figure(newest(kpi.numerator, TEAM, _LONG), "seconds"),
        denominator=Figure(newest(kpi.denominator, TEAM, _LONG), "seconds"),
    )


_HIGH = newest(names.TEAM_OCCUPANCY_HIGH, TEAM)
_LOW = newest(names.TEAM_OCCUPANCY_LOW, TEAM)
_STAFFED = f"and on (site, team) ({newest(names.TEAM_OCCUPANCY.denominator, TEAM, _LONG)} >= 900)"
"""A team that has worked less than a quarter of an hour of agent time says nothing."""

OCCUPANCY_HIGH = Alert(
    name="CallboardOccupancyHigh",
    severity="warning",
    scope=TEAM,
    value=newest(names.TEAM_OCCUPANCY.value, TEAM, _LONG),
    breach="above",
    trigger=_HIGH,
    clear=f"({_HIGH} - 0.02)",
    lasts="15m",
    summary="Agents of team {team} of {site} have been busy {value} of the time for too long.",
    description=(
        "Busy for {numerator} of {denominator} in the last 30 minutes ({value}), "
        "above {target} for 15 minutes: agents burn out."
    ),
    figures=_occupancy(names.TEAM_OCCUPANCY_HIGH),
    dashboard="callboard-supervisor",
    guards=(_STAFFED,),
    explained="occupancy",
    window="30m",
    business_hours=True,
    hysteresis="above the team's high end; ends 2 points below it",
)

OCCUPANCY_LOW = Alert(
    name="CallboardOccupancyLow",
    severity="warning",
    scope=TEAM,
    value=newest(names.TEAM_OCCUPANCY.value, TEAM, _LONG),
    breach="below",
    trigger=_LOW,
    clear=f"clamp_max({_LOW} + 0.02, 1)",
    lasts="30m",
    summary="Agents of team {team} of {site} have been busy only {value} of the time for long.",
    description=(
        "Busy for {numerator} of {denominator} in the last 30 minutes ({value}), "
        "below {target} for 30 minutes."
    ),
    figures=_occupancy(names.TEAM_OCCUPANCY_LOW),
    dashboard="callboard-supervisor",
    guards=(_STAFFED,),
    explained="occupancy",
    window="30m",
    business_hours=True,
    hysteresis="below the team's low end; ends 2 points above it",
)

_DECLINED = newest(names.QUEUE_COUNTERS["declined"], QUEUE, _SHORT)
_ANSWERED = newest(names.QUEUE_COUNTERS["answered"], QUEUE, _SHORT)
_RINGS = f"({_DECLINED} + {_ANSWERED})"

RONA_STORM = Alert(
    name="CallboardRonaStorm",
    severity="warning",
    scope=QUEUE,
    value=f"({_DECLINED} / {_RINGS})",
    breach="above",
    trigger="0.2",
    clear="0.1",
    lasts="2m",
    summary=f"Agents let {{value}} of the rings of {_WHERE} pass unanswered.",
    description=(
        "{numerator} of {denominator} rings of the last 5 minutes ended without an answer "
        "({value}); more than {target} is a storm."
    ),
    figures=Figures(
        value=Figure(f"({_DECLINED} / {_RINGS})", "ratio"),
        target=Figure("vector(0.2)", "ratio"),
        numerator=Figure(_DECLINED),
        denominator=Figure(_RINGS),
    ),
    dashboard="callboard-oncall",
    guards=(_enough(_RINGS), f"and on (site, queue, channel) ({_DECLINED} >= 3)"),
    explained="declined",
    window="5m",
    business_hours=True,
    hysteresis="above 20 % of the rings, and 3 at least; ends at 10 %",
)

KPI_ALERTS = (
    SERVICE_LEVEL_LOW,
    ABANDONMENT_HIGH,
    LONGEST_WAIT,
    LONGEST_WAIT_CRITICAL,
    QUEUE_GROWING,
    OCCUPANCY_HIGH,
    OCCUPANCY_LOW,
    RONA_STORM,
)
