"""No process tells a secret: not in a log at DEBUG, a page, a metric, an error or a traceback.

The secrets are those that `schemas.config` names, so one that is added there is looked for here.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from schemas.config import (
    COLLECTOR_SECRETS,
    CONTACT_SECRETS,
    SECRETS,
    Config,
    ConfigError,
    file_variable_of,
    variable_of,
)
from tests.canaries.cages import (
    ADDRESSES,
    MARK,
    Caged,
    ask,
    canary,
    environment,
    lines,
    parrot,
    raw,
    told,
)
from tests.ports import free_port

pytestmark = pytest.mark.timeout(300)
WRONG = f"wrong-{MARK}"


@pytest.fixture
def cage(tmp_path: Path) -> Iterator[Callable[..., Caged]]:
    with ExitStack() as ending:

        def run(*words: str, **environ: str) -> Caged:
            caged = Caged(list(words), environment(tmp_path, **environ), tmp_path / "out.txt")
            ending.callback(caged.end)
            return caged

        yield run


def test_all_that_may_hold_a_secret_is_set(tmp_path: Path) -> None:
    config = Config.from_env(environment(tmp_path))
    for name in (*SECRETS, *CONTACT_SECRETS, *ADDRESSES):
        assert MARK in getattr(config, name), name
    assert told(f"x {MARK} y") == [f"x {MARK} y"]
    # By another way as well: a name like those of secrets is not forgotten.
    likely = ("password", "token", "secret", "key")
    for name in Config.model_fields:
        if name.endswith(likely):
            assert name in (*SECRETS, *CONTACT_SECRETS), f"{name} is a secret, or needs a new name"


def test_a_configuration_shows_none(tmp_path: Path) -> None:
    config = Config.from_env(environment(tmp_path))
    again = config.model_copy(update={"epoch": 7})
    for shown in (repr(config), str(config), f"{again!r} {again}", repr(config.brokers),
                  str([config]), repr({"config": config}), str(config.brokers)):  # fmt: skip
        assert told(shown) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"CALLBOARD_DOOR_PORT": "nowhere"},
        {"CALLBOARD_KAFKA_SECURITY": "plaintext"},
        {"CALLBOARD_KAFKA_SECURITY": "ssl"},
        {"CALLBOARD_BOARD_ACCESS": "everybody"},
        {"CALLBOARD_CLICKHOUSE_CA_FILE": "/dev/null"},
        {"CALLBOARD_LOG_LEVEL": "LOUD"},
        *({file_variable_of(name): "/nowhere"} for name in SECRETS),
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_what_is_said_of_a_wrong_configuration_names_no_secret(
    tmp_path: Path, wrong: dict[str, str]
) -> None:
    with pytest.raises(ConfigError) as refused:
        Config.from_env(environment(tmp_path, **wrong))
    assert told(str(refused.value)) == []


CRASH = """
import logging, sys
from schemas.config import Config
from service.logs import configure
import os
config = Config.from_env(os.environ)
configure("crash", config)
def fail(config, password):
    logging.getLogger("x").error("made with %s and %r", config, config)
    try:
        raise ValueError(f"refused: {config.clickhouse_password}")
    except ValueError:
        logging.getLogger("x").exception("it was %s", password)
    raise RuntimeError(f"with {config}")
fail(config, config.door_token)
"""


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_crash_shows_none(tmp_path: Path, form: str) -> None:
    environ = environment(tmp_path, CALLBOARD_LOG_FORMAT=form)
    done = subprocess.run(
        [sys.executable, "-c", CRASH], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "RuntimeError" in done.stderr
    assert "[secret]" in done.stderr
    assert told(done.stdout + done.stderr) == []


def test_the_door_tells_none(cage: Callable[..., Caged], tmp_path: Path) -> None:
    (tmp_path / "hooks").mkdir()
    for name in ("twilio", "zendesk", "bank.events", "genesys-cloud"):
        (tmp_path / "hooks" / name).write_text(canary(name))
    port = free_port()
    door = cage("door", CALLBOARD_DOOR_PORT=str(port))
    base = f"http://127.0.0.1:{port}"
    wait_for(door, f"{base}/healthz")
    answers = [ask(f"{base}{path}")[1] for path in ("/metrics", "/healthz", "/readyz", "/nothing")]
    sources = [f"/v1/sources/{name}?site=bank" for name in ("twilio", "genesys-cloud", "zendesk")]
    for path in ("/v1/events?site=bank", "/v1/alerts", *sources):
        for headers in (
            {"Authorization": f"Bearer {WRONG}"},
            {"X_Api_Key": WRONG, "X_Twilio_Signature": WRONG},
            {"X_Zendesk_Webhook_Signature": WRONG, "X_Zendesk_Webhook_Signature_Timestamp": "1"},
        ):
            sent = {"Content_Type": "application/json", **headers}
            status, text = ask(f"{base}{path}", "POST", b"{}", **sent)
            assert status in (401, 429, 503), (path, status)
            answers.append(text)
    right = {"Authorization": f"Bearer {canary('door_token')}"}
    answers.append(ask(f"{base}/v1/events?site=bank", "POST", b"{}", **right)[1])
    answers.append(ask(f"{base}/log-level", Authorization=f"Bearer {WRONG}")[1])
    answers.append(ask(f"{base}/log-level", "PUT", b'{"level": "DEBUG"}')[1])
    raw(port, f"GET /{WRONG} NONSENSE\r\nAuthorization: {WRONG}\r\n\r\n".encode())
    raw(port, f"{WRONG}\r\n\r\n".encode())
    door.end()
    assert "DEBUG" in door.text or "WARNING" in door.text
    assert told("\n".join(answers)) == []
    assert told(door.text) == []


def test_the_board_tells_none(cage: Callable[..., Caged], tmp_path: Path) -> None:
    port = free_port()
    board = cage("board", CALLBOARD_BOARD_PORT=str(port))
    base = f"http://127.0.0.1:{port}"
    wait_for(board, f"{base}/healthz")
    answers = []
    for headers in (
        {},
        {"Authorization": f"Bearer {WRONG}"},
        {"Cookie": f"callboard=v1.{WRONG}.9999999999999.{WRONG}"},
    ):
        for path in ("/", "/api/sites", "/stream?site=bank", "/explain?site=bank&kpi=asa", "/x"):
            status, text = ask(f"{base}{path}", **headers)
            assert status == 401
            answers.append(text)
    body = f'{{"token": "{WRONG}"}}'.encode()
    status, text = ask(f"{base}/login", "POST", body, Content_Type="application/json")
    assert status == 401
    answers += [text, *(ask(f"{base}{path}")[1] for path in ("/healthz", "/readyz", "/log-level"))]
    raw(port, f"GET /?token={WRONG} NONSENSE\r\nCookie: {WRONG}\r\n\r\n".encode())
    board.until("live topic")
    board.end()
    assert told("\n".join(answers)) == []
    assert told(board.text) == []


@pytest.mark.parametrize("role", ["ingest", "sink", "agents"])
def test_what_works_behind_tells_none(cage: Callable[..., Caged], role: str) -> None:
    port = free_port()
    field = {"agents": "worker"}.get(role, role)
    caged = cage(role, **{f"CALLBOARD_{field.upper()}_PORT": str(port)})
    base = f"http://127.0.0.1:{port}"
    if role != "agents":  # without a broker it has no page
        wait_for(caged, f"{base}/healthz")
    answers = [ask(f"{base}{path}")[1] for path in ("/metrics", "/readyz", "/log-level", "/x")]
    answers.append(ask(f"{base}/log-level", Authorization=f"Bearer {WRONG}")[1])
    caged.until("WARNING", "ERROR")
    caged.end()
    assert caged.text, "it says something, else nothing is looked at"
    assert told("\n".join(answers)) == []
    assert told(caged.text) == []


def test_the_store_tells_none(cage: Callable[..., Caged], tmp_path: Path) -> None:
    port = free_port()
    store = cage("store", CALLBOARD_CLICKHOUSE_URL=f"http://127.0.0.1:{port}",
                 CALLBOARD_CLICKHOUSE_USER="writer")  # fmt: skip
    base = f"http://127.0.0.1:{port}"
    wait_for(store, f"{base}/ping")
    answers = []
    for headers in ({}, {"X_ClickHouse_User": "writer", "X_ClickHouse_Key": WRONG}):
        status, text = ask(f"{base}/?query=SELECT%201", **headers)
        assert status in (401, 403), status
        answers.append(text)
    answers.append(ask(f"{base}/?query=SELECT%201&user=writer&password={WRONG}")[1])
    store.end()
    assert told("\n".join(answers)) == []
    assert told(store.text) == []


@pytest.mark.parametrize(
    ("command", "where"),
    [
        ("topics", "nowhere"),
        ("dead", "nowhere"),
        ("alerts check", "nowhere"),
        ("sql SELECT", "nowhere"),
        ("doctor", "nowhere"),
        ("sql SELECT", "parrot"),
        ("migrate", "parrot"),
        ("grafana push", "parrot"),
        ("doctor", "parrot"),
    ],
)
def test_no_command_tells_one(cage: Callable[..., Caged], command: str, where: str) -> None:
    """Also where the other side repeats what it was sent in its refusal."""
    with parrot() as address:
        environ = {}
        if where == "parrot":
            environ = {
                "CALLBOARD_CLICKHOUSE_URL": f"http://{address}",
                "CALLBOARD_GRAFANA_URL": f"http://{address}",
                "CALLBOARD_DOOR_URL": f"http://{address}",
                "CALLBOARD_BOOTSTRAP": address,
            }
        caged = cage(*command.split(), **environ)
        try:
            caged.wait(60)
        except subprocess.TimeoutExpired:
            caged.end()
    assert told(caged.text) == []


@pytest.mark.parametrize("platform", ["ami", "freeswitch", "five9", "finesse", "queue-log"])
def test_no_collector_tells_one(cage: Callable[..., Caged], tmp_path: Path, platform: str) -> None:
    (tmp_path / "ids").write_text("1001\n")
    (tmp_path / "log").write_text("1|NONE|NONE|NONE|QUEUESTART|\n")
    ami = lines(b"Asterisk Call Manager/5\r\n", b"Response: Error\r\nMessage: no\r\n\r\n")
    esl = lines(b"Content-Type: auth/request\n\n",
                b"Content-Type: command/reply\nReply-Text: -ERR invalid\n\n")  # fmt: skip
    with parrot() as address, ami as ami_port, esl as esl_port:
        host, port = address.split(":")
        to = ["--site", "bank"]
        words = {
            "ami": ["--user", "u", "--port", str(ami_port)],
            "freeswitch": ["--port", str(esl_port)],
            "five9": ["--user", "u", "--login-url", f"http://{address}"],
            "finesse": ["--host", host, "--port", port, "--user", "u",
                        "--agents", str(tmp_path / "ids"), "--rest", f"http://{address}"],
            "queue-log": [str(tmp_path / "log")],
        }[platform]  # fmt: skip
        caged = cage("collect", platform, *words, *to)
        caged.until("WARNING", "ERROR", "again", "refused", "retry")
        caged.end()
    assert caged.text
    assert told(caged.text) == []


def test_a_password_in_an_address_is_refused_where_others_would_see_it(
    cage: Callable[..., Caged],
) -> None:
    address = f"http://u:{MARK}@127.0.0.1:9"
    caged = cage("collect", "ami", "--site", "bank", "--user", "u", "--to", address)
    assert caged.wait(60) == 2
    assert told(caged.text) == []


def wait_for(caged: Caged, address: str) -> str:
    """What a page says as soon as it answers."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        status, text = ask(address)
        if status:
            return text
        time.sleep(0.1)
    raise AssertionError(f"{address} does not answer:\n{caged.text[-3000:]}")


def test_no_secret_of_collectors_is_a_field_of_the_configuration() -> None:
    """They are read where they are used, so no other role ever knows one."""
    assert not set(COLLECTOR_SECRETS) & set(Config.model_fields)
    assert variable_of("ami_secret") not in Config().to_env()
    assert os.environ.get("CALLBOARD_AMI_SECRET") is None
