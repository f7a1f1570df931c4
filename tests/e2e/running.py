"""A whole embedded stack as a user starts it, and eyes on all of its figures."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson

from pipeline.ingest.journal import read_journal
from schemas.config import Config

Json = dict[str, Any]
KEYS = ("queues", "teams", "all", "late", "inconsistent", "dead_lettered")
_EXTRAS = ("parts", "longest_since", "waiting_past_threshold", "name", "formula", "targets")


class RunningStack:
    """`callboard up` as a process of its own, on free ports, in its own folder."""

    def __init__(self, folder: Path, *options: str) -> None:
        self.folder = folder
        self.options = options
        self._process: subprocess.Popen[bytes] | None = None
        self.log = folder.parent / f"{folder.name}.log"

    def __enter__(self) -> RunningStack:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Starts the stack and waits until it says that it is up."""
        environ = {k: v for k, v in os.environ.items() if not k.startswith("CALLBOARD_")}
        for name in ("DOOR", "BOARD", "WORKER", "INGEST", "SINK"):
            environ[f"CALLBOARD_{name}_PORT"] = "0"
        environ["CALLBOARD_BOOTSTRAP"] = "127.0.0.1:0"
        environ["CALLBOARD_CLICKHOUSE_URL"] = "http://127.0.0.1:0"
        command = [sys.executable, "-m", "pipeline.cli.main", "up", "--data", str(self.folder)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self.options], stdout=log, stderr=log, env=environ
            )
        self.until(lambda: (self.folder / "stack.json").exists(), 90, "the stack comes up")

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Ends it as Ctrl-C does; the exit code."""
        assert self._process is not None
        self._process.send_signal(how)
        try:
            return self._process.wait(60)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def until(self, true: Callable[[], object], seconds: float, what: str) -> None:
        """Waits until something is true; fails with the logs if it never is."""
        deadline = time.monotonic() + seconds
        while not _quietly(true):
            assert self._process is not None
            ended = self._process.poll()
            if ended is not None or time.monotonic() > deadline:
                raise AssertionError(f"{what}: not within {seconds} s\n{self.words()}")
            time.sleep(0.1)

    def words(self) -> str:
        """The ends of all logs."""
        logs = [self.log, *sorted((self.folder / "logs").glob("*.log"))]
        return "\n".join(f"== {log.name}\n{log.read_text()[-1500:]}" for log in logs)

    # --- looking ------------------------------------------------------------------------------

    @property
    def config(self) -> Config:
        """The configuration its roles were given."""
        obj = orjson.loads((self.folder / "stack.json").read_bytes())
        return Config.from_env(obj["environ"])

    def get(self, address: str) -> bytes:
        """The body of a page."""
        with urllib.request.urlopen(address, timeout=5) as response:
            body: bytes = response.read()
            return body

    def board(self, site: str) -> Json:
        """The board's object."""
        found: Json = orjson.loads(
            self.get(f"http://127.0.0.1:{self.config.board_port}/api/board?site={site}")
        )
        return found

    def metrics(self) -> dict[str, float]:
        """Every sample of the worker's metrics by its name and labels."""
        page = self.get(f"http://127.0.0.1:{self.config.worker_port}/metrics").decode()
        lines = (line.rpartition(" ") for line in page.splitlines() if not line.startswith("#"))
        return {name: float(value) for name, _, value in lines}

    def sql(self, query: str) -> list[Json]:
        """Rows of a query, asked as the command line asks it."""
        done = subprocess.run(
            [sys.executable, "-m", "pipeline.cli.main", "sql", "--format", "json", query],
            env={**os.environ, **self.config.to_env()},
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()
        return [json.loads(line) for line in done.stdout.splitlines()]

    def post(self, site: str, *events: Json) -> Json:
        """Hands events to the door."""
        body = b"\n".join(orjson.dumps(event) for event in events)
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.config.door_port}/v1/events?site={site}",
            data=body,
            headers={"Content-Type": "application/x-ndjson"},
        )
        with urllib.request.urlopen(request, timeout=10) as response:
            found: Json = orjson.loads(response.read())
            return found

    # --- doing --------------------------------------------------------------------------------

    def pids(self, role: str) -> list[int]:
        """Processes of a role, children of the stack."""
        assert self._process is not None
        marks = {"broker": "tansu", "feeder": "feeder"}
        mark = marks.get(role, f"pipeline.cli.main\0{role}")
        return [pid for pid, command in _children(self._process.pid) if mark in command]

    def signal(self, role: str, number: signal.Signals) -> None:
        """Sends a signal to a role's process."""
        pids = self.pids(role)
        assert pids, f"no process of role {role}"
        for pid in pids:
            os.kill(pid, number)

    def freeze(self, site: str) -> int:
        """Stops time: no more input, no more ticks; the site's time at which all stands still."""
        if self.pids("feeder"):
            self.signal("feeder", signal.SIGSTOP)
        time.sleep(2.5)
        self.signal("ingest", signal.SIGSTOP)
        at = -1
        for _ in range(100):
            time.sleep(0.5)
            seen = self.board(site)["at"]
            if seen == at:
                break
            at = seen
        self.until(
            lambda: (
                self.sql(
                    f"SELECT count() AS n FROM progress WHERE site = '{site}' "
                    f"AND toUnixTimestamp64Milli(at) >= {at}"
                )[0]["n"]
                in (1, "1")
            ),
            60,
            "the store has all rows",
        )
        return at

    def thaw(self) -> None:
        """Lets time go on."""
        self.signal("ingest", signal.SIGCONT)
        if self.pids("feeder"):
            self.signal("feeder", signal.SIGCONT)

    def journalled(self, path: Path, site: str) -> Path:
        """Writes every event the door ever took to a file, as the time machine reads it."""
        with path.open("wb") as file:
            for _, record in read_journal(self.folder / "journal"):
                if record.site == site:
                    file.write(record.payload + b"\n")
        return path


def replayed(file: Path, settings: Path, at: int) -> Json:
    """What `callboard replay` says."""
    command = [sys.executable, "-m", "pipeline.cli.main", "replay", str(file)]
    command += ["--settings", str(settings), "--at", str(at), "--json"]
    done = subprocess.run(command, capture_output=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr.decode()
    found: Json = orjson.loads(done.stdout)
    return found


def contract(board: Json) -> Json:
    """The figures of the contract, without what a board adds to them."""
    return {key: _bare(board[key]) for key in KEYS}


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {k: _bare(v) for k, v in value.items() if k not in _EXTRAS}
    return value


def _children(parent: int) -> Iterator[tuple[int, str]]:
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            status = (entry / "status").read_text()
            command = (entry / "cmdline").read_text()
        except OSError:
            continue
        if re.search(rf"^PPid:\s+{parent}$", status, re.MULTILINE):
            yield int(entry.name), command


def _quietly(true: Callable[[], object]) -> object:
    try:
        return true()
    except (OSError, KeyError, AssertionError):
        return False
