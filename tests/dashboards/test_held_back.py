"""Which alert holds which back in Alertmanager's configuration, and that groups have one link."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dashboards.alerts import ALERTS
from dashboards.alerts.alertmanager import configuration
from dashboards.alerts.promql import QUEUE, TEAM
from schemas.config import Config

LOW = {"alertname": "CallboardServiceLevelLow", "site": "bank", "severity": "critical"}


def matches(matchers: list[str], labels: dict[str, str]) -> bool:
    for matcher in matchers:
        label, sign, value = re.fullmatch(r'(\w+)(=~|=)"(.*)"', matcher).groups()  # type: ignore[union-attr]
        found = labels.get(label, "")
        if not (re.fullmatch(value, found) if sign == "=~" else found == value):
            return False
    return True


def held_back(target: dict[str, str], source: dict[str, str]) -> bool:
    rules: list[dict[str, Any]] = configuration(ALERTS, (), Config())["inhibit_rules"]
    return any(
        matches(rule["source_matchers"], source)
        and matches(rule["target_matchers"], target)
        and all(source.get(name, "") == target.get(name, "") for name in rule.get("equal", []))
        for rule in rules
    )


@pytest.mark.parametrize(
    ("source", "holds"),
    [
        ({"alertname": "CallboardDataStale", "site": "bank"}, True),
        ({"alertname": "CallboardDataStale", "site": "shop"}, False),
        ({"alertname": "CallboardTargetDown", "job": "every worker"}, True),
        ({"alertname": "CallboardTargetDown", "job": "every ingest"}, True),
        ({"alertname": "CallboardTargetDown", "job": "every sink"}, False),
        ({"alertname": "CallboardTargetDown", "job": "callboard-worker", "instance": "w"}, False),
        ({"alertname": "CallboardSourceSilent", "site": "bank", "source": "crm"}, False),
    ],
    ids=str,
)
def test_only_figures_that_cannot_be_trusted_hold_alerts_on_them_back(
    source: dict[str, str], holds: bool
) -> None:
    assert held_back(LOW, source) is holds


def test_alerts_of_one_message_share_their_links() -> None:
    grouped = configuration(ALERTS, (), Config())["route"]["group_by"]
    assert {*QUEUE, *TEAM} <= set(grouped)
