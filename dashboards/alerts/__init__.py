"""Alerts: one definition each, from which the rules of Prometheus and of Grafana are written."""

from __future__ import annotations

from dashboards.alerts.files import ALERTS, AlertsError, as_yaml, generate, write
from dashboards.alerts.model import Alert

__all__ = ["ALERTS", "Alert", "AlertsError", "as_yaml", "generate", "write"]
