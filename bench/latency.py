"""From an event handed to the door until the board shows it, under load, on one machine.

The whole embedded stack runs as `callboard up --empty` starts it. A load driver posts a simulated
centre's events as a platform would, at a steady rate. A probe, a process of its own, now and then
posts one contact of a queue of its own and listens to the board's stream until the queue's count
has grown. Clock: from just before the post until the stream's message is read.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console
from rich.table import Table

from bench.contest import cpu_seconds
from bench.costs import written
from bench.report import spread_cells, table
from bench.stats import Spread, percentile
from bench.workload import Workload
from schemas.config import Config

SITE = "default"
VIEW = "queues"
RATES = (500, 5000)
WINDOW_S = 20
SHARES = (0.5, 0.95, 0.99)
START_S = 90.0
WARM_UP_S = 10
PAUSE_S = 12
"""Start and end of a probe, in which it may wait for the last markers."""
_ROLES = ("door", "ingest", "agents", "sink", "board", "store")


@dataclass(frozen=True, slots=True)
class Latencies:
    """One window of time: what the driver really posted, and each marker's latency in ms.

    `lost` markers were not seen. `cores` is the CPU used by each role, in cores, without processes
    that ended within the window. `bytes` is what was written to each topic. `began` is epoch ms.
    """

    seconds: float
    events: int
    milliseconds: list[float]
    lost: int
    cores: dict[str, float]
    began: int
    bytes: dict[str, int] = field(default_factory=dict)


def run(_: list[Workload], repetitions: int, console: Console) -> list[dict[str, Any]]:
    """Measure one window a repetition, at a light load and at the one aimed for."""
    shown = table("event to board, ms", ["events/s", *map(_name, SHARES), "markers", "cores used"])
    results, costs = [], []
    for rate in RATES:
        with console.status(f"event to board at {rate} events/s"):
            windows = measure(rate, repetitions, WINDOW_S, VIEW)
        shown.add_row(*_cells(windows))
        costs.append(_costs(rate, windows))
        results.append({"rate": rate, "windows": [asdict(window) for window in windows]})
    console.print(shown)
    for cost in costs:
        console.print(cost)
    console.print(
        "From just before the post to the door until the change is read from the board's stream "
        "(its view of queues): door, journal, broker, ingest, worker, board, and the store beside "
        "them, all on this machine together with load driver and probe. Least / median / greatest "
        f"of windows of {WINDOW_S} s. Aim at 5,000 events/s: p95 1,000, p99 2,000.",
        style="dim",
    )
    return results


def _cells(windows: list[Latencies]) -> list[str]:
    rate = Spread.of(window.events / window.seconds for window in windows)
    shares = [
        spread_cells(Spread.of(percentile(window.milliseconds, share) for window in windows))
        for share in SHARES
    ]
    seen = sum(len(window.milliseconds) for window in windows)
    lost = sum(window.lost for window in windows)
    cores = Spread.of(sum(window.cores.values()) for window in windows)
    return [f"{rate.median:,.0f}", *shares, f"{seen}, {lost} lost", f"{cores.median:.2f}"]


def _costs(rate: int, windows: list[Latencies]) -> Table:
    """CPU seconds of each role and megabytes of each topic for a million events."""
    shown = table(f"a million events at {rate:,} a second cost", ["", "CPU s", "MB written"])
    windows = [window for window in windows if window.events]
    for role in sorted({role for window in windows for role in window.cores}):
        used = [w.cores.get(role, 0.0) * w.seconds / w.events * 1e6 for w in windows]
        shown.add_row(role, spread_cells(Spread.of(used)), "")
    for topic in sorted({topic for window in windows for topic in window.bytes}):
        size = [window.bytes.get(topic, 0) / window.events for window in windows]
        shown.add_row(topic, "", spread_cells(Spread.of(size)))
    return shown


def _name(share: float) -> str:
    return f"p{share * 100:g}"


def measure(rate: int, windows: int, seconds: int, view: str) -> list[Latencies]:
    """Start the stack, load it, and probe it window after window.

    Raises `RuntimeError` with the ends of the logs if the stack does not come up.
    """
    with tempfile.TemporaryDirectory() as name, _stack(Path(name) / "data") as config:
        door = f"http://127.0.0.1:{config.door_port}"
        board = f"http://127.0.0.1:{config.board_port}/stream?site={SITE}&view={view}"
        counted = Path(name) / "posted"
        lasting = WARM_UP_S + windows * (seconds + PAUSE_S)
        driver = _start("bench.driver", door, str(rate), str(lasting), str(counted))
        try:
            _until_loaded(counted)
            found = [_window(door, board, counted, seconds) for _ in range(windows)]
        finally:
            driver.kill()
            driver.wait(10)
        spans = [(one.began, one.began + int(one.seconds * 1000)) for one in found]
        sizes = asyncio.run(written(config.brokers, spans))
        return [replace(one, bytes=size) for one, size in zip(found, sizes, strict=True)]


def _window(door: str, board: str, counted: Path, seconds: int) -> Latencies:
    before, began, used = _posted(counted), time.monotonic(), _used()
    began_ms = time.time_ns() // 1_000_000
    probe = _start("bench.probe", door, board, str(seconds), output=subprocess.PIPE)
    output, _ = probe.communicate(timeout=seconds + 60)
    took = time.monotonic() - began
    cores: dict[str, float] = {}
    for (role, pid), cpu in _used().items():
        cores[role] = cores.get(role, 0.0) + (cpu - used.get((role, pid), 0.0)) / took
    if probe.returncode:
        raise RuntimeError(f"the probe ended with {probe.returncode}")
    found = orjson.loads(output)
    posted = _posted(counted) - before
    return Latencies(took, posted, found["ms"], found["lost"], cores, began_ms)


@contextmanager
def _stack(folder: Path) -> Iterator[Config]:
    environ = {k: v for k, v in os.environ.items() if not k.startswith("CALLBOARD_")}
    for role in ("DOOR", "BOARD", "WORKER", "INGEST", "SINK"):
        environ[f"CALLBOARD_{role}_PORT"] = "0"
    environ["CALLBOARD_BOOTSTRAP"] = "127.0.0.1:0"
    environ["CALLBOARD_CLICKHOUSE_URL"] = "http://127.0.0.1:0"
    command = [sys.executable, "-m", "pipeline.cli.main", "up", "--empty", "--data", str(folder)]
    log = folder.parent / "stack.log"
    with log.open("ab") as output:
        stack = subprocess.Popen(command, env=environ, stdout=output, stderr=output)
    try:
        yield _configured(stack, folder, log)
    finally:
        stack.send_signal(signal.SIGINT)
        try:
            stack.wait(60)
        except subprocess.TimeoutExpired:
            stack.kill()


def _configured(stack: subprocess.Popen[bytes], folder: Path, log: Path) -> Config:
    deadline, found = time.monotonic() + START_S, folder / "stack.json"
    while not found.exists():
        if stack.poll() is not None or time.monotonic() > deadline:
            logs = [log, *sorted((folder / "logs").glob("*.log"))]
            raise RuntimeError("\n".join(one.read_text()[-1000:] for one in logs))
        time.sleep(0.1)
    return Config.from_env(orjson.loads(found.read_bytes())["environ"])


def _start(module: str, *args: str, output: int | None = None) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", module, *args], stdout=output)


def _posted(counted: Path) -> int:
    try:
        return int(counted.read_text() or 0)
    except FileNotFoundError:
        return 0


def _until_loaded(counted: Path) -> None:
    """The driver has simulated its events and posts; the first seconds are left out."""
    while not _posted(counted):
        time.sleep(0.2)
    time.sleep(WARM_UP_S)


def _used() -> dict[tuple[str, int], float]:
    """CPU seconds so far of each process of a stack, by role and process."""
    used: dict[tuple[str, int], float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            role, pid = _role_of(entry), int(entry.name)
            if role:
                used[role, pid] = cpu_seconds(pid)
    return used


def _role_of(entry: Path) -> str:
    try:
        words = (entry / "cmdline").read_text().split("\0")
    except OSError:
        return ""
    if any(word.endswith("/tansu") for word in words):
        return "broker"
    if "sinks.clickhouse.local.engine_process" in words:
        return "store"
    for role in _ROLES:
        if "pipeline.cli.main" in words and role in words:
            return role
    return {"bench.driver": "driver", "bench.probe": "probe"}.get(" ".join(words[2:3]), "")
