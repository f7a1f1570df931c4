"""A whole embedded stack as a user starts it, and eyes on all of its figures."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any

import orjson
from aiokafka import AIOKafkaConsumer, TopicPartition

from pipeline.ingest.journal import read_journal
from pipeline.ingest.raw import CANONICAL
from schemas.clock import Clock
from schemas.config import Config
from schemas.frames import decode_frame
from schemas.topics import FRAMES
from sinks.prometheus import names
from tests.e2e.figures import VIEWS, WINDOWS, Figures, Json, of_sql

KEYS = ("queues", "teams", "all", "late", "inconsistent", "dead_lettered")
_EXTRAS = (
    *("parts", "longest_since", "waiting_past_threshold"),
    *("name", "formula", "min_volume", "targets"),
)


PATIENCE_S = 60.0
"""How long a role may take to answer on a machine that is busy, its own restart included."""


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

    @property
    def running(self) -> bool:
        """Whether the stack's own process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The stack's own process."""
        assert self._process is not None
        return self._process.pid

    def start(self, **variables: str) -> None:
        """Starts the stack as `launch` does and waits until it says that it is up."""
        self.launch(**variables)
        self.until(lambda: self._file()["pid"] == self.pid, 90, "the stack comes up")

    def launch(self, **variables: str) -> None:
        """Starts the stack and does not wait; `variables` are added to its environment."""
        environ = {k: v for k, v in os.environ.items() if not k.startswith("CALLBOARD_")}
        for name in ("DOOR", "BOARD", "WORKER", "INGEST", "SINK", "PROMETHEUS", "ALERTMANAGER"):
            environ[f"CALLBOARD_{name}_PORT"] = "0"
        environ["CALLBOARD_BOOTSTRAP"] = "127.0.0.1:0"
        environ["CALLBOARD_CLICKHOUSE_URL"] = "http://127.0.0.1:0"
        environ.update(variables)
        command = [sys.executable, "-m", "pipeline.cli.main", "up", "--data", str(self.folder)]
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *self.options], stdout=log, stderr=log, env=environ
            )

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        """Ends it as Ctrl-C does; the exit code."""
        assert self._process is not None
        self.thaw()
        self._process.send_signal(how)
        return self.ended()

    def ended(self) -> int:
        """Waits for its end; the exit code."""
        assert self._process is not None
        try:
            return self._process.wait(120)
        except subprocess.TimeoutExpired:
            self._process.kill()
            raise

    def until(self, true: Callable[[], object], seconds: float, what: str) -> None:
        """Waits until something is true; fails with the logs if it never is.

        `seconds` are those of a machine with nothing else to do; a busy one has three times more.
        """
        deadline = time.monotonic() + 3 * seconds
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
        return Config.from_env(self._file()["environ"])

    def _file(self) -> Json:
        """What the stack tells other commands in its folder."""
        found: Json = orjson.loads((self.folder / "stack.json").read_bytes())
        return found

    def get(self, address: str) -> bytes:
        """The body of a page; raises `HTTPError` for one that is refused for good."""
        return _patiently(urllib.request.Request(address))

    def board(self, site: str) -> Json:
        """The board's object."""
        found: Json = orjson.loads(
            self.get(f"http://127.0.0.1:{self.config.board_port}/api/board?site={site}")
        )
        return found

    def metrics(self, role: str = "worker") -> str:
        """A role's page of metrics."""
        port = getattr(self.config, f"{role}_port")
        return self.get(f"http://127.0.0.1:{port}/metrics").decode()

    def sql(self, query: str) -> list[Json]:
        """Rows of a query, asked as any client of ClickHouse may ask as an analyst."""
        config = self.config
        request = urllib.request.Request(
            f"{config.clickhouse_url}/?database={config.clickhouse_database}",
            data=f"{query} FORMAT JSONEachRow".encode(),
            headers={
                "X-ClickHouse-User": "analyst",
                "X-ClickHouse-Key": config.analyst_password,
            },
        )
        return [json.loads(line) for line in _patiently(request).splitlines()]

    def figures_in_sql(self, site: str, windows: Iterable[str] = WINDOWS) -> Figures:
        """Everything the views say of the newest moment the store knows, in these windows."""
        return of_sql(
            {
                (view, window): self.sql(
                    f"SELECT * FROM {view}(site = '{site}', window = '{window}', at = NULL)"
                )
                for view in VIEWS
                for window in windows
            }
        )

    def run(self, *words: str, timeout_s: float = 120) -> subprocess.CompletedProcess[bytes]:
        """A command of this installation that finds the stack by its folder."""
        environ = {k: v for k, v in os.environ.items() if not k.startswith("CALLBOARD_")}
        return subprocess.run(
            [sys.executable, "-m", "pipeline.cli.main", *words],
            env={**environ, "CALLBOARD_DATA_DIR": str(self.folder)},
            capture_output=True,
            timeout=timeout_s,
            check=False,
        )

    def command(self, *words: str) -> str:
        """What such a command prints; it must end well."""
        done = self.run(*words)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def post(self, site: str, *events: Json) -> Json:
        """Hands events to the door, once; raises what `urlopen` raises, or `HTTPException`."""
        body = b"\n".join(orjson.dumps(event) for event in events)
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.config.door_port}/v1/events?site={site}",
            data=body,
            headers={"Content-Type": "application/x-ndjson"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            found: Json = orjson.loads(response.read())
            return found

    # --- doing --------------------------------------------------------------------------------

    def pids(self, role: str) -> list[int]:
        """Processes of a role, children of the stack."""
        mark = _MARKS.get(role, f"pipeline.cli.main\0{role}\0")
        return [pid for pid, command in self.processes() if mark in command]

    def processes(self) -> list[tuple[int, str]]:
        """All children of the stack, with their command lines."""
        return [] if self._process is None else list(_children(self._process.pid))

    def signal(self, role: str, number: signal.Signals) -> None:
        """Sends a signal to a role's process."""
        pids = self.pids(role)
        assert pids, f"no process of role {role}"
        for pid in pids:
            os.kill(pid, number)

    def drained(self, site: str) -> None:
        """Waits until everything the door has taken up to now is on the board."""
        fed = Clock.from_file(self.config.clock_file).now_ms()
        # A tick that is later than the last input says that all of it was read.
        self.until(lambda: self.board(site)["at"] > fed, 60, "all input is read")

    def freeze(self, site: str) -> int:
        """Stops ingest, and so the site's time, and waits until everybody is there; returns it.

        The door goes on, as it does whenever ingest is down, so it matters to nobody how long.
        """
        self.signal("ingest", signal.SIGSTOP)
        at = self._standstill(site)
        self.until(lambda: self._stored(site)[0] == at, 60, "the store has all rows")
        return at

    def _stored(self, site: str) -> tuple[int, int]:
        """The time up to which the store knows a site, and the offset of the frame it is from."""
        [row] = self.sql(
            "SELECT toUnixTimestamp64Milli(at) AS at, frame_offset"
            f" FROM progress WHERE site = '{site}'"
        )
        return int(row["at"]), int(row["frame_offset"])

    def _standstill(self, site: str) -> int:
        """The time of a board that has been the same for a second, with no frame left to read."""
        seen, since = -1, time.monotonic()
        deadline = since + 180
        while time.monotonic() - since < 1:
            time.sleep(0.1)
            at = self.board(site)["at"]
            if at != seen or self._lag():
                seen, since = at, time.monotonic()
            assert time.monotonic() < deadline, "time does not stand still"
        return seen

    def _lag(self) -> float:
        lags = [
            float(line.rpartition(" ")[2])
            for line in self.metrics().splitlines()
            if line.startswith(f"{names.LAG.name}{{")
        ]
        return max(lags, default=1)

    def thaw(self) -> None:
        """Lets time go on."""
        for pid in self.pids("ingest"):
            os.kill(pid, signal.SIGCONT)

    def received(self) -> int:
        """When the door took its newest record."""
        return max(record.received for _, record in read_journal(self.folder / "journal"))

    def journalled(self, path: Path, site: str) -> Path:
        """Writes every event that a frozen board knows to a file, as the time machine reads it."""
        known = asyncio.run(_framed(self.config, site, self._stored(site)[1]))
        with path.open("wb") as file:
            for number, record in read_journal(self.folder / "journal"):
                is_event = record.format == CANONICAL
                if is_event and record.site == site and number <= known:
                    file.write(record.payload + b"\n")
        return path


async def _framed(config: Config, site: str, last: int) -> int:
    """The highest number in the journal that frames of this epoch reach, at least up to `last`."""
    restored = orjson.loads((config.data_dir / "epoch.json").read_bytes())["restore"]
    known: list[int] = [restored.get(site, {}).get("journal", 0)]
    consumer = AIOKafkaConsumer(bootstrap_servers=config.bootstrap)
    await consumer.start()
    try:
        place = TopicPartition(FRAMES, 0)
        consumer.assign([place])
        consumer.seek(place, 0)
        # A fetch of a busy broker may bring nothing although there is more.
        read = -1
        while (
            records := (await consumer.getmany(place, timeout_ms=500)).get(place)
        ) or read < last:
            if not records:
                continue
            read = records[-1].offset
            frames = [decode_frame(record.value) for record in records]
            known += [frame.journal for frame in frames if frame.site == site]
        return max(known)
    finally:
        await consumer.stop()


_MARKS = {"broker": "tansu\0broker", "feeder": ".feeder\0"}


def replayed(file: Path, settings: Path, at: int, *options: str) -> Json:
    """What `callboard replay` says."""
    command = [sys.executable, "-m", "pipeline.cli.main", "replay", str(file)]
    command += ["--settings", str(settings), "--at", str(at), "--json", *options]
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
    except (OSError, HTTPException, LookupError, ValueError, AssertionError):
        return False


def _patiently(request: urllib.request.Request) -> bytes:
    """The body of an answer, asked again of a role that is being started or asks to come later."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
                body: bytes = response.read()
                return body
        except urllib.error.HTTPError as refusal:
            if refusal.code not in (408, 503) or time.monotonic() > deadline:
                raise
        except (OSError, HTTPException):
            if time.monotonic() > deadline:
                raise
        time.sleep(0.2)
