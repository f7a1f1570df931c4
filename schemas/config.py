"""Configuration of the processes, from environment variables that begin with `CALLBOARD_`."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

PREFIX = "CALLBOARD_"
ENGINE = PREFIX + "ENGINE"
"""Read where the engine is imported, before there is a configuration."""

SECRETS = (
    "door_token",
    "grafana_token",
    "clickhouse_password",
    "analyst_password",
    "customer_key",
)
"""Fields whose value may also stand in a file that `CALLBOARD_<FIELD>_FILE` names."""

COLLECTOR_SECRETS = ("ami_secret", "esl_password", "finesse_password", "five9_password")
"""Secrets of the platforms that collectors log in to; they read these themselves."""

Port = Annotated[int, Field(ge=0, le=65535)]
Positive = Annotated[int, Field(ge=1)]


class ConfigError(ValueError):
    """An environment variable has a value that cannot be used; the message names it."""


class Config(BaseModel):
    """What a process must know beyond the site settings. Times are milliseconds.

    `clock_file` empty means the wall clock. `epoch` is the incarnation of the frames topic.
    `checkpoint_ms` and `checkpoint_events` bound what is read again after a crash; raise them if
    checkpoints take a visible share of a worker's time. `snapshot_dir` empty means no snapshots.
    `board_url` is where people reach the board: links in alerts begin with it. `alerts_by` says who
    delivers alerts; the rules of the other are not loaded. A contact point of alerts exists if its
    `alert_` address is given; `door_url` is where their history is taken. `alert_teams_as` names
    how Alertmanager speaks to Teams: what is not `webhook` needs a newer one than 0.25.
    `reconcile_ms` is how often the sink asks whether engine and records agree, 0 for never;
    `quality_ms` how often it asks for the quality KPIs of the board.
    `retention_days` is how long the store keeps what is older, 0 for ever; `callboard migrate`
    brings the tables to it.
    `customer_key` is the key under which numbers of customers are hashed, the same for ingest and
    backfill; without one they are left out. `door_public_url` is the address at which platforms
    call the door where a proxy stands before it: some sign the address. `hooks_dir` holds the
    secrets of webhooks: a file `<platform>`, or `<site>.<platform>` for one site alone.
    `page_host` is where worker, ingest and sink show readiness and metrics. `journal` concerns the
    door only: it keeps one. `alone` says that there is exactly one door, ingest, worker and sink,
    so that each may take all partitions without a group; only the embedded stack sets it, for two
    of a kind would make everything twice.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bootstrap: str = "127.0.0.1:9092"
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
    clickhouse_database: str = "callboard"
    retention_days: Annotated[int, Field(ge=0)] = 0
    analyst_password: str = ""
    clock_file: str = ""
    tick_ms: Positive = 1000
    reconcile_ms: Annotated[int, Field(ge=0)] = 60_000
    quality_ms: Annotated[int, Field(ge=0)] = 60_000
    checkpoint_ms: Positive = 10_000
    checkpoint_events: Positive = 100_000
    log_level: str = "INFO"
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
            return cls.model_validate(values)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            variable = variable_of(str(first["loc"][0]))
            raise ConfigError(f"{variable}={first['input']}: {first['msg']}") from None

    def to_env(self) -> dict[str, str]:
        """The variables that make `from_env` return an equal configuration."""
        return {variable_of(name): str(getattr(self, name)) for name in type(self).model_fields}


def variable_of(field: str) -> str:
    """The environment variable of a field."""
    return PREFIX + field.upper()


def file_variable_of(field: str) -> str:
    """The environment variable that names the file of a secret."""
    return variable_of(field) + "_FILE"


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
