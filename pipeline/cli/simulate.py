"""`callboard simulate`: a seeded contact centre, its events to a file or to the door."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from pipeline.collect.door_client import DoorClient, DoorRefused
from pipeline.simulate.feed import PAUSE_S, Feeder, Position, Upcoming, pause_of
from pipeline.simulate.live import ENDLESS_MS
from pipeline.simulate.options import DAY, DEFAULT_START, HOUR, Options, OptionsError, Scenario
from pipeline.simulate.platforms import platform_writers
from pipeline.simulate.settings import write_site_settings
from pipeline.simulate.stream import Record, Simulation
from pipeline.simulate.zones import morning_zone
from schemas.clock import Clock, ClockError
from schemas.config import Config, ConfigError
from schemas.kpis import ratio
from schemas.moments import MomentError, parse_moment

CANONICAL = "canonical"
_UNITS = {"s": 1000, "m": 60_000, "h": HOUR, "d": DAY}

Sites = Annotated[int, typer.Option(help="How many sites.")]
Agents = Annotated[int, typer.Option(help="Agents a site, spread over the day's shifts.")]
Queues = Annotated[int, typer.Option(help="Queues a site: voice, chat, e-mail, callbacks.")]
Rate = Annotated[
    float | None,
    typer.Option(help="Arrivals a site in the busiest hour. Default: what the agents can do."),
]
Aht = Annotated[
    float | None,
    typer.Option(help="Mean handling time of a call, seconds. Default: what fits the agents."),
]
Seed = Annotated[int, typer.Option(help="Same seed and options, same events.")]
Start = Annotated[
    str | None,
    typer.Option(
        help="First moment: ISO time with zone, or epoch ms. Default: 2026-01-05T09:00Z; now in "
        "real time; to the door such that the end is now."
    ),
]
Duration = Annotated[
    str | None,
    typer.Option(help="90s, 30m, 8h, 2d. Default: 1h; until interrupted in real time."),
]
ScenarioName = Annotated[
    Scenario,
    typer.Option(
        help="burst: four times the arrivals. outage: the source is silent, then sends what it "
        "held back. blackout: all agents drop. rona-storm: most rings go unanswered.",
    ),
]
After = Annotated[str | None, typer.Option(help="When the scenario strikes, after the start.")]
Length = Annotated[str | None, typer.Option(help="How long the scenario lasts.")]
Zone = Annotated[
    str | None,
    typer.Option(
        help="Zone of the sites. Default: UTC; one where it is morning if it starts about now."
    ),
]
Platform = Annotated[
    str,
    typer.Option("--format", help="canonical, or the platform whose payloads the events become."),
]
SiteName = Annotated[str, typer.Option(help="Name of the first site; others get a number.")]
Out = Annotated[str | None, typer.Option(help="File of the events, a line each; - is stdout.")]
To = Annotated[str | None, typer.Option(help="Address of the door, such as 127.0.0.1:7070.")]
Token = Annotated[
    str, typer.Option(help="The door's token. Default: as CALLBOARD_DOOR_TOKEN or its file says.")
]
RealTime = Annotated[bool, typer.Option("--real-time", help="As time passes.")]
Speed = Annotated[float | None, typer.Option(help="This many times as fast as time passes.")]
ClockFile = Annotated[
    Path | None, typer.Option("--clock", help="Clock file of a running stack, to keep its pace.")
]
SettingsOut = Annotated[Path | None, typer.Option(help="Folder for the sites' settings files.")]
TotalsOut = Annotated[Path | None, typer.Option(help="File for the simulator's own totals (JSON).")]


def simulate(
    sites: Sites = 1,
    agents: Agents = 60,
    queues: Queues = 6,
    calls_per_hour: Rate = None,
    aht: Aht = None,
    seed: Seed = 1,
    start: Start = None,
    duration: Duration = None,
    scenario: ScenarioName = Scenario.NORMAL,
    incident_after: After = None,
    incident_length: Length = None,
    time_zone: Zone = None,
    site: SiteName = "sim",
    platform: Platform = CANONICAL,
    out: Out = None,
    to: To = None,
    token: Token = "",
    real_time: RealTime = False,
    speed: Speed = None,
    clock_file: ClockFile = None,
    settings_out: SettingsOut = None,
    totals_out: TotalsOut = None,
) -> None:
    """Simulate a contact centre: its events, and what they truly add up to.

    Without --real-time, --speed or --clock it runs as fast as it can. Posted like that, events that
    are older than the site's lateness (15 minutes) count as late: keep --duration below it.
    """
    try:
        if out and to:
            raise OptionsError("give --out or --to, not both")
        pace = _pace(real_time, speed, clock_file, start)
        begin = _begin(start, duration, pace, to)
        options = Options(
            sites=sites,
            agents=agents,
            queues=queues,
            calls_per_hour=calls_per_hour,
            aht_s=aht,
            seed=seed,
            start=begin,
            duration_ms=_span(duration) or (ENDLESS_MS if pace else HOUR),
            scenario=scenario,
            incident_after_ms=_span(incident_after),
            incident_ms=_span(incident_length),
            time_zone=time_zone or ("UTC" if start or not (pace or to) else morning_zone(begin)),
            site=site,
            platform=_platform(platform),
        )
        run = _Run(Simulation(options), pace, Console(stderr=True))
        token = token or Config.from_env(os.environ).door_token
        run.perform(out, to, token, settings_out, totals_out)
    except BrokenPipeError:
        # Whoever read stdout has seen enough; the flush at exit must not fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (OptionsError, MomentError, ClockError, ConfigError, DoorRefused, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _span(text: str | None) -> int | None:
    """Milliseconds of `90s`, `30m`, `8h` or `2d`."""
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if match is None:
        raise OptionsError(f"{text!r} is no length of time such as 90s, 30m, 8h or 2d")
    return int(float(match[1]) * _UNITS[match[2]])


def _platform(name: str) -> str:
    """The platform of a format, empty for canonical events."""
    known = [CANONICAL, *platform_writers()]
    if name not in known:
        raise OptionsError(f"--format {name}: not one of {', '.join(known)}")
    return "" if name == CANONICAL else name


def _pace(
    real_time: bool, speed: float | None, file: Path | None, start: str | None
) -> Clock | None:
    """The clock to keep; None runs as fast as it can. One of its own shows `start` now."""
    if real_time + (speed is not None) + (file is not None) > 1:
        raise OptionsError("give one of --real-time, --speed and --clock")
    if file is not None:
        return Clock.from_file(file)
    if speed is None and not real_time:
        return None
    if speed is not None and speed <= 0:
        raise OptionsError(f"--speed must be greater than 0, not {speed:g}")
    now = Clock().now_ms()
    return Clock(now, parse_moment(start) if start else now, speed or 1.0)


def _begin(start: str | None, duration: str | None, pace: Clock | None, to: str | None) -> int:
    if start is not None:
        return parse_moment(start)
    if pace is not None:
        return pace.now_ms()
    # The door has a clock of its own: what is posted at once must not lie in its future.
    return Clock().now_ms() - (_span(duration) or HOUR) if to else DEFAULT_START


@dataclass(slots=True)
class _Run:
    """One run of the simulation, with what is said about it in the terminal."""

    simulation: Simulation
    pace: Clock | None
    console: Console

    def perform(
        self,
        out: str | None,
        to: str | None,
        token: str,
        settings_out: Path | None,
        totals_out: Path | None,
    ) -> None:
        """Do what the options say; with a folder for settings alone no events are made."""
        if settings_out:
            for centre in self.simulation.centres:
                path = write_site_settings(centre.plan, settings_out)
                self._say(f"settings of site {centre.plan.site}: {path}")
        if to:
            asyncio.run(self._post(to, token))
        elif out or totals_out or not settings_out:
            self._write(out or "-")
        if totals_out:
            text = orjson.dumps(self._totals(), option=orjson.OPT_INDENT_2)
            totals_out.write_bytes(text + b"\n")

    def _write(self, name: str) -> None:
        """Write the events to a file, or to stdout for as long as somebody reads it."""
        began, count = time.monotonic(), 0
        upcoming = Upcoming(self.simulation.records(), self.pace.now_ms if self.pace else None)
        with _opened(name) as file, self._bar(name != "-") as bar, suppress(KeyboardInterrupt):
            task = bar.add_task("simulating", total=self.simulation.options.duration_ms)
            while not upcoming.exhausted:
                batch = upcoming.due()
                file.writelines(record.payload + b"\n" for record in batch)
                count += len(batch)
                if batch:
                    bar.update(task, completed=batch[-1].at - self.simulation.options.start)
                if self.pace and upcoming.idle:
                    file.flush()
                    time.sleep(pause_of(self.pace))
            file.flush()
        self._summary(count, time.monotonic() - began)

    async def _post(self, address: str, token: str) -> None:
        """Post the events to the door, waiting for it whenever it cannot take them."""
        began, start = time.monotonic(), self.simulation.options.start

        def source(after: int | None) -> Iterator[Record]:
            return self.simulation.records(after)

        with self._bar(True) as bar:
            task = bar.add_task("simulating", total=self.simulation.options.duration_ms)
            platform = self.simulation.options.platform
            door = DoorClient(address, token, self._say_retry, source=platform)
            feeder = Feeder(
                door,
                source,
                self.pace.now_ms if self.pace else None,
                Position(None),
                pause_of(self.pace) if self.pace else PAUSE_S,
                lambda last: bar.update(task, completed=last.at - start),
            )
            # Ctrl-C cancels; what was sent is summed up all the same.
            with suppress(asyncio.CancelledError):
                async with door:
                    await feeder.run()
        if feeder.receipt.refused:
            self._say(f"the door refused {feeder.receipt.refused} events")
        self._summary(feeder.receipt.taken, time.monotonic() - began)

    def _totals(self) -> dict[str, dict[str, dict[str, dict[str, int]]]]:
        """The simulator's own totals: site, queue, channel, counter."""
        sites: dict[str, dict[str, dict[str, dict[str, int]]]] = {}
        for site, queues in self.simulation.totals.items():
            for (queue, channel), counters in queues.items():
                sites.setdefault(site, {}).setdefault(queue, {})[channel] = counters
        return sites

    def _bar(self, wanted: bool) -> Progress:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn())
        return Progress(
            *columns,
            TimeElapsedColumn(),
            console=self.console,
            transient=True,
            disable=not (wanted and self.console.is_terminal),
        )

    def _say_retry(self, reason: str, seconds: float) -> None:
        self._say(f"the door does not take events ({reason}), again in {seconds:.1f} s")

    def _say(self, text: str) -> None:
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    def _summary(self, count: int, seconds: float) -> None:
        table = Table("site", "offered", "answered", "abandoned", "left", "service level")
        for column in table.columns[1:]:
            column.justify = "right"
        for site, queues in self.simulation.totals.items():
            table.add_row(site, *_row(list(queues.values())))
        self.console.print(table)
        self._say(f"{count} events in {seconds:.1f} s, {count / max(seconds, 1e-9):,.0f} a second")


def _opened(name: str) -> AbstractContextManager[IO[bytes]]:
    return nullcontext(sys.stdout.buffer) if name == "-" else Path(name).open("wb")


def _row(queues: list[dict[str, int]]) -> list[str]:
    """What the summary shows of a site; its service level is `abandons_negative`."""

    def total(*names: str) -> int:
        return sum(counters[name] for counters in queues for name in names)

    level = ratio(total("answered_in"), total("answered", "abandoned"))
    left = total("left_callback", "left_overflow", "left_other")
    shown = (total("offered"), total("answered"), total("abandoned"), left)
    return [*map(str, shown), "–" if level is None else f"{level:.1%}"]
