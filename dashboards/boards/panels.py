"""Defaults of the panels, so that a panel says only what is its own.

Sizes are in Grafana's grid of 24 columns. `–` stands where there is nothing to show.
"""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.builders.barchart import Panel as BarChart
from grafana_foundation_sdk.builders.common import (
    ReduceDataOptions,
    StackingConfig,
    VizLegendOptions,
    VizTooltipOptions,
)
from grafana_foundation_sdk.builders.common import TableSortByFieldState as SortBy
from grafana_foundation_sdk.builders.dashboard import FieldColor, ThresholdsConfig
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.table import Panel as Table
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models.common import (
    BigValueColorMode,
    BigValueGraphMode,
    BigValueTextMode,
    GraphDrawStyle,
    LegendDisplayMode,
    LegendPlacement,
    SortOrder,
    StackingMode,
    TableSortByFieldState,
    TooltipDisplayMode,
    VisibilityMode,
    VizOrientation,
)
from grafana_foundation_sdk.models.dashboard import (
    DynamicConfigValue,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
)

from dashboards.boards.queries import CLICKHOUSE, PROMETHEUS

NOTHING = "–"
NO_TRAFFIC = "no traffic"

MISSED, MET, PLAIN, WARN = "semi-dark-red", "semi-dark-green", "#3d4a5c", "semi-dark-orange"


# Hidden and not left out: links of other columns read it. Grafana 12 renamed the property.
HIDDEN = (
    DynamicConfigValue("custom.hidden", True),
    DynamicConfigValue("custom.hideFrom", {"viz": True}),
)


def stat(title: str, description: str, unit: str) -> Stat:
    """A figure to be read across a room; the names of several stand beside them."""
    return (
        Stat()
        .title(title)
        .description(description)
        .unit(unit)
        .no_value(NOTHING)
        .datasource(PROMETHEUS)
        .color_mode(BigValueColorMode.BACKGROUND_SOLID)
        .graph_mode(BigValueGraphMode.NONE)
        .text_mode(BigValueTextMode.AUTO)
        .reduce_options(ReduceDataOptions().calcs(["lastNotNull"]).values(False))
        .color_scheme(fixed(PLAIN))
        .height(4)
        .span(4)
    )


def series(title: str, description: str, unit: str) -> TimeSeries:
    """Lines over time; the tooltip shows all of them, the greatest first."""
    return (
        TimeSeries()
        .title(title)
        .description(description)
        .unit(unit)
        .no_value(NOTHING)
        .datasource(PROMETHEUS)
        .legend(legend())
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.DESCENDING))
        .line_width(2)
        .fill_opacity(8)
        .show_points(VisibilityMode.NEVER)
        .height(8)
        .span(12)
    )


def bars_over_time(title: str, description: str, unit: str) -> TimeSeries:
    """Counts of steps of time, stacked by the panel's own choice."""
    return (
        series(title, description, unit)
        .draw_style(GraphDrawStyle.BARS)
        .line_width(1)
        .fill_opacity(60)
    )


def rows(title: str, description: str, unit: str) -> Table:
    """A table."""
    return (
        Table()
        .title(title)
        .description(description)
        .unit(unit)
        .no_value(NOTHING)
        .datasource(PROMETHEUS)
        .filterable(True)
        .height(8)
        .span(24)
    )


def bars(title: str, description: str, unit: str) -> BarChart:
    """Bars of named classes, upright."""
    return (
        BarChart()
        .title(title)
        .description(description)
        .unit(unit)
        .no_value(NOTHING)
        .datasource(CLICKHOUSE)
        .orientation(VizOrientation.VERTICAL)
        .stacking(StackingMode.NORMAL)
        .show_value(VisibilityMode.AUTO)
        .legend(legend())
        .tooltip(VizTooltipOptions().mode(TooltipDisplayMode.MULTI).sort(SortOrder.NONE))
        .fill_opacity(80)
        .height(8)
        .span(12)
    )


def legend() -> VizLegendOptions:
    """A list below the panel."""
    shown = VizLegendOptions().show_legend(True).display_mode(LegendDisplayMode.LIST)
    return shown.placement(LegendPlacement.BOTTOM).calcs([])


def fixed(color: str) -> FieldColor:
    """One colour whatever the value."""
    return FieldColor().mode(FieldColorModeId.FIXED).fixed_color(color)


def by_steps() -> FieldColor:
    """The colour of the step the value lies in."""
    return FieldColor().mode(FieldColorModeId.THRESHOLDS)


def steps(base: str, *rises: tuple[float, str]) -> ThresholdsConfig:
    """Colours of steps: that below the first value, then that from each value on."""
    # The first step has no value: JSON has no minus infinity.
    found = [Threshold(None, base), *(Threshold(value, color) for value, color in rises)]
    return ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(found)


def steps_value(base: str, *rises: tuple[float, str]) -> DynamicConfigValue:
    """The same as the property of some fields only."""
    found = [Threshold(None, base), *(Threshold(value, color) for value, color in rises)]
    value = {"mode": "absolute", "steps": [step.to_json() for step in found]}
    return DynamicConfigValue("thresholds", value)


def colored(color: str) -> list[DynamicConfigValue]:
    """Properties of what has one colour."""
    return [DynamicConfigValue("color", {"mode": "fixed", "fixedColor": color})]


def measured(unit: str, decimals: int | None = None) -> list[DynamicConfigValue]:
    """Properties of what has a unit of its own."""
    found = [DynamicConfigValue("unit", unit)]
    return found if decimals is None else [*found, DynamicConfigValue("decimals", decimals)]


def background() -> DynamicConfigValue:
    """A cell filled with its colour."""
    return DynamicConfigValue("custom.cellOptions", {"type": "color-background", "mode": "basic"})


def dashed(color: str) -> list[DynamicConfigValue]:
    """A target: a thin broken line without a filling."""
    return [
        *colored(color),
        DynamicConfigValue("custom.lineStyle", {"fill": "dash", "dash": [8, 6]}),
        DynamicConfigValue("custom.lineWidth", 1),
        DynamicConfigValue("custom.fillOpacity", 0),
    ]


def in_tooltip_only(unit: str) -> list[DynamicConfigValue]:
    """Numerators and denominators: not drawn, for they have another scale, but told at a point."""
    hidden = {"viz": True, "legend": True, "tooltip": False}
    return [DynamicConfigValue("custom.hideFrom", hidden), *measured(unit, 0)]


def linked(*links: tuple[str, str]) -> DynamicConfigValue:
    """Links on the cells of a column: titles and addresses."""
    found = [{"title": title, "url": url, "targetBlank": True} for title, url in links]
    return DynamicConfigValue("links", found)


def scheme(name: str) -> DynamicConfigValue:
    """A continuous scale of colours, as a property of some fields only."""
    return DynamicConfigValue("color", {"mode": name})


def narrow(width: int) -> DynamicConfigValue:
    """Width of a column in pixels."""
    return DynamicConfigValue("custom.width", width)


def drawn(style: GraphDrawStyle) -> DynamicConfigValue:
    """Another way of drawing than the rest of the panel."""
    return DynamicConfigValue("custom.drawStyle", style.value)


def thresholds_color() -> DynamicConfigValue:
    """Coloured by steps, as a property of some fields only."""
    return DynamicConfigValue("color", {"mode": "thresholds"})


def no_legend() -> VizLegendOptions:
    """Nothing below the panel."""
    return legend().show_legend(False)


def stacked() -> StackingConfig:
    """Areas on top of each other."""
    return StackingConfig().mode(StackingMode.NORMAL)


def sorted_by(head: str, descending: bool = False) -> list[Builder[TableSortByFieldState]]:
    """Rows in the order of a column."""
    return [SortBy().display_name(head).desc(descending)]


def ordered(names: Sequence[str]) -> dict[str, int]:
    """Places of columns, for the transformation `organize`."""
    return {name: place for place, name in enumerate(names)}
