"""`callboard check`: what it says of a capture, to people and to programs."""

from __future__ import annotations

import gzip
import subprocess
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer
from typer.testing import CliRunner

from pipeline.check import check_capture
from pipeline.cli.check import check
from pipeline.sources import SOURCES
from tests.sources.fixtures import fixture_of

app = typer.Typer()
app.command()(check)
runner = CliRunner()

HELD = [
    {"type": "contact.queued", "ts": 1_000, "contact": "a", "queue": "q"},
    {"type": "contact.answered", "ts": 6_000, "contact": "a", "agent": "ann"},
    {"type": "contact.released", "ts": 66_000, "contact": "a", "agent": "ann"},
    {"type": "contact.wrapped", "ts": 66_000, "contact": "a", "agent": "ann"},
    {"type": "contact.queued", "ts": 2_000, "contact": "b", "queue": "q"},
    {"type": "contact.abandoned", "ts": 40_000, "contact": "b"},
    {"type": "contact.queued", "ts": 9_000_000, "contact": "c", "queue": "q"},
    {"type": "contact.wrapped", "ts": 9_000_001, "contact": "d", "agent": "bob"},
]


def capture(path: Path, *extra: bytes) -> Path:
    lines = [orjson.dumps({"site": "s", **event}) for event in HELD]
    path.write_bytes(b"\n".join([*lines, *extra]) + b"\n")
    return path


def say(*arguments: str, code: int = 0) -> str:
    result = runner.invoke(app, arguments, env={"COLUMNS": "100"})
    assert result.exit_code == code, result.output
    return result.output


def told(*arguments: str, code: int = 0) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(say(*arguments, "--json", code=code))
    return found


def test_a_capture_is_counted_queue_by_queue(tmp_path: Path) -> None:
    file = capture(tmp_path / "calls.ndjson", b"no JSON", b'{"type": "clock", "site": "s"}')
    found = told(str(file), "--format", "canonical")
    assert (found["site"], found["payloads"], found["events"]) == ("s", 10, 8)
    assert (found["contacts"], found["agents"]) == (4, 2)
    (queue,) = found["queues"]
    outcomes = ("offered", "answered", "abandoned", "left", "waiting", "handled")
    assert [queue[name] for name in outcomes] == [3, 1, 1, 0, 1, 1]
    assert found["unread_count"] == 2
    assert [(bad["line"], bad["field"]) for bad in found["unread"]] == [(9, "payload"), (10, "ts")]
    assert found["kinds"]["contact.queued"] == {"payloads": 3, "events": 3, "unread": 0}


def test_what_is_odd_is_told_with_an_example(tmp_path: Path) -> None:
    twice = orjson.dumps({"site": "s", **HELD[0]})
    found = told(str(capture(tmp_path / "x", twice)), "--format", "canonical")
    odd = {one["what"]: one for one in found["oddities"]}
    assert odd["contacts whose beginning is not in the capture"]["example"] == "d"
    assert odd["contacts whose end is not in the capture"]["example"] == "c"
    assert odd["events of contacts told more than once"]["count"] == 1
    example = odd["events of contacts told more than once"]["example"]
    assert example == "contact.queued of a at 1970-01-01T00:00:01.000Z"
    assert odd["silences of more than an hour"]["example"].startswith("2.5 h")
    agents = next(what for what in odd if what.startswith("agents who answer"))
    assert odd[agents]["example"] == "ann"
    assert any(what.startswith("events that change nothing") for what in odd)


def test_people_see_tables_and_the_lines_that_were_not_understood(tmp_path: Path) -> None:
    file = capture(tmp_path / "calls.ndjson", *[b"no JSON %d" % n for n in range(30)])
    said = say(str(file), "--format", "canonical")
    assert "calls.ndjson:9: payload: not JSON" in said
    assert "calls.ndjson: 10 more lines cannot be read" in said
    assert "30 not understood" in said
    assert "Queues, from the first to the last event" in said


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_every_source_s_fixture_can_be_checked(name: str, tmp_path: Path) -> None:
    fixture = fixture_of(name)
    settings = tmp_path / "s.yml"
    options = {"site": "s", "time_zone": "Europe/Berlin", "sources": {name: fixture.options}}
    settings.write_bytes(orjson.dumps(options))  # JSON is YAML
    found = told(str(fixture.capture), "--format", name, "--settings", str(settings))
    expected = fixture.expected.values()
    assert found["events"] == sum(len(item.get("events", ())) for item in expected)
    assert found["unread_count"] == sum("bad" in item for item in expected)
    assert found["payloads"] == len(fixture.payloads)
    assert found["queues"] or name in ("hubspot", "zoho", "feedback", "feedback-csv")


def test_progress_is_told_of_reading_and_of_counting(tmp_path: Path) -> None:
    lines: list[int] = []
    counts: list[tuple[int, int]] = []
    with capture(tmp_path / "x").open("rb") as file:
        check_capture(file, "canonical", None, lines.append, lambda *both: counts.append(both))
    assert lines == list(range(1, 9))
    assert counts[-1] == (8, 8)


def test_a_compressed_capture_is_read(tmp_path: Path) -> None:
    plain = capture(tmp_path / "x")
    packed = tmp_path / "x.gz"
    packed.write_bytes(gzip.compress(plain.read_bytes()))
    assert told(str(packed), "--format", "canonical") == told(str(plain), "--format", "canonical")


def test_a_capture_may_come_over_a_pipe(tmp_path: Path) -> None:
    piped = capture(tmp_path / "x", b"no JSON").read_bytes()
    command = [sys.executable, "-m", "pipeline.cli.main", "check", "-", "--format", "canonical"]
    done = subprocess.run(command, input=piped, capture_output=True, check=True, timeout=120)
    assert b"stdin:9: payload: not JSON" in done.stdout


def test_what_cannot_be_checked_is_said(tmp_path: Path) -> None:
    nothing = tmp_path / "empty"
    nothing.write_bytes(b"\n\n")
    assert told(str(nothing), "--format", "canonical", code=1)["events"] == 0
    assert "no event" in say(str(nothing), "--format", "canonical", code=1)
    say(str(tmp_path / "missing"), "--format", "canonical", code=1)
    assert "is not one of" in say(str(nothing), "--format", "genesis", code=2)
    settings = tmp_path / "s.yml"
    settings.write_text("site: s\nsources: {genesys: {}}\n")
    said = say(str(nothing), "--format", "canonical", "--settings", str(settings), code=1)
    assert "did you mean genesys-cloud?" in said
