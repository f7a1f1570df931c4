"""docker-compose.yml: resolved by the real tool, and held to the code it starts."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipeline.cli.main import COMMANDS
from schemas.access import USERS, UserName, principal_of
from schemas.config import Config, misspelt_variables
from schemas.settings import load_site_file
from sinks.board.access import guard_of
from tests.dashboards.push.grafana_api import running
from tests.deploy.files import BIN, KNOWN, PINNED, ROOT, compose
from tests.programs import program

JOBS = ("topics", "migrate", "alerts", "grafana-push", "backfill", "tools")
OURS = ("door", "ingest", "worker", "sink", "board", *JOBS, "simulate")
ROLES = ("door", "ingest", "worker", "sink", "board")
USER_OF: dict[str, UserName] = {
    "door": "door",
    "ingest": "ingest",
    "worker": "worker",
    "sink": "sink",
    "board": "board",
    "topics": "operator",
    "backfill": "operator",
    "tools": "operator",
}
"""Which user of Kafka a service is; the others do not speak to it."""


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose()["services"]
    return found


def asked(name: str) -> list[str]:
    """What of callboard a service of ours runs."""
    service = services()[name]
    if not service.get("entrypoint"):
        return list(service["command"])
    return " ".join(service["entrypoint"]).split("pipeline.cli.main ")[1].split()


def environments() -> Iterator[tuple[str, str, str]]:
    for name, service in services().items():
        for variable, value in (service.get("environment") or {}).items():
            yield name, variable, value


def test_every_variable_of_ours_exists_and_every_command_too() -> None:
    for name, variable, _ in environments():
        if variable.startswith("CALLBOARD_"):
            assert variable in KNOWN, name
    for name in OURS:
        assert asked(name)[0] in COMMANDS, name


@pytest.mark.parametrize("name", OURS)
def test_a_role_can_read_its_environment(name: str, tmp_path: Path) -> None:
    environ = dict(services()[name]["environment"])
    for variable, value in environ.items():
        if variable.endswith("_FILE"):
            secret = tmp_path / Path(value).name
            secret.write_text("secret")
            environ[variable] = str(secret)
            given = services()[name]["secrets"]
            assert Path(value).name in [one["source"] for one in given]
    assert misspelt_variables(environ) == []
    Config.from_env(environ)


def test_each_service_is_a_user_of_kafka_with_its_own_password_alone() -> None:
    for name, service in services().items():
        given = {one["source"] for one in service.get("secrets") or ()}
        passwords = {secret for secret in given if secret.startswith("kafka_")}
        environ = service.get("environment") or {}
        if name in USER_OF:
            assert environ["CALLBOARD_KAFKA_USER"] == principal_of(USER_OF[name])
            assert passwords == {f"kafka_{USER_OF[name]}_password"}
            where = environ["CALLBOARD_KAFKA_PASSWORD_FILE"]
            assert where == f"/run/secrets/kafka_{USER_OF[name]}_password"
        elif name == "kafka-users":
            assert passwords == {f"kafka_{user}_password" for user in USERS}
        else:
            assert not passwords, name
            assert "CALLBOARD_KAFKA_USER" not in environ, name


def test_only_from_its_own_container_is_kafka_reached_without_a_user() -> None:
    environ = services()["kafka"]["environment"]
    protocols = dict(
        pair.split(":") for pair in environ["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")
    )
    listeners = dict(one.split("://") for one in environ["KAFKA_LISTENERS"].split(","))
    assert set(protocols) == set(listeners)
    for name, address in listeners.items():
        if protocols[name] == "PLAINTEXT":
            assert address.startswith("127.0.0.1:"), name
        else:
            assert protocols[name] == "SASL_PLAINTEXT"
            variable = f"KAFKA_LISTENER_NAME_{name}_SCRAM___SHA___512_SASL_JAAS_CONFIG"
            assert environ[variable].endswith("ScramLoginModule required;")
    published = {port["target"] for port in services()["kafka"]["ports"]}
    assert {int(listeners[n].split(":")[1]) for n in ("LOCAL", "CONTROLLER")}.isdisjoint(published)
    assert environ["KAFKA_AUTHORIZER_CLASS_NAME"].endswith(".StandardAuthorizer")
    assert environ["KAFKA_SUPER_USERS"] == "User:ANONYMOUS"
    assert "KAFKA_ALLOW_EVERYONE_IF_NO_ACL_FOUND" not in environ


def test_the_users_of_kafka_are_made_with_what_is_mounted_and_asked_where_it_listens(
    tmp_path: Path,
) -> None:
    service = services()["kafka-users"]
    assert service["network_mode"] == "service:kafka"
    for volume in service["volumes"]:
        (tmp_path / Path(volume["target"]).name).write_bytes(Path(volume["source"]).read_bytes())
    printed = subprocess.run(
        ["/bin/bash", str(tmp_path / "users.sh"), "print"],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    local = services()["kafka"]["environment"]["KAFKA_LISTENERS"].split("LOCAL://")[1].split(",")[0]
    lines = printed.splitlines()
    assert all(f"--bootstrap-server {local} " in line for line in lines)
    for name, user in USERS.items():
        principal = principal_of(name)
        assert sum(f"--entity-name {principal} " in line for line in lines) == 1
        mine = [line for line in lines if f"--allow-principal User:{principal} " in line]
        assert len(mine) == len(list(user.acls()))
        for line, acl in zip(mine, user.acls(), strict=True):
            words = line.split()
            told = {w: [b for a, b in pairwise(words) if a == w] for w in words if w[:2] == "--"}
            assert told["--operation"] == list(acl.operations)
            assert told[f"--{acl.kind}"] == list(acl.names)
            assert told["--resource-pattern-type"][0].startswith(acl.pattern)


def test_variables_of_the_shell_are_named_in_the_settings_or_are_those_of_the_file() -> None:
    """What a user may set beside the file; a variable nobody reads would do nothing."""
    text = (ROOT / "docker-compose.yml").read_text()
    documented = (ROOT / "docs" / "deploy.md").read_text()
    for name in sorted({part.split(":-")[0] for part in text.split("${")[1:]}):
        assert name in KNOWN or name in documented, name


def test_images_of_others_are_pinned_and_ours_is_one() -> None:
    for name, service in services().items():
        if name in OURS:
            assert service["image"] == services()["door"]["image"]
            assert service["build"]["dockerfile"] == "deploy/docker/Dockerfile"
        else:
            assert PINNED.fullmatch(service["image"]), name


def test_ports_are_open_to_this_machine_only() -> None:
    published = {
        (name, port["target"]): port["host_ip"]
        for name, service in services().items()
        for port in service.get("ports") or ()
    }
    assert set(published.values()) == {"127.0.0.1"}
    for wanted in (("door", 7070), ("board", 7080), ("grafana", 3000), ("prometheus", 9090)):
        assert wanted in published


def test_containers_can_do_little() -> None:
    for name, service in services().items():
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        if name != "kafka":  # its start script writes into the image's folders
            assert service["read_only"] is True, name
        if name not in ("kafka", "prometheus", "alertmanager"):  # no root in these images
            assert not service["user"].startswith("0"), name


@pytest.mark.parametrize("name", ROLES)
def test_a_role_is_asked_on_the_port_at_which_it_answers(name: str) -> None:
    environ = services()[name]["environment"]
    field = {"worker": "worker"}.get(name, name)
    host = environ.get(f"CALLBOARD_{field.upper()}_HOST", environ.get("CALLBOARD_PAGE_HOST"))
    assert host == "0.0.0.0"
    port = environ[f"CALLBOARD_{field.upper()}_PORT"]
    assert environ["READY_URL"] == f"http://127.0.0.1:{port}/readyz"


def test_prometheus_scrapes_the_roles_at_their_ports() -> None:
    scraped = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())
    jobs = {job["job_name"]: job for job in scraped["scrape_configs"]}
    for name in ("door", "ingest", "worker", "sink"):
        (found,) = jobs[f"callboard-{name}"]["dns_sd_configs"]
        assert found["names"] == [name]
        port = services()[name]["environment"][f"CALLBOARD_{name.upper()}_PORT"]
        assert str(found["port"]) == port


def test_what_is_waited_for_comes_first() -> None:
    def needs(name: str) -> dict[str, str]:
        return {k: v["condition"] for k, v in services()[name]["depends_on"].items()}

    done = "service_completed_successfully"
    assert needs("topics")["kafka-users"] == done
    for name in ROLES:
        assert needs(name)["kafka"] == "service_healthy"
        assert needs(name)["topics"] == done
    assert needs("sink")["migrate"] == needs("migrate")["clickhouse-users"] == done
    assert needs("prometheus")["alerts"] == needs("alertmanager")["alerts"] == done
    for name, service in services().items():
        for needed, how in (service.get("depends_on") or {}).items():
            if how["condition"] == "service_healthy":
                check = services()[needed].get("healthcheck") or {}
                assert not check.get("disable"), f"{name} waits for {needed}, which says nothing"


def test_every_file_that_is_mounted_is_in_the_repository() -> None:
    for name, service in services().items():
        for volume in service.get("volumes") or ():
            if volume["type"] == "bind":
                assert Path(volume["source"]).exists(), f"{name}: {volume['source']}"


def test_grafana_reads_what_the_deployment_has() -> None:
    folder = ROOT / "deploy/grafana/provisioning"
    sources = yaml.safe_load((folder / "datasources/callboard.yml").read_text())["datasources"]
    by_uid = {source["uid"]: source for source in sources}
    assert set(by_uid) == {"callboard-prometheus", "callboard-clickhouse"}
    assert by_uid["callboard-prometheus"]["url"] == "http://prometheus:9090"
    clickhouse = by_uid["callboard-clickhouse"]
    assert clickhouse["jsonData"]["host"] == "clickhouse"
    assert clickhouse["jsonData"]["username"] in (ROOT / "deploy/clickhouse/users.sql").read_text()
    secret = clickhouse["secureJsonData"]["password"].removeprefix("$__file{").removesuffix("}")
    assert Path(secret).name in [s["source"] for s in services()["grafana"]["secrets"]]
    (provider,) = yaml.safe_load((folder / "dashboards/callboard.yml").read_text())["providers"]
    mounted = {volume["target"] for volume in services()["grafana"]["volumes"]}
    assert "/etc/callboard/dashboards" in mounted
    assert provider["options"]["path"] == "/tmp/dashboards"
    assert provider["folderUid"] == "callboard"


def test_the_files_of_alerts_go_where_they_are_read(tmp_path: Path) -> None:
    """Written for each deliverer; the other finds nothing."""
    written = services()["alerts"]
    assert written["command"][:3] == ["alerts", "write", "--out"]
    assert written["command"][3] == "/var/lib/callboard/alerts"
    assert written["user"].split(":")[0] == services()["grafana"]["user"].split(":")[0]
    targets = {v["source"]: v["target"] for v in written["volumes"] if v["type"] == "volume"}
    assert targets["grafana-alerting"] == "/var/lib/callboard/alerts/grafana/alerting"
    rules = yaml.safe_load((ROOT / "deploy/prometheus/prometheus.yml").read_text())["rule_files"]
    assert rules == ["/etc/callboard/alerts/prometheus/*.yml"]
    for by, there, absent in (
        (
            "prometheus",
            ["prometheus/callboard-rules.yml", "alertmanager/alertmanager.yml"],
            "grafana",
        ),
        ("grafana", ["grafana/alerting/rules.yaml"], "prometheus"),
    ):
        out = tmp_path / by
        environ = {
            "CALLBOARD_ALERTS_BY": by,
            "CALLBOARD_SETTINGS_DIR": str(ROOT / "deploy/settings"),
        }
        subprocess.run(
            [str(BIN / "callboard"), "alerts", "write", "--out", str(out)],
            env={"PATH": "/usr/bin:/bin", **environ},
            check=True,
            capture_output=True,
        )
        assert all((out / name).is_file() for name in there)
        assert not (out / absent).exists() or not list((out / absent).rglob("*.y*ml"))


def test_prometheus_accepts_its_configuration() -> None:
    tool = program("promtool")
    checked = subprocess.run(
        [tool, "check", "config", "--syntax-only", str(ROOT / "deploy/prometheus/prometheus.yml")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_alertmanager_accepts_what_it_starts_with() -> None:
    """Its own configuration is checked with the alerts; this is the one of a quiet Alertmanager."""
    tool = program("amtool")
    quiet = ROOT / "deploy/alertmanager/quiet.yml"
    checked = subprocess.run(
        [tool, "check-config", str(quiet)], capture_output=True, text=True, check=False
    )
    assert checked.returncode == 0, checked.stderr
    script = services()["alertmanager"]["entrypoint"][2]
    targets = [volume["target"] for volume in services()["alertmanager"]["volumes"]]
    assert "/etc/callboard/quiet.yml" in script
    assert "/etc/callboard/quiet.yml" in targets


def test_the_settings_of_the_simulated_site_can_be_read() -> None:
    assert load_site_file(ROOT / "deploy/settings/sim.yml").site == "sim"


def test_secrets_are_made_once_and_closed_to_others(tmp_path: Path) -> None:
    make = str(ROOT / "deploy/secrets/make.sh")
    subprocess.run([make, str(tmp_path)], check=True, capture_output=True)
    first = {path.name: path.read_text() for path in tmp_path.iterdir()}
    subprocess.run([make, str(tmp_path)], check=True, capture_output=True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == first
    wanted = {Path(secret["file"]).name for secret in compose()["secrets"].values()}
    assert set(first) == wanted
    assert tmp_path.stat().st_mode & 0o777 == 0o700
    passwords = [text for name, text in first.items() if not name.endswith(".xml")]
    assert len(set(passwords)) == len(passwords)
    assert all(len(text) == 48 for text in passwords)


def started(
    name: str, places: dict[str, str], **variables: str
) -> subprocess.CompletedProcess[str]:
    """Run the start script of a service with other places than those of its container."""
    text = services()[name]["entrypoint"][2].replace("$$", "$")
    for place, other in places.items():
        assert place in text, place
        text = text.replace(place, other)
    environ = {"PATH": os.environ["PATH"], **services()[name]["environment"], **variables}
    return subprocess.run(
        ["/bin/sh", "-c", text], cwd=ROOT, env=environ, capture_output=True, text=True, check=False
    )


def test_grafana_starts_with_boards_that_lead_to_ours(tmp_path: Path) -> None:
    (tmp_path / "run.sh").write_text('#!/bin/sh\necho "$CALLBOARD_DOOR_TOKEN"\n')
    (tmp_path / "run.sh").chmod(0o755)
    (tmp_path / "token").write_text("of the door")
    generated = ROOT / "dashboards/generated/grafana"
    done = started(
        "grafana",
        {
            "/etc/callboard/dashboards": str(generated),
            "/tmp/dashboards": str(tmp_path / "boards"),
            "/run/secrets/door_token": str(tmp_path / "token"),
            "/run.sh": str(tmp_path / "run.sh"),
        },
        CALLBOARD_BOARD_URL="https://board.example.org",
    )
    assert done.stdout == "of the door\n", done.stderr
    for path in generated.glob("*.json"):
        told = path.read_text().replace("http://127.0.0.1:7080", "https://board.example.org")
        assert (tmp_path / "boards" / path.name).read_text() == told
    assert "https://board.example.org" in (tmp_path / "boards/callboard-oncall.json").read_text()


def test_the_playlist_is_brought_with_the_password_of_grafana(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("0a1b")
    with running() as grafana:
        grafana.allowed = "Basic " + base64.b64encode(b"admin:0a1b").decode()
        done = started(
            "grafana-push",
            {
                "/run/secrets/grafana_admin_password": str(tmp_path / "password"),
                "grafana:3000": grafana.url.removeprefix("http://"),
                "exec python": f"exec {sys.executable}",
            },
        )
        assert done.returncode == 0, done.stderr
        assert "callboard-walls" in grafana.playlists
        assert not grafana.groups, "alerts come by file"
    assert "0a1b" not in done.stdout + done.stderr


def test_an_analyst_can_be_made_with_what_is_mounted(tmp_path: Path) -> None:
    for volume in services()["clickhouse-users"]["volumes"]:
        (tmp_path / Path(volume["target"]).name).write_bytes(Path(volume["source"]).read_bytes())
    made = subprocess.run(
        ["/bin/bash", str(tmp_path / "apply.sh"), "print", "analyst", "anna", "bank"],
        input="secret\n",
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    assert "CREATE USER IF NOT EXISTS anna" in made.stdout


def test_kafka_names_the_port_at_which_this_machine_reaches_it() -> None:
    found = compose(CALLBOARD_KAFKA_PORT="19094")["services"]["kafka"]
    assert found["ports"][0]["published"] == "19094"
    assert "HOST://127.0.0.1:19094" in found["environment"]["KAFKA_ADVERTISED_LISTENERS"]


def test_rows_of_a_backfill_wait_on_a_disk_that_its_user_may_write() -> None:
    service = services()["backfill"]
    place = service["environment"]["TMPDIR"]
    assert place in [v["target"] for v in service["volumes"] if v["type"] == "volume"]
    lines = (ROOT / "deploy/docker/Dockerfile").read_text()
    uid = service["user"].split(":")[0]
    assert f"install --directory --owner={uid} --group={uid} {place}" in lines


def test_passwords_of_kafka_are_no_arguments_and_failures_end_the_job(tmp_path: Path) -> None:
    """Arguments can be read by everybody in the container; the job is tried again if it fails."""
    for tool in ("kafka-configs.sh", "kafka-acls.sh"):
        path = tmp_path / tool
        path.write_text(
            '#!/bin/bash\nall="${*:3}"; echo "$@" >> "$0.$$.args"; echo "$SAYS"\n'
            'while [ $# -gt 1 ]; do [ "$1" = --add-config-file ] && cat "$2" >> "$0.$$.file"\n'
            'shift; done\n[[ "$(basename "$0") $all" != $FAILS* ]]\n'
        )
        path.chmod(0o755)
    for name in USERS:
        (tmp_path / f"kafka_{name}_password").write_text(f"secret-of-{name}")

    says = (
        "Current ACLs for resource `ResourcePattern(resourceType=TOPIC, name=old, "
        "patternType=LITERAL)`:\n"
        "\t(principal=User:x, host=*, operation=READ, permissionType=ALLOW)\n"
    )

    def run(fails: str) -> int:
        done = subprocess.run(
            [str(ROOT / "deploy/kafka/users.sh")],
            env={
                "PATH": os.environ["PATH"],
                "SECRETS_DIR": str(tmp_path),
                "KAFKA_BIN": str(tmp_path),
                "FAILS": fails,
                "SAYS": says,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        if "acls" in fails:
            assert "resourceType" in done.stderr, "it says what the command said"
            assert "has its rights" not in done.stdout
        return done.returncode

    assert run("nothing") == 0
    arguments = "".join(path.read_text() for path in tmp_path.glob("*.args"))
    assert arguments.count("--entity-name") == len(USERS)
    assert "secret-of-" not in arguments
    files = sorted(path.read_text() for path in tmp_path.glob("*.file"))
    # Without brackets, which the tool takes off an argument only.
    assert files == sorted(f"SCRAM-SHA-512=password=secret-of-{name}\n" for name in USERS)
    for command in ("acls.sh --add", "acls.sh --list", "acls.sh --remove", "configs.sh --alter"):
        assert run(f"kafka-{command}") != 0, command


def test_who_may_see_the_board_can_be_said_and_who_they_are_is_seen_at_once(
    tmp_path: Path,
) -> None:
    """The file of viewers is in a mounted folder: of a mounted file no change is seen."""
    board = services()["board"]
    environ = board["environment"]
    assert environ["CALLBOARD_BOARD_ACCESS"] == "open", "it is published to this machine only"
    folder = str(Path(environ["CALLBOARD_BOARD_VIEWERS"]).parent)
    (mounted,) = [v for v in board["volumes"] if v["target"] == folder]
    assert mounted["read_only"] is True
    assert Path(mounted["source"]).is_dir()
    key = Path(environ["CALLBOARD_BOARD_SESSION_KEY_FILE"]).name
    assert key in [secret["source"] for secret in board["secrets"]]
    subprocess.run(
        [str(ROOT / "deploy/secrets/make.sh"), str(tmp_path)], check=True, capture_output=True
    )
    for access in ("open", "token"):
        asked = compose(CALLBOARD_BOARD_ACCESS=access)["services"]["board"]["environment"]
        given = {
            name: str(tmp_path / Path(value).name) if name.endswith("_FILE") else value
            for name, value in asked.items()
        }
        assert guard_of(Config.from_env(given)).kind == access
