"""Configuration of the processes, from environment variables that begin with `CALLBOARD_`."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from schemas.brokers import Brokers, Mechanism, Security, client_context, unusable

PREFIX = "CALLBOARD_"
ENGINE = PREFIX + "ENGINE"
"""Read where the engine is imported, before there is a configuration."""

SECRETS = (
    "door_token",
    "kafka_password",
    "grafana_token",
    "clickhouse_password",
    "analyst_password",
    "customer_key",
    "operator_token",
    "board_session_key",
)
"""Fields whose value may also stand in a file that `CALLBOARD_<FIELD>_FILE` names."""

CONTACT_SECRETS = (
    "alert_slack_url",
    "alert_teams_url",
    "alert_smtp_password",
    "alert_pagerduty_key",
    "alert_webhook_url",
    "alert_webhook_token",
    "alert_watchdog_url",
)
"""Whoever knows one of these can speak to those who are told of alerts."""

COLLECTOR_SECRETS = ("ami_secret", "esl_password", "finesse_password", "five9_password")
"""Secrets of the platforms that collectors log in to; they read these themselves."""

_TLS_FILES = (
    ("kafka_ca_file",),
    ("kafka_cert_file", "kafka_key_file"),
    ("clickhouse_ca_file",),
)

Port = Annotated[int, Field(ge=0, le=65535)]
LogLevel = Annotated[
    Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"],
    BeforeValidator(lambda level: str(level).upper()),
]
Positive = Annotated[int, Field(ge=1)]


class ConfigError(ValueError):
    """An environment variable has a value that cannot be used; the message names it."""


class Config(BaseModel):
    """What a process must know beyond the site settings. Times are milliseconds.

    `kafka_security` says whether the brokers are reached by TLS and whether by a user
    (`kafka_user`, `kafka_password`, by `kafka_sasl`); `kafka_cert_file` and `kafka_key_file` are a
    certificate of our own, where brokers ask for one. A `_ca_file` empty means the authorities that
    the system trusts.
    `clock_file` empty means the wall clock. `epoch` is the incarnation of the frames topic.
    `checkpoint_ms` and `checkpoint_events` bound what is read again after a crash; raise them if
    checkpoints take a visible share of a worker's time. `snapshot_dir` empty means no snapshots.
    `board_url` is where people reach the board: links in alerts begin with it. `alerts_by` says who
    delivers alerts; the rules of the other are not loaded. A contact point of alerts exists if its
    `alert_` address is given; `door_url` is where their history is taken. `alert_teams_as` names
    how Alertmanager speaks to Teams: what is not `webhook` needs a newer one than 0.25.
    `board_access` says who may see the board: whoever reaches it (`open`), holders of a token that
    the file `board_viewers` names (`token`), or whom a proxy has asked who they are (`proxy`: it
    says so in `board_user_header` and `board_sites_header`); `auto` is open, on this machine only.
    `board_session_key` signs the cookies of those who have logged in, the same for all boards;
    without one they must log in again when a board starts. `board_frame_ancestors` are the origins
    whose pages may hold the board in a frame. `trusted_proxies` are the networks of proxies whose
    headers are believed. `board_streams` bounds live connections, `_of_one` those of one address.
    `reconcile_ms` is how often the sink asks whether engine and records agree, 0 for never;
    `quality_ms` how often it asks for the quality KPIs of the board.
    `retention_days` is how long the store keeps what is older, 0 for ever; `callboard migrate`
    brings the tables to it.
    `customer_key` is the key under which numbers of customers are hashed, the same for ingest and
    backfill; without one they are left out. `door_public_url` is the address at which platforms
    call the door where a proxy stands before it: some sign the address. `hooks_dir` holds the
    secrets of webhooks: a file `<platform>`, or `<site>.<platform>` for one site alone.
    `log_format` is `json` where a program reads the logs. `operator_token` lets operators change
    levels of logs over HTTP from other machines, and at door and board at all.
    `page_host` is where worker, ingest and sink show readiness and metrics. `journal` concerns the
    door only: it keeps one. `alone` says that there is exactly one door, ingest, worker and sink,
    so that each may take all partitions without a group; only the embedded stack sets it, for two
    of a kind would make everything twice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bootstrap: str = "127.0.0.1:9092"
    kafka_security: Annotated[Security, BeforeValidator(str.lower)] = "plaintext"
    kafka_sasl: Annotated[Mechanism, BeforeValidator(str.upper)] = "SCRAM-SHA-512"
    kafka_user: str = ""
    kafka_password: str = Field(default="", repr=False)
    kafka_ca_file: str = ""
    kafka_cert_file: str = ""
    kafka_key_file: str = ""
    partitions: Positive = 32
    epoch: Annotated[int, Field(ge=0)] = 0
    settings_dir: Path = Path("settings")
    data_dir: Path = Path(".callboard")
    door_host: str = "127.0.0.1"
    door_port: Port = 7070
    door_token: str = ""
    door_public_url: str = ""
    hooks_dir: Path = Path("hooks")
    customer_key: str = ""
    board_host: str = "127.0.0.1"
    board_port: Port = 7080
    board_url: str = "http://127.0.0.1:7080"
    board_access: Literal["auto", "open", "token", "proxy"] = "auto"
    board_viewers: str = ""
    board_session_key: str = ""
    board_user_header: str = "X-Forwarded-User"
    board_sites_header: str = "X-Forwarded-Sites"
    board_logout_url: str = ""
    board_frame_ancestors: str = ""
    board_streams: Positive = 1000
    board_streams_of_one: Positive = 400
    trusted_proxies: str = ""
    grafana_url: str = "http://127.0.0.1:3000"
    grafana_token: str = ""
    alerts_by: Literal["prometheus", "grafana"] = "prometheus"
    door_url: str = "http://127.0.0.1:7070"
    alert_slack_url: str = ""
    alert_teams_url: str = ""
    alert_teams_as: Literal["webhook", "msteams", "msteamsv2"] = "webhook"
    alert_email_to: str = ""
    alert_email_from: str = ""
    alert_smtp: str = ""
    alert_smtp_user: str = ""
    alert_smtp_password: str = ""
    alert_pagerduty_key: str = ""
    alert_webhook_url: str = ""
    alert_webhook_token: str = ""
    alert_watchdog_url: str = ""
    page_host: str = "127.0.0.1"
    worker_port: Port = 7090
    ingest_port: Port = 7091
    sink_port: Port = 7092
    prometheus_port: Port = 9090
    alertmanager_port: Port = 9093
    clickhouse_url: str = "http://127.0.0.1:8123"
    clickhouse_user: str = "default"
    clickhouse_password: str = ""
    clickhouse_ca_file: str = ""
    clickhouse_database: str = "callboard"
    retention_days: Annotated[int, Field(ge=0)] = 0
    analyst_password: str = ""
    clock_file: str = ""
    tick_ms: Positive = 1000
    reconcile_ms: Annotated[int, Field(ge=0)] = 60_000
    quality_ms: Annotated[int, Field(ge=0)] = 60_000
    checkpoint_ms: Positive = 10_000
    checkpoint_events: Positive = 100_000
    log_level: LogLevel = "INFO"
    log_format: Literal["text", "json"] = "text"
    operator_token: str = ""
    journal: bool = False
    alone: bool = False
    snapshot_dir: str = ""

    @classmethod
    def from_env(cls, environ: Mapping[str, str]) -> Config:
        """Read `CALLBOARD_<FIELD>` variables; raise `ConfigError` that names the wrong one.

        A secret may stand in a file: `CALLBOARD_<FIELD>_FILE`. Variables of other names are left
        alone.
        """
        values = {
            name: environ[variable_of(name)]
            for name in cls.model_fields
            if variable_of(name) in environ
        }
        values |= _from_files(environ)
        try:
            config = cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            variable = variable_of(str(first["loc"][0]))
            given = _shown(str(first["loc"][0]), first["input"])
            raise ConfigError(f"{variable}={given}: {first['msg']}") from None
        _refuse_contradictions(config)
        _refuse_files(config)
        return config

    @property
    def brokers(self) -> Brokers:
        """How clients reach the brokers."""
        return Brokers(
            self.bootstrap,
            self.kafka_security,
            self.kafka_sasl,
            self.kafka_user,
            self.kafka_password,
            self.kafka_ca_file,
            self.kafka_cert_file,
            self.kafka_key_file,
        )

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        """What is shown of a configuration: neither secrets nor the passwords of addresses."""
        for name, value in super().__repr_args__():
            yield name, _shown(name, value)

    def to_env(self) -> dict[str, str]:
        """The variables that make `from_env` return an equal configuration."""
        return {variable_of(name): str(getattr(self, name)) for name in type(self).model_fields}


def variable_of(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def file_variable_of(field: str) -> str:
    """The environment variable that names the file of a secret."""
    return variable_of(field) + "_FILE"


def _shown(field: str | None, value: Any) -> Any:
    """A field's value as it may be shown."""
    if field in (*SECRETS, *CONTACT_SECRETS):
        return "[secret]" if value else ""
    return shown_address(value) if isinstance(value, str) else value


def without_secrets(text: str, config: Config) -> str:
    """What another program has said, in case it repeats a secret that we gave it."""
    for name in (*SECRETS, *CONTACT_SECRETS):
        secret = getattr(config, name)
        text = text.replace(secret, "[secret]") if secret else text
    return text


def shown_address(address: str) -> str:
    """An address as it may be shown: without the user and the password that may stand in it."""
    return re.sub("(?<=://)[^/]*@", "[secret]@", address)


def _refuse_contradictions(config: Config) -> None:
    """Raise `ConfigError` for values that each are good and together mean nothing."""
    brokers, security = config.brokers, f"{variable_of('kafka_security')}={config.kafka_security}"
    for name in ("kafka_user", "kafka_password"):
        if brokers.sasl != bool(getattr(config, name)):
            raise ConfigError(
                f"{security} needs {variable_of(name)}"
                if brokers.sasl
                else f"{variable_of(name)} is set, but {security} sends no user: say sasl_ssl"
            )
    for name in ("kafka_ca_file", "kafka_cert_file", "kafka_key_file"):
        if getattr(config, name) and not brokers.tls:
            raise ConfigError(
                f"{variable_of(name)} is set, but {security} uses no TLS: say ssl or sasl_ssl"
            )
    if bool(config.kafka_cert_file) != bool(config.kafka_key_file):
        both = f"{variable_of('kafka_cert_file')} and {variable_of('kafka_key_file')}"
        raise ConfigError(f"{both} belong together: set both or none")
    if config.clickhouse_ca_file and not config.clickhouse_url.startswith("https://"):
        shown = _shown("clickhouse_url", config.clickhouse_url)
        raise ConfigError(
            f"{variable_of('clickhouse_ca_file')} is set, but "
            f"{variable_of('clickhouse_url')}={shown} uses no TLS: say https://"
        )


def _refuse_files(config: Config) -> None:
    """Raise `ConfigError` for a file of a certificate or key that cannot be used."""
    for names in _TLS_FILES:
        paths = [getattr(config, name) for name in names]
        if not any(paths):
            continue
        try:
            client_context(*(paths if len(names) == 1 else ("", *paths)))
        except OSError as error:
            given = " and ".join(f"{variable_of(n)}={p}" for n, p in zip(names, paths, strict=True))
            raise ConfigError(f"{given}: {unusable(error)}") from None


def _from_files(environ: Mapping[str, str]) -> dict[str, str]:
    """The secrets that stand in files, without the end of their line."""
    values = {}
    for field in SECRETS:
        variable = file_variable_of(field)
        if variable not in environ:
            continue
        if variable_of(field) in environ:
            raise ConfigError(f"{variable} and {variable_of(field)} are both set: set one")
        try:
            values[field] = Path(environ[variable]).read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"{variable}={environ[variable]}: {error}") from None
    return values


def misspelt_variables(environ: Mapping[str, str]) -> list[str]:
    """One warning for each `CALLBOARD_` variable that nothing reads, with the likely name."""
    secrets = [*SECRETS, *COLLECTOR_SECRETS]
    known = [variable_of(field) for field in (*Config.model_fields, *COLLECTOR_SECRETS)]
    known += [*map(file_variable_of, secrets), ENGINE]
    warnings = []
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]}?" if near else ""
            warnings.append(f"{name} is not a setting{hint}")
    return warnings
