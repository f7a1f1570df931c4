"""The wall: at most twelve tiles for a screen across the room, without a scroll or a choice."""

from __future__ import annotations

from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.models.common import BigValueTextMode
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.boards import kpi_panels, panels, queries, variables
from dashboards.boards import promql as ask
from dashboards.boards.board import Part, board
from schemas.kpis import FORMULA_TEXT
from sinks.prometheus import names

UID = "callboard-wallboard"

ON_DUTY = 'state!="offline"'


def build() -> Dashboard:
    """Figures of one site: how it does, who is worst, who can help, and how old this is."""
    site = ask.ONE_SITE
    parts: list[Part] = [
        kpi_panels.tile(ask.SERVICE_LEVEL, site).height(5).span(9),
        waiting().height(5).span(5),
        kpi_panels.tile(ask.LONGEST_WAIT, site).height(5).span(4),
        data_age().height(5).span(6),
        kpi_panels.worst_queues(ask.SERVICE_LEVEL, ask.ALL_QUEUES, 6).height(5).span(12),
        kpi_panels.worst_queues(ask.LONGEST_WAIT, ask.ALL_QUEUES, 6).height(5).span(12),
        agents().height(5).span(9),
        occupancy().height(5).span(6),
        today().height(5).span(9),
        kpi_panels.tile(ask.ABANDONMENT, site).height(5).span(8),
        kpi_panels.tile(ask.SPEED_OF_ANSWER, site).height(5).span(8),
        trend().height(5).span(8),
    ]
    chosen = [variables.datasource(), variables.site(), variables.window()]
    return board(
        UID,
        "Wallboard",
        "A screen on the wall: one site now. Open it in kiosk mode.",
        chosen,
        parts,
        past="now-1h",
        refresh="5s",
    )


def waiting() -> Stat:
    """Who waits, and who has waited too long."""
    text = (
        f"Waiting = {FORMULA_TEXT['waiting']}, all queues. "
        f"Too long = {FORMULA_TEXT['waiting_past_threshold']}, T being the threshold of each queue."
    )
    panel = panels.stat("Waiting", text, "short").text_mode(BigValueTextMode.VALUE_AND_NAME)
    now = ask.ONE_SITE.newest(names.SITE_WAITING)
    late = ask.ONE_SITE.newest(names.SITE_WAITING_PAST_THRESHOLD)
    panel = panel.with_target(queries.instant(now, "waiting", "waiting"))
    panel = panel.with_target(queries.instant(late, "late", "too long")).decimals(0)
    alarm = [panels.thresholds_color(), panels.steps_value(panels.PLAIN, (1, panels.WARN))]
    return panel.override_by_query("late", alarm)


def data_age() -> Stat:
    """How old everything else on the screen is."""
    text = (
        "Clock of the installation minus the site's time that all figures stand for. "
        "Above 5 seconds they are getting old, above 15 they must not be trusted; "
        "no data means that no worker exports the site."
    )
    panel = panels.stat("Data age", text, "s").no_value("no data").decimals(0)
    panel = panel.with_target(queries.instant(ask.data_age(ask.ONE_SITE), "A", "data age"))
    panel = panel.color_scheme(panels.by_steps())
    return panel.thresholds(panels.steps(panels.MET, (5, panels.WARN), (15, panels.MISSED)))


def agents() -> Stat:
    """Agents by what they do."""
    text = "Agents by what they do now; those who are offline are left out."
    panel = panels.stat("Agents", text, "short").text_mode(BigValueTextMode.VALUE_AND_NAME)
    found = f"max by (site, state) ({ask.ONE_SITE.series(names.SITE_AGENTS, ON_DUTY)})"
    return panel.decimals(0).with_target(queries.instant(f"sort_desc({found})", "A", "{{state}}"))


def occupancy() -> Stat:
    """How busy the agents are; a target is a matter of teams, so it has no colour here."""
    text = (
        f"Occupancy = {FORMULA_TEXT['occupancy']}, all agents. Bands are set for teams, not here."
    )
    panel = panels.stat("Occupancy", text, "percentunit").no_value("no agent at work")
    panel = panel.text_mode(BigValueTextMode.VALUE_AND_NAME).decimals(1)
    busy, base = ask.occupancy_parts(ask.ONE_SITE)
    panel = panel.with_target(queries.instant(ask.occupancy(ask.ONE_SITE), "value", "occupancy"))
    for ref, expression, name in (("busy", busy, "busy"), ("base", base, "busy or available")):
        panel = panel.with_target(queries.instant(expression, ref, name))
        panel = panel.override_by_query(ref, panels.measured("s", 0))
    return panel


def today() -> Stat:
    """The day so far."""
    text = "Contacts since the site's midnight: offered, answered and abandoned, all queues added."
    panel = panels.stat("Today", text, "short").text_mode(BigValueTextMode.VALUE_AND_NAME)
    panel = panel.no_value(panels.NO_TRAFFIC).decimals(0)
    for key in ("offered", "answered", "abandoned"):
        counted = ask.ALL_QUEUES.newest(names.QUEUE_COUNTERS[key], 'window="today"')
        panel = panel.with_target(queries.instant(f"sum by (site) ({counted})", key, key))
    return panel


def trend() -> TimeSeries:
    """The last hour of the service level."""
    return kpi_panels.over_time(ask.SERVICE_LEVEL, ask.ONE_SITE).legend(panels.no_legend())
