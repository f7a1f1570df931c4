"""`deploy/kafka/users.sh` with Kafka's own command lines on a real broker."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from aiokafka.conn import create_conn
from aiokafka.protocol.admin import DescribeAclsRequest

from tests.kafka.jars import class_path
from tests.programs import program
from tests.security.broker import ACLS, SecureKafka

SCRIPT = ACLS.with_name("users.sh")
USER = "kafka-visitor"
_ANY, _EITHER = 1, 1
TOOLS = {
    "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
    "kafka-configs.sh": "org.apache.kafka.tools.ConfigCommand",
}
Right = tuple[str, int]
"""What it is for, and the number of the operation."""
READ, WRITE, DESCRIBE_CONFIGS = 3, 4, 10


@pytest.fixture
def give(kafka: SecureKafka, tmp_path: Path) -> Callable[[str], str]:
    """Puts a file of rights in force by the script; what it says."""
    java = [program("java"), "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-cp", class_path()]
    for name, command in TOOLS.items():
        path = tmp_path / name
        path.write_text(f'#!/bin/sh\nexec {shlex.join([*java, command])} "$@"\n')
        path.chmod(0o755)
    shutil.copy(SCRIPT, tmp_path)
    (tmp_path / "kafka_visitor_password").write_text("secret")

    def run(rights: str) -> str:
        (tmp_path / "acls.txt").write_text(rights)
        done = subprocess.run(
            [str(tmp_path / SCRIPT.name)],
            env={
                "PATH": os.environ["PATH"],
                "SECRETS_DIR": str(tmp_path),
                "KAFKA_BIN": str(tmp_path),
                "KAFKA_SERVER": kafka.address_of("local"),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


async def _held(kafka: SecureKafka, user: str) -> set[Right]:
    host, port = kafka.address_of("local").split(":")
    connection = await create_conn(host, int(port))
    try:
        asked = DescribeAclsRequest(_ANY, None, _EITHER, f"User:{user}", None, _ANY, _ANY)
        answer = await connection.send(asked)
    finally:
        connection.close()
    found = answer.to_object()["resources"]
    return {(one["resource_name"], acl["operation"]) for one in found for acl in one["acls"]}


def held(kafka: SecureKafka, user: str) -> set[Right]:
    """The rights of a user, as the broker has them."""
    return asyncio.run(_held(kafka, user))


def test_a_user_has_the_rights_of_the_file_and_no_longer_others(
    kafka: SecureKafka, give: Callable[[str], str]
) -> None:
    others = held(kafka, "kafka-ingest")
    assert others
    said = give(
        f"{USER} topic literal Read,DescribeConfigs kpi.live\n{USER} group prefixed Read visitor-\n"
    )
    assert "may no longer" not in said
    topic = {("kpi.live", READ), ("kpi.live", DESCRIBE_CONFIGS)}
    assert held(kafka, USER) == {*topic, ("visitor-", READ)}
    said = give(f"{USER} topic literal Read,Write kpi.live\n")
    assert held(kafka, USER) == {("kpi.live", READ), ("kpi.live", WRITE)}
    assert f"{USER} may no longer DescribeConfigs topic kpi.live" in said
    assert f"{USER} may no longer Read group visitor-" in said
    assert held(kafka, "kafka-ingest") == others
