"""The configuration by itself: names, contradictions, files of secrets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipeline.doctor.around import Around
from pipeline.doctor.finding import Finding, failed, ok, warning
from schemas.clock import Clock, ClockError
from schemas.config import (
    COLLECTOR_SECRETS,
    SECRETS,
    Config,
    file_variable_of,
    misspelt_variables,
    variable_of,
)
from service.callers import is_loopback


async def check(around: Around) -> list[Finding]:
    """Look at the variables and at what they name."""
    return [
        *_names(around),
        *_secret_files(around),
        *_contradictions(around.config),
        *_clock(around.config),
    ]


def _names(around: Around) -> Iterator[Finding]:
    wrong = misspelt_variables(around.environ)
    todo = "correct or remove the variable: nothing reads it"
    yield from (warning("variables", told, todo) for told in wrong)
    if not wrong:
        count = sum(variable_of(name) in around.environ for name in Config.model_fields)
        yield ok("variables", f"{count} set, all known and readable")


def _secret_files(around: Around) -> Iterator[Finding]:
    """A role has read its own; a file that holds nothing is a secret that is not there."""
    found = 0
    for name in (*SECRETS, *COLLECTOR_SECRETS):
        variable = file_variable_of(name)
        if variable not in around.environ:
            continue
        path = Path(around.environ[variable])
        try:
            empty = not path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            yield failed("secrets", f"{variable}={path}: {error}", "make the file readable")
            continue
        found += 1
        if empty:
            yield warning("secrets", f"{variable}={path} is empty", "put the secret into the file")
    yield ok("secrets", f"{found} in files" if found else "none in files")


def _contradictions(config: Config) -> Iterator[Finding]:
    found = list(_contradicted(config))
    yield from (warning("contradictions", told, todo) for told, todo in found)
    if not found:
        yield ok("contradictions", "none")


def _contradicted(config: Config) -> Iterator[tuple[str, str]]:
    if not is_loopback(config.door_host) and not config.door_token:
        told = f"the door listens at {config.door_host} and has no token"
        yield told, "set CALLBOARD_DOOR_TOKEN: whoever reaches the door can send events"
    if config.clock_file and not config.alone:
        told = f"CALLBOARD_CLOCK_FILE={config.clock_file} shifts the time of a real deployment"
        yield told, "unset it: it is for demos"
    if config.snapshot_dir and not config.journal:
        told = "CALLBOARD_SNAPSHOT_DIR is set, but without a journal nothing is read after them"
        yield told, "unset it: with Apache Kafka the changelogs are the snapshots"
    if config.alone and not config.journal:
        told = "CALLBOARD_ALONE is set outside of the embedded stack"
        yield told, "unset it: two of a role would make everything twice"
    if config.alert_email_to and not config.alert_smtp:
        yield (
            "CALLBOARD_ALERT_EMAIL_TO is set, but no server sends mail",
            ("set CALLBOARD_ALERT_SMTP"),
        )
    if config.checkpoint_ms > 120_000:
        told = f"CALLBOARD_CHECKPOINT_MS={config.checkpoint_ms}: minutes are read again on restart"
        yield told, "10000 is usual"


def _clock(config: Config) -> Iterator[Finding]:
    if not config.clock_file:
        return
    try:
        clock = Clock.from_file(config.clock_file)
    except ClockError as error:
        yield failed("clock file", str(error), "restart the stack: it writes the file anew")
        return
    yield ok("clock file", f"{config.clock_file}: pace {clock.pace:g}")
