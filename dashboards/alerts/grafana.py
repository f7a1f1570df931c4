"""Grafana's provisioning files: rules, contact points, mute timings, templates, policies.

Grafana keeps no memory of a level that PromQL could ask for, as Prometheus does with `ALERTS`. So a
rule asks for a score: 1 beyond the trigger, -1 beyond the clear level, 0 between them; it loads
above 0.5 and unloads below -0.5. It has no inhibition either: what Alertmanager would hold back is
left out of the score.

Grafana expands `$NAME` in labels, contact points, policies and titles when it reads the files:
secrets come from its environment that way, and a `$` that is meant is written `$$`. Queries and
annotations are not expanded.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dashboards.alerts import messages
from dashboards.alerts.alertmanager import (
    GROUP_BY,
    GROUP_INTERVAL,
    GROUP_WAIT,
    HISTORY_REPEAT,
    REPEAT,
)
from dashboards.alerts.hours import closed_times, interval_name
from dashboards.alerts.model import NOTHING, Alert
from dashboards.alerts.pipeline import DATA_STALE
from dashboards.alerts.promql import for_all
from dashboards.alerts.texts import AT, Links, annotate, at_query
from schemas.config import Config
from schemas.settings import SiteSettings

FOLDER = "Callboard"
DATASOURCE = "callboard-prometheus"
INTERVAL = "10s"
"""Grafana's own interval; its rules evaluate no more often."""
ALWAYS = "callboard: always"

_GROUP_BY = ["grafana_folder", *GROUP_BY]
_HISTORY, _PEOPLE, _PAGER, _WATCHDOG = (
    "callboard-history",
    "callboard-people",
    "callboard-people-and-pager",
    "callboard-watchdog",
)
_STALE = f"unless on (site) ({for_all(DATA_STALE.value)} > {DATA_STALE.trigger})"


def files(
    alerts: tuple[Alert, ...], sites: tuple[SiteSettings, ...], config: Config
) -> dict[str, dict[str, Any]]:
    """The content of each file, by its name, in the order Grafana reads them."""
    links = Links(config.board_url, config.grafana_url)
    closed = {site.site: times for site in sites if (times := closed_times(site))}
    rules = [_rule(alert, alerts, links) for alert in alerts]
    return {
        "rules.yaml": _file("groups", [_group(rules)]),
        "contact-points.yaml": _file("contactPoints", _contact_points(config)),
        "mute-timings.yaml": _file("muteTimes", _mute_timings(closed)),
        "templates.yaml": _file("templates", [_template()]),
        "policies.yaml": _file("policies", [_policy(alerts, list(closed), config)]),
    }


def title(alert: Alert, alerts: Iterable[Alert]) -> str:
    """Name of a rule, unique in the folder: of two levels the critical one says so."""
    levels = [other for other in alerts if other.name == alert.name]
    escalated = len(levels) > 1 and alert.severity == "critical"
    return f"{alert.name}Critical" if escalated else alert.name


def _file(key: str, content: list[dict[str, Any]]) -> dict[str, Any]:
    return {"apiVersion": 1, key: content}


def _group(rules: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "orgId": 1,
        "name": "callboard",
        "folder": FOLDER,
        "interval": INTERVAL,
        "rules": rules,
    }


def _rule(alert: Alert, alerts: tuple[Alert, ...], links: Links) -> dict[str, Any]:
    rule = {
        "uid": alert.uid,
        "title": title(alert, alerts),
        "condition": "C",
        "data": [_query("A", score(alert, alerts)), _threshold(), *_figures(alert)],
        # Without traffic there is no ratio, and that is no alert; a dead pipeline has its own.
        "noDataState": "OK",
        "execErrState": "Error",
        "for": alert.lasts,
        "annotations": annotate(alert, links, lambda name, how: _shown(alert, name, how)),
        "labels": {"severity": alert.severity}
        | ({"kpi": alert.explained} if alert.explained else {}),
        "isPaused": False,
    }
    return rule if alert.keeps == "0s" else rule | {"keepFiringFor": alert.keeps}


def score(alert: Alert, alerts: Iterable[Alert]) -> str:
    """1 beyond the trigger, -1 beyond the clear level, 0 between; absent where a guard says so."""
    value, trigger, clear = map(for_all, (alert.value, alert.trigger, alert.clear))
    bad, good = ("<", ">=") if alert.breach == "below" else (">", "<=")
    levels = f"(({value} {bad} bool {trigger}) - ({value} {good} bool {clear}))"
    return "\n".join([levels, *map(for_all, alert.guards), *_held_back(alert, alerts)])


def _held_back(alert: Alert, alerts: Iterable[Alert]) -> list[str]:
    """What Alertmanager would inhibit: a worse level of the same alert, and old figures."""
    sign, on = "<" if alert.breach == "below" else ">", ", ".join(alert.scope)
    worse = [
        f"unless on ({on}) ({for_all(other.value)} {sign} {for_all(other.trigger)})"
        for other in alerts
        if other.name == alert.name and other is not alert and other.severity == "critical"
    ]
    return worse + ([_STALE] if alert.explained else [])


def _query(ref: str, expr: str) -> dict[str, Any]:
    return {
        "refId": ref,
        "relativeTimeRange": {"from": 600, "to": 0},
        "datasourceUid": DATASOURCE,
        "model": {"refId": ref, "expr": expr, "instant": True, "range": False},
    }


def _threshold() -> dict[str, Any]:
    condition = {
        "type": "query",
        "evaluator": {"type": "gt", "params": [0.5]},
        "unloadEvaluator": {"type": "lt", "params": [-0.5]},
    }
    model = {"refId": "C", "type": "threshold", "expression": "A", "conditions": [condition]}
    return {
        "refId": "C",
        "relativeTimeRange": {"from": 600, "to": 0},
        "datasourceUid": "__expr__",
        "model": model,
    }


def _asked(alert: Alert) -> dict[str, str]:
    """Queries of the figures by name; those without labels take those of the alert."""
    asked = {name: figure.query for name, figure in alert.figures.by_name().items() if figure.query}
    return asked | {AT: at_query(alert)}


def _figures(alert: Alert) -> list[dict[str, Any]]:
    return [_query(name, for_all(query)) for name, query in _asked(alert).items()]


def _shown(alert: Alert, name: str, how: str) -> str:
    return f"{{{{ $values.{name}.Value | {how} }}}}" if name in _asked(alert) else NOTHING


def _contact_points(config: Config) -> list[dict[str, Any]]:
    people = [*_slack(config), *_teams(config), *_email(config), *_webhook(config)]
    pager = _pagerduty(config)
    door = _receiver("history", "webhook", {"url": f"{config.door_url}/v1/alerts"})
    if config.door_token:
        door["settings"] |= _bearer("DOOR_TOKEN")
    points = {_HISTORY: [door], _PEOPLE: people, _PAGER: [*_copies(people), *pager]}
    if config.alert_watchdog_url:
        url = _variable("ALERT_WATCHDOG_URL")
        points[_WATCHDOG] = [_receiver("watchdog", "webhook", {"url": url})]
    return [
        {"orgId": 1, "name": name, "receivers": receivers}
        for name, receivers in points.items()
        if receivers
    ]


def _receiver(uid: str, kind: str, settings: dict[str, Any]) -> dict[str, Any]:
    return {
        "uid": f"callboard-{uid}",
        "type": kind,
        "settings": settings,
        "disableResolveMessage": False,
    }


def _copies(receivers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same receivers for another contact point, which needs uids of its own."""
    return [{**receiver, "uid": f"{receiver['uid']}-critical"} for receiver in receivers]


def _variable(name: str) -> str:
    return f"$CALLBOARD_{name}"


def _bearer(name: str) -> dict[str, str]:
    return {"authorization_scheme": "Bearer", "authorization_credentials": _variable(name)}


def _slack(config: Config) -> list[dict[str, Any]]:
    if not config.alert_slack_url:
        return []
    told = {"title": messages.SUBJECT, "text": messages.SLACK}
    return [_receiver("slack", "slack", {"url": _variable("ALERT_SLACK_URL"), **told})]


def _teams(config: Config) -> list[dict[str, Any]]:
    if not config.alert_teams_url:
        return []
    told = {"title": messages.SUBJECT, "message": messages.TEAMS}
    return [_receiver("teams", "teams", {"url": _variable("ALERT_TEAMS_URL"), **told})]


def _email(config: Config) -> list[dict[str, Any]]:
    if not config.alert_email_to:
        return []
    told = {"subject": messages.SUBJECT, "message": messages.TEXT}
    return [_receiver("email", "email", {"addresses": _variable("ALERT_EMAIL_TO"), **told})]


def _webhook(config: Config) -> list[dict[str, Any]]:
    if not config.alert_webhook_url:
        return []
    settings = {"url": _variable("ALERT_WEBHOOK_URL")}
    if config.alert_webhook_token:
        settings |= _bearer("ALERT_WEBHOOK_TOKEN")
    return [_receiver("webhook", "webhook", settings)]


def _pagerduty(config: Config) -> list[dict[str, Any]]:
    if not config.alert_pagerduty_key:
        return []
    settings = {
        "integrationKey": _variable("ALERT_PAGERDUTY_KEY"),
        "severity": "{{ .CommonLabels.severity }}",
        "summary": messages.SUBJECT,
        "details": {
            "message": messages.TEXT,
            "calls": "{{ .CommonAnnotations.explain_url }}",
            "runbook": "{{ .CommonAnnotations.runbook_url }}",
        },
    }
    return [_receiver("pagerduty", "pagerduty", settings)]


def _mute_timings(closed: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    whole_day = [{"times": [{"start_time": "00:00", "end_time": "24:00"}]}]
    timings = {ALWAYS: whole_day} | {interval_name(site): when for site, when in closed.items()}
    return [
        {"orgId": 1, "name": _literal(name), "time_intervals": when}
        for name, when in timings.items()
    ]


def _template() -> dict[str, Any]:
    return {"orgId": 1, "name": "callboard", "template": messages.templates()}


def _policy(alerts: tuple[Alert, ...], closed: list[str], config: Config) -> dict[str, Any]:
    """The whole tree: it replaces what Grafana had. Without people only the history hears."""
    names = {point["name"] for point in _contact_points(config)}
    people = _PEOPLE if _PEOPLE in names else _HISTORY
    pager = _PAGER if _PAGER in names else people
    muted = "|".join(sorted({title(alert, alerts) for alert in alerts if alert.business_hours}))
    watchdog: dict[str, Any] = {"receiver": _WATCHDOG, "repeat_interval": "1m"}
    if not config.alert_watchdog_url:
        watchdog = {"receiver": _HISTORY, "mute_time_intervals": [ALWAYS]}
    everything = [["alertname", "=~", "Callboard.+"]]
    by_site = [
        _people(
            # In the order in which Grafana keeps them, or each push would find them changed.
            [["alertname", "=~", muted], ["site", "=", _literal(site)]],
            {"mute_time_intervals": [_literal(interval_name(site))]},
            people,
            pager,
        )
        for site in closed
    ]
    return {
        "orgId": 1,
        "receiver": people,
        "group_by": _GROUP_BY,
        "group_wait": GROUP_WAIT,
        "group_interval": GROUP_INTERVAL,
        "repeat_interval": REPEAT,
        "routes": [
            {**watchdog, "object_matchers": [["alertname", "=", "CallboardWatchdog"]]},
            {
                "receiver": _HISTORY,
                "object_matchers": everything,
                "repeat_interval": HISTORY_REPEAT,
                "continue": True,
            },
            *by_site,
            _people(everything, {}, people, pager),
        ],
    }


def _people(
    matchers: list[list[str]], muting: dict[str, Any], people: str, pager: str
) -> dict[str, Any]:
    """A route to people, critical alerts to the pager too. Muting is not inherited."""
    critical = {"receiver": pager, "object_matchers": [["severity", "=", "critical"]], **muting}
    return {"receiver": people, "object_matchers": matchers, **muting, "routes": [critical]}


def _literal(text: str) -> str:
    """A text Grafana must not expand."""
    return text.replace("$", "$$")
