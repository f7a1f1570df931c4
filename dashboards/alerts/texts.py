"""Annotations of an alert: the same words for both deliverers, which differ in how they ask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dashboards.alerts.model import Alert, Unit
from dashboards.alerts.promql import QUEUE, TEAM

AT = "at"
"""Name of the figure that holds the site's time in milliseconds."""

HUMAN: dict[Unit, str] = {
    "ratio": "humanizePercentage",
    "seconds": "humanizeDuration",
    "count": 'printf "%.0f"',
}
EXACT: dict[Unit, str] = {
    "ratio": 'printf "%.4f"',
    "seconds": 'printf "%.3f"',
    "count": 'printf "%.0f"',
}


@dataclass(frozen=True, slots=True)
class Links:
    """Where links of messages lead: base addresses without a slash at the end."""

    board: str
    grafana: str


Show = Callable[[str, str], str]
"""Template code that prints a figure, by its name, through a function of templates."""


def at_query(alert: Alert) -> str:
    """The site's time of the figures in milliseconds, or of the rule where there is no site."""
    if "site" not in alert.scope:
        return "vector(time() * 1000)"
    time = "callboard_site_time_timestamp_seconds{<<site>>} offset 1s"
    return f"(max by (site) ({time}) * 1000)"


def annotate(alert: Alert, links: Links, show: Show) -> dict[str, str]:
    """All annotations, as templates."""
    figures = alert.figures.by_name()
    words = {label: f"{{{{ $labels.{label} }}}}" for label in alert.scope}
    words |= {name: show(name, HUMAN[figure.unit]) for name, figure in figures.items()}
    exact = {
        name: show(name, EXACT[figures[name].unit])
        for name in ("numerator", "denominator", "value", "target")
    }
    return {
        "summary": alert.summary.format(**words),
        "description": alert.description.format(**words),
        **exact,
        AT: show(AT, EXACT["count"]),
        **_links(alert, links, show),
    }


def _links(alert: Alert, links: Links, show: Show) -> dict[str, str]:
    board = f"{links.board}/{_query(alert, ('site',))}"
    dashboard = f"{links.grafana}/d/{alert.dashboard}{_query(alert, alert.scope, 'var-')}"
    return {
        "explain_url": _explain(alert, links, show) if alert.explained else dashboard,
        "board_url": board,
        "dashboard_url": dashboard,
        "runbook_url": f"{links.board}/runbooks/{alert.runbook}",
    }


def _query(alert: Alert, labels: tuple[str, ...], prefix: str = "") -> str:
    known = [label for label in labels if label in alert.scope and label in (*QUEUE, *TEAM)]
    return "?" * bool(known) + "&".join(f"{prefix}{label}={_quoted(label)}" for label in known)


def _explain(alert: Alert, links: Links, show: Show) -> str:
    at = show(AT, EXACT["count"])
    asked = _query(alert, alert.scope)
    return f"{links.board}/explain{asked}&kpi={alert.explained}&window={alert.window}&at={at}"


def _quoted(label: str) -> str:
    return f"{{{{ $labels.{label} | urlquery }}}}"
