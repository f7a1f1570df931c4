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
from pipeline.demo.settings import write_demo_settings
from pipeline.ingest.journal import Journal, read_journal
from pipeline.ingest.raw import RawRecord
from pipeline.simulate import live
from pipeline.simulate.feed import Position
from pipeline.simulate.options import Options
from pipeline.simulate.settings import write_site_settings
from pipeline.simulate.stream import Record, Simulation
from pipeline.stack.folder import DataFolder, Mode
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


def is_over(folder: DataFolder, now_ms: int) -> bool:
    """Whether a demo was left so long ago that its bank is closed now, and no board would move."""
    plan = DemoPlan.load(folder.root / PLAN_FILE)
    return plan is not None and not plan.open_at(now_ms)


def prepare(folder: DataFolder, play: Play, new: bool) -> None:
    """Writes clock, plan and settings, and journals what came due while nobody was there."""
    clock = _write_clock(folder, play.pace, new)
    now = clock.now_ms() if clock.pace == 1.0 else clock.site_ms
    if play.mode is Mode.DEMO:
        _prepare_demo(folder, now)
    elif play.mode is Mode.SIMULATE:
        _prepare_simulation(folder, play.options, now)
    elif new:
        folder.settings.mkdir(parents=True, exist_ok=True)
        (folder.settings / "default.yml").write_text("site: default\n")


def _write_clock(folder: DataFolder, pace: float, new: bool) -> Clock:
    """At pace 1 the wall clock; at any other one that goes on from where the stack was left."""
    wall = Clock().now_ms()
    clock = Clock()
    if pace != 1.0:
        clock = Clock(wall, wall if new else _last_received(folder, wall) + 1, pace)
    clock.write(folder.clock)
    return clock


def start_clock(folder: DataFolder) -> None:
    """Lets a paced clock run from now on: until here it stood where the journal ends.

    At a high pace the start of the stack would otherwise cost minutes of the site's time, and what
    the feeder has to hand over would be late before it could.
    """
    clock = Clock.from_file(folder.clock)
    if clock.pace != 1.0:
        Clock(Clock().now_ms(), clock.site_ms, clock.pace).write(folder.clock)


def _last_received(folder: DataFolder, default: int) -> int:
    last = default if not folder.journal.exists() else None
    for _, record in read_journal(folder.journal) if last is None else ():
        last = max(last or 0, record.received)
    return default if last is None else last


def _prepare_demo(folder: DataFolder, now: int) -> None:
    path = folder.root / PLAN_FILE
    plan = DemoPlan.load(path)
    if plan is None:
        plan = DemoPlan.choose(now)
        plan.save(path)
        write_demo_settings(folder.settings, plan.zone)
    position = demo_position(plan, folder.root / POSITION_FILE)
    _journal_until(folder, plan.records(position.at), position, now)


def _prepare_simulation(folder: DataFolder, base: Options, now: int) -> None:
    path = folder.root / live.OPTIONS_FILE
    options = live.load_options(path)
    if options is None:
        options = live.live_options(base, now)
        live.save_options(options, path)
        for centre in Simulation(options).centres:
            write_site_settings(centre.plan, folder.settings)
    position = live.position_of(options, folder.root / live.POSITION_FILE)
    _journal_until(folder, Simulation(options).records(position.at), position, now)


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
