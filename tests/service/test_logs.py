"""The form of log lines: the fields they have, and what others' text cannot do to them."""

from __future__ import annotations

import io
import json
import logging
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.config import Config
from service import logs
from service.logs import Sparingly, about, formatter, one_line

MOMENT = 1_772_442_900.1239
"""2026-03-02T09:15:00.123Z and a bit."""


def record(message: object, *args: object, name: str = "door", **more: object) -> logging.LogRecord:
    made = logging.LogRecord(name, logging.ERROR, "f.py", 1, message, args, None)
    made.created = MOMENT
    made.__dict__.update(more)
    return made


def text(made: logging.LogRecord) -> str:
    return formatter("ingest", "text").format(made)


def parsed(made: logging.LogRecord) -> dict[str, object]:
    line = formatter("ingest", "json").format(made)
    assert len(line.splitlines()) == 1
    found: dict[str, object] = json.loads(line)
    return found


def raised(error: Exception) -> dict[str, Any]:
    try:
        raise error
    except Exception:
        return {"exc_info": sys.exc_info()}


def test_text_has_the_fields_as_words_before_the_message() -> None:
    place = about(site="north", topic="events.raw", partition=3, offset=0, epoch=2)
    assert text(record("left out: %s", "x", **place)) == (
        "2026-03-02T09:15:00.123Z ERROR ingest door "
        "[site=north topic=events.raw partition=3 offset=0 epoch=2]: left out: x"
    )
    assert text(record("plain")) == "2026-03-02T09:15:00.123Z ERROR ingest door: plain"


def test_json_has_the_fields_as_keys() -> None:
    place = about(site="north", partition=0, offset=17)
    assert parsed(record("left out: %s", "x", **place)) == {
        "time": "2026-03-02T09:15:00.123Z",
        "level": "ERROR",
        "role": "ingest",
        "logger": "door",
        "message": "left out: x",
        "site": "north",
        "partition": 0,
        "offset": 17,
    }


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_process_of_one_site_names_it_in_every_line(form: str) -> None:
    own = logs.formatter("collector", form, "north")
    assert "north" in own.format(record("connected"))
    there = own.format(record("connected", **about(site="south", offset=3)))
    assert "south" in there
    assert "north" not in there


def test_an_exception_is_a_field_and_in_text_its_lines_are_indented() -> None:
    error = raised(ValueError("one\n2026-03-02T09:15:00.123Z ERROR door door: forged"))
    told = parsed(record("failed", **error))
    assert str(told["exception"]).startswith("Traceback")
    assert "ValueError: one" in str(told["exception"])
    first, *rest = text(record("failed", **error)).split("\n")
    assert first.endswith("door: failed")
    assert all(line.startswith("    | ") for line in rest)
    assert rest[-1] == "    | 2026-03-02T09:15:00.123Z ERROR door door: forged"


@given(st.text(alphabet=st.characters(exclude_categories=())))
def test_no_text_ends_a_line_or_forges_a_field(payload: str) -> None:
    made = record("refused: %s", payload, **about(site=payload, offset=7))
    line = text(made)
    assert len(line.splitlines()) == 1
    assert line.encode()
    head = line[: line.index("offset=7]: refused: ")]
    assert head.startswith("2026-03-02T09:15:00.123Z ERROR ingest door [site=")
    told = parsed(made)
    assert told["offset"] == 7
    assert told["message"] == one_line(f"refused: {payload}")


def test_a_site_that_looks_like_fields_is_quoted() -> None:
    line = text(record("m", **about(site='a offset=1]: "b')))
    assert '[site="a offset=1]: \\"b"]: m' in line


def test_arguments_that_do_not_fit_still_give_a_line() -> None:
    assert text(record("offset %d", "seven")).endswith("door: offset %d ('seven',)")


def test_values_that_json_does_not_know_are_shown() -> None:
    made = record("m")
    made.__dict__["about"] = {"site": "s", "offset": {7}}
    assert parsed(made)["offset"] == "{7}"


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    found = logging.getLogger()
    kept = found.level, list(found.handlers), set(logs._secrets)
    hook = sys.excepthook
    yield found
    sys.excepthook = hook
    logging.captureWarnings(False)
    found.setLevel(kept[0])
    found.handlers[:] = kept[1]
    logs._secrets.clear()
    logs._secrets.update(kept[2])


@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_are_in_no_line(root: logging.Logger, form: str) -> None:
    secrets = {
        "door_token": "tok en/1",
        "clickhouse_password": "pass'word",
        "customer_key": "key-of-customers",
        "alert_slack_url": "https://hooks.slack.example/T0/B0/xyz",
        "operator_token": "operators-only",
    }
    config = Config(log_format=form, **secrets)
    logs.configure("ingest", config, {"CALLBOARD_AMI_SECRET": "ami-secret"})
    [handler] = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(shown := io.StringIO())
    for secret in (*secrets.values(), "ami-secret"):
        place = about(site=secret)
        root.error("said %s and %r", secret, secret, extra=place)
        try:
            raise OSError(f"http://user:{secret}@host: refused")
        except OSError:
            root.exception("failed")
    root.error("http://user:tok%20en%2F1@host")
    assert shown.getvalue().count(logs.HIDDEN) >= 4 * (len(secrets) + 1)
    for secret in (*secrets.values(), "ami-secret", "tok%20en%2F1"):
        assert secret not in shown.getvalue()


def test_what_ends_a_process_is_a_line_too(root: logging.Logger) -> None:
    logs.configure("sink", Config(log_format="json"), {})
    [handler] = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(shown := io.StringIO())
    error = ValueError("a\nb")
    sys.excepthook(ValueError, error, None)
    [line] = shown.getvalue().splitlines()
    told = json.loads(line)
    assert (told["level"], told["message"]) == ("CRITICAL", "the process ends: ValueError")
    assert "ValueError: a\nb" in told["exception"]


def test_short_secrets_do_not_eat_other_words(root: logging.Logger) -> None:
    logs.configure("board", Config(door_token="a"), {})
    assert text(record("a war")).endswith("a war")


def test_libraries_say_warnings_only_and_sparingly(root: logging.Logger) -> None:
    logs.configure("sink", Config(log_level="info"), {})
    assert not logging.getLogger("aiokafka.conn").isEnabledFor(logging.INFO)
    assert logging.getLogger("sinks.clickhouse").isEnabledFor(logging.INFO)
    rare = Sparingly()
    for name in ("aiokafka.conn", "mode.supervisors", "aiohttp.server"):
        warning = record("cannot reach %s", "b", name=name)
        assert rare.filter(warning)
        assert not rare.filter(warning)
        assert rare.filter(record("another", name=name))
    own = record("again", name="pipeline.ingest.door")
    assert rare.filter(own)
    assert rare.filter(own)
    detail = record("detail", name="aiokafka.conn", levelno=logging.DEBUG)
    assert rare.filter(detail)
    assert rare.filter(detail)


def test_a_library_that_formats_its_messages_itself_fills_no_memory() -> None:
    rare = Sparingly()
    for number in range(5000):
        assert rare.filter(record(f"message {number}", name="faust"))
    assert len(rare._last) <= 1000


def test_a_level_that_is_none_is_refused() -> None:
    with pytest.raises(ValueError, match="log_level"):
        Config(log_level="LOUD")
    assert re.fullmatch("DEBUG", Config(log_level="debug").log_level)
