"""`callboard simulate` on the command line."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson
import pytest
import typer
from aiohttp import web
from typer.testing import CliRunner

from pipeline.cli.simulate import simulate
from pipeline.simulate.options import DEFAULT_START, HOUR
from schemas.clock import Clock
from schemas.events import validate_event
from schemas.settings import load_site_file
from tests.simulate.fake_door import FakeDoor, open_door

app = typer.Typer()
app.command()(simulate)
runner = CliRunner()


def call(*arguments: str, code: int = 0) -> str:
    result = runner.invoke(app, arguments)
    assert result.exit_code == code, result.output
    return result.output


@contextmanager
def door_in_thread(door: FakeDoor) -> Iterator[FakeDoor]:
    """The command has an event loop of its own, so the door gets a thread."""
    ready, done = threading.Event(), threading.Event()

    async def serve() -> None:
        async with open_door(door):
            ready.set()
            await asyncio.to_thread(done.wait)

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert ready.wait(60)
    try:
        yield door
    finally:
        done.set()
        thread.join(60)


def test_a_file_of_valid_events_is_written_and_summed_up(tmp_path: Path) -> None:
    out, truth = tmp_path / "day.ndjson", tmp_path / "truth.json"
    said = call("--agents", "20", "--out", str(out), "--totals-out", str(truth))
    events = [validate_event(orjson.loads(line)) for line in out.read_bytes().splitlines()]
    assert DEFAULT_START <= events[0]["ts"] <= events[-1]["ts"] < DEFAULT_START + HOUR
    totals = orjson.loads(truth.read_bytes())["sim"]
    offered = sum(c["offered"] for queue in totals.values() for c in queue.values())
    assert offered == sum(event["type"] == "contact.queued" for event in events)
    assert f"{len(events)} events" in said
    assert str(offered) in said


def test_the_same_command_writes_the_same_file(tmp_path: Path) -> None:
    files = [tmp_path / "a", tmp_path / "b", tmp_path / "c"]
    for file, seed in zip(files, ("5", "5", "6"), strict=True):
        call("--agents", "10", "--duration", "20m", "--seed", seed, "--out", str(file))
    first, again, other = (file.read_bytes() for file in files)
    assert first == again != other


def test_a_start_and_a_zone_can_be_given(tmp_path: Path) -> None:
    out = tmp_path / "x"
    call("--start", "2026-03-29T01:30:00+01:00", "--time-zone", "Europe/Berlin", "--out", str(out))
    first = orjson.loads(out.read_bytes().splitlines()[0])
    assert 0 <= first["ts"] - 1_774_744_200_000 < HOUR


def test_settings_alone_make_no_events(tmp_path: Path) -> None:
    call("--settings-out", str(tmp_path), "--sites", "2", "--queues", "3")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sim-2.yml", "sim.yml"]
    assert set(load_site_file(tmp_path / "sim-2.yml").queues) == {"support", "sales", "chat"}


def test_stdout_is_the_default_and_may_be_closed_early(tmp_path: Path) -> None:
    script = (
        "import typer; from pipeline.cli.simulate import simulate\n"
        "app = typer.Typer(); app.command()(simulate); app()"
    )
    command = [sys.executable, "-c", script, "--agents", "200", "--duration", "8h"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert orjson.loads(process.stdout.readline())["type"] == "agent.profile"
        process.stdout.close()
        assert process.wait(60) == 0
        assert process.stderr.read() == b""


def test_events_are_posted_to_a_door_that_fails_at_first() -> None:
    door = FakeDoor(lambda number, request, body: web.Response(status=503) if number == 0 else None)
    with door_in_thread(door):
        said = call("--agents", "10", "--duration", "10m", "--to", door.address)
    events = [orjson.loads(payload) for payload in door.payloads]
    assert f"{len(events)} events" in said
    assert "503" in said
    now = Clock().now_ms()
    assert now - HOUR < events[0]["ts"] < events[-1]["ts"] <= now


def test_a_paced_run_takes_its_time_and_is_in_its_morning(tmp_path: Path) -> None:
    """Two minutes at sixty times the speed take two seconds."""
    out, began = tmp_path / "x", Clock().now_ms()
    settings = ("--settings-out", str(tmp_path))
    call("--agents", "200", "--duration", "2m", "--speed", "60", "--out", str(out), *settings)
    events = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    assert events[-1]["ts"] - events[0]["ts"] > 60_000
    assert Clock().now_ms() - began > (events[-1]["ts"] - events[0]["ts"]) / 60
    assert load_site_file(tmp_path / "sim.yml").time_zone.startswith("Etc/GMT")


def test_a_clock_file_sets_pace_and_moment(tmp_path: Path) -> None:
    file, out = tmp_path / "clock.json", tmp_path / "x"
    Clock(Clock().now_ms(), 1_000_000_000_000, 60.0).write(file)
    call("--agents", "200", "--duration", "1m", "--clock", str(file), "--out", str(out))
    events = [orjson.loads(line) for line in out.read_bytes().splitlines()]
    assert 1_000_000_000_000 <= events[0]["ts"] < 1_000_000_000_000 + HOUR


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--duration", "soon"), "'soon'"),
        (("--agents", "0"), "agents"),
        (("--start", "yesterday"), "yesterday"),
        (("--time-zone", "Nowhere"), "Nowhere"),
        (("--real-time", "--speed", "2"), "one of"),
        (("--speed", "0"), "greater than 0"),
        (("--clock", "absent.json"), "absent.json"),
        (("--out", "x", "--to", "y"), "not both"),
        (("--to", "127.0.0.1:99999"), "127.0.0.1:99999"),
        (("--out", "/nonexistent/folder/x"), "/nonexistent/folder/x"),
    ],
)
def test_what_cannot_be_is_said_in_one_line(arguments: tuple[str, ...], said: str) -> None:
    output = call(*arguments, code=1)
    assert said in output
    assert len(output.strip().splitlines()) == 1


def test_a_wrong_token_ends_the_run() -> None:
    door = FakeDoor(lambda number, request, body: web.Response(status=401, text="no"))
    with door_in_thread(door):
        output = call("--duration", "5m", "--to", door.address, "--token", "x", code=1)
    assert "401" in output
    assert "token" in output
