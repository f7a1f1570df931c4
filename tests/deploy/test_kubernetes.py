"""Kubernetes: every overlay builds, keeps to the schemas and to the code it starts."""

from __future__ import annotations

import re
import runpy
from typing import Any

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from pipeline.cli.main import COMMANDS
from schemas.config import Config, misspelt_variables
from schemas.topics import TOPICS
from tests.deploy.files import KNOWN, OVERLAYS, PINNED, ROOT, compose, manifests, of_kind

VERSION = "1.32"
ROLES = ("door", "ingest", "worker", "sink", "board")
# Kinds of operators: their version, and what each must have below `spec`.
CUSTOM: dict[str, tuple[str, tuple[str, ...]]] = {
    "Kafka": ("kafka.strimzi.io/v1", ("kafka.listeners", "kafka.config", "entityOperator")),
    "KafkaNodePool": ("kafka.strimzi.io/v1", ("replicas", "roles", "storage.volumes")),
    "KafkaUser": ("kafka.strimzi.io/v1", ("authorization.acls",)),
    "ClickHouseInstallation": (
        "clickhouse.altinity.com/v1",
        ("configuration.clusters", "templates.podTemplates", "templates.volumeClaimTemplates"),
    ),
    "PodMonitor": ("monitoring.coreos.com/v1", ("selector", "podMetricsEndpoints")),
    "PrometheusRule": ("monitoring.coreos.com/v1", ("groups",)),
}
each_overlay = pytest.mark.parametrize("overlay", OVERLAYS)


def at(content: Any, path: str) -> Any:
    for name in path.split("."):
        content = content[name]
    return content


@each_overlay
def test_manifests_keep_to_their_schemas(overlay: str) -> None:
    kinds = set()
    for manifest in manifests(overlay):
        kind = manifest["kind"]
        kinds.add(kind)
        if kind in CUSTOM:
            version, paths = CUSTOM[kind]
            assert manifest["apiVersion"] == version, kind
            assert all(at(manifest["spec"], path) for path in paths), manifest["metadata"]
        else:
            kubernetes_validate.validate(manifest, VERSION, strict=True)
    assert kinds >= {*CUSTOM, "Deployment", "Job", "NetworkPolicy", "ConfigMap", "Service"}


def pods(overlay: str) -> dict[str, dict[str, Any]]:
    found = of_kind(overlay, "Deployment") | of_kind(overlay, "Job")
    return {name.removeprefix("callboard-"): m["spec"]["template"] for name, m in found.items()}


def container(overlay: str, name: str) -> dict[str, Any]:
    (found,) = pods(overlay)[name]["spec"]["containers"]
    content: dict[str, Any] = found
    return content


def config_map(overlay: str, prefix: str) -> dict[str, str]:
    (found,) = (m for n, m in of_kind(overlay, "ConfigMap").items() if n.startswith(prefix))
    data: dict[str, str] = found["data"]
    return data


@each_overlay
@pytest.mark.parametrize("name", [*ROLES, "topics", "migrate"])
def test_a_role_can_read_its_environment(overlay: str, name: str) -> None:
    given = container(overlay, name)
    assert given["args"][0] in COMMANDS
    environ = config_map(overlay, "callboard-config") | {
        one["name"]: one.get("value", "secret") for one in given.get("env", ())
    }
    assert set(environ) <= KNOWN
    assert misspelt_variables(environ) == []
    config = Config.from_env(environ)
    if name in ROLES:
        (port,) = given["ports"]
        assert port["containerPort"] == getattr(config, f"{name}_port")
        ours = {k for k in environ if k.endswith("_HOST")}
        assert {environ[k] for k in ours} == {"0.0.0.0"}


@each_overlay
def test_roles_are_the_ones_of_compose(overlay: str) -> None:
    services = compose()["services"]
    for name in ROLES:
        assert container(overlay, name)["args"] == services[name]["command"]
        users = {e["name"]: e.get("value") for e in container(overlay, name).get("env", ())}
        wanted = services[name]["environment"].get("CALLBOARD_CLICKHOUSE_USER")
        assert users.get("CALLBOARD_CLICKHOUSE_USER") == wanted
    assert container(overlay, "clickhouse-users")["image"] == services["clickhouse"]["image"]
    assert PINNED.fullmatch(services["clickhouse"]["image"])


def megabytes(text: str) -> int:
    return int(text[:-2]) * {"Mi": 1, "Gi": 1024}[text[-2:]]


@each_overlay
def test_pods_are_restricted(overlay: str) -> None:
    for name, pod in pods(overlay).items():
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False, name
        assert spec["securityContext"]["runAsNonRoot"] is True, name
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        inner = container(overlay, name)["securityContext"]
        assert inner["allowPrivilegeEscalation"] is False, name
        assert inner["readOnlyRootFilesystem"] is True, name
        assert inner["capabilities"] == {"drop": ["ALL"]}, name
        resources = container(overlay, name)["resources"]
        assert megabytes(resources["limits"]["memory"]) >= megabytes(
            resources["requests"]["memory"]
        )


@each_overlay
@pytest.mark.parametrize("name", ROLES)
def test_probes_ask_pages_that_exist(overlay: str, name: str) -> None:
    given = container(overlay, name)
    assert given["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "http"}
    alive = given["livenessProbe"]["httpGet"]["path"]
    assert alive == ("/metrics" if name == "sink" else "/healthz")
    assert given["startupProbe"]["httpGet"]["path"] == alive
    assert pods(overlay)[name]["spec"]["terminationGracePeriodSeconds"] > 30


@each_overlay
def test_what_is_referred_to_exists(overlay: str) -> None:
    secrets = (ROOT / "deploy/kubernetes/secrets.sh").read_text()
    names = set(of_kind(overlay, "ConfigMap"))
    for name, pod in pods(overlay).items():
        for source in container(overlay, name).get("envFrom", ()):
            assert source["configMapRef"]["name"] in names
        for volume in pod["spec"].get("volumes", ()):
            if "configMap" in volume:
                assert volume["configMap"]["name"] in names
        for one in container(overlay, name).get("env", ()):
            if "valueFrom" in one:
                key = one["valueFrom"]["secretKeyRef"]
                assert re.search(rf"{key['name']}\b.*\b{key['key']}\b", secrets, re.DOTALL)


@each_overlay
def test_every_role_is_scraped_and_may_be(overlay: str) -> None:
    monitor = of_kind(overlay, "PodMonitor")["callboard"]["spec"]
    (expression,) = monitor["selector"]["matchExpressions"]
    assert set(expression["values"]) == {"door", "ingest", "worker", "sink"}
    policy = of_kind(overlay, "NetworkPolicy")["callboard-metrics"]["spec"]
    (rule,) = policy["ingress"]
    allowed = {port["port"] for port in rule["ports"]}
    for name in expression["values"]:
        assert container(overlay, name)["ports"][0]["containerPort"] in allowed
        assert pods(overlay)[name]["metadata"]["labels"]["app.kubernetes.io/component"] == name


def test_the_rules_are_the_generated_ones() -> None:
    made = runpy.run_path(str(ROOT / "deploy/kubernetes/rules.py"))["wrapped"]()
    written = (ROOT / "deploy/kubernetes/monitoring/rules.yaml").read_text()
    assert written == made, "run python deploy/kubernetes/rules.py"
    generated = yaml.safe_load(
        (ROOT / "dashboards/generated/prometheus/callboard-rules.yml").read_text()
    )
    assert yaml.safe_load(written)["spec"]["groups"] == generated["groups"]


@each_overlay
def test_every_dashboard_is_brought(overlay: str) -> None:
    wanted = {p.name for p in (ROOT / "dashboards/generated/grafana").glob("*.json")}
    brought = {
        name
        for config in of_kind(overlay, "ConfigMap").values()
        if config["metadata"].get("labels", {}).get("grafana_dashboard") == "1"
        for name in config["data"]
    }
    assert brought == wanted


@each_overlay
def test_the_acls_cover_every_topic_and_group(overlay: str) -> None:
    acls = of_kind(overlay, "KafkaUser")["callboard-roles"]["spec"]["authorization"]["acls"]
    prefixes = [a["resource"]["name"] for a in acls if a["resource"]["type"] == "topic"]
    for topic in [*(spec.name for spec in TOPICS), "callboard-agents-state-changelog"]:
        assert any(topic.startswith(prefix) for prefix in prefixes), topic
    assert all(isinstance(acl["operations"], list) for acl in acls)


def test_production_has_no_single_copy_and_more_partitions_than_workers() -> None:
    deployments = of_kind("production", "Deployment")
    assert all(m["spec"]["replicas"] >= 2 for m in deployments.values())
    assert len(of_kind("production", "PodDisruptionBudget")) == len(ROLES)
    partitions = int(config_map("production", "callboard-config")["CALLBOARD_PARTITIONS"])
    assert partitions >= deployments["callboard-worker"]["spec"]["replicas"]
    kafka = of_kind("production", "Kafka")["callboard"]["spec"]["kafka"]["config"]
    assert (kafka["default.replication.factor"], kafka["min.insync.replicas"]) == (3, 2)
    pools = of_kind("production", "KafkaNodePool")
    assert {p["spec"]["replicas"] for p in pools.values()} == {3}


def test_the_small_one_needs_no_second_broker() -> None:
    kafka = of_kind("small", "Kafka")["callboard"]["spec"]["kafka"]["config"]
    copies = {k: v for k, v in kafka.items() if re.search(r"replication.factor|isr|replicas$", k)}
    assert len(copies) == 7
    assert set(copies.values()) == {1}
    assert {p["spec"]["replicas"] for p in of_kind("small", "KafkaNodePool").values()} == {1}
