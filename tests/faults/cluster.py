"""A whole callboard on Apache Kafka: two of each role that may be several, each a process."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient

from agents_stream.tables import CHANGELOGS
from pipeline.topics import ensure_topics_patiently
from schemas.brokers import Brokers
from schemas.config import Config
from schemas.topics import RAW, TOPICS
from sinks.clickhouse.migrate import migrate
from sinks.clickhouse.query import connect
from tests.faults.broker import Broker
from tests.faults.network import Link, Network
from tests.faults.processes import Role, Supervisor
from tests.faults.sites import PARTITIONS
from tests.faults.storefront import StoreFront
from tests.ports import free_port

CHECKPOINT_MS = 1_500
EXTRA = "extra0"
"""A worker that comes and goes, and does not belong to the cluster."""
PATIENCE_S = 120.0
"""How long something may take that takes seconds on a machine with nothing else to do."""

_START_S = 300.0
"""A start loads all programs at once, which on two cores that others use takes minutes."""
_NO_ANSWER = (OSError, HTTPException, LookupError, ValueError, RuntimeError)
"""What asking a role raises that is down, or does not know yet."""


class Cluster:
    """Kafka, the store and all roles. Everything here blocks; threads of its own keep it going."""

    def __init__(self, folder: Path, workers: int = 2, ingests: int = 2, sinks: int = 2) -> None:
        self.folder = folder
        self.epoch = 1
        self.network = Network()
        self.links = {
            name: Link(self.network, name)
            for name in (
                *("door", "board", EXTRA),
                *(f"ingest{number}" for number in range(ingests)),
                *(f"agents{number}" for number in range(workers)),
                *(f"sink{number}" for number in range(sinks)),
            )
        }
        self.kafka = Broker(folder / "kafka", self.links)
        self.supervisor = Supervisor()
        self._base = self._configuration()
        self.front = StoreFront(self.network, self._base.clickhouse_url)
        self._name_roles(workers, ingests, sinks)

    # --- made of ------------------------------------------------------------------------------

    def _configuration(self) -> Config:
        settings = self.folder / "settings"
        settings.mkdir(parents=True, exist_ok=True)
        (self.folder / "logs").mkdir(exist_ok=True)
        return Config(
            partitions=PARTITIONS,
            epoch=self.epoch,
            settings_dir=settings,
            data_dir=self.folder / "data",
            door_port=free_port(),
            board_port=free_port(),
            clickhouse_url=f"http://127.0.0.1:{free_port()}",
            clickhouse_user="writer",
            clickhouse_password="may-write",
            analyst_password="may-look",
            checkpoint_ms=CHECKPOINT_MS,
            # Both ask the store for what the oracle asks it for at the end.
            reconcile_ms=0,
            quality_ms=0,
        )

    def _name_roles(self, workers: int, ingests: int, sinks: int) -> None:
        self._add("store", "store")
        self._add("door", "door")
        self._add("board", "board")
        for number in range(ingests):
            self._add("ingest", f"ingest{number}", ingest_port=free_port())
        for number in range(workers):
            self.add_worker(f"agents{number}")
        for number in range(sinks):
            port = free_port()
            self._add("sink", f"sink{number}", sink_port=port, clickhouse_url=self.front.url)

    def add_worker(self, name: str) -> Role:
        """One more worker, not started."""
        return self._add("agents", name, worker_port=free_port())

    def _add(self, role: str, name: str, **fields: Any) -> Role:
        link = self.links.get(name)
        address = f"127.0.0.1:{link.port}" if link is not None else "127.0.0.1:1"
        config = self._base.model_copy(update={"bootstrap": address, "epoch": self.epoch, **fields})
        return self.supervisor.add(Role(role, name, config, self.folder / "logs"))

    def lines(self, target: str) -> list[Link]:
        """The lines to the broker of a process, or of all processes of a role."""
        return [
            link
            for name, link in self.links.items()
            if name == target or (name.rstrip("0123456789") == target and target != name)
        ]

    @property
    def settings_dir(self) -> Path:
        """Where the settings of sites are."""
        return self._base.settings_dir

    def roles(self, *kinds: str) -> list[Role]:
        """The roles of these kinds, all without any."""
        found = self.supervisor.roles.values()
        return [role for role in found if not kinds or role.role in kinds]

    def role(self, name: str) -> Role:
        """One by its name."""
        return self.supervisor.roles[name]

    # --- start and end ------------------------------------------------------------------------

    def start(self) -> None:
        """Start everything and wait until it is ready."""
        self.kafka.launch()
        self.role("store").start()
        self.front.open()
        for link in self.links.values():
            link.open()
        self.kafka.wait_until_up()
        self.create_topics()
        self.until(self._migrated, "the store is migrated", _START_S)
        self.start_roles()

    def start_roles(self) -> None:
        """Start all roles and wait until they are ready."""
        for role in self.roles():
            role.start()
        self.until(self.ready, "all roles are ready", _START_S, found=self.unready)

    def close(self) -> None:
        """Kill everything."""
        self.supervisor.close()
        self.kafka.kill()
        self.front.close()
        self.network.close()

    def heal(self) -> None:
        """Take all faults away: everything runs and answers."""
        for link in self.links.values():
            link.heal()
        self.front.heal()
        self.kafka.start()
        for role in self.roles():
            role.resume()
            role.limit_files()
            if role.name == EXTRA:
                role.end()
            else:
                role.start()

    def create_topics(self) -> None:
        """Create the topics, as `callboard topics --create` does."""
        brokers = Brokers(self.kafka.address)
        asyncio.run(ensure_topics_patiently(brokers, PARTITIONS, (*TOPICS, *CHANGELOGS)))

    def _migrated(self) -> bool:
        client = connect(self._base, write=True)
        try:
            migrate(client, self._base.clickhouse_database)
        finally:
            client.close()
        return True

    def begin_epoch(self) -> None:
        """What an operator does after the loss of all topics but the raw one: see
        docs/operations.md."""
        for role in self.roles():
            if role.role not in ("store", "board"):
                role.stop()
        self.role("board").end()
        asyncio.run(self._delete_topics())
        self.epoch += 1
        for role in self.roles():
            role.config = role.config.model_copy(update={"epoch": self.epoch})
        self.create_topics()
        self.start_roles()

    async def _delete_topics(self) -> None:
        names = [spec.name for spec in (*TOPICS, *CHANGELOGS) if spec.name != RAW]
        admin = AIOKafkaAdminClient(bootstrap_servers=self.kafka.address)
        await admin.start()
        try:
            await admin.delete_topics(names)
            # The broker answers before they are gone, and would take new ones for the old.
            while set(names) & set(await admin.list_topics()):
                await asyncio.sleep(0.1)
        finally:
            await admin.close()

    # --- looking ------------------------------------------------------------------------------

    def until(
        self,
        true: Callable[[], object],
        what: str,
        patience_s: float = PATIENCE_S,
        found: Callable[[], object] = lambda: "",
    ) -> float:
        """Wait until something is true, and tell how many seconds it took.

        Raises `AssertionError` that says what was `found` instead.
        """
        began = time.monotonic()
        while True:
            why: object = None
            try:
                if true():
                    return time.monotonic() - began
            except _NO_ANSWER as error:
                why = error
            if time.monotonic() - began > patience_s:
                try:
                    said = found()
                except _NO_ANSWER as error:
                    said = error
                raise AssertionError(f"{what}: not within {patience_s} s: {said} {why or ''}")
            time.sleep(0.1)

    def ready(self) -> bool:
        """All pages say that their role is ready."""
        return all(page(f"{address}/readyz")[0] == 200 for address in self.pages().values())

    def unready(self) -> dict[str, str]:
        """What pages of roles that are not ready say."""
        said = {name: page(f"{address}/readyz") for name, address in self.pages().items()}
        return {name: text for name, (status, text) in said.items() if status != 200}

    def pages(self) -> dict[str, str]:
        """Where each role that should run has its page."""
        ports = {
            "door": "door_port",
            "board": "board_port",
            "ingest": "ingest_port",
            "agents": "worker_port",
            "sink": "sink_port",
        }
        return {
            role.name: f"http://127.0.0.1:{getattr(role.config, ports[role.role])}"
            for role in self.roles(*ports)
            if role.wanted
        }

    @property
    def door_url(self) -> str:
        """Where events are posted."""
        return f"http://127.0.0.1:{self._base.door_port}/v1/events"

    def board(self, site: str) -> dict[str, Any]:
        """The board's object; raises `LookupError` while there is none."""
        status, text = page(f"http://127.0.0.1:{self._base.board_port}/api/board?site={site}")
        if status != 200:
            raise LookupError(text)
        found: dict[str, Any] = json.loads(text)
        return found

    def metrics(self) -> dict[str, str]:
        """The page of metrics of each worker that should run."""
        found = {}
        for role in self.roles("agents"):
            if role.wanted:
                status, text = page(f"http://127.0.0.1:{role.config.worker_port}/metrics")
                if status != 200:
                    raise LookupError(text)
                found[role.name] = text
        return found

    def sql(self, query: str) -> list[dict[str, Any]]:
        """Rows of a query, asked past the front; raises `LookupError` with what is wrong."""
        request = urllib.request.Request(
            f"{self._base.clickhouse_url}/?database={self._base.clickhouse_database}",
            data=f"{query} FORMAT JSONEachRow".encode(),
            headers={"X-ClickHouse-User": "analyst", "X-ClickHouse-Key": "may-look"},
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:
                return [json.loads(line) for line in response.read().splitlines()]
        except urllib.error.HTTPError as error:
            raise LookupError(error.read().decode(errors="replace")[:500]) from None

    def words(self) -> str:
        """The ends of all logs."""
        return "\n".join(role.words() for role in self.roles())


def page(address: str) -> tuple[int, str]:
    """Status and text of a page; raises `OSError` or `HTTPException`."""
    try:
        with urllib.request.urlopen(address, timeout=20) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
