"""docker-compose.tls.yml: all that the roles say goes encrypted, to servers that are known."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from cryptography import x509
from cryptography.x509.verification import PolicyBuilder, Store

from schemas.config import Config, misspelt_variables
from tests.certificates import Authority
from tests.deploy.files import KNOWN, ROOT, compose
from tests.deploy.test_compose import USER_OF
from tests.programs import program

OVERLAY = "docker-compose.tls.yml"
ASK_THE_STORE = ("migrate", "sink", "board", "backfill", "tools")


def service(name: str) -> dict[str, Any]:
    found: dict[str, Any] = compose(OVERLAY)["services"][name]
    return found


def secrets_of(name: str) -> set[str]:
    return {one["source"] for one in service(name)["secrets"]}


@pytest.mark.parametrize("name", sorted({*USER_OF, *ASK_THE_STORE}))
def test_a_role_speaks_tls_to_all_that_it_speaks_to(name: str, tmp_path: Path) -> None:
    environ = dict(service(name)["environment"])
    assert {variable for variable in environ if variable.startswith("CALLBOARD_")} <= KNOWN
    assert misspelt_variables(environ) == []
    for variable, path in environ.items():
        if variable.endswith("_FILE"):
            assert Path(path).name in secrets_of(name)
            secret = tmp_path / Path(path).name
            secret.write_text("secret")
            environ[variable] = str(secret)
        if variable.endswith("_CA_FILE"):
            assert Path(path).name == "tls_authority"
            environ[variable] = str(Authority(tmp_path).file)
    config = Config.from_env(environ)
    if name in USER_OF:
        assert config.brokers.tls
        assert config.kafka_user
    if name in ASK_THE_STORE:
        assert config.clickhouse_url == "https://clickhouse:8443"


def test_no_listener_for_others_is_in_the_clear() -> None:
    environ = service("kafka")["environment"]
    pairs = environ["KAFKA_LISTENER_SECURITY_PROTOCOL_MAP"].split(",")
    protocols = dict(pair.split(":") for pair in pairs)
    plain = compose()["services"]["kafka"]["environment"]
    names = [one.split("://")[0] for one in plain["KAFKA_LISTENERS"].split(",")]
    assert set(protocols) == set(names)
    assert {name for name in names if protocols[name] != "SASL_SSL"} == {"LOCAL", "CONTROLLER"}
    assert Path(environ["KAFKA_SSL_KEYSTORE_LOCATION"]).name in secrets_of("kafka")


def test_the_store_shows_what_it_was_given() -> None:
    (tls,) = (v for v in service("clickhouse")["volumes"] if v["target"].endswith("/tls.xml"))
    told = ElementTree.parse(tls["source"]).getroot()
    assert told.findtext("https_port") == "8443"
    for tag in ("certificateFile", "privateKeyFile"):
        path = told.findtext(f"openSSL/server/{tag}") or ""
        assert Path(path).name in secrets_of("clickhouse")
        assert path.startswith("/run/secrets/")


def test_certificates_are_made_once_and_name_their_hosts(tmp_path: Path) -> None:
    program("openssl")

    def made() -> dict[str, bytes]:
        command = [str(ROOT / "deploy/secrets/tls.sh"), str(tmp_path)]
        subprocess.run(command, check=True, capture_output=True)
        return {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    first = made()
    assert made() == first
    wanted = [Path(one["file"]).name for one in compose(OVERLAY)["secrets"].values()]
    assert {name for name in wanted if name.startswith("tls_")} <= set(first)
    assert (tmp_path / "tls_authority.key").stat().st_mode & 0o077 == 0
    authority = x509.load_pem_x509_certificate(first["tls_authority.crt"])
    for host in ("kafka", "clickhouse"):
        certificate = x509.load_pem_x509_certificate(first[f"tls_{host}.crt"])
        # Held to RFC 5280 in full, as Python's own clients do from 3.13 on.
        policy = PolicyBuilder().store(Store([authority]))
        policy.build_server_verifier(x509.DNSName(host)).verify(certificate, [])
    assert b"PRIVATE KEY" in first["tls_kafka.pem"]
    assert first["tls_kafka.pem"].endswith(first["tls_kafka.crt"])
