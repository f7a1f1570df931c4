"""Writes the rights of all users of Kafka for the deployments, from `schemas/access.py`.

python deploy/kafka/generate.py writes `deploy/kafka/acls.txt`, which `users.sh` puts in force, and
`deploy/kubernetes/base/kafka-users.yaml`, which Strimzi does.
"""

from __future__ import annotations

from pathlib import Path

from schemas.access import USERS, Acl, User, principal_of

DEPLOY = Path(__file__).resolve().parent.parent


def acls() -> str:
    """One line for rights that are the same: user, kind, pattern, operations, names."""
    lines = [
        f"{principal_of(name)} {acl.kind} {_PATTERN[acl.pattern]} "
        f"{','.join(acl.operations)} {' '.join(acl.names)}"
        for name, user in USERS.items()
        for acl in user.acls()
    ]
    return "\n".join(["# Written by deploy/kafka/generate.py.", *lines]) + "\n"


_PATTERN = {"literal": "literal", "prefix": "prefixed"}


def manifests() -> str:
    """The users as Strimzi takes them: it makes their passwords, in Secrets of their names."""
    head = "# Written by deploy/kafka/generate.py: one user a role, with the rights it needs.\n"
    return head + "---\n".join(_manifest(principal_of(name), user) for name, user in USERS.items())


def _manifest(name: str, user: User) -> str:
    rules = "".join(_rule(acl, thing) for acl in user.acls() for thing in acl.names)
    return f"""apiVersion: kafka.strimzi.io/v1
kind: KafkaUser
metadata:
  name: {name}
  labels: {{strimzi.io/cluster: callboard}}
spec:
  # {user.purpose}
  authentication: {{type: scram-sha-512}}
  authorization:
    type: simple
    acls:
{rules}"""


def _rule(acl: Acl, name: str) -> str:
    resource = f"{{type: {acl.kind}, name: {name}, patternType: {acl.pattern}}}"
    return f"      - {{resource: {resource}, operations: [{', '.join(acl.operations)}]}}\n"


FILES = {
    DEPLOY / "kafka" / "acls.txt": acls,
    DEPLOY / "kubernetes" / "base" / "kafka-users.yaml": manifests,
}

if __name__ == "__main__":
    for path, content in FILES.items():
        path.write_text(content())
