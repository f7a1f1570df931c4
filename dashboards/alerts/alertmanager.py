"""Alertmanager's configuration: who hears of what, and when not.

Routes in order: the watchdog to its dead man's switch; everything to the history of alerts, also
what is muted; each site's KPI alerts to people, but not while it is closed; the rest to people at
any hour. Written for 0.25, which knows no receiver for Microsoft Teams.

It holds secrets: addresses of webhooks and keys.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dashboards.alerts import messages
from dashboards.alerts.hours import closed_times, interval_name
from dashboards.alerts.model import Alert
from schemas.config import Config
from schemas.settings import SiteSettings

TEMPLATES = "callboard.tmpl"
GROUP_WAIT, GROUP_INTERVAL, REPEAT = "5s", "30s", "4h"
HISTORY_REPEAT = "1m"
"""The history hears of what fires about once a minute, so that it knows the worst value."""
GROUP_BY = ["alertname", "site", "queue", "channel", "team"]

_NOBODY, _WATCHDOG, _HISTORY, _PEOPLE, _PAGER = (
    "nobody",
    "watchdog",
    "history",
    "people",
    "people-and-pager",
)


def configuration(
    alerts: Iterable[Alert], sites: Iterable[SiteSettings], config: Config
) -> dict[str, Any]:
    """The content of `alertmanager.yml`."""
    muted = sorted({alert.name for alert in alerts if alert.business_hours})
    closed = {site.site: times for site in sites if (times := closed_times(site))}
    return {
        "global": _global(config),
        "templates": [TEMPLATES],
        "route": _route(muted, list(closed)),
        "inhibit_rules": _inhibitions(muted),
        "receivers": _receivers(config),
        "time_intervals": [
            {"name": interval_name(site), "time_intervals": times} for site, times in closed.items()
        ],
    }


def _global(config: Config) -> dict[str, Any]:
    smtp = {
        "smtp_smarthost": config.alert_smtp,
        "smtp_from": config.alert_email_from,
        "smtp_auth_username": config.alert_smtp_user,
        "smtp_auth_password": config.alert_smtp_password,
    }
    given = {key: value for key, value in smtp.items() if value}
    return {"resolve_timeout": "1m", **(given if config.alert_email_to else {})}


def _route(muted: list[str], closed: list[str]) -> dict[str, Any]:
    kpis = f"alertname=~{_quoted('|'.join(muted))}"
    by_site = [
        _people([f"site={_quoted(site)}", kpis], {"mute_time_intervals": [interval_name(site)]})
        for site in closed
    ]
    return {
        "receiver": _NOBODY,
        "group_by": GROUP_BY,
        "group_wait": GROUP_WAIT,
        "group_interval": GROUP_INTERVAL,
        "repeat_interval": REPEAT,
        "routes": [
            {
                "receiver": _WATCHDOG,
                "matchers": ['alertname="CallboardWatchdog"'],
                "repeat_interval": "1m",
            },
            {
                "receiver": _HISTORY,
                "matchers": ['alertname=~"Callboard.+"'],
                "repeat_interval": HISTORY_REPEAT,
                "continue": True,
            },
            *by_site,
            _people([], {}),
        ],
    }


def _people(matchers: list[str], muting: dict[str, Any]) -> dict[str, Any]:
    """A route to people, critical alerts to the pager too. Muting is not inherited."""
    critical = {"receiver": _PAGER, "matchers": ['severity="critical"'], **muting}
    given = {"matchers": matchers} if matchers else {}
    return {"receiver": _PEOPLE, **given, **muting, "routes": [critical]}


def _inhibitions(kpis: list[str]) -> list[dict[str, Any]]:
    about_kpis = [f"alertname=~{_quoted('|'.join(kpis))}"]
    return [
        {
            # Not by a silent platform: a survey tool may rest while calls wait.
            "source_matchers": ['alertname="CallboardDataStale"'],
            "target_matchers": about_kpis,
            "equal": ["site"],
        },
        {  # No figure of any site can be trusted. Without sinks only the store falls behind.
            "source_matchers": [
                'alertname="CallboardTargetDown"',
                'job=~"every worker|every ingest"',
                'instance=""',
            ],
            "target_matchers": about_kpis,
        },
        {
            "source_matchers": ['severity="critical"'],
            "target_matchers": ['severity="warning"'],
            "equal": ["alertname", "site", "queue", "channel", "team"],
        },
    ]


def _receivers(config: Config) -> list[dict[str, Any]]:
    people = _slack(config) | _teams(config) | _email(config)
    own = _webhook(config.alert_webhook_url, config.alert_webhook_token)
    webhooks = [*people.pop("webhook_configs", []), *own]
    if webhooks:
        people["webhook_configs"] = webhooks
    door = _webhook(f"{config.door_url}/v1/alerts", config.door_token)
    watchdog = _webhook(config.alert_watchdog_url, "")
    return [
        {"name": _NOBODY},
        {"name": _WATCHDOG, **({"webhook_configs": watchdog} if watchdog else {})},
        {"name": _HISTORY, "webhook_configs": door},
        {"name": _PEOPLE, **people},
        {"name": _PAGER, **people, **_pagerduty(config)},
    ]


def _webhook(url: str, token: str) -> list[dict[str, Any]]:
    if not url:
        return []
    found: dict[str, Any] = {"url": url, "send_resolved": True}
    if token:
        found["http_config"] = {"authorization": {"type": "Bearer", "credentials": token}}
    return [found]


def _slack(config: Config) -> dict[str, Any]:
    if not config.alert_slack_url:
        return {}
    return {
        "slack_configs": [
            {
                "api_url": config.alert_slack_url,
                "send_resolved": True,
                "color": '{{ if eq .Status "firing" }}danger{{ else }}good{{ end }}',
                "title": messages.SUBJECT,
                "title_link": "{{ .CommonAnnotations.explain_url }}",
                "text": messages.SLACK,
                "fallback": messages.SUBJECT,
            }
        ]
    }


def _teams(config: Config) -> dict[str, Any]:
    if not config.alert_teams_url:
        return {}
    if config.alert_teams_as == "webhook":
        return {"webhook_configs": _webhook(config.alert_teams_url, "")}
    told = {"send_resolved": True, "title": messages.SUBJECT, "text": messages.TEAMS}
    return {
        f"{config.alert_teams_as}_configs": [{"webhook_url": config.alert_teams_url, **told}],
    }


def _email(config: Config) -> dict[str, Any]:
    if not config.alert_email_to:
        return {}
    return {
        "email_configs": [
            {
                "to": config.alert_email_to,
                "send_resolved": True,
                "headers": {"Subject": messages.SUBJECT},
                "html": "",
                "text": messages.TEXT,
            }
        ]
    }


def _pagerduty(config: Config) -> dict[str, Any]:
    if not config.alert_pagerduty_key:
        return {}
    facts = ("summary", "description", "numerator", "denominator", "value", "target")
    return {
        "pagerduty_configs": [
            {
                "routing_key": config.alert_pagerduty_key,
                "send_resolved": True,
                "description": messages.SUBJECT,
                "severity": "{{ .CommonLabels.severity }}",
                "details": {
                    "message": messages.TEXT,
                    **{fact: f"{{{{ .CommonAnnotations.{fact} }}}}" for fact in facts},
                },
                "links": [
                    {"href": f"{{{{ .CommonAnnotations.{key}_url }}}}", "text": text}
                    for key, text in (
                        ("explain", "Calls"),
                        ("board", "Board"),
                        ("dashboard", "Dashboard"),
                        ("runbook", "Runbook"),
                    )
                ],
            }
        ]
    }


def _quoted(text: str) -> str:
    """A value of a matcher, in quotes whatever it holds."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
