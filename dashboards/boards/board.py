"""A board: its panels on the grid, its variables, and its links to the others."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from grafana_foundation_sdk.builders.dashboard import Dashboard, DashboardLink, Row
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard as models

from dashboards.uids import TAG

Panels = Sequence[Builder[models.Panel]]


@dataclass(frozen=True, slots=True)
class Section:
    """Panels below a heading."""

    title: str
    panels: Panels


Part = Builder[models.Panel] | Section


def board(
    uid: str,
    title: str,
    description: str,
    variables: Iterable[Builder[models.VariableModel]],
    parts: Iterable[Part],
    *,
    past: str,
    refresh: str,
) -> models.Dashboard:
    """A board that looks back over `past` and asks again every `refresh`.

    Every panel has a number in the order of the board: links to a panel name it.
    """
    made = Dashboard(title).uid(uid).description(description).tags([TAG]).readonly()
    made = made.time(past, "now").refresh(refresh).timezone("browser")
    made = made.tooltip(models.DashboardCursorSync.CROSSHAIR).link(_other_boards())
    for variable in variables:
        made = made.with_variable(variable)
    for part in parts:
        if isinstance(part, Section):
            made = made.with_row(Row(part.title))
            for panel in part.panels:
                made = made.with_panel(panel)
        else:
            made = made.with_panel(part)
    found = made.build()
    for number, entry in enumerate(found.panels or [], start=1):
        entry.id_val = number
    return found


def _other_boards() -> DashboardLink:
    link = DashboardLink("Callboard").type(models.DashboardLinkType.DASHBOARDS).tags([TAG])
    return link.as_dropdown(True).include_vars(True).keep_time(False)


def as_json(value: models.Dashboard) -> dict[str, Any]:
    """The board as plain JSON values."""
    import orjson
    from grafana_foundation_sdk.cog.encoder import JSONEncoder

    found: dict[str, Any] = orjson.loads(JSONEncoder(sort_keys=True).encode(value))
    return found
