"""Writes what a deployment loads, for the deliverer it has chosen, and nothing of the other."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import yaml

from dashboards.alerts import alertmanager, grafana, messages, prometheus
from dashboards.alerts.kpi import KPI_ALERTS
from dashboards.alerts.model import Alert
from dashboards.alerts.pipeline import PIPELINE_ALERTS
from dashboards.alerts.texts import Links
from schemas.config import Config
from schemas.settings import SiteSettings

ALERTS: tuple[Alert, ...] = (*KPI_ALERTS, *PIPELINE_ALERTS)

RULES = "prometheus/callboard-rules.yml"
ROUTES = "alertmanager/alertmanager.yml"
_FOLDERS = ("prometheus", "alertmanager", "grafana/alerting")


class AlertsError(ValueError):
    """Contact points that cannot work as they are configured; the message names the variable."""


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks; equal parts written out, not as anchors."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _text)


def as_yaml(content: dict[str, Any]) -> str:
    """A file's text."""
    return yaml.dump(content, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1_000_000)


def prometheus_files(sites: tuple[SiteSettings, ...], config: Config) -> dict[str, str]:
    """What Prometheus and Alertmanager load, by path."""
    refuse_half_configured(config)
    links = Links(config.board_url, config.grafana_url)
    return {
        RULES: as_yaml(prometheus.rules(ALERTS, links)),
        ROUTES: as_yaml(alertmanager.configuration(ALERTS, sites, config)),
        f"alertmanager/{alertmanager.TEMPLATES}": messages.templates(),
    }


def grafana_files(sites: tuple[SiteSettings, ...], config: Config) -> dict[str, str]:
    """What Grafana loads, by path."""
    found = grafana.files(ALERTS, sites, config)
    return {f"grafana/alerting/{name}": as_yaml(content) for name, content in found.items()}


def generate(folder: Path) -> None:
    """Write the committed files: those of both deliverers, without sites and contact points."""
    config = Config()
    _replace(folder, prometheus_files((), config) | grafana_files((), config), 0o644)


def write(folder: Path, sites: tuple[SiteSettings, ...], config: Config) -> list[Path]:
    """Write what the configured deliverer loads; files of the other are removed.

    They hold secrets and can be read by their owner only. Raises `AlertsError`.
    """
    by_grafana = config.alerts_by == "grafana"
    files = grafana_files(sites, config) if by_grafana else prometheus_files(sites, config)
    return _replace(folder, files, 0o600)


def refuse_half_configured(config: Config) -> None:
    """Raise `AlertsError` for e-mail that Alertmanager could not send."""
    if config.alert_email_to and not (config.alert_smtp and config.alert_email_from):
        raise AlertsError(
            "CALLBOARD_ALERT_EMAIL_TO needs CALLBOARD_ALERT_SMTP (host:port) and "
            "CALLBOARD_ALERT_EMAIL_FROM"
        )


def _replace(folder: Path, files: dict[str, str], mode: int) -> list[Path]:
    for name in _FOLDERS:
        if not any(path.startswith(f"{name}/") for path in files):
            shutil.rmtree(folder / name, ignore_errors=True)
    paths = [folder / name for name in files]
    for path, text in zip(paths, files.values(), strict=True):
        path.parent.mkdir(parents=True, exist_ok=True)
        _write(path, text, mode)
    return paths


def _write(path: Path, text: str, mode: int) -> None:
    """Whole or not at all, and never readable by others in between."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.write(text)
    fresh.chmod(mode)
    fresh.replace(path)
