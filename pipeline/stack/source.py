"""What an embedded stack plays: its site settings, what lies behind it, and its feeder."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from pipeline.demo.day import DemoPlan
from pipeline.demo.feeder import PLAN_FILE, POSITION_FILE
from pipeline.demo.feeder import position_of as demo_position
from pipeline.demo.settings import renew_demo_settings
from pipeline.ingest.journal import Journal, last_received
from pipeline.ingest.raw import RawRecord
from pipeline.simulate import live
from pipeline.simulate.feed import Position
from pipeline.simulate.options import Options
from pipeline.simulate.settings import write_site_settings
from pipeline.simulate.stream import Record, Simulation
from pipeline.stack.folder import DataFolder, FolderError, Mode
from schemas.clock import Clock

log = logging.getLogger(__name__)

_BATCH = 5000


@dataclass(frozen=True, slots=True)
class Play:
    """How to play: the mode, the pace of the clock, and the options of a simulation."""

    mode: Mode = Mode.DEMO
    pace: float = 1.0
    options: Options = Options()


def feeder_command(mode: Mode) -> list[str]:
    """The command of the process that feeds the door; empty where nothing does."""
    modules = {Mode.DEMO: "pipeline.demo.feeder", Mode.SIMULATE: "pipeline.simulate.live"}
    return [sys.executable, "-m", modules[mode]] if mode in modules else []


def is_over(folder: DataFolder, pace: float) -> bool:
    """Whether a demo was left so long ago that its bank is closed now, and no board would move."""
    plan = DemoPlan.load(folder.root / PLAN_FILE)
    return plan is not None and not plan.open_at(_clock_to_go_on(folder, pace).now_ms())


def prepare(folder: DataFolder, play: Play, new: bool) -> None:
    """Writes clock, plan and settings, and journals what came due while nobody was there."""
    clock = _clock_to_go_on(folder, play.pace)
    clock.write(folder.clock)
    now = clock.now_ms() if clock.pace == 1.0 else clock.site_ms
    if play.mode is Mode.DEMO:
        _prepare_demo(folder, now)
    elif play.mode is Mode.SIMULATE:
        _prepare_simulation(folder, play.options, now)
    elif new:
        folder.settings.mkdir(parents=True, exist_ok=True)
        (folder.settings / "default.yml").write_text("site: default\n")


def _clock_to_go_on(folder: DataFolder, pace: float) -> Clock:
    """At pace 1 the wall clock; at any other one that goes on from where the stack was left.

    A stack that was ahead of the wall clock goes on from there at any pace, or its time would stand
    still until the wall clock had come so far.
    """
    wall = Clock().now_ms()
    left = last_received(folder.journal)
    left = wall if left is None else left
    if pace == 1.0 and left <= wall:
        return Clock()
    return Clock(wall, left + 1, pace)


def stop_clock(folder: DataFolder) -> None:
    """Lets a paced clock stand still until `start_clock`; nobody who reads it may be running.

    At a high pace a start would otherwise cost minutes of the site's time, and what the feeder has
    to hand over would be late before it could.
    """
    clock = Clock.from_file(folder.clock)
    if clock.pace != 1.0:
        now = Clock().now_ms()
        Clock(now, clock.at(now), clock.pace).write(folder.clock)


def start_clock(folder: DataFolder) -> None:
    """Lets a paced clock run on from now."""
    clock = Clock.from_file(folder.clock)
    if clock.pace != 1.0:
        Clock(Clock().now_ms(), clock.site_ms, clock.pace).write(folder.clock)


def _prepare_demo(folder: DataFolder, now: int) -> None:
    path = folder.root / PLAN_FILE
    plan = DemoPlan.load(path)
    if plan is None:
        plan = DemoPlan.choose(now)
        plan.save(path)
        renew_demo_settings(folder.settings, plan.zone)
    position = demo_position(plan, folder.root / POSITION_FILE)
    _journal_until(folder, plan.records(position.at), position, now)


def _prepare_simulation(folder: DataFolder, base: Options, now: int) -> None:
    path = folder.root / live.OPTIONS_FILE
    options = live.load_options(path)
    if options is not None:
        _refuse_other(base, options)
    else:
        options = live.live_options(base, now)
        live.save_options(options, path)
        for centre in Simulation(options).centres:
            write_site_settings(centre.plan, folder.settings)
    position = live.position_of(options, folder.root / live.POSITION_FILE)
    _journal_until(folder, Simulation(options).records(position.at), position, now)


def _refuse_other(asked: Options, held: Options) -> None:
    """Another centre in the same folder would be told on with the events of this one."""
    names = ("agents", "queues", "scenario", "seed")
    differing = [name for name in names if getattr(asked, name) != getattr(held, name)]
    if differing:
        told = ", ".join(f"{name} {getattr(held, name)}" for name in differing)
        raise FolderError(
            f"the folder holds a simulation with {told}; start with --fresh to begin another, or "
            "with --data FOLDER elsewhere"
        )


def _journal_until(
    folder: DataFolder, records: Iterator[Record], position: Position, now: int
) -> None:
    """Journals what came due up to now, received when it came due, as if the door had been open."""
    journal = Journal(folder.journal)
    try:
        for batch in _batches(_due(records, now)):
            journal.append([RawRecord(r.site, r.payload, r.at) for r in batch])
    finally:
        journal.close()
    position.save(now + 1)


def _due(records: Iterable[Record], now: int) -> Iterator[Record]:
    for record in records:
        if record.at > now:
            return
        yield record


def _batches(records: Iterator[Record]) -> Iterator[list[Record]]:
    while batch := list(islice(records, _BATCH)):
        yield batch
