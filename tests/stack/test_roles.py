"""Ports and environment of the roles."""

from __future__ import annotations

import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pipeline.stack.folder import DataFolder, StoreSecrets
from pipeline.stack.roles import PortTaken, embedded_config, environment, port_is_open
from schemas.brokers import Brokers
from schemas.config import Config

SECRETS = StoreSecrets("w", "a", "c", "b")


@contextmanager
def _taken() -> Iterator[int]:
    """A port somebody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        yield listener.getsockname()[1]


def _ports(config: Config) -> list[int]:
    addresses = (config.bootstrap, config.clickhouse_url)
    named = (
        config.door_port,
        config.board_port,
        config.worker_port,
        config.ingest_port,
        config.sink_port,
    )
    return [*named, *(int(address.rpartition(":")[2]) for address in addresses)]


def test_a_port_that_was_asked_for_and_is_taken_is_refused(tmp_path: Path) -> None:
    with _taken() as port, pytest.raises(PortTaken, match=f"port {port} .*CALLBOARD_BOARD_PORT"):
        embedded_config(DataFolder(tmp_path), SECRETS, {"CALLBOARD_BOARD_PORT": str(port)})


@pytest.mark.parametrize(
    ("variable", "address"),
    [
        ("CALLBOARD_BOOTSTRAP", "127.0.0.1:{}"),
        ("CALLBOARD_CLICKHOUSE_URL", "http://127.0.0.1:{}"),
    ],
)
def test_that_holds_for_the_ports_in_addresses_too(
    tmp_path: Path, variable: str, address: str
) -> None:
    with _taken() as port, pytest.raises(PortTaken, match=variable):
        embedded_config(DataFolder(tmp_path), SECRETS, {variable: address.format(port)})


def test_a_usual_port_that_is_taken_is_replaced_by_a_free_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _taken() as port:
        monkeypatch.setattr(Config.model_fields["board_port"], "default", port)
        Config.model_rebuild(force=True)
        try:
            config = embedded_config(DataFolder(tmp_path), SECRETS, {})
        finally:
            monkeypatch.undo()
            Config.model_rebuild(force=True)
        assert config.board_port not in (0, port)


def test_no_two_roles_get_the_same_port(tmp_path: Path) -> None:
    environ = {f"CALLBOARD_{role}_PORT": "0" for role in ("DOOR", "BOARD", "WORKER", "INGEST")}
    environ |= {"CALLBOARD_SINK_PORT": "0", "CALLBOARD_BOOTSTRAP": "127.0.0.1:0"}
    environ["CALLBOARD_CLICKHOUSE_URL"] = "http://127.0.0.1:0"
    ports = _ports(embedded_config(DataFolder(tmp_path), SECRETS, environ))
    assert len(set(ports)) == len(ports) == 7
    assert 0 not in ports


def test_roles_get_the_stacks_configuration_and_nothing_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CALLBOARD_EPOCH", "77")
    monkeypatch.setenv("LANG", "C.UTF-8")
    config = embedded_config(DataFolder(tmp_path), SECRETS, {"CALLBOARD_DOOR_TOKEN": "t"})
    environ = environment(config.model_copy(update={"epoch": 3}))
    assert Config.from_env(environ) == config.model_copy(update={"epoch": 3})
    assert environ["LANG"] == "C.UTF-8"
    assert config.journal
    assert config.alone
    assert config.partitions == 1
    assert config.door_token == "t"
    assert config.snapshot_dir == str(tmp_path.resolve() / "snapshots")


def test_an_open_port_is_seen() -> None:
    with _taken() as port:
        assert port_is_open(f"127.0.0.1:{port}")
    assert not port_is_open(f"127.0.0.1:{port}")


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_free_ports_are_not_those_of_outgoing_connections(tmp_path: Path) -> None:
    config = embedded_config(DataFolder(tmp_path), SECRETS, {"CALLBOARD_BOARD_PORT": "0"})
    lowest = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    assert 1024 <= config.board_port < lowest
    assert len(set(_ports(config))) == len(_ports(config))


def test_broker_and_store_of_the_stack_know_no_tls_whatever_the_environment_says(
    tmp_path: Path,
) -> None:
    environ = {
        "CALLBOARD_KAFKA_SECURITY": "sasl_ssl",
        "CALLBOARD_KAFKA_USER": "sink",
        "CALLBOARD_KAFKA_PASSWORD": "s3cret",
        "CALLBOARD_CLICKHOUSE_URL": "https://127.0.0.1:0",
    }
    config = embedded_config(DataFolder(tmp_path), SECRETS, environ)
    assert config.brokers == Brokers(config.bootstrap)
    assert config.clickhouse_url.startswith("http://127.0.0.1:")
    assert Config.from_env(config.to_env()) == config
