"""Prometheus' rules: what promtool says of them, and that they are complete."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.alerts import ALERTS, generate
from pipeline.ingest.metrics import DoorMetrics, IngestMetrics
from sinks.clickhouse.metrics import SinkMetrics
from sinks.prometheus.names import all_metrics
from tests.programs import program

ROOT = Path(__file__).parents[3]
GENERATED = ROOT / "dashboards" / "generated"
RULES = GENERATED / "prometheus" / "callboard-rules.yml"
SCENARIOS = sorted((Path(__file__).parent / "promtool").glob("*.yml"))
NAMES = sorted({alert.name for alert in ALERTS})
ANNOTATIONS = {
    "summary",
    "description",
    "numerator",
    "denominator",
    "value",
    "target",
    "at",
    "explain_url",
    "board_url",
    "dashboard_url",
    "runbook_url",
}
FOREIGN = {
    "prometheus_rule_evaluation_failures_total",
    "prometheus_notifications_errors_total",
    "alertmanager_notifications_failed_total",
    "grafana_alerting_rule_evaluation_failures_total",
}
"""Metrics of the programs beside ours."""


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rules() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = yaml.safe_load(RULES.read_text())["groups"][0]["rules"]
    return found


def test_committed_files_are_those_a_fresh_run_makes(tmp_path: Path) -> None:
    generate(tmp_path)
    made = {path.relative_to(tmp_path): path.read_text() for path in tmp_path.rglob("*.*")}
    assert len(made) == 8
    for path, text in made.items():
        assert (GENERATED / path).read_text() == text, f"{path}: run python -m dashboards"


def test_promtool_takes_the_rules() -> None:
    assert f"{len(ALERTS)} rules found" in run(program("promtool"), "check", "rules", str(RULES))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda path: path.stem)
def test_an_alert_behaves_in_time(scenario: Path, tmp_path: Path) -> None:
    # Its own rules alone: those of others, the watchdog above all, would make it last a minute.
    content = yaml.safe_load(scenario.read_text())
    assert [(scenario.parent / path).resolve() for path in content["rule_files"]] == [RULES]
    own = [rule for rule in rules() if rule["alert"] == scenario.stem]
    assert own
    group = {"name": "callboard", "interval": "5s", "rules": own}
    (tmp_path / "rules.yml").write_text(yaml.safe_dump({"groups": [group]}))
    (tmp_path / "test.yml").write_text(yaml.safe_dump({**content, "rule_files": ["rules.yml"]}))
    run(program("promtool"), "test", "rules", str(tmp_path / "test.yml"))


def test_every_alert_has_a_scenario_and_a_runbook() -> None:
    assert [path.stem for path in SCENARIOS] == NAMES
    assert sorted(path.stem for path in (ROOT / "docs" / "runbooks").glob("Callboard*.md")) == NAMES


def test_every_runbook_answers_the_four_questions() -> None:
    for name in NAMES:
        text = (ROOT / "docs" / "runbooks" / f"{name}.md").read_text()
        assert text.startswith(f"# {name}\n")
        heads = re.findall(r"^## (.*)$", text, re.MULTILINE)
        assert heads == ["Meaning", "Impact", "Diagnosis", "Mitigation"], name


def test_every_alert_is_in_the_table_of_the_documentation() -> None:
    text = (ROOT / "docs" / "alerts.md").read_text()
    for alert in ALERTS:
        row = f"| [{alert.name}](runbooks/{alert.name}.md) | {alert.severity} | {alert.lasts} |"
        assert row in text
        assert alert.hysteresis in text


def test_every_rule_has_its_annotations_and_labels() -> None:
    for rule in rules():
        assert set(rule["annotations"]) == ANNOTATIONS
        assert all(rule["annotations"].values())
        assert rule["labels"]["severity"] in {"critical", "warning", "none"}
        assert rule["annotations"]["runbook_url"].endswith(f"/runbooks/{rule['alert']}")


def test_every_metric_exists() -> None:
    suffix = {"gauge": "", "counter": "_total", "info": "_info"}
    known = {metric.name + suffix[metric.kind] for metric in all_metrics()} | FOREIGN
    for page in (SinkMetrics(), IngestMetrics(), DoorMetrics()):
        for family in page.registry.collect():
            known |= {family.name, f"{family.name}_total"}
    for rule in rules():
        used = re.findall(r"\b(?:callboard|prometheus|alertmanager|grafana)_\w+", str(rule))
        assert set(used) <= known
    assert "callboard_queue_service_level_ratio" in str(rules())


def test_no_rule_of_a_kpi_holds_a_target_nor_the_name_of_a_machine() -> None:
    for alert in ALERTS:
        if alert.explained and alert.name not in {
            "CallboardRonaStorm",
            "CallboardQueueGrowingWithoutAgents",
        }:
            assert "_target_" in alert.trigger
        if alert.explained:
            assert "instance" not in alert.scope
            assert alert.business_hours
