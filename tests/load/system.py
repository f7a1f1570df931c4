"""The whole system on Apache Kafka: every role a process of its own, as in production.

Broker and store are on this machine; the store is the local ClickHouse. Nothing is mocked, and no
role knows that it is watched.
"""

from __future__ import annotations

import json
import signal
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from typing import Any

import orjson

from pipeline.stack.roles import environment, role_command
from schemas.config import Config
from tests.kafka.server import KafkaServer
from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
ROLES = ("store", "door", "ingest", "agents", "sink", "board")
"""In the order of their start; they stop in the opposite one."""
START_S = 180.0
STOP_S = 60.0
SQL_S = 300.0

Json = dict[str, Any]


class Role:
    """One role as a process, started again under the same configuration."""

    def __init__(self, name: str, config: Config, log: Path) -> None:
        self.name = name
        self.log = log
        self.ended = 0
        self._command = role_command(name)
        self._environ = environment(config)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the process; whether it is ready its page tells."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, cwd=ROOT, env=self._environ, stdout=log, stderr=log
            )

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def kill(self) -> None:
        """kill -9."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def stop(self) -> int:
        """SIGTERM, and kill -9 if that does not help; the exit status."""
        if not self.running:
            return 0
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()
            return -signal.SIGKILL

    def words(self) -> str:
        """The end of its log."""
        return self.log.read_text(errors="replace")[-1500:] if self.log.exists() else ""


class System:
    """Broker, store and all roles; `changes` are laid over the configuration."""

    def __init__(self, folder: Path, partitions: int, **changes: Any) -> None:
        self.folder = folder
        (folder / "logs").mkdir(parents=True, exist_ok=True)
        self.settings = folder / "settings"
        self.settings.mkdir(exist_ok=True)
        self.kafka = KafkaServer(folder / "kafka")
        self.config = _config(folder, self.kafka.address, partitions, changes)
        self.roles = {
            name: Role(name, self.config, folder / "logs" / f"{name}.log") for name in ROLES
        }

    def start(self) -> None:
        """Start everything and wait until each says that it is ready."""
        self.kafka.start()
        self.roles["store"].start()
        self.until(lambda: self.get("store", "/ping"), "the store answers")
        done = subprocess.run(
            role_command("migrate"),
            cwd=ROOT, env=environment(self.config), capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr.decode()
        for name in ROLES[1:]:
            self.roles[name].start()
        for name in ROLES[1:]:
            self.ready(name)

    def ready(self, name: str) -> None:
        """Wait until a role is ready."""
        self.until(lambda: self.get(name, "/readyz"), f"{name} is ready")

    def stop(self) -> None:
        """End everything."""
        for role in reversed(self.roles.values()):
            role.stop()
        self.kafka.stop()

    def kill(self) -> None:
        """End everything at once; whatever is dead already is no matter."""
        for role in self.roles.values():
            role.kill()
        self.kafka.kill()

    def until(self, true: Callable[[], object], what: str, patience_s: float = START_S) -> None:
        """Wait until something is true; fails with the logs if it never is, or a role ends."""
        deadline = time.monotonic() + patience_s
        while not quietly(true):
            assert time.monotonic() < deadline, f"{what}: not in {patience_s:.0f} s\n{self.words()}"
            time.sleep(0.1)

    def words(self) -> str:
        """The ends of all logs."""
        return "\n".join(f"== {role.name}\n{role.words()}" for role in self.roles.values())

    def revive(self) -> None:
        """Start the roles again that have ended, as an orchestrator does; `ended` counts them."""
        for role in self.roles.values():
            if not role.running:
                role.ended += 1
                role.start()

    def pids(self) -> dict[str, int]:
        """The processes that run, broker included, by role."""
        found = {name: role.pid for name, role in self.roles.items() if role.running}
        return {**found, "broker": self.kafka.pid}

    # --- pages ----------------------------------------------------------------------------------

    def address(self, name: str) -> str:
        """Where a role's pages are."""
        config = self.config
        ports = {
            "door": config.door_port,
            "ingest": config.ingest_port,
            "agents": config.worker_port,
            "sink": config.sink_port,
            "board": config.board_port,
        }
        return config.clickhouse_url if name == "store" else f"http://127.0.0.1:{ports[name]}"

    def get(self, name: str, path: str, timeout_s: float = 60) -> bytes:
        """The body of a page; raises `OSError` for anything but 200."""
        with urllib.request.urlopen(self.address(name) + path, timeout=timeout_s) as response:
            body: bytes = response.read()
            return body

    def metrics(self, name: str) -> dict[str, float]:
        """The metrics a role keeps of itself; those with labels are summed up."""
        found: dict[str, float] = {}
        for line in self.get(name, "/metrics").decode().splitlines():
            if line.startswith(("callboard_worker", "callboard_ingest", "callboard_sink",
                                "callboard_door")):  # fmt: skip
                series, _, value = line.rpartition(" ")
                metric = series.partition("{")[0]
                found[metric] = found.get(metric, 0.0) + float(value)
        return found

    def board(self, site: str) -> Json:
        """The board's object."""
        found: Json = orjson.loads(self.get("board", f"/api/board?site={site}"))
        return found

    def moment(self, site: str) -> Json:
        """What the board says of a site's moment: `at` and `age_ms`."""
        sites = orjson.loads(self.get("board", "/api/sites"))
        return next((one for one in sites if one["site"] == site), {"at": None, "age_ms": None})

    def sql(self, query: str) -> list[Json]:
        """Rows of a query, asked again while the store has too much to do."""
        config = self.config
        request = urllib.request.Request(
            f"{config.clickhouse_url}/?database={config.clickhouse_database}",
            data=f"{query} FORMAT JSONEachRow".encode(),
            headers={
                "X-ClickHouse-User": config.clickhouse_user,
                "X-ClickHouse-Key": config.clickhouse_password,
            },
        )
        deadline = time.monotonic() + SQL_S
        while True:
            try:
                with urllib.request.urlopen(request, timeout=SQL_S) as response:
                    return [json.loads(line) for line in response.read().splitlines()]
            except urllib.error.HTTPError as refusal:
                if refusal.code not in (408, 503) or time.monotonic() > deadline:
                    raise AssertionError(refusal.read().decode()) from refusal
            time.sleep(0.2)

    def topic_bytes(self) -> dict[str, int]:
        """Bytes of records that each topic has on the broker's disk."""
        found: dict[str, int] = {}
        for folder in (self.kafka.folder / "data").iterdir():
            topic, _, number = folder.name.rpartition("-")
            if folder.is_dir() and number.isdigit():
                size = sum(_size(path) for path in folder.glob("*.log"))
                found[topic] = found.get(topic, 0) + size
        return found


@contextmanager
def running_system(folder: Path, partitions: int, **changes: Any) -> Iterator[System]:
    """A system for as long as the block lasts."""
    system = System(folder, partitions, **changes)
    try:
        system.start()
        yield system
    finally:
        system.kill()


def quietly(true: Callable[[], object]) -> object:
    """What is asked of somebody who may be away; False where nobody answers."""
    try:
        return true()
    except (OSError, HTTPException, LookupError, ValueError):
        return False


def _config(folder: Path, bootstrap: str, partitions: int, changes: Json) -> Config:
    given: Json = {
        "bootstrap": bootstrap,
        "partitions": partitions,
        "epoch": 1,
        "settings_dir": folder / "settings",
        "hooks_dir": folder / "hooks",
        "data_dir": folder / "data",
        "door_port": free_port(),
        "ingest_port": free_port(),
        "worker_port": free_port(),
        "sink_port": free_port(),
        "board_port": free_port(),
        "clickhouse_url": f"http://127.0.0.1:{free_port()}",
        "clickhouse_user": "writer",
        "clickhouse_password": "write",
        "analyst_password": "read",
    }
    return Config(**(given | changes))


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # a segment that has just been compacted away
        return 0
