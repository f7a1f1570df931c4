"""The supervisor's board: queues, who waits, which agent does what."""

from __future__ import annotations

from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.models.dashboard import Dashboard, DynamicConfigValue

from dashboards.boards import kpi_panels, panels, queries, sql, variables, wallboard
from dashboards.boards import promql as ask
from dashboards.boards.board import Part, Section, board
from dashboards.boards.kpi_panels import Column
from schemas.kpis import FORMULA_TEXT
from sinks.prometheus import names

UID = "callboard-supervisor"


def build() -> Dashboard:
    """One site; choose a queue, channel or team, or click one in a table, to look closer."""
    site = ask.ONE_SITE
    parts: list[Part] = [
        wallboard.waiting(),
        kpi_panels.tile(ask.LONGEST_WAIT, site),
        kpi_panels.tile(ask.SERVICE_LEVEL, site).span(8),
        opening_hours(),
        wallboard.data_age(),
        Section(
            "Queues", [queues(), counters(), waiting(), longest_wait(), level(), abandonment()]
        ),
        Section("Contacts", [who_waits(), in_service()]),
        Section("Agents", [teams(), by_state(), occupancy(), agents_now(), agents_period()]),
    ]
    chosen = [
        variables.datasource(),
        variables.clickhouse(),
        variables.site(),
        variables.queue(),
        variables.channel(),
        variables.team(),
        variables.window(),
        variables.board_url(),
    ]
    return board(
        UID,
        "Supervisor",
        "Queues, waiting contacts and agents of one site; drill down by the variables.",
        chosen,
        parts,
        past="now-3h",
        refresh="10s",
    )


def opening_hours() -> Stat:
    """Whether the site is open."""
    text = "1 in the opening hours of the settings, 0 outside them and on holidays."
    panel = panels.stat("Opening hours", text, "bool_yes_no")
    panel = panel.with_target(queries.instant(ask.ONE_SITE.newest(names.SITE_OPEN), "A", "open"))
    panel = panel.color_scheme(panels.by_steps())
    return panel.thresholds(panels.steps(panels.PLAIN, (1, panels.MET)))


def queues() -> Table:
    """Every KPI of each queue with its target."""
    text = (
        "Each queue and channel in the chosen window. "
        f"Service level = {ask.SERVICE_LEVEL.formula}. "
        f"Abandonment = {ask.ABANDONMENT.formula}. Coloured: the distance to the target, red below "
        "zero; empty without a target or below the minimum volume. Click a queue to see it alone."
    )
    scope = ask.QUEUES
    found = [
        Column("waiting", "Waiting", scope.newest(names.QUEUE_WAITING)),
        Column("late", "Too long", scope.newest(names.QUEUE_WAITING_PAST_THRESHOLD)),
        *kpi_panels.judged_columns(ask.LONGEST_WAIT, scope, "longest"),
        *kpi_panels.judged_columns(ask.SERVICE_LEVEL, scope, "level"),
        *kpi_panels.judged_columns(ask.ABANDONMENT, scope, "abandonment"),
        kpi_panels.moment(scope),
    ]
    panel = kpi_panels.columns(panels.rows("Queues", text, "short").height(10), scope.by, found)
    panel = panel.sort_by(panels.sorted_by("Service level against target"))
    why = ("Contacts behind the service level", kpi_panels.explain_url("service_level"))
    return panel.override_by_name("Queue", [panels.linked(_only("queue"), why)])


def counters() -> Table:
    """What was counted in the window."""
    text = (
        f"Contacts in the chosen window. Speed of answer = {ask.SPEED_OF_ANSWER.formula}. "
        f"Handle time = {ask.HANDLE_TIME.formula}."
    )
    scope = ask.QUEUES
    counted = [
        Column(key, key.capitalize(), scope.newest(names.QUEUE_COUNTERS[key], ask.WINDOW))
        for key in ("offered", "answered", "abandoned", "declined", "transferred")
    ]
    found = [
        *counted,
        *kpi_panels.judged_columns(ask.SPEED_OF_ANSWER, scope, "speed"),
        *kpi_panels.judged_columns(ask.HANDLE_TIME, scope, "handle"),
    ]
    panel = kpi_panels.columns(panels.rows("Volume and times", text, "short"), scope.by, found)
    return panel.override_by_name("Queue", [panels.linked(_only("queue"))])


def waiting() -> TimeSeries:
    """Who waits, over time."""
    text = f"Waiting = {FORMULA_TEXT['waiting']}."
    panel = panels.series("Waiting", text, "short")
    now = ask.QUEUES.newest(names.QUEUE_WAITING)
    return panel.with_target(queries.ranged(now, "A", "{{queue}} {{channel}}")).min(0)


def longest_wait() -> TimeSeries:
    """The longest wait of each queue beside its target."""
    return kpi_panels.over_time(ask.LONGEST_WAIT, ask.QUEUES, "{{queue}} {{channel}}")


def level() -> TimeSeries:
    """Service level of each queue beside its target."""
    return kpi_panels.over_time(ask.SERVICE_LEVEL, ask.QUEUES, "{{queue}} {{channel}}").max(1)


def abandonment() -> TimeSeries:
    """Abandonment of each queue beside its target."""
    return kpi_panels.over_time(ask.ABANDONMENT, ask.QUEUES, "{{queue}} {{channel}}")


def who_waits() -> Table:
    """The contacts that wait, the longest first."""
    text = "Contacts that wait now by the site's time, from the store; late = past the threshold."
    panel = _stored("Waiting contacts", text).span(12)
    asked = f"""
SELECT queue, channel, contact, customer, priority, queued_at,
       waited_ms / 1000 AS waited_s, is_past_threshold AS late
FROM waiting
WHERE {sql.QUEUES_OF_SITE}
ORDER BY waited_ms DESC
LIMIT 200
"""
    panel = panel.with_target(queries.Sql(asked))
    panel = panel.override_by_name("waited_s", panels.measured("s", 0))
    return panel.override_by_name("late", _alarm("bool_yes_no", 1))


def in_service() -> Table:
    """Talks that last, the longest first."""
    text = "Legs in talk or on hold now by the site's time, from the store, the longest first."
    panel = _stored("In service", text).span(12)
    asked = f"""
SELECT queue, channel, agent, team, contact, answered_at, served_ms / 1000 AS served_s
FROM serving_at(at = NULL)
WHERE {sql.QUEUES_OF_SITE}
ORDER BY served_ms DESC
LIMIT 200
"""
    panel = panel.with_target(queries.Sql(asked))
    return panel.override_by_name("served_s", panels.measured("s", 0))


def teams() -> Table:
    """Agents of each team by state, and occupancy with its band."""
    text = (
        f"Agents of each team by what they do now. Occupancy = {FORMULA_TEXT['occupancy']}, "
        "beside the band of the settings."
    )
    scope = ask.TEAMS
    low, high = ask.occupancy_band(scope)
    busy, base = ask.occupancy_parts(scope)
    states = [
        Column(f"state_{state}", head, scope.newest(names.TEAM_AGENTS, f'state="{state}"'))
        for state, head in _STATES
    ]
    found = [
        *states,
        Column("occupancy", "Occupancy", ask.occupancy(scope), "percentunit", 1),
        Column("busy", "Busy", busy, "s"),
        Column("base", "Busy or available", base, "s"),
        Column("low", "Aim from", low, "percentunit"),
        Column("high", "Aim to", high, "percentunit"),
        Column("outside", "Outside the aim", ask.occupancy_outside(scope), "percentunit", 1, _RED),
    ]
    panel = kpi_panels.columns(panels.rows("Teams", text, "short"), scope.by, found)
    return panel.override_by_name("Team", [panels.linked(_only("team"))])


_STATES = (
    ("available", "Available"),
    ("ringing", "Ringing"),
    ("talk", "Talk"),
    ("hold", "Hold"),
    ("wrap", "Wrap-up"),
    ("busy", "Busy (platform)"),
    ("not_ready", "Not ready"),
)
_RED = (panels.background(), *panels.colored(panels.MISSED))


def by_state() -> TimeSeries:
    """What agents do, over time."""
    text = "Agents of the chosen teams by state, offline left out; states add up to all at work."
    panel = panels.series("Agents by state", text, "short").stacking(panels.stacked()).min(0)
    each = f"max by (site, team, state) ({ask.TEAMS.series(names.TEAM_AGENTS, wallboard.ON_DUTY)})"
    found = f"sum by (state) ({each})"
    return panel.with_target(queries.ranged(found, "A", "{{state}}"))


def occupancy() -> TimeSeries:
    """How busy each team is, beside its band."""
    text = (
        f"Occupancy = {FORMULA_TEXT['occupancy']}, by the chosen window. Dashed: the band aimed at."
    )
    panel = panels.series("Occupancy", text, "percentunit").no_value("no agent at work").max(1)
    low, high = ask.occupancy_band(ask.TEAMS)
    busy, base = ask.occupancy_parts(ask.TEAMS)
    panel = panel.with_target(queries.ranged(ask.occupancy(ask.TEAMS), "value", "{{team}}"))
    for ref, expression in (("low", low), ("high", high)):
        panel = panel.with_target(queries.ranged(expression, ref, f"{{{{team}}}} {ref} aim"))
        panel = panel.override_by_query(ref, panels.dashed("text"))
    for ref, expression, name in (("busy", busy, "busy"), ("base", base, "busy or available")):
        panel = panel.with_target(queries.ranged(expression, ref, f"{{{{team}}}} {name}"))
        panel = panel.override_by_query(ref, panels.in_tooltip_only("s"))
    return panel


def agents_now() -> Table:
    """What each agent does."""
    text = "State of each agent at the site's time, from the store: metrics carry no agent."
    panel = _stored("Agents now", text).span(10)
    asked = f"""
SELECT agent, team, state, since, for_ms / 1000 AS for_s
FROM now_agent(at = NULL)
WHERE {sql.TEAMS_OF_SITE} AND state != 'offline'
ORDER BY for_ms DESC
LIMIT 1000
"""
    panel = panel.with_target(queries.Sql(asked))
    return panel.override_by_name("for_s", panels.measured("s", 0))


def agents_period() -> Table:
    """What each agent did in the time of the board."""
    text = (
        f"Each agent in the chosen time. Occupancy = {FORMULA_TEXT['occupancy']}. "
        f"Handle time = {FORMULA_TEXT['aht_ms']}. Numerators and denominators stand beside them."
    )
    panel = _stored("Agents in the chosen time", text).span(14)
    return agent_columns(panel, sql.TEAMS_OF_SITE)


def agent_columns(panel: Table, where: str) -> Table:
    """One row an agent: calls, times and occupancy with their parts."""
    asked = f"""
SELECT agent, team, answered, handled, declined, transferred,
       (handled_talk_ms + handled_hold_ms + handled_wrap_ms) / 1000 AS worked_s,
       aht_ms / 1000 AS aht_s, occupancy, busy_ms / 1000 AS busy_s,
       available_ms / 1000 AS available_s, not_ready_ms / 1000 AS not_ready_s
FROM kpi_agent({sql.PERIOD})
WHERE {where}
ORDER BY handled DESC, agent
LIMIT 1000
"""
    panel = panel.with_target(queries.Sql(asked))
    for name in ("worked_s", "aht_s", "busy_s", "available_s", "not_ready_s"):
        panel = panel.override_by_name(name, panels.measured("s", 0))
    return panel.override_by_name("occupancy", panels.measured("percentunit", 1))


def _stored(title: str, text: str) -> Table:
    return panels.rows(title, text, "short").datasource(queries.CLICKHOUSE)


def _alarm(unit: str, start: float) -> list[DynamicConfigValue]:
    color = [panels.background(), panels.thresholds_color()]
    steps = panels.steps_value("transparent", (start, panels.WARN))
    return [*panels.measured(unit), *color, steps]


def _only(label: str) -> tuple[str, str]:
    kept = (
        "${datasource:queryparam}&${clickhouse:queryparam}&${site:queryparam}&${window:queryparam}"
    )
    return f"Only this {label}", f"/d/{UID}?{kept}&var-{label}=${{__value.text:percentencode}}"
