"""Panels of KPIs: the quotient with what it is made of, coloured by the target of its queue."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.models.common import BigValueTextMode
from grafana_foundation_sdk.models.dashboard import DataTransformerConfig, DynamicConfigValue

from dashboards.boards import panels, queries
from dashboards.boards.promql import Kpi, Scope, named, site_time_ms

COLOURS = (("missed", panels.MISSED), ("unjudged", panels.PLAIN), ("met", panels.MET))
COLOURS_TEXT = (
    "Red: the target of the settings is missed. Green: it is met. "
    "Grey: no target, or less than the minimum volume."
)


def formula(kpi: Kpi, text: str = "") -> str:
    """A description: what is shown, then the formula, then the colours."""
    shown = f"{text} " if text else ""
    return f"{shown}{kpi.title} = {kpi.formula}. {COLOURS_TEXT}"


def tile(kpi: Kpi, scope: Scope) -> Stat:
    """The KPI of a site, with numerator and denominator beside it."""
    panel = panels.stat(kpi.title, formula(kpi, "All queues."), kpi.unit)
    panel = panel.no_value(panels.NO_TRAFFIC if kpi.is_quotient else panels.NOTHING)
    panel = panel.text_mode(BigValueTextMode.VALUE_AND_NAME).decimals(1 if kpi.is_quotient else 0)
    panel = _judged(panel, kpi, scope, kpi.title.lower())
    if not kpi.is_quotient:
        return panel
    for ref, expression, name in (
        ("numerator", kpi.numerator(scope), kpi.parts[0]),
        ("denominator", kpi.denominator(scope), kpi.parts[1]),
    ):
        unit = "s" if name in ("waited", "worked") else "short"
        panel = panel.with_target(queries.instant(expression, ref, name))
        look = [*panels.colored(panels.PLAIN), *panels.measured(unit, 0)]
        panel = panel.override_by_query(ref, look)
    return panel


def worst_queues(kpi: Kpi, scope: Scope, limit: int) -> Stat:
    """The queues that miss their targets most, by name, the worst first."""
    text = f"The {limit} queues that miss their targets most, those that miss them first."
    panel = panels.stat(f"{kpi.title}: worst queues", formula(kpi, text), kpi.unit)
    panel = panel.no_value(panels.NO_TRAFFIC if kpi.is_quotient else panels.NOTHING)
    panel = panel.text_mode(BigValueTextMode.VALUE_AND_NAME).decimals(0)
    order = "sort" if kpi.better == "higher" else "sort_desc"
    chosen = kpi.worst(scope, limit)
    for (ref, color), expression in zip(COLOURS, _parts(kpi, scope), strict=True):
        shown = f"({expression}) and on (site, queue, channel) {chosen}"
        asked = f"{order}({named(shown, scope)})"
        panel = panel.with_target(queries.instant(asked, ref, "{{name}} {{channel}}"))
        panel = panel.override_by_query(ref, panels.colored(color))
    return panel


def over_time(kpi: Kpi, scope: Scope, who: str = "") -> TimeSeries:
    """The KPI over time beside its target; numerator and denominator in the tooltip."""
    name = f"{who} " if who else ""
    text = f"{kpi.title} = {kpi.formula}, by the chosen window at each moment. Dashed: the target."
    panel = panels.series(f"{kpi.title} over time", text, kpi.unit).no_value(panels.NO_TRAFFIC)
    panel = panel.with_target(
        queries.ranged(kpi.value(scope), "value", f"{name}{kpi.title.lower()}")
    ).with_target(queries.ranged(kpi.target(scope), "target", f"{name}target"))
    panel = panel.override_by_query("target", panels.dashed("text"))
    if not kpi.is_quotient:
        return panel
    for ref, expression, part in (
        ("numerator", kpi.numerator(scope), kpi.parts[0]),
        ("denominator", kpi.denominator(scope), kpi.parts[1]),
    ):
        unit = "s" if part in ("waited", "worked") else "short"
        panel = panel.with_target(queries.ranged(expression, ref, f"{name}{part}"))
        panel = panel.override_by_query(ref, panels.in_tooltip_only(unit))
    return panel


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a table of series: a query, its head and how it looks."""

    ref: str
    head: str
    expression: str
    unit: str = "short"
    decimals: int | None = 0
    look: Sequence[DynamicConfigValue] = field(default_factory=tuple)


def columns(panel: Table, labels: Sequence[str], found: Iterable[Column]) -> Table:
    """Columns side by side, joined by their labels."""
    heads = {label: label.capitalize() for label in labels}
    for column in found:
        panel = panel.with_target(queries.table(column.expression, column.ref))
        name = f"Value #{column.ref}"
        look = [*panels.measured(column.unit, column.decimals), *column.look]
        if column.head:
            heads[name] = column.head
        panel = panel.override_by_name(column.head or name, look)
    organize = {
        "excludeByName": {"Time": True},
        "indexByName": panels.ordered(list(heads)),
        "renameByName": heads,
    }
    return panel.transformations(
        [
            DataTransformerConfig("merge", options={}),
            DataTransformerConfig("organize", options=organize),
        ]
    )


def judged_columns(kpi: Kpi, scope: Scope, prefix: str) -> list[Column]:
    """Value, parts, target and the distance to it, which has the colour."""
    parts = []
    if kpi.is_quotient:
        unit = "s" if kpi.parts[0] in ("waited", "worked") else "short"
        parts = [
            Column(
                f"{prefix}_numerator", f"{kpi.title}: {kpi.parts[0]}", kpi.numerator(scope), unit
            ),
            Column(f"{prefix}_denominator", f"{kpi.title}: {kpi.parts[1]}", kpi.denominator(scope)),
        ]
    digits = 1 if kpi.unit == "percentunit" else 0
    red_below_zero = (
        panels.background(),
        panels.thresholds_color(),
        panels.steps_value(panels.MISSED, (0, panels.MET)),
    )
    return [
        Column(f"{prefix}_value", kpi.title, kpi.value(scope), kpi.unit, digits),
        *parts,
        Column(f"{prefix}_target", f"{kpi.title} target", kpi.target(scope), kpi.unit, digits),
        Column(
            f"{prefix}_against",
            f"{kpi.title} against target",
            kpi.against(scope),
            kpi.unit,
            digits,
            red_below_zero,
        ),
    ]


def moment(scope: Scope, here: str = "") -> Column:
    """The site's time, which links to `/explain` give; the column is not shown."""
    return Column("at", "", f"({site_time_ms(scope)}){here}", "none", 0, panels.HIDDEN)


def breaches(kpi: Kpi, scope: Scope) -> Table:
    """Where a target is missed now: value, parts and target, with a link to the contacts."""
    text = "Queues that miss their target now, with a link to the contacts that caused it."
    panel = panels.rows(f"{kpi.title}: targets missed", formula(kpi, text), kpi.unit)
    panel = panel.no_value("every target is met").height(6).span(12)
    here = f" and on (site, queue, channel) ({kpi.missed(scope)})"
    link = panels.linked(("Which contacts", explain_url(kpi.key)))
    digits = 1 if kpi.unit == "percentunit" else 0
    found = [Column("value", kpi.title, kpi.missed(scope), kpi.unit, digits, (link,))]
    if kpi.is_quotient:
        unit = "s" if kpi.parts[0] in ("waited", "worked") else "short"
        found += [
            Column("numerator", "Numerator", f"{kpi.numerator(scope)}{here}", unit),
            Column("denominator", "Denominator", f"{kpi.denominator(scope)}{here}"),
        ]
    found += [
        Column("target", "Target", f"{kpi.target(scope)}{here}", kpi.unit, digits),
        moment(scope, here),
    ]
    return columns(panel, scope.by, found)


def explain_url(kpi: str, who: str = "queue") -> str:
    """Address of the page that names the contacts behind a row's figure."""
    cell = "${{__data.fields.{}:percentencode}}"
    asked = {"site": cell.format("site"), "kpi": kpi, "window": "${window}"}
    for label in ("queue", "channel") if who == "queue" else (who,):
        asked[label] = cell.format(label)
    asked["at"] = '${__data.fields["Value #at"].numeric}'
    return "${board_url}/explain?" + "&".join(f"{key}={value}" for key, value in asked.items())


def _judged(panel: Stat, kpi: Kpi, scope: Scope, name: str) -> Stat:
    for (ref, color), expression in zip(COLOURS, _parts(kpi, scope), strict=True):
        panel = panel.with_target(queries.instant(expression, ref, name))
        panel = panel.override_by_query(ref, panels.colored(color))
    return panel


def _parts(kpi: Kpi, scope: Scope) -> tuple[str, str, str]:
    return kpi.missed(scope), kpi.unjudged(scope), kpi.met(scope)
