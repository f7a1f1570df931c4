"""Who is not let in is told so in one line, which names the variable and holds no secret."""

from __future__ import annotations

import asyncio
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.backfill.history import HistoryError, topic_records
from pipeline.letters import Letters, LettersError
from pipeline.topics import ensure_topics_patiently
from schemas.access import USERS
from schemas.brokers import Brokers
from schemas.config import variable_of
from sinks.board.feed import LiveFeed
from tests.certificates import Authority
from tests.ingest.roles import until
from tests.security.broker import SecureKafka, password_of
from tests.security.conftest import PARTITIONS

WRONG_PASSWORD = "a-guess-at-the-secret"
CASES = {
    "password": ("refuses the user kafka-door", "CALLBOARD_KAFKA_PASSWORD"),
    "user": ("refuses the user nobody", "CALLBOARD_KAFKA_USER"),
    "authority": ("local issuer", "CALLBOARD_KAFKA_CA_FILE"),
    "expired": ("has expired", "renewed at the broker"),
    "stranger": ("mismatch", "CALLBOARD_BOOTSTRAP"),
    "security": ("hangs up", "CALLBOARD_KAFKA_SECURITY=sasl_plaintext"),
    "away": ("Connect call failed", "no broker at 127.0.0.1:1"),
}


def wrong(case: str, kafka: SecureKafka, folder: Path) -> Brokers:
    """How a door with something wrong in its configuration reaches the broker."""
    good = kafka.brokers("kafka-door")
    match case:
        case "password":
            return replace(good, password=WRONG_PASSWORD)
        case "user":
            return replace(good, user="nobody")
        case "authority":
            return replace(good, ca_file=str(Authority(folder, "another authority").file))
        case "security":
            return replace(good, security="sasl_plaintext", ca_file="")
        case "away":
            return replace(good, bootstrap="127.0.0.1:1")
    return kafka.brokers("kafka-door", case)


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [r.getMessage() for r in caplog.records if r.name.startswith(("pipeline", "sinks"))]


def hold_no_secret(text: str) -> None:
    assert WRONG_PASSWORD not in text
    assert password_of("kafka-door") not in text


@pytest.mark.parametrize("case", CASES)
async def test_a_role_says_why_and_tries_on(
    kafka: SecureKafka, case: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    brokers = wrong(case, kafka, tmp_path)
    task = asyncio.create_task(ensure_topics_patiently(brokers, PARTITIONS, USERS["door"].topics))
    await until(lambda: len(lines(caplog)) >= 2 or task.done())
    assert not task.done(), "it tries on"
    task.cancel()
    for line in lines(caplog):
        assert [part for part in CASES[case] if part not in line] == []
        assert "\n" not in line
    hold_no_secret(caplog.text)


@pytest.mark.parametrize("case", ["password", "authority"])
async def test_so_does_the_board(
    kafka: SecureKafka, case: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    feed = LiveFeed(wrong(case, kafka, tmp_path), lambda _: None)
    task = asyncio.create_task(feed.run())
    await until(lambda: len(lines(caplog)) >= 2 or task.done())
    assert not task.done(), "it tries on"
    task.cancel()
    for line in lines(caplog):
        assert [part for part in CASES[case] if part not in line] == []
    hold_no_secret(caplog.text)


async def test_who_reads_history_or_dead_letters_is_told_as_well(
    kafka: SecureKafka, tmp_path: Path
) -> None:
    brokers = wrong("password", kafka, tmp_path)
    with pytest.raises(HistoryError) as history:
        await anext(topic_records(brokers, None))
    with pytest.raises(LettersError) as letters:
        await Letters(brokers).__aenter__()
    for refused in (history, letters):
        assert [part for part in CASES["password"] if part not in str(refused.value)] == []
        hold_no_secret(str(refused.value))


def test_a_command_ends_with_that_line(kafka: SecureKafka, tmp_path: Path) -> None:
    given = wrong("password", kafka, tmp_path)
    environ = {
        variable_of("bootstrap"): given.bootstrap,
        variable_of("kafka_security"): given.security,
        variable_of("kafka_user"): given.user,
        variable_of("kafka_password"): given.password,
        variable_of("kafka_ca_file"): given.ca_file,
    }
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CALLBOARD_")}
    done = subprocess.run(
        [sys.executable, "-m", "pipeline.cli.main", "topics"],
        env={**kept, **environ, "COLUMNS": "1000"},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if CASES["password"][0] in line]
    assert len(told) == 1, done.stderr
    assert CASES["password"][1] in told[0]
    assert "Traceback" not in done.stderr
    hold_no_secret(done.stdout + done.stderr)
