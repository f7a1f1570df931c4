"""Alerts on callboard itself: figures that are old, missing, refused or in doubt.

They are delivered at any hour. Levels are our own: they say how good the pipeline is meant to be,
not what a site aims at.
"""

from __future__ import annotations

from dashboards.alerts.model import NO_FIGURE, Alert, Figure, Figures
from dashboards.alerts.promql import AGO, SITE, newest, one_of
from sinks.prometheus import names

_DASHBOARD = "callboard-pipeline"
_SOURCE = ("site", "source")
_JOB = ("job", "instance")

# The clock of the installation, never time(): the demo's day may be a replayed one. A site that is
# on no worker's page any more is as old as when it was seen last.
_AGE = (
    f"(scalar(max({names.CLOCK.name} offset {AGO})) - "
    f"max by (site) (last_over_time({names.SITE_TIME.name}{{<<here>>}}[1h] offset {AGO})))"
)

DATA_STALE = Alert(
    name="CallboardDataStale",
    severity="critical",
    scope=SITE,
    value=_AGE,
    breach="above",
    trigger="30",
    clear="10",
    lasts="30s",
    summary="The figures of {site} are {value} old.",
    description=(
        "The site's time is {numerator} behind the clock; {target} is too much. "
        "Worker, ingest or broker stand still or do not keep up. "
        "Alerts on the KPIs of the site are held back meanwhile."
    ),
    figures=Figures(
        value=Figure(_AGE, "seconds"),
        target=Figure("vector(30)", "seconds"),
        numerator=Figure(_AGE, "seconds"),
    ),
    dashboard=_DASHBOARD,
    hysteresis="older than 30 s, or on no page for that long (1h at most); ends at 10 s",
)

_SILENCE = (
    f"({newest(names.SITE_TIME, SITE)} - on (site) group_right () "
    f"{newest(names.SOURCE_LAST_EVENT, _SOURCE)})"
)

SOURCE_SILENT = Alert(
    name="CallboardSourceSilent",
    severity="warning",
    scope=_SOURCE,
    value=_SILENCE,
    breach="above",
    trigger="900",
    clear="60",
    lasts="5m",
    summary="Platform {source} of {site} has sent nothing for {value}.",
    description=(
        "The newest event of {source} is {numerator} older than the site's time; "
        "in opening hours more than {target} is too long."
    ),
    figures=Figures(
        value=Figure(_SILENCE, "seconds"),
        target=Figure("vector(900)", "seconds"),
        numerator=Figure(_SILENCE, "seconds"),
    ),
    dashboard=_DASHBOARD,
    guards=(
        f"and on (site) ({newest(names.SITE_OPEN, SITE)} == 1)",
        # The night is no silence: with `lasts` it counts from the opening on.
        f"unless on (site) ({newest(names.SITE_OPEN, SITE, ago='601s')} == 0)",
    ),
    hysteresis="silent for 15 min while the site is open; ends with the next event",
)

_LAG = one_of(
    "stage",
    ("ingest", "sum(callboard_ingest_lag_records)"),
    ("worker", f"sum({names.LAG.name})"),
    ("sink", "sum(callboard_sink_lag_records)"),
)
_PACE = one_of(
    "stage",
    ("ingest", "sum(rate(callboard_ingest_records_read_total[1m]))"),
    ("worker", f"sum(rate({names.FRAMES.name}_total[1m]))"),
    ("sink", f'sum(rate({names.RECORDS.name}_total{{topic="kpi.rows"}}[1m]))'),
)
_BEHIND = f"({_LAG} / {_PACE})"

PIPELINE_LAG = Alert(
    name="CallboardPipelineLag",
    severity="warning",
    scope=("stage",),
    value=_BEHIND,
    breach="above",
    trigger="60",
    clear="15",
    lasts="2m",
    summary="Stage {stage} of the pipeline is {value} of work behind.",
    description=(
        "{numerator} records wait at stage {stage}, at a pace of {denominator} a second: {value} "
        "of work; more than {target} is too much."
    ),
    figures=Figures(
        value=Figure(_BEHIND, "seconds"),
        target=Figure("vector(60)", "seconds"),
        numerator=Figure(_LAG),
        denominator=Figure(_PACE),
    ),
    dashboard=_DASHBOARD,
    guards=(f"and on (stage) ({_LAG} >= 100)",),
    hysteresis="over 60 s of work and 100 records; ends at 15 s",
)


def _grown(counter: str, page: str) -> str:
    """Growth in 15 minutes of counters that appear only with their first count.

    `increase` misses that first one. A counter born while its page was read counts whole; one that
    was merely not seen then, by a Prometheus that is new or was cut off, only by what it grew.
    """
    born = f"{counter} unless {counter} offset 15m and on (instance) {page} offset 15m"
    return f"(sum({born} or increase({counter}[15m])) or vector(0))"


_DEAD = (
    "(sum(increase(callboard_ingest_dead_letters_total[15m])) + "
    f"{_grown(names.DEAD_LETTERS.name + '_total', names.FRAMES.name + '_total')} + "
    f"{_grown('callboard_sink_bad_rows_total', 'callboard_sink_batches_total')})"
)
_READ = "sum(increase(callboard_ingest_records_read_total[15m]))"

DEAD_LETTERS = Alert(
    name="CallboardDeadLetters",
    severity="warning",
    scope=(),
    value=f"({_DEAD} / {_READ})",
    breach="above",
    trigger="0.01",
    clear="0.001",
    lasts="1m",
    summary="{value} of the records of the last 15 minutes could not be used.",
    description=(
        "{numerator} records became dead letters while {denominator} raw records were read in the "
        "last 15 minutes ({value}); more than {target} is too many. `callboard dead` shows them."
    ),
    figures=Figures(
        value=Figure(f"({_DEAD} / {_READ})", "ratio"),
        target=Figure("vector(0.01)", "ratio"),
        numerator=Figure(_DEAD),
        denominator=Figure(_READ),
    ),
    dashboard=_DASHBOARD,
    guards=(f"and on () ({_DEAD} >= 5)",),
    hysteresis="over 1 % of the records of 15m, and 5 at least; ends at 0.1 %",
)

_DIFFERENCES = "max by (site) (callboard_reconciliation_differences{<<here>>})"

RECONCILIATION = Alert(
    name="CallboardReconciliationNotEmpty",
    severity="warning",
    scope=SITE,
    value=_DIFFERENCES,
    breach="above",
    trigger="0",
    clear="0",
    lasts="3m",
    summary="Counters of {site} differ from the records they were counted from.",
    description=(
        "{numerator} counters of closed panes differ from what visits, legs, declines and "
        "intervals in the store say. The view `reconciliation` names them."
    ),
    figures=Figures(
        value=Figure(_DIFFERENCES),
        target=Figure("vector(0)"),
        numerator=Figure(_DIFFERENCES),
    ),
    dashboard=_DASHBOARD,
    hysteresis="any difference; ends at none",
)

_DOWN = (
    '(1 - max by (job, instance) (up{job=~".*callboard.*"}) or '
    + " or ".join(
        f'label_replace(absent({metric}), "job", "{role}", "", "")'
        for metric, role in (
            (names.CLOCK.name, "every worker"),
            ("callboard_ingest_partitions", "every ingest"),
            ("callboard_sink_partitions", "every sink"),
        )
    )
    + ")"
)
_DOWN_NOW = Figure("vector(1)")

TARGET_DOWN = Alert(
    name="CallboardTargetDown",
    severity="critical",
    scope=_JOB,
    value=_DOWN,
    breach="above",
    trigger="0.5",
    clear="0.5",
    lasts="1m",
    summary="Prometheus cannot read {job} {instance}.",
    description=(
        "{job} {instance} does not answer on its page of metrics: it is down, or its address has "
        "changed. Without an address: no process of this role is known at all."
    ),
    figures=Figures(value=_DOWN_NOW, target=Figure("vector(0)")),
    dashboard=_DASHBOARD,
    keeps="0s",
    hysteresis="a page of metrics that does not answer, or no process of a role",
)

_RETRIES = "sum(increase(callboard_sink_insert_retries_total[5m]))"
_INSERTS = f"({_RETRIES} + sum(increase(callboard_sink_batches_total[5m])))"

SINK_FAILING = Alert(
    name="CallboardSinkFailing",
    severity="warning",
    scope=(),
    value=f"({_RETRIES} / {_INSERTS})",
    breach="above",
    trigger="0.5",
    clear="0.1",
    lasts="2m",
    summary="ClickHouse takes no rows: {value} of the inserts fail.",
    description=(
        "{numerator} of {denominator} inserts of the last 5 minutes had to be tried again "
        "({value}); more than {target} is too many. Board and alerts go on, nothing is lost, "
        "the SQL falls behind."
    ),
    figures=Figures(
        value=Figure(f"({_RETRIES} / {_INSERTS})", "ratio"),
        target=Figure("vector(0.5)", "ratio"),
        numerator=Figure(_RETRIES),
        denominator=Figure(_INSERTS),
    ),
    dashboard=_DASHBOARD,
    hysteresis="over half of the inserts of 5m are tried again; ends at 10 %",
)

_FAILED = (
    "sum by (job, instance) ("
    + " or ".join(
        f"increase({counter}[5m])"
        for counter in (
            "prometheus_rule_evaluation_failures_total",
            "prometheus_notifications_errors_total",
            "alertmanager_notifications_failed_total",
            "grafana_alerting_rule_evaluation_failures_total",
        )
    )
    + ")"
)

RULES_FAILING = Alert(
    name="CallboardRulesFailing",
    severity="warning",
    scope=_JOB,
    value=_FAILED,
    breach="above",
    trigger="0",
    clear="0",
    lasts="1m",
    summary="Alerting itself fails at {job} {instance}.",
    description=(
        "Evaluations of rules or deliveries of messages failed at {job} {instance} in the last 5 "
        "minutes: alerts may be missing."
    ),
    figures=Figures(value=Figure("vector(1)"), target=Figure("vector(0)")),
    dashboard=_DASHBOARD,
    hysteresis="any failed evaluation or delivery in 5m; ends at none",
)

WATCHDOG = Alert(
    name="CallboardWatchdog",
    severity="none",
    scope=(),
    value="vector(1)",
    breach="above",
    trigger="0",
    clear="0",
    lasts="0s",
    summary="Alerting works.",
    description=(
        "This alert always fires. A dead man's switch that stops hearing it knows that "
        "Prometheus, the deliverer or the way out is broken."
    ),
    figures=Figures(value=Figure("vector(1)"), target=NO_FIGURE),
    dashboard=_DASHBOARD,
    keeps="0s",
    hysteresis="always",
)

PIPELINE_ALERTS = (
    DATA_STALE,
    SOURCE_SILENT,
    PIPELINE_LAG,
    DEAD_LETTERS,
    RECONCILIATION,
    TARGET_DOWN,
    SINK_FAILING,
    RULES_FAILING,
    WATCHDOG,
)
