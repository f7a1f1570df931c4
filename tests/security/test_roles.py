"""All roles as processes, each as its own user, through TLS to Kafka and to the store."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest

from schemas.access import principal_of
from schemas.config import Config, file_variable_of, variable_of
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.query import Question, connect
from sinks.prometheus.names import CHECKPOINTS
from tests.certificates import Authority
from tests.deploy.test_compose import USER_OF
from tests.ports import free_port
from tests.security.broker import SecureKafka, password_of
from tests.security.conftest import PARTITIONS
from tests.security.tls_front import tls_front
from tests.sinks.clickhouse.store import running

ROOT = Path(__file__).parents[2]
SITE = "north"
ROLES = {"door": "door", "ingest": "ingest", "agents": "worker", "sink": "sink", "board": "board"}
PATIENCE_S = 90.0


class Deployment:
    """The roles with the variables that compose gives them, other addresses and short cuts."""

    def __init__(self, kafka: SecureKafka, folder: Path, store_url: str, store_ca: Path) -> None:
        self.folder = folder
        self._kafka = kafka
        (folder / "settings").mkdir()
        (folder / "settings" / f"{SITE}.yml").write_text(f"site: {SITE}\n")
        self.config = Config(
            bootstrap=kafka.address,
            partitions=PARTITIONS,
            epoch=1,
            settings_dir=folder / "settings",
            data_dir=folder / "data",
            clickhouse_url=store_url,
            clickhouse_ca_file=str(store_ca),
            clickhouse_user="writer",
            clickhouse_password="write",
            checkpoint_ms=500,
            **{f"{role}_port": free_port() for role in ROLES.values()},
        )
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def environ(self, service: str) -> dict[str, str]:
        """Variables of a service, with the password of its user in a file."""
        user = principal_of(USER_OF[service])
        secret = self.folder / user
        secret.write_text(password_of(user) + "\n")
        brokers = self._kafka.brokers(user)
        given = self.config.to_env() | {
            variable_of("kafka_security"): brokers.security,
            variable_of("kafka_user"): user,
            variable_of("kafka_ca_file"): brokers.ca_file,
            file_variable_of("kafka_password"): str(secret),
        }
        del given[variable_of("kafka_password")]
        kept = {k: v for k, v in os.environ.items() if not k.startswith("CALLBOARD_")}
        engine = {k: v for k, v in os.environ.items() if k == "CALLBOARD_ENGINE"}
        return {**kept, **engine, **given}

    def start(self, role: str) -> None:
        with (self.folder / f"{role}.log").open("ab") as log:
            self._processes[role] = subprocess.Popen(
                [sys.executable, "-m", "pipeline.cli.main", role],
                env=self.environ(ROLES[role]),
                cwd=ROOT,
                stdout=log,
                stderr=log,
            )

    def kill(self, role: str) -> None:
        self._processes[role].kill()
        self._processes[role].wait()

    def close(self) -> None:
        for role in self._processes:
            self.kill(role)

    def command(self, *words: str) -> str:
        """What a command says that the operator runs."""
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.cli.main", *words],
            env=self.environ("tools"),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def until(self, true: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while True:
            try:
                if true():
                    return
            except (OSError, HTTPException, LookupError):
                pass  # it does not answer yet
            ended = [role for role, one in self._processes.items() if one.poll() is not None]
            if ended or time.monotonic() > deadline:
                raise AssertionError(f"{what}; ended: {ended}\n{self.words()[-6000:]}")
            time.sleep(0.1)

    def words(self) -> str:
        return "\n".join(
            f"== {log.name}\n{log.read_text()}" for log in sorted(self.folder.glob("*.log"))
        )

    def ready(self) -> bool:
        return all(
            self._get(f"http://127.0.0.1:{getattr(self.config, f'{name}_port')}/readyz")
            for name in ROLES.values()
        )

    def _get(self, address: str) -> bytes:
        with urllib.request.urlopen(address, timeout=10) as answer:
            body: bytes = answer.read()
            return body

    def post(self, events: list[dict[str, Any]]) -> None:
        body = "\n".join(json.dumps(event) for event in events).encode()
        address = f"http://127.0.0.1:{self.config.door_port}/v1/events?site={SITE}"
        headers = {"Content-Type": "application/x-ndjson"}
        with urllib.request.urlopen(urllib.request.Request(address, body, headers)) as answer:
            assert json.loads(answer.read())["taken"] == len(events)

    def answered(self) -> int:
        """What the board shows of all the site's time."""
        address = f"http://127.0.0.1:{self.config.board_port}/api/board?site={SITE}"
        total = json.loads(self._get(address))["all"]["queues"]["windows"]["total"]
        return int(total["answered"])

    def checkpoints(self) -> float:
        """How many the worker has made."""
        page = self._get(f"http://127.0.0.1:{self.config.worker_port}/metrics").decode()
        (line,) = (one for one in page.splitlines() if one.startswith(f"{CHECKPOINTS.name}_total "))
        return float(line.split()[-1])

    def stored(self) -> int:
        """What the store has."""
        question = Question(self.config, write=True)
        try:
            return int(question.text("SELECT count() FROM contact_legs", "TSV"))
        finally:
            question.close()


def calls(first: int, number: int) -> list[dict[str, Any]]:
    """Contacts that were answered at once and are over."""
    now = time.time_ns() // 1_000_000 - 2000
    events: list[dict[str, Any]] = []
    for index in range(first, first + number):
        common = {"site": SITE, "contact": f"c{index}", "ts": now}
        events += [
            {**common, "type": "contact.queued", "queue": "sales"},
            {**common, "type": "contact.answered", "agent": f"a{index}", "ts": now + 500},
            {**common, "type": "contact.released", "agent": f"a{index}", "ts": now + 900},
            {**common, "type": "contact.wrapped", "agent": f"a{index}", "ts": now + 1000},
        ]
    return events


@contextmanager
def deployed(kafka: SecureKafka, folder: Path) -> Iterator[Deployment]:
    with ExitStack() as stack:
        server = stack.enter_context(running(folder / "store"))
        authority = Authority(folder, "authority of the store")
        front = stack.enter_context(tls_front(authority.certificate("store"), server.port))
        deployment = Deployment(kafka, folder, f"https://127.0.0.1:{front.port}", authority.file)
        client = connect(deployment.config, write=True)
        migrate(client, deployment.config.clickhouse_database)
        client.close()
        stack.callback(deployment.close)
        yield deployment


@pytest.mark.timeout(300)
def test_events_come_through_to_board_and_store(kafka: SecureKafka, tmp_path: Path) -> None:
    with deployed(kafka, tmp_path) as deployment:
        for role in ROLES:
            deployment.start(role)
        deployment.until(deployment.ready, "all are ready")
        deployment.post(calls(0, 20))
        deployment.until(lambda: deployment.answered() == 20, "the board has the calls")
        deployment.until(lambda: deployment.stored() == 20, "the store has the calls")

        # The changelogs are read as the worker's user, and dead letters as the operator.
        log = tmp_path / "agents.log"
        # The one under way may have begun before the calls came.
        wanted = deployment.checkpoints() + 2
        deployment.until(
            lambda: deployment.checkpoints() >= wanted, "a checkpoint covers the calls"
        )
        deployment.kill("agents")
        seen = log.read_text().count("recovered partitions")
        deployment.start("agents")
        deployment.until(
            lambda: log.read_text().count("recovered partitions") > seen, "the worker recovers"
        )
        late = {"type": "contact.queued", "site": SITE, "contact": "old", "queue": "q", "ts": 1}
        deployment.post([*calls(20, 5), late])
        deployment.until(lambda: deployment.answered() == 25, "the board has all calls")
        deployment.until(
            lambda: deployment.command("dead", "--json").count('"late"') == 1, "one is late"
        )
        assert "missing" not in deployment.command("topics")
        words = deployment.words()
        assert "uthorization" not in words, "nobody lacks a right"
        assert "secret-of-" not in words
