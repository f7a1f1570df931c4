"""A long run at a real centre's load: `python -m tests.load.soak --minutes 60`.

The whole system runs on Apache Kafka while the simulator posts a centre of 2,000 agents and 200
queues in real time. Every ten seconds each process is looked at. At the end everybody must show
the same figures, and nothing may have grown that should not.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench import machine
from pipeline.stack.roles import environment
from tests.load.agreement import compared, drained, verdicts
from tests.load.results import finish
from tests.load.system import ROOT, Json, System, quietly, running_system
from tests.load.trends import changelog_bytes_per_event, judged, summary
from tests.load.watching import CpuShare, usage

SITE = "sim"


@dataclass(frozen=True, slots=True)
class Load:
    """The centre, and for how long it is simulated. Calls are those of the busiest hour."""

    minutes: float = 60
    agents: int = 2_000
    queues: int = 200
    calls: int = 60_000
    seed: int = 1

    def command(self, door: str, settings: Path, totals: Path | None) -> list[str]:
        """The simulator's command line: settings alone, or events in real time and their totals."""
        words = [sys.executable, "-m", "pipeline.cli.main", "simulate", "--site", SITE]
        words += ["--agents", str(self.agents), "--queues", str(self.queues)]
        words += ["--calls-per-hour", str(self.calls), "--seed", str(self.seed)]
        words += ["--settings-out", str(settings)]
        if totals is not None:
            words += ["--duration", f"{self.minutes * 60:.0f}s", "--real-time"]
            words += ["--to", door, "--totals-out", str(totals)]
        return words


class Soak:
    """One run and what was seen in it."""

    def __init__(self, system: System, load: Load, every_s: float) -> None:
        self.samples: list[Json] = []
        self._system = system
        self._load = load
        self._every_s = every_s
        self._shares = CpuShare()
        self._totals = system.folder / "totals.json"
        self._simulator: subprocess.Popen[bytes] | None = None
        self._began = 0.0

    def run(self, report: Any) -> Json:
        """Simulate to the end, looking at everything; then wait, compare and say what is true."""
        self._start()
        try:
            while self._running():
                self._system.revive()
                self.samples.append(self._sample())
                report(self.samples[-1], self._load.minutes * 60)
                self._wait()
        finally:
            self._end()
        totals = orjson.loads(self._totals.read_bytes())[SITE]
        drained(self._system, SITE)
        self.samples.append(self._sample())
        return compared(self._system, SITE, self._system.folder, totals)

    def _start(self) -> None:
        config = self._system.config
        command = self._load.command(
            f"127.0.0.1:{config.door_port}", self._system.settings, self._totals
        )
        log = (self._system.folder / "logs" / "simulator.log").open("ab")
        self._simulator = subprocess.Popen(
            command, cwd=ROOT, env=environment(config), stdout=log, stderr=log
        )
        self._began = time.monotonic()

    def _running(self) -> bool:
        assert self._simulator is not None
        code = self._simulator.poll()
        assert not code, f"the simulator ended with {code}"
        return code is None

    def _wait(self) -> None:
        assert self._simulator is not None
        gone = time.monotonic() - self._began
        with suppress(subprocess.TimeoutExpired):
            self._simulator.wait(self._every_s - gone % self._every_s)

    def _end(self) -> None:
        if self._simulator is not None:
            self._simulator.kill()
            self._simulator.wait()

    def _sample(self) -> Json:
        """Everything at one moment. A page that does not answer is left out of the sample."""
        worker = self._metrics("agents")
        ingest, sink, door = self._metrics("ingest"), self._metrics("sink"), self._metrics("door")
        moment = quietly(lambda: self._system.moment(SITE)) or {}
        return {
            "t": round(time.monotonic() - self._began, 1),
            "processes": self._processes(),
            "events": worker.get("callboard_worker_events_total"),
            "frames": worker.get("callboard_worker_frames_total"),
            "checkpoints": worker.get("callboard_worker_checkpoints_total"),
            "checkpoint_bytes": worker.get("callboard_worker_checkpoint_bytes_total"),
            "checkpoint_s": worker.get("callboard_worker_checkpoint_seconds_total"),
            "lag_records": ingest.get("callboard_ingest_lag_records"),
            "lag_frames": worker.get("callboard_worker_lag_frames"),
            "lag_rows": sink.get("callboard_sink_lag_records"),
            "taken": door.get("callboard_door_events_taken_total"),
            "in_flight_bytes": door.get("callboard_door_in_flight_bytes"),
            "age_ms": moment.get("age_ms") if isinstance(moment, dict) else None,
            "topics": self._system.topic_bytes(),
            **self._store(),
        }

    def _metrics(self, name: str) -> dict[str, float]:
        found = quietly(lambda: self._system.metrics(name))
        return found if isinstance(found, dict) else {}

    def _store(self) -> Json:
        """Parts of tables in the store, those that are merged already, and their size."""
        database = self._system.config.clickhouse_database
        sql = (
            "SELECT countIf(active) AS parts, countIf(NOT active) AS merged,"
            " sumIf(bytes_on_disk, active) AS bytes, sumIf(rows, active) AS rows"
            f" FROM system.parts WHERE database = '{database}'"
        )
        row = self._system.sql(sql)[0]
        return {
            "parts": int(row["parts"]),
            "merged_parts": int(row["merged"]),
            "store_bytes": int(row["bytes"]),
            "store_rows": int(row["rows"]),
        }

    def _processes(self) -> Json:
        pids = self._system.pids()
        if self._simulator is not None and self._simulator.poll() is None:
            pids["simulator"] = self._simulator.pid
        found: Json = {}
        for name, pid in pids.items():
            used = usage(pid)
            cores = round(self._shares.of(name, used.cpu_s), 3)
            found[name] = [used.rss, used.fds, used.threads, cores]
        return found


def soak(load: Load, every_s: float, folder: Path, partitions: int, report: Any) -> Json:
    """Run it in a folder; returns the result with its verdicts."""
    before = machine.describe()
    with running_system(folder, partitions) as system:
        written = subprocess.run(
            load.command("", system.settings, None), cwd=ROOT, capture_output=True, check=False
        )
        assert written.returncode == 0, written.stderr.decode()
        system.until(lambda: system.moment(SITE)["at"], "the site begins")
        run = Soak(system, load, every_s)
        agreement = run.run(report)
    trends = summary(run.samples)
    ended = {name: role.ended for name, role in system.roles.items() if role.ended}
    lines = [
        *judged(trends),
        *verdicts(agreement),
        (f"no role ended by itself: {ended}", not ended),
    ]
    return {
        "machine": before,
        "load": {name: getattr(load, name) for name in Load.__slots__},
        "partitions": partitions,
        "agreement": agreement,
        "summary": trends,
        "changelog_bytes_per_event": changelog_bytes_per_event(run.samples),
        "verdicts": [{"what": what, "holds": holds} for what, holds in lines],
        "samples": by_minute(run.samples),
    }


def by_minute(samples: list[Json]) -> list[Json]:
    """The first sample of each minute and the last one: what is kept of a long run."""
    firsts = {int(sample["t"] // 60): sample for sample in reversed(samples[:-1])}
    return [*reversed(firsts.values()), samples[-1]]


Minutes = Annotated[float, typer.Option(help="How long the centre is simulated.")]
Every = Annotated[float, typer.Option(help="Seconds between two looks.")]


def main(
    minutes: Minutes = 60,
    every: Every = 10,
    agents: int = 2_000,
    queues: int = 200,
    calls: int = 60_000,
    partitions: int = 32,
    name: Annotated[str, typer.Option(help="Name of the result's file.")] = "soak-last",
) -> None:
    """Soak the whole system; ends with 1 if anything that must hold does not."""
    console = Console()
    load = Load(minutes, agents, queues, calls)
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, _bar(console) as bar:
        task = bar.add_task("soaking", total=minutes * 60)

        def report(sample: Json, total: float) -> None:
            bar.update(task, completed=min(sample["t"], total), description=_words(sample))
            if not console.is_terminal and int(sample["t"] / every) % max(1, 60 // int(every)) == 0:
                console.print(f"{sample['t']:6.0f} s  {_words(sample)}", soft_wrap=True)

        result = soak(load, every, Path(folder), partitions, report)
    finish(console, result, name)


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _words(sample: Json) -> str:
    memory = " ".join(f"{name} {used[0] / 2**20:.0f}" for name, used in sample["processes"].items())
    return (
        f"{sample['events'] or 0:,.0f} events, age {sample['age_ms']} ms, "
        f"parts {sample['parts']}, MiB: {memory}"
    )


if __name__ == "__main__":
    typer.run(main)
