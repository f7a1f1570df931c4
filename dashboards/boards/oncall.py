"""The on-call board: what fires, why, and which contacts caused it."""

from __future__ import annotations

from grafana_foundation_sdk.builders.dashboard import Panel as AnyPanel
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.boards import kpi_panels, panels, queries, sql, variables
from dashboards.boards import promql as ask
from dashboards.boards.board import Part, Section, board
from dashboards.boards.kpi_panels import Column
from dashboards.uids import FOLDER_TITLE, FOLDER_UID
from schemas.kpis import FORMULA_TEXT
from sinks.prometheus import names

UID = "callboard-oncall"

# The watchdog always fires.
_OURS = 'alertname=~"Callboard.*", alertname!="CallboardWatchdog"'
_LABELS = ("alertname", "severity", "site", "queue", "channel", "team")
# What alerts of the pipeline are about.
_PIPELINE_LABELS = ("source", "stage", "job", "instance")


def build() -> Dashboard:
    """Any sites; every row leads to the contacts behind it."""
    every_site = 'site=~"$site"'
    parts: list[Part] = [
        firing().span(14),
        grafana_alerts().span(10),
        data_ages(),
        alerts_over_time(),
        Section(
            "Why: targets missed now",
            [
                kpi_panels.breaches(ask.SERVICE_LEVEL, ask.QUEUES_OF_SITES),
                kpi_panels.breaches(ask.ABANDONMENT, ask.QUEUES_OF_SITES),
                kpi_panels.breaches(ask.LONGEST_WAIT, ask.QUEUES_OF_SITES),
                occupancy_outside(),
                kpi_panels.over_time(
                    ask.SERVICE_LEVEL, ask.QUEUES_OF_SITES, "{{site}} {{queue}} {{channel}}"
                ),
                declined(),
            ],
        ),
        Section("Which contacts", [worst_waits(), who_waits()]),
        Section("What fired before", [history()]),
    ]
    chosen = [
        variables.datasource(),
        variables.clickhouse(),
        variables.sites(),
        variables.queue(every_site),
        variables.channel(every_site),
        variables.team(every_site),
        variables.window("15m"),
        variables.board_url(),
    ]
    return board(
        UID,
        "On-call",
        "What fires now, why, and which contacts caused it.",
        chosen,
        parts,
        past="now-1h",
        refresh="10s",
    )


def firing() -> Table:
    """Alerts of Prometheus that fire."""
    text = (
        "Callboard's alerts that fire now, with the moment each became true. They are rules of "
        "Prometheus; where Grafana delivers alerts instead they are in the list beside this."
    )
    panel = panels.rows("Firing now", text, "dateTimeFromNow").no_value("nothing fires")
    labels = (*_LABELS, *_PIPELINE_LABELS)
    since = f"1000 * max by ({', '.join(labels)}) (ALERTS_FOR_STATE{{{_OURS}}})"
    fires = f'max by ({", ".join(labels)}) (ALERTS{{alertstate="firing", {_OURS}}})'
    column = Column("since", "Since", f"{since} and {fires}", "dateTimeFromNow", None)
    panel = kpi_panels.columns(panel, labels, [column])
    page = "${board_url}/runbooks/${__value.text:percentencode}"
    runbook = panels.linked(("Runbook", page))
    return panel.override_by_name("Alertname", [runbook])


def grafana_alerts() -> AnyPanel:
    """Alerts that Grafana itself evaluates."""
    text = (
        "Rules in the folder Callboard that Grafana evaluates itself, firing, pending or in error."
    )
    options = {
        "alertName": "Callboard",
        "dashboardAlerts": False,
        "folder": {"title": FOLDER_TITLE, "uid": FOLDER_UID},
        "groupMode": "default",
        "maxItems": 50,
        "sortOrder": 3,
        "stateFilter": {
            "error": True,
            "firing": True,
            "noData": False,
            "normal": False,
            "pending": True,
        },
        "viewMode": "list",
    }
    panel = AnyPanel().type("alertlist").title("Alerts of Grafana").description(text)
    return panel.options(options).height(8)


def data_ages() -> Table:
    """How old each site's figures are: nothing below can be trusted where they are old."""
    text = (
        "Clock of the installation minus the site's time; open = 1 in the opening hours, outside "
        "of which alerts are evaluated but not delivered."
    )
    panel = panels.rows("Data age", text, "s").height(6).span(8).no_value("no data")
    steps = (
        panels.background(),
        panels.thresholds_color(),
        panels.steps_value(panels.MET, (5, panels.WARN), (15, panels.MISSED)),
    )
    found = [
        Column("age", "Data age", ask.data_age(ask.SITES), "s", 0, steps),
        Column("open", "Open", ask.SITES.newest(names.SITE_OPEN), "bool_yes_no"),
    ]
    return kpi_panels.columns(panel, ask.SITE, found)


def alerts_over_time() -> TimeSeries:
    """How many fired when."""
    text = "Callboard's alerts that fire (rules of Prometheus), counted by name."
    panel = panels.bars_over_time("Alerts over time", text, "short").no_value("nothing fired")
    found = f'count by (alertname) (ALERTS{{alertstate="firing", {_OURS}}})'
    panel = panel.with_target(queries.ranged(found, "A", "{{alertname}}")).stacking(
        panels.stacked()
    )
    return panel.height(6).span(16)


def occupancy_outside() -> Table:
    """Teams that are too busy or not busy enough."""
    text = (
        f"Teams outside the band they aim at. Occupancy = {FORMULA_TEXT['occupancy']}, in the "
        "chosen window."
    )
    panel = panels.rows("Occupancy: outside the aim", text, "percentunit")
    panel = panel.no_value("every team is in its band").height(6).span(12)
    scope = ask.TEAMS_OF_SITES
    outside = ask.occupancy_outside(scope)
    here = f" and on (site, team) ({outside})"
    (busy, base), (low, high) = ask.occupancy_parts(scope), ask.occupancy_band(scope)
    link = panels.linked(("Why", kpi_panels.explain_url("occupancy", "team")))
    found = [
        Column("value", "Occupancy", outside, "percentunit", 1, (link,)),
        Column("numerator", "Numerator", f"{busy}{here}", "s"),
        Column("denominator", "Denominator", f"{base}{here}", "s"),
        Column("low", "Aim from", f"{low}{here}", "percentunit"),
        Column("high", "Aim to", f"{high}{here}", "percentunit"),
        kpi_panels.moment(scope, here),
    ]
    return kpi_panels.columns(panel, ask.TEAM, found)


def declined() -> TimeSeries:
    """Rings without an answer: a storm of them is an alert."""
    text = "Rings that ended without an answer, in the chosen window at each moment."
    panel = panels.series("Declined rings", text, "short").min(0)
    found = ask.QUEUES_OF_SITES.newest(names.QUEUE_COUNTERS["declined"], ask.WINDOW)
    return panel.with_target(queries.ranged(found, "A", "{{site}} {{queue}} {{channel}}"))


def worst_waits() -> Table:
    """The longest waits of the time shown, whatever became of them."""
    text = (
        "Contacts queued in the time of the board that waited longer than the threshold of their "
        "queue, the longest first, from the store; the link opens all contacts of that figure."
    )
    panel = panels.rows("Worst waits", text, "short").datasource(queries.CLICKHOUSE).height(10)
    asked = f"""
SELECT c.site AS site, c.queue AS queue, c.channel AS channel, c.contact AS contact,
       c.queued_at AS queued_at, c.wait_ms / 1000 AS waited_s, c.threshold_ms / 1000 AS threshold_s,
       c.outcome AS outcome, c.reason AS reason, c.agent AS agent, c.declined AS declined,
       toUnixTimestamp64Milli(p.at) AS at
FROM contacts_between({sql.PERIOD}) AS c
INNER JOIN progress AS p ON p.site = c.site
WHERE {_of("c", sql.QUEUES_OF_SITES)} AND c.wait_ms > c.threshold_ms
ORDER BY c.wait_ms DESC
LIMIT 100
"""
    panel = panel.with_target(queries.Sql(asked))
    for name in ("waited_s", "threshold_s"):
        panel = panel.override_by_name(name, panels.measured("s", 0))
    why = panels.linked(("Contacts behind the service level", _explain_row()))
    panel = panel.override_by_name("contact", [why])
    return panel.override_by_name("at", list(panels.HIDDEN))


def who_waits() -> Table:
    """Who waits now."""
    text = "Contacts that wait now by the site's time, the longest first, from the store."
    panel = panels.rows("Waiting now", text, "short").datasource(queries.CLICKHOUSE)
    asked = f"""
SELECT site, queue, channel, contact, queued_at, waited_ms / 1000 AS waited_s,
       is_past_threshold AS late
FROM waiting
WHERE {sql.QUEUES_OF_SITES}
ORDER BY waited_ms DESC
LIMIT 100
"""
    panel = panel.with_target(queries.Sql(asked)).no_value("nobody waits")
    panel = panel.override_by_name("waited_s", panels.measured("s", 0))
    return panel.override_by_name("late", panels.measured("bool_yes_no"))


def history() -> Table:
    """Alerts that fired in the time shown, with how long and how bad."""
    text = (
        "Alerts that fired in the time of the board: when, how long, the worst value and the "
        "target then. From the store; Alertmanager and Grafana tell it."
    )
    panel = panels.rows("Alert history", text, "short").datasource(queries.CLICKHOUSE)
    asked = f"""
SELECT alertname, severity, site, queue, channel, team, fired_at, resolved_at,
       duration_s, worst_value, target
FROM alert_review
WHERE (site = '' OR {sql.SITES}) AND $__timeFilter_ms(fired_at)
ORDER BY fired_at DESC
LIMIT 500
"""
    panel = panel.with_target(queries.Sql(asked)).no_value("nothing fired")
    panel = panel.override_by_name("duration_s", panels.measured("s", 0))
    for name in ("worst_value", "target"):
        panel = panel.override_by_name(name, panels.measured("none", 3))
    return panel


def _of(alias: str, where: str) -> str:
    """The conditions on the columns of one of two joined views."""
    for column in ("site", "queue", "channel"):
        where = where.replace(f"({column} IN", f"({alias}.{column} IN")
    return where


def _explain_row() -> str:
    cell = "${{__data.fields.{}:percentencode}}"
    asked = {name: cell.format(name) for name in ("site", "queue", "channel")}
    asked |= {"kpi": "service_level", "window": "${window}", "at": "${__data.fields.at.numeric}"}
    return "${board_url}/explain?" + "&".join(f"{key}={value}" for key, value in asked.items())
