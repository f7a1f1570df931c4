"""Wraps the generated Prometheus rules as a PrometheusRule, which kustomize cannot do.

python deploy/kubernetes/rules.py    writes monitoring/rules.yaml; a test fails when it is stale
"""

from __future__ import annotations

from pathlib import Path

import yaml

HERE = Path(__file__).resolve().parent
RULES = HERE.parents[1] / "dashboards" / "generated" / "prometheus" / "callboard-rules.yml"
TARGET = HERE / "monitoring" / "rules.yaml"


def wrapped() -> str:
    """The text of the PrometheusRule."""
    resource = {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "callboard", "labels": {"release": "prometheus"}},
        "spec": {"groups": yaml.safe_load(RULES.read_text())["groups"]},
    }
    text: str = yaml.safe_dump(resource, sort_keys=False, allow_unicode=True, width=1_000_000)
    return f"# Written by deploy/kubernetes/rules.py from dashboards/generated/prometheus.\n{text}"


if __name__ == "__main__":
    TARGET.write_text(wrapped())
