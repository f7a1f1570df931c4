"""Ten times what the system can do, then normal again: `python -m tests.load.overload`.

What it can do is measured first: a backlog is written, and how fast board and store take it is the
sustainable rate. Then events come at ten times that for a minute, half of them through the door,
half written to the raw topic. They wait there, so the board falls behind and must say so, while
nothing in any process grows with them. When all is read, every figure must be what the raw topic
says.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from bench import machine
from pipeline.simulate.settings import write_site_settings
from pipeline.simulate.stream import Simulation
from pipeline.stack.roles import environment
from tests.load.agreement import compared, drained, verdicts
from tests.load.flood import centre
from tests.load.results import finish
from tests.load.system import ROOT, Json, System, quietly, running_system
from tests.load.watching import MIB, Peaks

SITE = "flooded"
CLIENTS = 4
EVERY_S = 1.0
LOOKS = 5
NORMAL_SHARE = 0.2
"""What comes while the backlog is read, as a share of what can be read."""
NORMAL_S = 20.0
SLACK_MS = 20
"""Clocks of two processes read one after the other."""
MOST_RSS_MIB = {"door": 400, "ingest": 300, "agents": 250, "sink": 500, "board": 300, "store": 1300}
BYTES_AN_EVENT = 350
"""A worker has to remember each contact for `lateness_ms`, which is longer than an overload."""
PATIENCE_S = 3_600.0

Report = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Plan:
    """Seconds of the first backlog and of the overload, and how many times too much it is."""

    probe_rate: float = 15_000
    probe_s: float = 15
    times: float = 10
    seconds: float = 60


class Overload:
    """One run and what was seen in it."""

    def __init__(self, system: System, plan: Plan, report: Report) -> None:
        self.samples: list[Json] = []
        self.floods: list[Json] = []
        self._system = system
        self._plan = plan
        self._report = report
        self._began = time.monotonic()

    def run(self) -> Json:
        """All phases; returns what was measured."""
        plan = self._plan
        with Peaks(self._system.pids) as peaks:
            sustainable = self._sustainable()
            quiet = dict(peaks.rss)
            rate = sustainable * plan.times
            self._flood(rate, plan.seconds, CLIENTS, "overload")
            after = len(self.samples)
            while not self._all_read():
                normal_s = min(NORMAL_S, plan.seconds)
                self._flood(sustainable * NORMAL_SHARE, normal_s, CLIENTS, "normal")
            drained(self._system, SITE, PATIENCE_S)
            self._look("read")
        return {
            "sustainable_per_s": round(sustainable),
            "offered_per_s": round(rate),
            "floods": self.floods,
            "rss_before": quiet,
            "rss_most": peaks.rss,
            "caught_up_s": self.samples[-1]["t"] - self.samples[after - 1]["t"],
        }

    def _sustainable(self) -> float:
        """Events a second at which a backlog goes, from the first to the last of them."""
        before = self._events()
        self._flood(self._plan.probe_rate, self._plan.probe_s, 0, "probe")
        all_ = before + self.floods[-1]["written"]
        while self._events() < all_:
            self._look("probe")
            time.sleep(0.2)
        seen: list[tuple[float, float]] = [
            (s["t"], s["events"]) for s in self.samples if before < s["events"]
        ]
        (first, some), (last, most) = seen[0], seen[-1]
        assert last > first, "the first backlog is too small to measure anything"
        return (most - some) / (last - first)

    def _flood(self, rate: float, seconds: float, clients: int, phase: str) -> None:
        config = self._system.config
        words = [config.bootstrap, self._system.address("door"), SITE]
        words += [str(rate), str(seconds), str(clients)]
        flood = subprocess.Popen(
            [sys.executable, "-m", "tests.load.flood", *words],
            cwd=ROOT, env=environment(config), stdout=subprocess.PIPE,
        )  # fmt: skip
        try:
            while flood.poll() is None:
                self._look(phase)
                with suppress(subprocess.TimeoutExpired):
                    flood.wait(EVERY_S)
            assert flood.returncode == 0, f"the flood ended with {flood.returncode}"
            assert flood.stdout is not None
            self.floods.append({"phase": phase, **orjson.loads(flood.stdout.read())})
        finally:
            flood.kill()
            flood.wait()

    def _look(self, phase: str) -> None:
        self._system.revive()
        asked_ms = time.time_ns() / 1_000_000
        moment = quietly(lambda: self._system.moment(SITE)) or {}
        ingest = self._metrics("ingest")
        worker, sink, door = self._metrics("agents"), self._metrics("sink"), self._metrics("door")
        sample = {
            "t": round(time.monotonic() - self._began, 2),
            "phase": phase,
            "events": worker.get("callboard_worker_events_total", 0.0),
            "lag_records": ingest.get("callboard_ingest_lag_records"),
            "lag_frames": worker.get("callboard_worker_lag_frames"),
            "lag_rows": sink.get("callboard_sink_lag_records"),
            "in_flight_bytes": door.get("callboard_door_in_flight_bytes"),
            "at": moment.get("at") if isinstance(moment, dict) else None,
            "age_ms": moment.get("age_ms") if isinstance(moment, dict) else None,
            "asked_ms": asked_ms,
        }
        self.samples.append(sample)
        self._report(f"{phase}: {sample['events']:,.0f} events read, {sample['lag_records']} wait, "
                     f"age {sample['age_ms']} ms")  # fmt: skip

    def _metrics(self, name: str) -> dict[str, float]:
        found = quietly(lambda: self._system.metrics(name))
        return found if isinstance(found, dict) else {}

    def _events(self) -> float:
        return self._metrics("agents").get("callboard_worker_events_total", 0.0)

    def _all_read(self) -> bool:
        """Nothing waits at one of some looks: a tick or a checkpoint makes it wait now and then."""
        for _ in range(LOOKS):
            if not self._lag():
                return True
            time.sleep(EVERY_S / LOOKS)
        return False

    def _lag(self) -> float:
        """What waits before ingest and before the worker; 1 while one of them does not answer."""
        records = self._metrics("ingest").get("callboard_ingest_lag_records", 1.0)
        return records + self._metrics("agents").get("callboard_worker_lag_frames", 1.0)


def dishonest(samples: Sequence[Json]) -> list[Json]:
    """Moments at which the board said that it was younger than it was."""
    return [
        sample
        for sample in samples
        if sample["at"] and sample["age_ms"] + SLACK_MS < sample["asked_ms"] - sample["at"]
    ]


def longest_standstill(samples: Sequence[Json]) -> float:
    """Seconds for which the board showed the same moment, or did not answer."""
    longest, since, at = 0.0, samples[0]["t"], None
    for sample in samples:
        if sample["at"] is not None and sample["at"] != at:
            at, since = sample["at"], sample["t"]
        longest = max(longest, sample["t"] - since)
    return float(longest)


def judged(found: Json, samples: Sequence[Json]) -> list[tuple[str, bool]]:
    """What must hold of a run, in words."""
    most = {name: found["rss_most"][name] / MIB for name in MOST_RSS_MIB}
    remembered = max(sample["events"] for sample in samples) * BYTES_AN_EVENT / MIB
    bounds = MOST_RSS_MIB | {"agents": MOST_RSS_MIB["agents"] + round(remembered)}
    lines = [
        (f"{name}: at most {most[name]:.0f} MiB, bound {bound}", most[name] <= bound)
        for name, bound in bounds.items()
    ]
    ages = [sample["age_ms"] for sample in samples if sample["age_ms"] is not None]
    refused = [flood for flood in found["floods"] if flood["without_word"]]
    return [
        *lines,
        (f"the board told its age each time, {max(ages) / 1000:.0f} s at most",
         not dishonest(samples)),
        ("times of the board never went back", _never_back(samples)),
        ("whoever the door sent away was told when to come again", not refused),
    ]  # fmt: skip


def _never_back(samples: Sequence[Json]) -> bool:
    times = [sample["at"] for sample in samples if sample["at"] is not None]
    return times == sorted(times)


def overload(plan: Plan, folder: Path, report: Report) -> Json:
    """Run it in a folder; returns the result with its verdicts."""
    before = machine.describe()
    with running_system(folder, 4) as system:
        write_site_settings(Simulation(centre(SITE)).centres[0].plan, system.settings)
        system.until(lambda: system.moment(SITE)["at"], "the site begins")
        run = Overload(system, plan, report)
        found = run.run()
        agreement = compared(system, SITE, folder)
    handed = sum(flood["written"] + flood["through_door"] for flood in found["floods"])
    kept = (f"{agreement['events']:,} events on the raw topic, {handed:,} handed over",
            agreement["events"] >= handed)  # fmt: skip
    ended = {name: role.ended for name, role in system.roles.items() if role.ended}
    lines = [*judged(found, run.samples), kept, *verdicts(agreement)]
    lines.append((f"no role ended by itself: {ended}", not ended))
    return {
        "machine": before,
        "plan": asdict(plan),
        **found,
        "longest_standstill_s": longest_standstill(run.samples),
        "agreement": agreement,
        "verdicts": [{"what": what, "holds": holds} for what, holds in lines],
        "samples": run.samples,
    }


def main(
    seconds: Annotated[float, typer.Option(help="How long the overload lasts.")] = 60,
    times: Annotated[float, typer.Option(help="How many times the sustainable rate.")] = 10,
    name: Annotated[str, typer.Option(help="Name of the result's file.")] = "overload-last",
) -> None:
    """Overload the whole system; ends with 1 if anything that must hold does not."""
    console = Console()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with (
        tempfile.TemporaryDirectory(prefix="overload-") as folder,
        Progress(*columns, console=console, transient=True) as bar,
    ):
        task = bar.add_task("starting", total=None)
        result = overload(
            Plan(times=times, seconds=seconds),
            Path(folder),
            lambda words: bar.update(task, description=words),
        )
    for key in ("sustainable_per_s", "offered_per_s", "caught_up_s", "longest_standstill_s"):
        console.print(f"{key}: {result[key]}")
    finish(console, result, name)


if __name__ == "__main__":
    typer.run(main)
