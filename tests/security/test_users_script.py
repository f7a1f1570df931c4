"""`deploy/kafka/users.sh` with Kafka's own command lines on a real broker."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from aiokafka.protocol.admin import DescribeAclsRequest

from tests.kafka.jars import class_path
from tests.programs import program
from tests.security.broker import ACLS, ALLOW, KINDS, OPERATIONS, PATTERNS, SecureKafka

SCRIPT = ACLS.with_name("users.sh")
USER = "kafka-visitor"
_ANY = 1
TOPIC, GROUP, TRANSACTIONAL_ID = KINDS["topic"], KINDS["group"], 5
LITERAL, PREFIXED = PATTERNS["literal"], PATTERNS["prefixed"]
READ, WRITE = OPERATIONS["Read"], OPERATIONS["Write"]
DENY = 2
TOOLS = {
    "kafka-acls.sh": "org.apache.kafka.tools.AclCommand",
    "kafka-configs.sh": "org.apache.kafka.tools.ConfigCommand",
}


class Right(NamedTuple):
    """What a broker keeps of a right, by Kafka's numbers."""

    kind: int
    name: str
    operation: int
    pattern: int = LITERAL
    host: str = "*"
    permission: int = ALLOW


OWN = {
    Right(TOPIC, "kpi.live", WRITE, host="10.0.0.1"),
    Right(TOPIC, "kpi.live", WRITE, permission=DENY),
    Right(TRANSACTIONAL_ID, "mine", WRITE),
}
"""Rights that nobody but their giver knows of."""


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


def held(kafka: SecureKafka, user: str) -> set[Right]:
    """The rights of a user, as the broker has them."""
    asked = DescribeAclsRequest(_ANY, None, _ANY, f"User:{user}", None, _ANY, _ANY)
    found = asyncio.run(kafka.ask(asked)).to_object()["resources"]
    return {
        Right(
            *(one["resource_type"], one["resource_name"], acl["operation"]),
            *(one["resource_pattern_type"], acl["host"], acl["permission_type"]),
        )
        for one in found
        for acl in one["acls"]
    }


def add(kafka: SecureKafka, user: str, right: Right) -> None:
    """Give a right past the script."""
    kind, name, operation, pattern, host, permission = right
    entry = (kind, name, pattern, f"User:{user}", host, operation, permission)
    asyncio.run(kafka.give_right(entry))


def test_a_user_has_the_rights_of_the_file_and_no_longer_others(
    kafka: SecureKafka, give: Callable[[str], str]
) -> None:
    others = held(kafka, "kafka-ingest")
    assert others
    for right in OWN:
        add(kafka, USER, right)
    topic = f"{USER} topic literal Read,DescribeConfigs kpi.live\n"
    said = give(topic + f"{USER} group prefixed Read visitor-\n")
    assert "may no longer" not in said
    read = Right(TOPIC, "kpi.live", READ)
    given = {
        read,
        read._replace(operation=OPERATIONS["DescribeConfigs"]),
        Right(GROUP, "visitor-", READ, PREFIXED),
    }
    assert held(kafka, USER) == given | OWN
    said = give(f"{USER} topic literal Read,Write kpi.live\n")
    assert held(kafka, USER) == {read, read._replace(operation=WRITE)} | OWN
    assert f"{USER} may no longer DescribeConfigs topic kpi.live" in said
    assert f"{USER} may no longer Read group visitor-" in said
    assert held(kafka, "kafka-ingest") == others
