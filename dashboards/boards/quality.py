"""The quality board: what customers, help desk, AI and QA say, and whether customers come back.

All of it is counted by the store's views (docs/quality.md). Sums of quotients are quotients of
sums; weeks are those of the site's own zone. n stands beside every figure.
"""

from __future__ import annotations

from dataclasses import dataclass

from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.models.common import BigValueTextMode
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.boards import panels, queries, sql, variables
from dashboards.boards.board import Part, Section, board
from dashboards.boards.queries import Format, Sql

UID = "callboard-quality"

NO_ANSWERS = "no answers"
_ZONE = "(SELECT any(time_zone) FROM settings_at(at = NULL) WHERE site = ${site:sqlstring})"
_CELLS = f"quality_cells(site = ${{site:sqlstring}}, {sql.PERIOD}, at = NULL, step_ms = 0)"
# Whole hours, for steps count from the first moment and must fit into the days of any zone.
_HOURS = (
    "quality_cells(site = ${site:sqlstring}, from = toStartOfHour($__fromTime), "
    "to = $__toTime, at = NULL, step_ms = 3600000)"
)
_QUEUES = f"scope = 'queue' AND {sql.QUEUE} AND {sql.CHANNEL}"
_SUMS = "Several queues: numerators and denominators are added, then divided."


@dataclass(frozen=True, slots=True)
class Kpi:
    """A figure: its name as a column, how it is computed from sums, and its n."""

    column: str
    title: str
    unit: str
    decimals: int
    value: str
    parts: tuple[tuple[str, str], ...]
    text: str

    def columns(self) -> str:
        """The figure and its parts as columns of sums."""
        parts = ", ".join(f"sum(q.{source}) AS {name}" for name, source in self.parts)
        return f"{self.value} AS {self.column}, {parts}"


CSAT = Kpi(
    "satisfaction",
    "Satisfaction (CSAT)",
    "percentunit",
    1,
    "sum(q.csat_top) / nullIf(sum(q.csat_n), 0)",
    (("csat_4_or_5", "csat_top"), ("csat_n", "csat_n")),
    "Satisfaction = answers of 4 or 5 / answers, of 1 to 5.",
)
NPS = Kpi(
    "nps",
    "Recommendation (NPS)",
    "none",
    1,
    "100 * (sum(q.nps_promoters) - sum(q.nps_detractors)) / nullIf(sum(q.nps_n), 0)",
    (("promoters", "nps_promoters"), ("detractors", "nps_detractors"), ("nps_n", "nps_n")),
    "NPS = 100 * (promoters 9 and 10 - detractors 0 to 6) / answers, -100 to 100.",
)
CES = Kpi(
    "effort",
    "Effort (CES)",
    "none",
    2,
    "sum(q.ces_sum) / nullIf(sum(q.ces_n), 0)",
    (("ces_sum", "ces_sum"), ("ces_n", "ces_n")),
    "Effort = sum of the answers / answers, of 1 to 7; the greater the easier.",
)
DECLARED = Kpi(
    "fcr_declared",
    "Resolved, declared",
    "percentunit",
    1,
    "sum(q.declared_resolved) / nullIf(sum(q.declared_n), 0)",
    (("declared_resolved", "declared_resolved"), ("declared_n", "declared_n")),
    "First contact resolution as declared = contacts said to be resolved / contacts of which it "
    "was said, by the customer or else by the help desk.",
)
REPEAT = Kpi(
    "fcr_repeat",
    "No repeat contact",
    "percentunit",
    1,
    "(sum(q.repeat_n) - sum(q.repeat_repeated)) / nullIf(sum(q.repeat_n), 0)",
    (
        ("not_repeated", "repeat_resolved + q.repeat_provisional"),
        ("provisional", "repeat_provisional"),
        ("contacts", "repeat_n"),
    ),
    "First contact resolution by repeat contact = handled contacts whose customer has not come "
    "back within the repeat window / handled contacts of known customers. Provisional, and may "
    "only fall, as long as the window of some lasts.",
)
SENTIMENT = Kpi(
    "sentiment",
    "Sentiment",
    "none",
    2,
    "sum(q.sentiment_sum) / nullIf(sum(q.sentiment_n), 0)",
    (
        ("sentiment_n", "sentiment_n"),
        ("escalations", "escalations"),
        ("risk_n", "risk_n"),
    ),
    "Sentiment = sum of the last sentiment of each contact / contacts, -1 to 1. Escalations are "
    "contacts with a risk of 0.5 or more, of risk_n.",
)
QA = Kpi(
    "qa_score",
    "Evaluations (QA)",
    "none",
    1,
    "sum(q.qa_sum) / nullIf(sum(q.qa_n), 0)",
    (("qa_sum", "qa_sum"), ("qa_n", "qa_n")),
    "QA = sum of the scores / evaluations, 0 to 100.",
)
ASKED = (CSAT, NPS, CES, DECLARED, REPEAT)
EVERY = (*ASKED, SENTIMENT, QA)


def build() -> Dashboard:
    """One site over the chosen weeks."""
    parts: list[Part] = [
        *(figure(kpi, span) for kpi, span in zip(ASKED, (4, 6, 4, 4, 6), strict=True)),
        Section(
            "By week",
            [
                *(by_week(kpi, 8) for kpi in (CSAT, NPS, CES)),
                *(by_week(kpi, 12) for kpi in (DECLARED, REPEAT, SENTIMENT, QA)),
            ],
        ),
        Section("Queues, teams and agents", [queues_by_week(), queues(), teams(), agents()]),
        Section("Contacts", [answers(), repeats(), unmatched()]),
    ]
    chosen = [
        variables.datasource(),
        variables.clickhouse(),
        variables.site(),
        variables.queue(),
        variables.channel(),
        variables.team(),
    ]
    return board(
        UID,
        "Quality",
        "Satisfaction, recommendation, effort and first contact resolution, each with its n.",
        chosen,
        parts,
        past="now-56d",
        refresh="",
    )


def figure(kpi: Kpi, width: int) -> Stat:
    """A figure over the chosen time beside its parts."""
    panel = panels.stat(kpi.title, f"{kpi.text} {_SUMS}", "short").datasource(queries.CLICKHOUSE)
    panel = panel.decimals(0).text_mode(BigValueTextMode.VALUE_AND_NAME).no_value(NO_ANSWERS)
    asked = f"SELECT {kpi.columns()}\nFROM {_CELLS} AS q\nWHERE {_QUEUES}"
    panel = panel.with_target(Sql(asked)).span(width)
    return panel.override_by_name(kpi.column, panels.measured(kpi.unit, kpi.decimals))


def by_week(kpi: Kpi, width: int) -> TimeSeries:
    """A figure week by week."""
    text = f"{kpi.text} By weeks of the site's zone, which begin on Monday. {_SUMS}"
    panel = panels.series(f"{kpi.title} a week", text, kpi.unit).datasource(queries.CLICKHOUSE)
    asked = f"""
WITH {_ZONE} AS zone
SELECT toDateTime(toStartOfWeek(start, 1, zone), zone) AS time, {kpi.columns()}
FROM {_HOURS} AS q
WHERE {_QUEUES}
GROUP BY time
ORDER BY time
"""
    panel = panel.with_target(Sql(asked, form=Format.time_series)).no_value(NO_ANSWERS)
    panel = panel.span(width)
    for name, _ in kpi.parts:
        panel = panel.override_by_name(name, panels.in_tooltip_only("short"))
    return panel


def queues_by_week() -> Table:
    """Each queue week by week."""
    text = "Each queue in each week of the site's zone. " + " ".join(k.text for k in ASKED)
    panel = panels.rows("Queues a week", text, "short").datasource(queries.CLICKHOUSE)
    asked = f"""
WITH {_ZONE} AS zone
SELECT toString(toStartOfWeek(start, 1, zone)) AS week, queue,
       {_listed(ASKED)}
FROM {_HOURS} AS q
WHERE {_QUEUES}
GROUP BY week, queue
ORDER BY week DESC, queue
"""
    return _measured(panel.with_target(Sql(asked)).height(10), ASKED)


def queues() -> Table:
    """Each queue over the chosen time."""
    text = (
        "Each queue and channel. The row without a queue has answers about contacts the store "
        "does not know, and contacts that were in no queue."
    )
    return _places("Queues", text, "queue, channel", _QUEUES)


def teams() -> Table:
    """Each team over the chosen time."""
    text = "Each team, by the team of the agent when answering; without a name where unknown."
    return _places("Teams", text, "team", f"scope = 'team' AND {sql.TEAM}")


def agents() -> Table:
    """Each agent over the chosen time."""
    text = (
        "Each agent: a contact counts for the agent who had it last, an evaluation for the one "
        "evaluated. A few answers say little of an agent: look at n."
    )
    where = f"scope = 'agent' AND agent != '' AND {sql.TEAM}"
    return _places("Agents", text, "agent, team", where).height(12)


def answers() -> Table:
    """The answers themselves, the newest first."""
    text = (
        "The newest 200 answers that count: of a corrected one the last. Surveys bring figures "
        "only; comments of customers are not taken over."
    )
    panel = panels.rows("Answers", text, "short").datasource(queries.CLICKHOUSE)
    asked = f"""
SELECT at, contact, question, value, queue, channel, team, agent, form
FROM quality_answers(site = ${{site:sqlstring}}, {sql.PERIOD}, at = NULL)
WHERE {sql.QUEUE} AND {sql.CHANNEL} AND {sql.TEAM}
ORDER BY at DESC, contact, question
LIMIT 200
"""
    return panel.with_target(Sql(asked))


def repeats() -> Table:
    """Who came back."""
    text = (
        "The newest 200 handled contacts of known customers: repeated where another contact of "
        "the customer began within the repeat window, provisional while it lasts."
    )
    panel = panels.rows("Repeat contacts", text, "short").datasource(queries.CLICKHOUSE)
    asked = f"""
SELECT ended_at, contact, outcome, next_at, next_contact, queue, channel, team, agent
FROM repeat_contacts(site = ${{site:sqlstring}}, {sql.PERIOD}, at = NULL)
WHERE {sql.QUEUE} AND {sql.CHANNEL}
ORDER BY outcome = 'repeated' DESC, ended_at DESC, contact
LIMIT 200
"""
    return panel.with_target(Sql(asked))


def unmatched() -> Table:
    """Feedback without a contact."""
    text = (
        "Feedback about contacts of which the store has no wait and no conversation, the newest "
        "200. Many of them mean that the platforms name contacts in different ways."
    )
    panel = panels.rows("Unmatched feedback", text, "short").datasource(queries.CLICKHOUSE)
    asked = f"""
SELECT at, contact, type, queue AS names_queue, agent AS names_agent, source
FROM feedback_unmatched({sql.PERIOD})
WHERE {sql.SITE}
ORDER BY at DESC, contact
LIMIT 200
"""
    return panel.with_target(Sql(asked))


def _places(title: str, text: str, names: str, where: str) -> Table:
    formulas = " ".join(kpi.text for kpi in EVERY)
    panel = panels.rows(title, f"{text} {formulas}", "short").datasource(queries.CLICKHOUSE)
    asked = f"""
SELECT {names},
       {_listed(EVERY)}
FROM {_CELLS} AS q
WHERE {where}
GROUP BY {names}
ORDER BY {names}
"""
    return _measured(panel.with_target(Sql(asked)), EVERY)


def _listed(kpis: tuple[Kpi, ...]) -> str:
    return ",\n       ".join(kpi.columns() for kpi in kpis)


def _measured(panel: Table, kpis: tuple[Kpi, ...]) -> Table:
    for kpi in kpis:
        panel = panel.override_by_name(kpi.column, panels.measured(kpi.unit, kpi.decimals))
    return panel
