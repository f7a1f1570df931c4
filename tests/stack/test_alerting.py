"""Prometheus and Alertmanager beside the stack: what they get, what is said without."""

from pathlib import Path

import pytest

from pipeline.stack import alerting
from schemas.config import Config


def test_prometheus_reads_the_page_of_every_role_and_of_who_alerts() -> None:
    ports = {"prometheus_port": 5, "alertmanager_port": 6}
    config = Config(door_port=1, ingest_port=2, worker_port=3, sink_port=4, **ports)
    written = alerting.prometheus_config(config)
    jobs = {
        job["job_name"]: job["static_configs"][0]["targets"][0] for job in written["scrape_configs"]
    }
    assert jobs == {
        "callboard-door": "127.0.0.1:1",
        "callboard-ingest": "127.0.0.1:2",
        "callboard-agents": "127.0.0.1:3",
        "callboard-sink": "127.0.0.1:4",
        "prometheus": "127.0.0.1:5",
        "alertmanager": "127.0.0.1:6",
    }


def test_missing_programs_are_named_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "prometheus"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(alerting.AlertingError, match="^alertmanager not found: install") as told:
        alerting.programs()
    assert "apt-get install prometheus prometheus-alertmanager" in str(told.value)


def test_debians_name_of_alertmanager_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("prometheus", "prometheus-alertmanager"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert alerting.programs() == {
        "prometheus": str(tmp_path / "prometheus"),
        "alertmanager": str(tmp_path / "prometheus-alertmanager"),
    }
