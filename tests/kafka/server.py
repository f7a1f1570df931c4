"""Apache Kafka as one process: broker and controller on free ports, in a folder of its own."""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.kafka.jars import class_path
from tests.ports import free_port
from tests.programs import program

START_S = 180.0
"""How long a start may take on a machine that is busy; alone it takes three seconds."""

_LOG4J = """<Configuration status="ERROR">
<Appenders><Console name="C"><PatternLayout pattern="%d %p %c{1} %m%n"/></Console></Appenders>
<Loggers><Root level="WARN"><AppenderRef ref="C"/></Root>
<Logger name="kafka.server.KafkaRaftServer" level="INFO"/></Loggers>
</Configuration>
"""
_STARTED = "Kafka Server started"


class KafkaServer:
    """A broker whose data outlives its process: it may be stopped, killed and started again.

    `properties` are laid over the usual ones; with a listener of another name than
    PLAINTEXT in `listeners` the caller names the inter-broker listener as well. `{port}` in a value
    is the client port.
    """

    format_options: tuple[str, ...] = ()
    """More words for the formatting of the storage: users of SCRAM are made there."""

    def __init__(
        self, folder: Path, properties: Mapping[str, str] | None = None, heap: str = "384m"
    ) -> None:
        self.port = free_port()
        self._controller_port = free_port()
        self.address = f"127.0.0.1:{self.port}"
        self.folder = folder
        self._given = dict(properties or {})
        self._heap = heap
        self._process: subprocess.Popen[bytes] | None = None
        self._out = folder / "kafka.log"
        self._seen = 0

    def start(self) -> None:
        """Start and wait until clients are answered."""
        self.launch()
        self.wait_until_up()

    def launch(self) -> None:
        """Start without waiting."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._write_configuration()
        if not (self.folder / "data" / "meta.properties").exists():
            self._format()
        self._seen = self._out.stat().st_size if self._out.exists() else 0
        with self._out.open("ab") as out:
            self._process = subprocess.Popen(
                self._java("kafka.Kafka", str(self._properties)), stdout=out, stderr=out
            )

    def wait_until_up(self) -> None:
        """Wait until clients are answered; fails with the log if the process ends instead."""
        deadline = time.monotonic() + START_S
        while _STARTED not in self._words() or not self._listens():
            assert self._process is not None
            ended = self._process.poll()
            if ended is not None or time.monotonic() > deadline:
                told = self._words()[-4000:]
                raise AssertionError(f"Kafka does not start, exit code {ended}:\n{told}")
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        """The process."""
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """Shut down in order; the data stay."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)
            self._process.terminate()
            try:
                self._process.wait(60)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def kill(self) -> None:
        """kill -9; the data that were written stay."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """SIGSTOP: it is there and does not answer."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    # --- how it is started --------------------------------------------------------------------

    @property
    def _properties(self) -> Path:
        return self.folder / "server.properties"

    def _write_configuration(self) -> None:
        (self.folder / "log4j2.xml").write_text(_LOG4J)
        shown = {**self._defaults(), **self._given}
        lines = [
            f"{name}={value.replace('{port}', str(self.port))}" for name, value in shown.items()
        ]
        self._properties.write_text("\n".join(lines) + "\n")

    def _defaults(self) -> dict[str, str]:
        controller = f"127.0.0.1:{self._controller_port}"
        return {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"PLAINTEXT://{self.address},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.address}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "inter.broker.listener.name": "PLAINTEXT",
            "log.dirs": str(self.folder / "data"),
            "auto.create.topics.enable": "false",
            "offsets.topic.replication.factor": "1",
            "offsets.topic.num.partitions": "4",
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            "share.coordinator.state.topic.replication.factor": "1",
            "share.coordinator.state.topic.min.isr": "1",
            "group.initial.rebalance.delay.ms": "0",
            "group.min.session.timeout.ms": "1000",
            "message.max.bytes": "2097152",
            "replica.fetch.max.bytes": "4194304",
            "num.network.threads": "2",
            "num.io.threads": "2",
            "log.cleaner.dedupe.buffer.size": "16777216",
        }

    def _format(self) -> None:
        # The first byte is fixed: a name that begins with a hyphen would be taken for an option.
        cluster = base64.urlsafe_b64encode(b"k" + os.urandom(15)).decode().rstrip("=")
        words = ["format", "-t", cluster, "-c", str(self._properties), *self.format_options]
        done = subprocess.run(
            self._java("kafka.tools.StorageTool", *words), capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode() + done.stdout.decode()

    def _java(self, name: str, *words: str) -> list[str]:
        # The first tier of the compiler alone: a broker that lives for a minute starts faster.
        options = [f"-Xmx{self._heap}", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
        options.append(f"-Dlog4j2.configurationFile={self.folder / 'log4j2.xml'}")
        return [program("java"), *options, "-cp", class_path(), name, *words]

    def _words(self) -> str:
        with self._out.open("rb") as out:
            out.seek(self._seen)
            return out.read().decode(errors="replace")

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


@contextmanager
def running_kafka(
    folder: Path, properties: Mapping[str, str] | None = None
) -> Iterator[KafkaServer]:
    """A broker for as long as the block lasts."""
    server = KafkaServer(folder, properties)
    try:
        server.start()
        yield server
    finally:
        server.kill()
