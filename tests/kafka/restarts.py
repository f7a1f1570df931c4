"""How long a role is away when it is restarted, in order and by kill -9, on a real Kafka.

    python -m tests.kafka.restarts

A pipeline of real processes ticks ten times a second. Of each role it is measured how long it takes
to end after SIGTERM, and from the start of the next process until its first record comes out.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from pipeline.topics import ensure_topics_patiently
from schemas.config import Config
from schemas.topics import FRAMES, ROWS, TOPICS
from tests.kafka.server import KafkaServer
from tests.ports import free_port
from tests.sinks.clickhouse.store import database, running

ROUNDS = 1
PATIENCE_S = 120.0
TICK_MS = 100
OUT = {"ingest": FRAMES, "agents": ROWS}


class RoleProcess:
    """A role as a process."""

    def __init__(self, role: str, config: Config, folder: Path) -> None:
        self.role = role
        self._environ = {**os.environ, **config.to_env()}
        self._log = folder / f"{role}.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> float:
        """Start it; the moment, epoch seconds."""
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "pipeline.cli.main", self.role]
            started = time.time()
            self._process = subprocess.Popen(command, env=self._environ, stdout=log, stderr=log)
        return started

    def end(self, how: signal.Signals) -> float:
        """End it and wait; the seconds that took."""
        assert self._process is not None
        began = time.monotonic()
        self._process.send_signal(how)
        self._process.wait(PATIENCE_S)
        return time.monotonic() - began

    def kill(self) -> None:
        """End it if it runs."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def words(self) -> str:
        """Its log."""
        return self._log.read_text()


@contextmanager
def pipeline(folder: Path) -> Iterator[tuple[Config, dict[str, RoleProcess]]]:
    """Kafka, a store, and ingest, worker and sink on them, of one site."""
    settings = folder / "settings"
    settings.mkdir()
    (settings / "north.yml").write_text("site: north\n")
    kafka = KafkaServer(folder / "kafka")
    kafka.start()
    try:
        with running(folder / "store") as store, database(store) as db:
            config = db.config().model_copy(
                update={
                    "bootstrap": kafka.address,
                    "partitions": 1,
                    "epoch": 1,
                    "tick_ms": TICK_MS,
                    "settings_dir": settings,
                    "data_dir": folder,
                    "ingest_port": free_port(),
                    "worker_port": free_port(),
                    "sink_port": free_port(),
                }
            )
            roles = {r: RoleProcess(r, config, folder) for r in ("ingest", "agents", "sink")}
            try:
                yield config, roles
            finally:
                for role in roles.values():
                    role.kill()
    finally:
        kafka.stop()


@asynccontextmanager
async def eyes(config: Config) -> AsyncIterator[Eyes]:
    """Whoever sees what comes out of the roles."""
    consumer = AIOKafkaConsumer(**config.brokers.arguments(), fetch_max_wait_ms=20)
    admin = AIOKafkaAdminClient(**config.brokers.arguments())
    await consumer.start()
    await admin.start()
    consumer.assign([TopicPartition(topic, 0) for topic in OUT.values()])
    try:
        yield Eyes(consumer, admin, config)
    finally:
        await consumer.stop()
        await admin.close()


class Eyes:
    """Sees when something comes out of a role."""

    def __init__(
        self, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient, config: Config
    ) -> None:
        self._consumer = consumer
        self._admin = admin
        self._config = config

    async def first_after(self, role: str, moment: float) -> float:
        """When the first record written after a moment came out of a role, epoch seconds."""
        deadline = time.monotonic() + PATIENCE_S
        before = await self._committed()
        while time.monotonic() < deadline:
            if role == "sink":
                if await self._committed() > before:
                    return time.time()
                await asyncio.sleep(0.02)
                continue
            for batch in (await self._consumer.getmany(timeout_ms=50)).values():
                for record in batch:
                    # A kill leaves nothing written later; the broker keeps the producer's moment.
                    if record.topic == OUT[role] and record.timestamp / 1000 > moment:
                        return float(record.timestamp) / 1000
        raise AssertionError(f"nothing comes out of {role}")

    async def _committed(self) -> int:
        group = f"callboard-sink-{self._config.epoch}"
        try:
            found = await self._admin.list_consumer_group_offsets(group)
        except KafkaError:  # a broker that is new has no coordinator yet
            return 0
        return sum(at.offset for at in found.values())


async def measure(folder: Path) -> dict[tuple[str, str], list[tuple[float, float]]]:
    """By role and signal: seconds to the end, and from the next start to the first record."""
    found: dict[tuple[str, str], list[tuple[float, float]]] = {}
    with pipeline(folder) as (config, roles):
        await ensure_topics_patiently(config.brokers, config.partitions, TOPICS)
        for process in roles.values():
            process.start()
        async with eyes(config) as seen:
            for role in roles:
                await seen.first_after(role, time.time())
            for _ in range(ROUNDS):
                for role, process in roles.items():
                    for how in (signal.SIGTERM, signal.SIGKILL):
                        await asyncio.sleep(2)
                        ended = process.end(how)
                        started = process.start()
                        away = await seen.first_after(role, started) - started
                        found.setdefault((role, how.name), []).append((ended, away))
                        print(f"{role} {how.name}: {ended:.2f} s, {away:.2f} s", flush=True)
    return found


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(measure(Path(folder)))
    print(f"{'role':8} {'signal':8} {'to its end':>11} {'start to first record':>22}   (median, s)")
    for (role, how), times in found.items():
        ends, aways = zip(*times, strict=True)
        spread = f"{min(aways):.1f} to {max(aways):.1f}"
        print(f"{role:8} {how:8} {median(ends):11.2f} {median(aways):22.2f}   {spread}")


if __name__ == "__main__":
    main()
