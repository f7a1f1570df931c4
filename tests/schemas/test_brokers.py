"""How brokers and store are to be reached: what the variables say, and what they may not say."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from schemas.brokers import Brokers
from schemas.config import Config, ConfigError
from tests.certificates import Authority

SASL = {
    "CALLBOARD_KAFKA_SECURITY": "SASL_SSL",
    "CALLBOARD_KAFKA_USER": "sink",
    "CALLBOARD_KAFKA_PASSWORD": "s3cret",
}


def test_without_variables_nothing_is_encrypted_and_nobody_logs_in() -> None:
    arguments = Config.from_env({"CALLBOARD_BOOTSTRAP": "b:9092"}).brokers.arguments()
    assert arguments == {
        "bootstrap_servers": "b:9092",
        "security_protocol": "PLAINTEXT",
        "ssl_context": None,
    }


def test_a_user_over_tls_is_what_every_client_is_made_with(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    given = {**SASL, "CALLBOARD_KAFKA_CA_FILE": str(authority.file)}
    arguments = Config.from_env(given).brokers.arguments()
    context = arguments.pop("ssl_context")
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert [one["serialNumber"] for one in context.get_ca_certs()]
    assert arguments == {
        "bootstrap_servers": "127.0.0.1:9092",
        "security_protocol": "SASL_SSL",
        "sasl_mechanism": "SCRAM-SHA-512",
        "sasl_plain_username": "sink",
        "sasl_plain_password": "s3cret",
    }


def test_without_an_authority_those_of_the_system_are_trusted() -> None:
    context = Brokers("b:9092", "ssl").context()
    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED


def test_brokers_as_text_are_addresses_and_their_secret_is_never_shown() -> None:
    config = Config.from_env(SASL)
    assert str(config.brokers) == "127.0.0.1:9092"
    for shown in (repr(config.brokers), repr(config), str(config)):
        assert "s3cret" not in shown


def test_the_password_may_stand_in_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("s3cret\n")
    given = {**SASL, "CALLBOARD_KAFKA_PASSWORD_FILE": str(secret)}
    del given["CALLBOARD_KAFKA_PASSWORD"]
    assert Config.from_env(given).brokers.password == "s3cret"


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({**SASL, "CALLBOARD_KAFKA_USER": ""}, ["KAFKA_SECURITY=sasl_ssl", "KAFKA_USER"]),
        ({**SASL, "CALLBOARD_KAFKA_PASSWORD": ""}, ["KAFKA_SECURITY", "KAFKA_PASSWORD"]),
        ({"CALLBOARD_KAFKA_USER": "sink"}, ["KAFKA_USER", "KAFKA_SECURITY=plaintext"]),
        ({"CALLBOARD_KAFKA_PASSWORD": "s3cret"}, ["KAFKA_PASSWORD", "KAFKA_SECURITY=plaintext"]),
        ({**SASL, "CALLBOARD_KAFKA_SECURITY": "ssl"}, ["KAFKA_USER", "KAFKA_SECURITY=ssl"]),
        ({"CALLBOARD_KAFKA_CA_FILE": "ca.crt"}, ["KAFKA_CA_FILE", "KAFKA_SECURITY=plaintext"]),
        (
            {"CALLBOARD_KAFKA_SECURITY": "ssl", "CALLBOARD_KAFKA_CERT_FILE": "user.crt"},
            ["KAFKA_CERT_FILE", "KAFKA_KEY_FILE"],
        ),
        (
            {"CALLBOARD_KAFKA_SECURITY": "ssl", "CALLBOARD_KAFKA_KEY_FILE": "user.key"},
            ["KAFKA_CERT_FILE", "KAFKA_KEY_FILE"],
        ),
        ({"CALLBOARD_CLICKHOUSE_CA_FILE": "ca.crt"}, ["CLICKHOUSE_CA_FILE", "CLICKHOUSE_URL=http"]),
        ({"CALLBOARD_KAFKA_SECURITY": "tls"}, ["KAFKA_SECURITY=tls"]),
        ({**SASL, "CALLBOARD_KAFKA_SASL": "GSSAPI"}, ["KAFKA_SASL=GSSAPI"]),
    ],
)
def test_contradictions_are_refused_by_the_names_of_the_variables(
    given: dict[str, str], named: list[str]
) -> None:
    with pytest.raises(ConfigError) as refused:
        Config.from_env(given)
    assert [name for name in named if f"CALLBOARD_{name}" not in str(refused.value)] == []
    assert "s3cret" not in str(refused.value)
    assert "\n" not in str(refused.value)


def test_files_of_no_use_are_refused_at_the_start(tmp_path: Path) -> None:
    cert, key = Authority(tmp_path).certificate("worker")
    other = x509_key(tmp_path / "other.key", b"")
    encrypted = x509_key(tmp_path / "encrypted.key", b"word")
    empty = tmp_path / "empty.crt"
    empty.write_text("")
    cases = [
        ({"CA": tmp_path / "none.crt"}, "No such file"),
        ({"CA": empty}, "no certificate"),
        ({"CERT": empty, "KEY": key}, "PEM form"),
        ({"CERT": cert, "KEY": other}, "not that of the certificate"),
        ({"CERT": cert, "KEY": encrypted}, "encrypted"),
        ({"CERT": cert, "KEY": tmp_path / "none.key"}, "No such file"),
    ]
    for files, reason in cases:
        given = {f"CALLBOARD_KAFKA_{name}_FILE": str(path) for name, path in files.items()}
        with pytest.raises(ConfigError, match=reason) as refused:
            Config.from_env({**given, "CALLBOARD_KAFKA_SECURITY": "ssl"})
        for name, path in given.items():
            assert f"{name}={path}" in str(refused.value)


def x509_key(path: Path, password: bytes) -> Path:
    """A key of no certificate here, encrypted if a password is given."""
    key = ec.generate_private_key(ec.SECP256R1())
    encryption: serialization.KeySerializationEncryption = serialization.NoEncryption()
    if password:
        encryption = serialization.BestAvailableEncryption(password)
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    )
    return path


def test_a_certificate_of_our_own_is_taken(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    cert, key = authority.certificate("worker")
    config = Config.from_env(
        {
            "CALLBOARD_KAFKA_SECURITY": "ssl",
            "CALLBOARD_KAFKA_CA_FILE": str(authority.file),
            "CALLBOARD_KAFKA_CERT_FILE": str(cert),
            "CALLBOARD_KAFKA_KEY_FILE": str(key),
        }
    )
    assert x509.load_pem_x509_certificate(cert.read_bytes()).issuer == authority.name
    assert config.brokers.arguments()["security_protocol"] == "SSL"
