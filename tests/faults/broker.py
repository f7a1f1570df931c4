"""Apache Kafka with a line of its own for each process, so that one may fail alone."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from tests.faults.network import Link
from tests.kafka.server import KafkaServer
from tests.ports import free_port


class Broker:
    """A broker that may be down, up or standing still; the test's own clients reach it directly.

    A fault that comes while it still starts waits until it is up: on a slow machine a start
    outlasts the time between two faults, and a broker that never comes up proves nothing.
    """

    def __init__(self, folder: Path, links: Mapping[str, Link]) -> None:
        for link in links.values():
            link.target = free_port()
        self.server = KafkaServer(folder, _listeners(links))
        self.address = self.server.address
        self.up = False
        self._turn = threading.Lock()

    def launch(self) -> None:
        """Start without waiting."""
        self.server.launch()
        self.up = True

    def wait_until_up(self) -> None:
        """Wait until it answers."""
        self.server.wait_until_up()

    def start(self) -> None:
        """Start it if it is down, and wake it if it stands still."""
        with self._turn:
            if self.up:
                self.server.resume()
            else:
                self.server.start()
                self.up = True

    def stop(self) -> None:
        """Shut it down in order."""
        with self._turn:
            if self.up:
                self.server.stop()
                self.up = False

    def kill(self) -> None:
        """kill -9."""
        with self._turn:
            if self.up:
                self.server.kill()
                self.up = False

    def pause(self) -> None:
        """SIGSTOP."""
        with self._turn:
            if self.up:
                self.server.pause()


def _listeners(links: Mapping[str, Link]) -> dict[str, str]:
    """Listeners by process; clients are told the port of the line and not the broker's."""
    names = {link.name.upper(): link for link in links.values()}
    bound = ["PLAINTEXT://127.0.0.1:{port}"]
    bound += [f"{name}://127.0.0.1:{link.target}" for name, link in names.items()]
    told = ["PLAINTEXT://127.0.0.1:{port}"]
    told += [f"{name}://127.0.0.1:{link.port}" for name, link in names.items()]
    protocols = [f"{name}:PLAINTEXT" for name in ("PLAINTEXT", "CONTROLLER", *names)]
    controller = free_port()
    return {
        "controller.quorum.voters": f"1@127.0.0.1:{controller}",
        "listeners": ",".join([*bound, f"CONTROLLER://127.0.0.1:{controller}"]),
        "advertised.listeners": ",".join(told),
        "listener.security.protocol.map": ",".join(protocols),
        "num.network.threads": "1",
    }
