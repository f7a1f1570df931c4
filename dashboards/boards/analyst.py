"""The analyst's board: what the store says over days and weeks, restated where wanted.

Sums of quotients are quotients of sums. Days, hours and weekdays are those of the site's own zone.
"""

from __future__ import annotations

from grafana_foundation_sdk.builders.barchart import Panel as BarChart
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.models.common import BigValueTextMode, GraphDrawStyle
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.boards import panels, queries, sql, supervisor, variables
from dashboards.boards.board import Part, Section, board
from dashboards.boards.queries import Format, Sql
from schemas.kpis import FORMULA_TEXT

UID = "callboard-analyst"

HALF_HOUR_MS = 1_800_000
_ZONE = "(SELECT any(time_zone) FROM settings_at(at = NULL) WHERE site = ${site:sqlstring})"
# Whole hours, for steps count from the first moment and must fit into the days of any zone.
_HALF_HOURS = (
    "kpi_queue_interval(from = toStartOfHour($__fromTime), to = $__toTime, "
    f"step_ms = {HALF_HOUR_MS})"
)
_LEVEL = "sum(sl_numerator) / nullIf(sum(sl_denominator), 0)"
_TIMES = f"Speed of answer = {FORMULA_TEXT['asa_ms']}. Handle time = {FORMULA_TEXT['aht_ms']}."
_SUMS = "Several queues and steps: numerators and denominators are added, then divided."


def build() -> Dashboard:
    """One site over the chosen days."""
    parts: list[Part] = [
        volume().span(8),
        level().span(6),
        times().span(10),
        Section("By day", [volume_by_day(), level_by_day(), times_by_day(), occupancy_by_day()]),
        Section(
            "By weekday and hour",
            [
                heat("Service level", "percentunit", _per_hour_level, _heat_level_text()),
                heat("Counted in time", "short", _per_hour("sl_numerator"), _HEAT_NUMERATOR),
                heat("Counted", "short", _per_hour("sl_denominator"), _HEAT_DENOMINATOR),
            ],
        ),
        Section("Distributions", [waits(), handle_times()]),
        Section("Queues", [queues(), restated()]),
        Section("People", [teams(), agents()]),
    ]
    chosen = [
        variables.datasource(),
        variables.clickhouse(),
        variables.site(),
        variables.queue(),
        variables.channel(),
        variables.team(),
        variables.seconds("threshold", "Threshold (s)", 30),
        variables.seconds("short", "Short abandon (s)", 5),
    ]
    return board(
        UID,
        "Analyst",
        "Trends, distributions, agents and restated service level from the store.",
        chosen,
        parts,
        past="now-14d",
        refresh="",
    )


def volume() -> Stat:
    """What came and what became of it."""
    text = "Contacts in the chosen time, all chosen queues added: offered = began to wait."
    panel = _stat("Contacts", text, "short")
    asked = f"""
SELECT sum(offered) AS offered, sum(answered) AS answered, sum(abandoned) AS abandoned,
       sum(left_callback + left_overflow + left_other) AS left
FROM kpi_queue({sql.PERIOD})
WHERE {sql.QUEUES_OF_SITE}
"""
    return panel.with_target(Sql(asked))


def level() -> Stat:
    """Service level with its parts."""
    text = f"Service level = {FORMULA_TEXT['service_level']}: numerator / denominator. {_SUMS}"
    panel = _stat("Service level", text, "short").no_value(panels.NO_TRAFFIC)
    asked = f"""
SELECT {_LEVEL} AS service_level, sum(sl_numerator) AS numerator, sum(sl_denominator) AS denominator
FROM kpi_queue({sql.PERIOD})
WHERE {sql.QUEUES_OF_SITE}
"""
    panel = panel.with_target(Sql(asked))
    return panel.override_by_name("service_level", panels.measured("percentunit", 1))


def times() -> Stat:
    """Speed of answer and handle time with their parts."""
    text = f"{_TIMES} {_SUMS}"
    panel = _stat("Times", text, "s").no_value(panels.NO_TRAFFIC)
    asked = f"""
SELECT sum(wait_ms) / nullIf(sum(q.answered), 0) / 1000 AS speed_of_answer,
       sum(wait_ms) / 1000 AS waited, sum(q.answered) AS answered,
       sum(talk_ms + hold_ms + wrap_ms) / nullIf(sum(q.handled), 0) / 1000 AS handle_time,
       sum(talk_ms + hold_ms + wrap_ms) / 1000 AS worked, sum(q.handled) AS handled
FROM kpi_queue({sql.PERIOD}) AS q
WHERE {sql.QUEUES_OF_SITE}
"""
    panel = panel.with_target(Sql(asked))
    for name in ("answered", "handled"):
        panel = panel.override_by_name(name, panels.measured("short", 0))
    return panel


def volume_by_day() -> TimeSeries:
    """Contacts a day."""
    text = "Contacts of each day of the site's zone; the rest of offered left the queue or waits."
    panel = panels.bars_over_time("Contacts a day", text, "short").datasource(queries.CLICKHOUSE)
    counted = "sum(answered) AS answered, sum(abandoned) AS abandoned, sum(offered) AS offered"
    panel = panel.with_target(_by_day(counted))
    line = [panels.drawn(GraphDrawStyle.LINE), *panels.colored("text")]
    return panel.override_by_name("offered", line)


def level_by_day() -> TimeSeries:
    """Service level and abandonment a day."""
    text = (
        f"Service level = {FORMULA_TEXT['service_level']}. Abandonment = "
        f"{FORMULA_TEXT['abandonment']}. {_SUMS}"
    )
    panel = panels.series("Service level and abandonment a day", text, "percentunit")
    panel = panel.datasource(queries.CLICKHOUSE).no_value(panels.NO_TRAFFIC).min(0).max(1)
    parts = (
        f"{_LEVEL} AS service_level, sum(sl_numerator) AS in_time, sum(sl_denominator) AS counted, "
        "sum(q.abandoned) / nullIf(sum(q.answered + q.abandoned), 0) AS abandonment, "
        "sum(q.abandoned) AS abandoned, sum(q.answered + q.abandoned) AS answered_or_abandoned"
    )
    panel = panel.with_target(_by_day(parts))
    for name in ("in_time", "counted", "abandoned", "answered_or_abandoned"):
        panel = panel.override_by_name(name, panels.in_tooltip_only("short"))
    return panel


def times_by_day() -> TimeSeries:
    """Speed of answer and handle time a day."""
    text = f"{_TIMES} {_SUMS}"
    panel = panels.series("Times a day", text, "s").datasource(queries.CLICKHOUSE)
    parts = (
        "sum(wait_ms) / nullIf(sum(q.answered), 0) / 1000 AS speed_of_answer, "
        "sum(q.answered) AS answered, sum(wait_ms) / 1000 AS waited, "
        "sum(talk_ms + hold_ms + wrap_ms) / nullIf(sum(q.handled), 0) / 1000 AS handle_time, "
        "sum(q.handled) AS handled, sum(talk_ms + hold_ms + wrap_ms) / 1000 AS worked"
    )
    panel = panel.no_value(panels.NO_TRAFFIC).with_target(_by_day(parts)).min(0)
    for name, unit in (
        ("answered", "short"),
        ("handled", "short"),
        ("waited", "s"),
        ("worked", "s"),
    ):
        panel = panel.override_by_name(name, panels.in_tooltip_only(unit))
    return panel


def occupancy_by_day() -> TimeSeries:
    """Occupancy a day."""
    text = f"Occupancy = {FORMULA_TEXT['occupancy']}, all chosen teams. {_SUMS}"
    panel = panels.series("Occupancy a day", text, "percentunit").datasource(queries.CLICKHOUSE)
    source = _HALF_HOURS.replace("kpi_queue_interval", "kpi_team_interval")
    asked = f"""
WITH {_ZONE} AS zone
SELECT toStartOfDay(start, zone) AS time,
       sum(busy_ms) / nullIf(sum(busy_ms + available_ms), 0) AS occupancy,
       sum(busy_ms) / 1000 AS busy, sum(busy_ms + available_ms) / 1000 AS busy_or_available
FROM {source}
WHERE {sql.TEAMS_OF_SITE}
GROUP BY time
ORDER BY time
"""
    panel = panel.no_value("no agent at work").min(0).max(1)
    panel = panel.with_target(Sql(asked, form=Format.time_series))
    for name in ("busy", "busy_or_available"):
        panel = panel.override_by_name(name, panels.in_tooltip_only("s"))
    return panel


def heat(title: str, unit: str, cell: str, text: str) -> Table:
    """Seven rows of twenty-four cells, the darker the more."""
    panel = panels.rows(f"{title} by weekday and hour", text, unit).datasource(queries.CLICKHOUSE)
    hours = ",\n       ".join(f"{cell.format(hour=hour)} AS `{hour:02}`" for hour in range(24))
    asked = f"""
WITH {_ZONE} AS zone
SELECT arrayElement(['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'], day) AS weekday,
       {hours}
FROM
(
    SELECT toDayOfWeek(start, 0, zone) AS day, toHour(start, zone) AS hour,
           sl_numerator, sl_denominator
    FROM {_HALF_HOURS}
    WHERE {sql.QUEUES_OF_SITE}
)
GROUP BY day
ORDER BY day
"""
    panel = panel.with_target(Sql(asked)).height(9).filterable(False)
    shaded = [
        panels.background(),
        panels.scheme("continuous-RdYlGr" if unit == "percentunit" else "continuous-blues"),
    ]
    decimals = panels.measured(unit, 0)
    return panel.override_by_regexp("^[0-9]{2}$", [*shaded, *decimals, panels.narrow(52)])


def _per_hour(column: str) -> str:
    return f"nullIf(sumIf({column}, hour = {{hour}}), 0)"


_per_hour_level = (
    "sumIf(sl_numerator, hour = {hour}) / nullIf(sumIf(sl_denominator, hour = {hour}), 0)"
)
_HEAT_NUMERATOR = "Numerator of the service level, added over the chosen time, by local hour."
_HEAT_DENOMINATOR = "Denominator of the service level, added over the chosen time, by local hour."


def _heat_level_text() -> str:
    return (
        f"Service level = {FORMULA_TEXT['service_level']}, by local hour of the contact's outcome. "
        "Numerator and denominator are the two tables below."
    )


_WAIT_EDGES = [0, 5, 10, 15, 20, 30, 45, 60, 90, 120, 180, 300, 600]
_HANDLE_EDGES = [0, 30, 60, 90, 120, 180, 240, 300, 420, 600, 900, 1800]


def waits() -> BarChart:
    """How long contacts waited."""
    text = "Contacts queued in the chosen time by how long they waited, by what became of them."
    panel = panels.bars("Waits", text, "short").x_field("wait")
    asked = f"""
SELECT concat('from ', toString(least_s), ' s') AS wait,
       countIf(outcome = 'answered') AS answered, countIf(outcome = 'abandoned') AS abandoned,
       countIf(outcome = 'left') AS left
FROM
(
    SELECT roundDown(assumeNotNull(wait_ms) / 1000, {_WAIT_EDGES}) AS least_s, outcome
    FROM contacts_between({sql.PERIOD})
    WHERE {sql.QUEUES_OF_SITE} AND wait_ms IS NOT NULL
)
GROUP BY least_s
ORDER BY least_s
"""
    return panel.with_target(Sql(asked))


def handle_times() -> BarChart:
    """How long handled legs took."""
    text = "Legs handled that were answered in the chosen time, by talk + hold + wrap-up."
    panel = panels.bars("Handle times", text, "short").x_field("handle_time")
    asked = f"""
SELECT concat('from ', toString(least_s), ' s') AS handle_time, count() AS legs
FROM
(
    SELECT roundDown((talk_ms + hold_ms + wrap_ms) / 1000, {_HANDLE_EDGES}) AS least_s
    FROM contact_legs
    WHERE {sql.QUEUES_OF_SITE} AND handled = 1 AND $__timeFilter_ms(answered_at)
)
GROUP BY least_s
ORDER BY least_s
"""
    return panel.with_target(Sql(asked))


def queues() -> Table:
    """Each queue over the chosen time."""
    text = (
        f"Each queue and channel. Service level by the formula named in the row; abandonment = "
        f"{FORMULA_TEXT['abandonment']}; speed of answer = {FORMULA_TEXT['asa_ms']}; handle time = "
        f"{FORMULA_TEXT['aht_ms']}."
    )
    panel = panels.rows("Queues", text, "short").datasource(queries.CLICKHOUSE)
    asked = f"""
SELECT queue, channel, offered, answered, abandoned, abandoned_short, declined, transferred,
       service_level, sl_numerator, sl_denominator, formula, abandonment,
       asa_ms / 1000 AS speed_of_answer, aht_ms / 1000 AS handle_time, handled
FROM kpi_queue({sql.PERIOD})
WHERE {sql.QUEUES_OF_SITE}
ORDER BY queue, channel
"""
    panel = panel.with_target(Sql(asked))
    for name in ("service_level", "abandonment"):
        panel = panel.override_by_name(name, panels.measured("percentunit", 1))
    for name in ("speed_of_answer", "handle_time"):
        panel = panel.override_by_name(name, panels.measured("s", 0))
    return panel


def restated() -> Table:
    """The service level as it would have been."""
    text = (
        "Service level under the limits that were in force, and as it would have been under those "
        "typed in above (threshold and short abandon in seconds), with numerators and denominators."
    )
    panel = panels.rows("Restated service level", text, "short").datasource(queries.CLICKHOUSE)
    asked = f"""
SELECT a.queue AS queue, a.channel AS channel, a.formula AS formula,
       a.service_level AS service_level,
       a.sl_numerator AS numerator, a.sl_denominator AS denominator,
       b.service_level AS restated,
       b.sl_numerator AS restated_numerator, b.sl_denominator AS restated_denominator,
       b.service_level - a.service_level AS difference
FROM (SELECT * FROM kpi_queue({sql.PERIOD}) WHERE {sql.QUEUES_OF_SITE}) AS a
INNER JOIN kpi_queue_restated({sql.PERIOD}, threshold_ms = 1000 * toInt64(${{threshold:sqlstring}}),
    short_ms = 1000 * toInt64(${{short:sqlstring}})) AS b
    ON b.site = a.site AND b.queue = a.queue AND b.channel = a.channel
ORDER BY queue, channel
"""
    panel = panel.with_target(Sql(asked))
    for name in ("service_level", "restated", "difference"):
        panel = panel.override_by_name(name, panels.measured("percentunit", 1))
    return panel


def teams() -> Table:
    """Each team over the chosen time."""
    text = (
        f"Each team. Occupancy = {FORMULA_TEXT['occupancy']} = busy_s / (busy_s + available_s). "
        f"Handle time = {FORMULA_TEXT['aht_ms']}."
    )
    panel = panels.rows("Teams", text, "short").datasource(queries.CLICKHOUSE)
    asked = f"""
SELECT team, answered, handled, declined, transferred, aht_ms / 1000 AS handle_time, occupancy,
       busy_ms / 1000 AS busy_s, available_ms / 1000 AS available_s,
       not_ready_ms / 1000 AS not_ready_s
FROM kpi_team({sql.PERIOD})
WHERE {sql.TEAMS_OF_SITE}
ORDER BY team
"""
    panel = panel.with_target(Sql(asked))
    for name in ("handle_time", "busy_s", "available_s", "not_ready_s"):
        panel = panel.override_by_name(name, panels.measured("s", 0))
    return panel.override_by_name("occupancy", panels.measured("percentunit", 1))


def agents() -> Table:
    """Each agent over the chosen time."""
    text = (
        f"Each agent. Occupancy = {FORMULA_TEXT['occupancy']} = busy_s / (busy_s + available_s). "
        f"Handle time = {FORMULA_TEXT['aht_ms']} = worked_s / handled."
    )
    panel = panels.rows("Agents", text, "short").datasource(queries.CLICKHOUSE).height(12)
    return supervisor.agent_columns(panel, sql.TEAMS_OF_SITE)


def _stat(title: str, text: str, unit: str) -> Stat:
    panel = panels.stat(title, text, unit).datasource(queries.CLICKHOUSE).decimals(0)
    return panel.text_mode(BigValueTextMode.VALUE_AND_NAME)


def _by_day(parts: str) -> Sql:
    asked = f"""
WITH {_ZONE} AS zone
SELECT toStartOfDay(start, zone) AS time, {parts}
FROM {_HALF_HOURS} AS q
WHERE {sql.QUEUES_OF_SITE}
GROUP BY time
ORDER BY time
"""
    return Sql(asked, form=Format.time_series)
