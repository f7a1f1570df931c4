"""Apache Kafka as the deployments run it: TLS, a user for each role, and just the rights of each.

Its settings are those of docker-compose.yml with other ports, its users and rights those of
`deploy/kafka/acls.txt`. Further listeners of the same broker speak TLS, also with certificates that
must be refused.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

from aiokafka.conn import create_conn
from aiokafka.protocol.admin import CreateAclsRequest

from schemas.brokers import Brokers
from tests.certificates import DAY, LOOPBACK, Authority
from tests.deploy.files import compose
from tests.kafka.server import KafkaServer
from tests.ports import free_port

ACLS = Path(__file__).parents[2] / "deploy" / "kafka" / "acls.txt"
PLAIN = ("local", "roles", "host")
TLS = ("tls", "expired", "stranger", "mutual")
KINDS = {"topic": 2, "group": 3}
PATTERNS = {"literal": 3, "prefixed": 4}
OPERATIONS = {"Read": 3, "Write": 4, "Create": 5, "Describe": 8, "DescribeConfigs": 10}
ALLOW = 3


Entry = tuple[int, str, int, str, str, int, int]
"""Kind, name, pattern, principal, host, operation and permission, by Kafka's numbers."""


class Rule(NamedTuple):
    """A line of the file of rights."""

    user: str
    kind: str
    pattern: str
    operations: tuple[str, ...]
    names: tuple[str, ...]


def rules() -> Iterator[Rule]:
    """What the deployment gives."""
    for line in ACLS.read_text().splitlines():
        if not line.startswith("#"):
            user, kind, pattern, operations, *names = line.split()
            yield Rule(user, kind, pattern, tuple(operations.split(",")), tuple(names))


def password_of(user: str) -> str:
    """The password of a user of the broker."""
    return f"secret-of-{user}"


class SecureKafka(KafkaServer):
    """A broker whose clients come by TLS and log in, but for one listener on this machine."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.authority = Authority(folder)
        self.users = sorted({rule.user for rule in rules()})
        self._ports = {name: free_port() for name in (*PLAIN, *TLS)}
        super().__init__(folder)
        # Where the roles of the tests come in.
        self._ports["tls"] = self.port
        self.format_options = tuple(
            word
            for user in self.users
            for mechanism in ("SCRAM-SHA-256", "SCRAM-SHA-512")
            for word in ("--add-scram", f"{mechanism}=[name={user},password={password_of(user)}]")
        )
        self._stores = {
            "tls": self._store("tls"),
            "mutual": self._store("mutual"),
            "expired": self._store("expired", until=-DAY),
            "stranger": self._store("stranger", hosts=("kafka.example.org",)),
        }

    def brokers(self, user: str, listener: str = "tls") -> Brokers:
        """How a client of this user reaches the broker by one of the listeners with TLS."""
        address, ca = self.address_of(listener), str(self.authority.file)
        return Brokers(address, "sasl_ssl", "SCRAM-SHA-512", user, password_of(user), ca_file=ca)

    def address_of(self, listener: str) -> str:
        """Where a listener is, of those in `PLAIN` and `TLS`."""
        return f"127.0.0.1:{self._ports[listener]}"

    async def give_rights(self) -> None:
        """Put the rights of the deployment in force, as its administrator."""
        for entry in _entries():
            await self.give_right(entry)

    async def give_right(self, entry: Entry) -> None:
        """Put one right in force, as its administrator."""
        answer = await self.ask(CreateAclsRequest(*entry))
        assert [code for code, _ in answer.creation_responses] == [0], entry

    async def ask(self, request: Any) -> Any:
        """The broker's answer to its administrator."""
        connection = await create_conn("127.0.0.1", self._ports["local"])
        try:
            return await connection.send(request)
        finally:
            connection.close()

    def _store(self, name: str, hosts: tuple[str, ...] = LOOPBACK, until: timedelta = DAY) -> Path:
        """A key and its certificate in one file, as Kafka takes them."""
        cert, key = self.authority.certificate(f"broker-{name}", hosts, until)
        path = self.folder / f"broker-{name}.pem"
        path.write_bytes(key.read_bytes() + cert.read_bytes())
        return path

    def _defaults(self) -> dict[str, str]:
        usual = super()._defaults()
        of_compose = dict(_properties())
        protocols = dict(
            pair.split(":") for pair in of_compose["listener.security.protocol.map"].split(",")
        )
        assert set(protocols) == {*(name.upper() for name in PLAIN), "CONTROLLER"}
        protocols |= {name.upper(): "SSL" if name == "mutual" else "SASL_SSL" for name in TLS}
        (controller,) = (one for one in usual["listeners"].split(",") if "CONTROLLER" in one)
        mine = [f"{name.upper()}://{self.address_of(name)}" for name in self._ports]
        return {
            **usual,
            **of_compose,
            # In place of addresses and folders of containers.
            "listeners": ",".join([*mine, controller]),
            "advertised.listeners": ",".join(mine),
            "listener.security.protocol.map": ",".join(map(":".join, protocols.items())),
            "controller.quorum.voters": usual["controller.quorum.voters"],
            "log.dirs": usual["log.dirs"],
            **dict(self._of_tls()),
        }

    def _of_tls(self) -> Iterator[tuple[str, str]]:
        for name, store in self._stores.items():
            yield f"listener.name.{name}.ssl.keystore.type", "PEM"
            yield f"listener.name.{name}.ssl.keystore.location", str(store)
            if name != "mutual":
                yield from _logins(f"listener.name.{name}", self.users)
        mutual = "listener.name.mutual.ssl"
        yield f"{mutual}.client.auth", "required"
        yield f"{mutual}.truststore.type", "PEM"
        yield f"{mutual}.truststore.location", str(self.authority.file)
        yield f"{mutual}.principal.mapping.rules", "RULE:^CN=(.*)$/$1/,DEFAULT"


def _properties() -> Iterator[tuple[str, str]]:
    """What the image's start script makes of the environment that compose gives it."""
    for name, value in compose()["services"]["kafka"]["environment"].items():
        if name.startswith("KAFKA_") and name != "KAFKA_HEAP_OPTS":
            dotted = name.removeprefix("KAFKA_").lower().replace("_", ".")
            yield dotted.replace("...", "-").replace("..", "_"), value


def _logins(listener: str, users: list[str]) -> Iterator[tuple[str, str]]:
    """All three mechanisms that a client may choose."""
    package = "org.apache.kafka.common.security"
    yield f"{listener}.sasl.enabled.mechanisms", "SCRAM-SHA-256,SCRAM-SHA-512,PLAIN"
    for mechanism in ("scram-sha-256", "scram-sha-512"):
        name = f"{listener}.{mechanism}.sasl.jaas.config"
        yield name, f"{package}.scram.ScramLoginModule required;"
    known = " ".join(f'user_{user}="{password_of(user)}"' for user in users)
    yield (
        f"{listener}.plain.sasl.jaas.config",
        f"{package}.plain.PlainLoginModule required {known};",
    )


def _entries() -> Iterator[Entry]:
    for rule in rules():
        for thing in rule.names:
            for operation in rule.operations:
                yield (
                    *(KINDS[rule.kind], thing, PATTERNS[rule.pattern]),
                    *(f"User:{rule.user}", "*", OPERATIONS[operation], ALLOW),
                )
