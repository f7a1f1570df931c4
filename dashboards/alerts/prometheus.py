"""Prometheus' rules: one group, evaluated every 5 seconds, in which each alert is one rule."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dashboards.alerts.model import NOTHING, Alert
from dashboards.alerts.promql import for_all, for_one
from dashboards.alerts.texts import AT, Links, annotate, at_query

INTERVAL = "5s"


def rules(alerts: Iterable[Alert], links: Links) -> dict[str, Any]:
    """The content of the file of rules."""
    group = {
        "name": "callboard",
        "interval": INTERVAL,
        "rules": [_rule(alert, links) for alert in alerts],
    }
    return {"groups": [group]}


def _rule(alert: Alert, links: Links) -> dict[str, Any]:
    rule = {"alert": alert.name, "expr": expression(alert), "for": alert.lasts}
    if alert.keeps != "0s":
        rule["keep_firing_for"] = alert.keeps
    return {
        **rule,
        "labels": labels(alert),
        "annotations": annotate(alert, links, lambda name, how: _shown(alert, name, how)),
    }


def labels(alert: Alert) -> dict[str, str]:
    """Labels a rule adds to those of its series."""
    return {"severity": alert.severity} | ({"kpi": alert.explained} if alert.explained else {})


def expression(alert: Alert) -> str:
    """Beyond the trigger, or still beyond the clear level while the alert fires; and the guards."""
    value, sign = for_all(alert.value), "<" if alert.breach == "below" else ">"
    firing = f'ALERTS{{alertname="{alert.name}", severity="{alert.severity}", alertstate="firing"}}'
    lines = [f"  {value} {sign} {for_all(alert.trigger)}"]
    if alert.clear != alert.trigger:
        lines += [
            "or",
            f"  {value} {sign} {for_all(alert.clear)}",
            f"  and on ({', '.join(alert.scope)}) {firing}",
        ]
    guards = [for_all(guard) for guard in alert.guards]
    return "\n".join(["(", *lines, ")", *guards]) + "\n"


def _shown(alert: Alert, name: str, how: str) -> str:
    query = at_query(alert) if name == AT else alert.figures.by_name()[name].query
    if not query:
        return NOTHING
    arguments = "".join(f" $labels.{label}" for label in alert.scope)
    asked = f"printf `{for_one(query, alert.scope)}`{arguments}"
    if "%[" not in asked:
        asked = f"`{for_one(query, alert.scope)}`"
    found = f"{{{{ with {asked} | query }}}}{{{{ . | first | value | {how} }}}}"
    return f"{found}{{{{ else }}}}{NOTHING}{{{{ end }}}}"
