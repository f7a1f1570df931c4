"""Kubernetes: every overlay builds, keeps to the schemas and to the code it starts."""

from __future__ import annotations

import base64
import json
import os
import re
import runpy
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from pipeline.cli.main import COMMANDS
from schemas.access import USERS, principal_of
from schemas.config import Config, misspelt_variables
from tests.certificates import Authority
from tests.deploy.files import BIN, KNOWN, OVERLAYS, PINNED, ROOT, compose, manifests, of_kind
from tests.deploy.test_compose import USER_OF

VERSION = "1.32"
ROLES = ("door", "ingest", "worker", "sink", "board")
# Kinds of operators: their version, and what each must have below `spec`.
CUSTOM: dict[str, tuple[str, tuple[str, ...]]] = {
    "Kafka": ("kafka.strimzi.io/v1", ("kafka.listeners", "kafka.config", "entityOperator")),
    "KafkaUser": ("kafka.strimzi.io/v1", ("authentication.type", "authorization.acls")),
    "KafkaNodePool": ("kafka.strimzi.io/v1", ("replicas", "roles", "storage.volumes")),
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


def environment(overlay: str, name: str) -> dict[str, str]:
    """What a container is given; values that come of secrets are `secret`."""
    given = container(overlay, name)
    maps = [source["configMapRef"]["name"] for source in given["envFrom"]]
    environ: dict[str, str] = {}
    for one in maps:
        environ |= of_kind(overlay, "ConfigMap")[one]["data"]
    return environ | {one["name"]: one.get("value", "secret") for one in given.get("env", ())}


@each_overlay
@pytest.mark.parametrize("name", [*ROLES, "topics", "migrate"])
def test_a_role_can_read_its_environment(overlay: str, name: str, tmp_path: Path) -> None:
    given = container(overlay, name)
    assert given["args"][0] in COMMANDS
    environ = environment(overlay, name)
    assert set(environ) <= KNOWN
    assert misspelt_variables(environ) == []
    for variable, path in environ.items():
        if variable.endswith("_CA_FILE"):
            mounted = [one["mountPath"] for one in given["volumeMounts"]]
            assert str(Path(path).parent) in mounted
            environ[variable] = str(Authority(tmp_path).file)
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
    # A board with old figures says that they are old, and goes on to be shown.
    ready = "/servez" if name == "board" else "/readyz"
    assert given["readinessProbe"]["httpGet"] == {"path": ready, "port": "http"}
    for probe in ("livenessProbe", "startupProbe"):
        assert given[probe]["httpGet"] == {"path": "/healthz", "port": "http"}
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
                if key["name"] not in of_kind(overlay, "KafkaUser"):  # Strimzi makes theirs
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
def test_every_user_of_kafka_has_just_its_rights(overlay: str) -> None:
    users = of_kind(overlay, "KafkaUser")
    assert set(users) == {principal_of(name) for name in USERS}
    for name, user in USERS.items():
        manifest = users[principal_of(name)]
        assert manifest["metadata"]["labels"]["strimzi.io/cluster"] == "callboard"
        assert manifest["spec"]["authentication"] == {"type": "scram-sha-512"}
        given = {
            (acl["resource"]["type"], acl["resource"]["name"], acl["resource"]["patternType"])
            + tuple(acl["operations"])
            for acl in manifest["spec"]["authorization"]["acls"]
        }
        assert given == {
            (acl.kind, thing, acl.pattern, *acl.operations)
            for acl in user.acls()
            for thing in acl.names
        }


@each_overlay
def test_each_pod_is_the_user_that_its_service_is_in_compose(overlay: str) -> None:
    for name in pods(overlay):
        environ = environment(overlay, name)
        if name not in USER_OF:
            assert not [v for v in environ if v.startswith("CALLBOARD_KAFKA_")], name
            continue
        user = principal_of(USER_OF[name])
        assert environ["CALLBOARD_KAFKA_USER"] == user
        assert environ["CALLBOARD_KAFKA_SECURITY"] == "sasl_ssl"
        secrets = [
            one["valueFrom"]["secretKeyRef"]
            for one in container(overlay, name)["env"]
            if one["name"] == "CALLBOARD_KAFKA_PASSWORD"
        ]
        assert secrets == [{"name": user, "key": "password"}]
        (ca,) = (v for v in pods(overlay)[name]["spec"]["volumes"] if v["name"] == "kafka-ca")
        cluster = next(iter(of_kind(overlay, "Kafka")))
        assert ca["secret"]["secretName"] == f"{cluster}-cluster-ca-cert"


@each_overlay
def test_kafka_is_reached_by_tls_and_a_user_alone(overlay: str) -> None:
    kafka = of_kind(overlay, "Kafka")["callboard"]["spec"]
    (listener,) = kafka["kafka"]["listeners"]
    assert listener["tls"] is True
    assert listener["authentication"] == {"type": "scram-sha-512"}
    assert kafka["kafka"]["authorization"] == {"type": "simple"}
    assert "userOperator" in kafka["entityOperator"]
    bootstrap = config_map(overlay, "callboard-config")["CALLBOARD_BOOTSTRAP"]
    assert bootstrap == f"callboard-kafka-bootstrap:{listener['port']}"
    policy = of_kind(overlay, "NetworkPolicy")["callboard-roles"]["spec"]["egress"]
    assert {"protocol": "TCP", "port": listener["port"]} in policy[-1]["ports"]


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


def script(name: str, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("CALLBOARD_")}
    return subprocess.run(
        [str(ROOT / "deploy/kubernetes" / name), *arguments],
        env={**environ, "PATH": f"{BIN}:{os.environ['PATH']}", **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@each_overlay
def test_links_of_alerts_and_boards_lead_to_the_configured_addresses(overlay: str) -> None:
    built = script("build.sh", str(ROOT / "deploy/kubernetes/overlays" / overlay))
    assert built.returncode == 0, built.stderr
    assert not re.search(r"127\.0\.0\.1:(7080|3000)", built.stdout)
    found = [one for one in yaml.safe_load_all(built.stdout) if one]
    assert len(found) == len(manifests(overlay))
    config = config_map(overlay, "callboard-config")
    (rules,) = (one for one in found if one["kind"] == "PrometheusRule")
    alerts = [rule for group in rules["spec"]["groups"] for rule in group["rules"]]
    links = [rule["annotations"] for rule in alerts if "annotations" in rule]
    assert links
    for told in links:
        assert told["runbook_url"].startswith(f"{config['CALLBOARD_BOARD_URL']}/runbooks/")
        assert told["dashboard_url"].startswith(config["CALLBOARD_GRAFANA_URL"])
    boards = [
        json.loads(text)
        for one in found
        if one["kind"] == "ConfigMap"
        and one["metadata"].get("labels", {}).get("grafana_dashboard") == "1"
        for text in one["data"].values()
    ]
    home = [v for b in boards for v in b["templating"]["list"] if v["name"] == "board_url"]
    assert home
    assert {variable["query"] for variable in home} == {config["CALLBOARD_BOARD_URL"]}


def test_the_operators_alertmanager_finds_templates_and_door(tmp_path: Path) -> None:
    """The operator writes the configuration to config_out; what lies beside it stays in config."""
    token = tmp_path / "token"
    token.write_text("of the door")
    made = script(
        "alertmanager.sh", str(ROOT / "deploy/settings"), CALLBOARD_DOOR_TOKEN_FILE=str(token)
    )
    assert made.returncode == 0, made.stderr
    secret = yaml.safe_load(made.stdout)
    kubernetes_validate.validate(secret, VERSION, strict=True)
    content = {name: base64.b64decode(text).decode() for name, text in secret["data"].items()}
    (written,) = (name for name in content if name.endswith(".tmpl"))
    config = yaml.safe_load(content["alertmanager.yaml"])
    assert config["templates"] == [f"/etc/alertmanager/config/{written}"]
    (door,) = next(r for r in config["receivers"] if r["name"] == "history")["webhook_configs"]
    service = of_kind("production", "Service")["callboard-door"]
    address = f"{service['metadata']['name']}.{service['metadata']['namespace']}"
    assert door["url"] == f"http://{address}:{service['spec']['ports'][0]['port']}/v1/alerts"
    assert door["http_config"]["authorization"]["credentials"] == "of the door"
    policies = of_kind("production", "NetworkPolicy")
    (rule,) = policies["callboard-metrics"]["spec"]["ingress"]
    (peer,) = rule["from"]
    assert secret["metadata"]["namespace"] in peer["namespaceSelector"]["matchLabels"].values()
    assert 7070 in [port["port"] for port in rule["ports"]]


@each_overlay
def test_only_roles_reach_kafka(overlay: str) -> None:
    """Strimzi's own policy lets everybody in to a listener that names no peers."""
    (listener,) = of_kind(overlay, "Kafka")["callboard"]["spec"]["kafka"]["listeners"]
    roles = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "callboard"}}}
    assert listener["networkPolicyPeers"] == [roles]
    own = of_kind(overlay, "NetworkPolicy")["callboard-kafka-clients"]["spec"]["ingress"]
    assert own[0] == {"from": [roles], "ports": [{"protocol": "TCP", "port": listener["port"]}]}


@each_overlay
def test_the_board_reaches_the_store_to_explain(overlay: str) -> None:
    policy = of_kind(overlay, "NetworkPolicy")["callboard-to-clickhouse"]["spec"]
    (chosen,) = policy["podSelector"]["matchExpressions"]
    for name, pod in pods(overlay).items():
        environ = {one["name"] for one in container(overlay, name).get("env", ())}
        asks = "CALLBOARD_CLICKHOUSE_USER" in environ or "CLICKHOUSE_HOST" in environ
        component = pod["metadata"]["labels"]["app.kubernetes.io/component"]
        assert (component in chosen["values"]) == asks, name
    assert "board" in chosen["values"]


@each_overlay
def test_access_is_controlled_as_in_compose(overlay: str) -> None:
    files = of_kind(overlay, "ClickHouseInstallation")["callboard"]["spec"]["configuration"][
        "files"
    ]
    here = ElementTree.fromstring(files["config.d/callboard.xml"])
    there = ElementTree.parse(ROOT / "deploy/clickhouse/config.d/callboard.xml").getroot()

    def said(root: ElementTree.Element, part: str) -> dict[str, str | None]:
        return {one.tag: one.text for one in root.find(part) or ()}

    for part in ("access_control_improvements", "backups"):
        assert said(here, part) == said(there, part) != {}
    brought = config_map(overlay, "callboard-clickhouse-users")
    assert set(brought) == {p.name for p in (ROOT / "deploy/clickhouse").iterdir() if p.is_file()}


@each_overlay
def test_the_board_asks_who_one_is(overlay: str) -> None:
    environ = {one["name"]: one.get("value") for one in container(overlay, "board")["env"]}
    assert environ["CALLBOARD_BOARD_ACCESS"] == "token"
    key = next(
        one["valueFrom"]["secretKeyRef"]
        for one in container(overlay, "board")["env"]
        if one["name"] == "CALLBOARD_BOARD_SESSION_KEY"
    )
    assert key == {"name": "callboard-board", "key": "session-key"}
    mounts = {m["mountPath"]: m["name"] for m in container(overlay, "board")["volumeMounts"]}
    viewers = str(Path(environ["CALLBOARD_BOARD_VIEWERS"]).parent)
    volume = next(
        v for v in pods(overlay)["board"]["spec"]["volumes"] if v["name"] == mounts[viewers]
    )
    # Without the secret nobody can log in, and the board starts all the same.
    assert volume["secret"] == {"secretName": "callboard-board-viewers", "optional": True}
