"""`callboard backfill`: tell raw history again and make the store agree with what is closed."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from pipeline.backfill.bounds import Bounds, BoundsError, Coverage, find_bounds
from pipeline.backfill.comparing import Comparing, Outcome
from pipeline.backfill.history import HistoryError, Record, journal_records, topic_records
from pipeline.backfill.spool import Spool
from pipeline.backfill.telling import NEVER, Framing, Telling, quiet_ingest, tell_file
from pipeline.backfill.totals import Counts
from pipeline.ingest.customers import Customers
from pipeline.ingest.feeding import journal_folder
from pipeline.ingest.settings_folder import SettingsFolder
from pipeline.replay.tables import percent
from pipeline.sources import FORMATS, BadLine
from pipeline.sources.lines import InputError, LineFile
from pipeline.sources.options import load_site
from schemas.clock import Clock, ClockError
from schemas.config import Config, ConfigError
from schemas.moments import MomentError, iso, parse_moment
from schemas.settings import SettingsError, SiteSettings
from sinks.clickhouse.backfill import BackfillStore, Known, StoreError

FIXED = ("pane_ms", "time_zone", "anchor")


class Source(StrEnum):
    """Where raw history is read."""

    topic = "topic"
    journal = "journal"


class BackfillError(Exception):
    """A backfill that cannot be done as asked; the message says why."""


@dataclass(slots=True)
class _Asked:
    """What the command line says."""

    file: str | None
    format_name: str
    source: Source
    sites: list[str]
    read_from: int | None
    since: int | None
    until: int | None
    dry_run: bool
    yes: bool


@dataclass(slots=True)
class _Site:
    """A site on its way: its settings, where the live pipeline stood, and what was told."""

    settings: SiteSettings
    store: BackfillStore
    known: Known | None
    telling: Telling
    bounds: Bounds | None = field(default=None)


def backfill(
    file: Annotated[
        str | None,
        typer.Argument(
            help="File of events instead of raw records, plain, gzip or xz; of one site."
        ),
    ] = None,
    format_name: Annotated[
        str, typer.Option("--format", metavar="|".join(FORMATS), help="How the file is written.")
    ] = "canonical",
    source: Annotated[
        Source | None,
        typer.Option(help="Raw records of the topic, or of the embedded stack's journal."),
    ] = None,
    settings: Annotated[
        Path | None,
        typer.Option(help="Settings file of the site; default: that in the settings folder."),
    ] = None,
    site: Annotated[
        list[str] | None, typer.Option(help="Only this site; may be given several times.")
    ] = None,
    read_from: Annotated[
        str | None,
        typer.Option("--from", help="Read raw records received from then on. Default: all."),
    ] = None,
    since: Annotated[
        str | None, typer.Option(help="Replace what began from then on. Default: all that is read.")
    ] = None,
    until: Annotated[
        str | None, typer.Option(help="Replace what began before. Default: all that is closed.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, and change nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before writing.")] = False,
) -> None:
    """Read raw history again through the same engine into the store.

    Only what is closed is replaced: the live pipeline goes on and is not disturbed. May be
    interrupted and run again at any time. Moments are ISO times with zone, or epoch ms.
    """
    console = Console(stderr=True)
    try:
        config = Config.from_env(os.environ)
        asked = _Asked(
            file,
            format_name,
            source or (Source.journal if config.alone or config.journal else Source.topic),
            site or [],
            _moment(read_from),
            _moment(since),
            _moment(until),
            dry_run,
            yes,
        )
        if file is not None and format_name not in FORMATS:
            raise BackfillError(f"--format {format_name}: not one of {', '.join(FORMATS)}")
        problems = _run(config, asked, settings, console)
    except (
        BackfillError, BoundsError, HistoryError, StoreError, SettingsError, ConfigError,
        ClockError, InputError, MomentError,
    ) as error:  # fmt: skip
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if problems:
        raise typer.Exit(1)


def _moment(text: str | None) -> int | None:
    return None if text is None else parse_moment(text)


def _run(config: Config, asked: _Asked, settings: Path | None, console: Console) -> bool:
    quiet_ingest()
    known_sites = _settings(config, asked, settings)
    with tempfile.TemporaryDirectory(prefix="callboard-backfill-") as folder:
        sites = [
            _prepare(config, one, Path(folder) / f"{number}.spool")
            for number, one in enumerate(known_sites)
        ]
        try:
            with _bar(console) as bar:
                coverage = _tell(config, asked, sites, bar)
            told = _told(sites, asked, console)
            wrong = [_finish(one, asked, coverage, console) for one in told]
            return any(wrong)
        finally:
            for one in sites:
                one.telling.spool.close()
                one.store.close()


def _settings(config: Config, asked: _Asked, given: Path | None) -> list[SiteSettings]:
    default = FORMATS[asked.format_name].settings if asked.file is not None else None
    path = given or default
    if path is not None:
        return [load_site(path)]
    folder = SettingsFolder(config.settings_dir)
    folder.refresh()
    missing = [name for name in asked.sites if name not in folder.sites]
    if missing:
        raise BackfillError(f"{config.settings_dir} has no settings of site {missing[0]}")
    found = [folder.sites[name] for name in asked.sites or sorted(folder.sites)]
    if not found:
        raise BackfillError(
            f"{config.settings_dir} has no settings of any site: CALLBOARD_SETTINGS_DIR names "
            "another folder, --settings a file"
        )
    if asked.file is not None and len(found) > 1:
        raise BackfillError("a file is of one site: name it with --site or --settings")
    return found


def _prepare(config: Config, settings: SiteSettings, spool: Path) -> _Site:
    store = BackfillStore(config, settings.site)
    # Before the end of the topic is looked up: what is stored up to here was read from before it.
    known = store.progress()
    stored = store.settings()
    if known is not None and stored:
        _refuse_other_panes(settings, stored[-1].row)
    return _Site(settings, store, known, Telling(settings, Spool(spool)))


def _refuse_other_panes(settings: SiteSettings, live: dict[str, object]) -> None:
    for name in FIXED:
        if getattr(settings, name) != live[name]:
            raise BackfillError(
                f"site {settings.site}: {name} is {live[name]} in the running pipeline and "
                f"{getattr(settings, name)} in the settings: it changes only with a new epoch, and "
                "with a backfill after that (docs/operations.md)"
            )


# --- reading ------------------------------------------------------------------------------------


def _tell(config: Config, asked: _Asked, sites: list[_Site], bar: Progress) -> Coverage:
    if asked.file is not None:
        _tell_file(asked, sites[0], Customers(config.customer_key), bar)
        return Coverage(to_the_present=sites[0].known is None)
    tellings = {one.settings.site: one.telling for one in sites}
    is_journal = asked.source is Source.journal
    partitions = 1 if is_journal else config.partitions
    clock = Clock.from_file(config.clock_file)
    customers = Customers(config.customer_key)
    alone = is_journal or config.alone
    framing = Framing(tellings, partitions, clock, customers, alone=alone)
    taking = _Taking(framing, tellings, bar, max((o.known.at for o in sites if o.known), default=0))
    if is_journal:
        for record in journal_records(journal_folder(config.data_dir)):
            if asked.read_from is None or record.received >= asked.read_from:
                taking.take(record)
    else:
        asyncio.run(_tell_topic(config, asked, taking))
    framing.flush()
    for one in sites:
        if one.known is not None:
            one.telling.tick(one.known.at)
    return Coverage(to_the_present=True)


async def _tell_topic(config: Config, asked: _Asked, taking: _Taking) -> None:
    async for record in topic_records(config.brokers, asked.read_from):
        taking.take(record)


class _Taking:
    """Hands records of the sites over, and moves the bar by when they were received."""

    def __init__(
        self, framing: Framing, tellings: dict[str, Telling], bar: Progress, end: int
    ) -> None:
        self._framing = framing
        self._wanted = {site.encode() for site in tellings}
        self._bar = bar
        self._end = end
        self._first = 0
        self._count = 0
        self._task = bar.add_task("reading history", total=None)

    def take(self, record: Record) -> None:
        """Take a record unless its key says that it is of another site."""
        self._count += 1
        if self._count % 5000 == 1:
            self._first = self._first or record.received
            total = max(1, self._end - self._first) if self._end else None
            done = record.received - self._first
            self._bar.update(self._task, total=total, completed=done)
        if record.key is None or record.key in self._wanted:
            self._framing.take(record)


def _tell_file(asked: _Asked, one: _Site, customers: Customers, bar: Progress) -> None:
    assert asked.file is not None
    spool, name = one.telling.spool, one.settings.site
    with LineFile(asked.file) as lines:
        task = bar.add_task("reading the file", total=lines.size)

        def told() -> Iterator[bytes]:
            for number, line in enumerate(lines):
                if number % 5000 == 0:
                    bar.update(task, completed=lines.position)
                yield line

        number = 0
        for item in FORMATS[asked.format_name].read(told(), name, one.settings):
            if not isinstance(item, BadLine):
                customers.hide(item)
                spool.put_event(item)
                number += 1
    if not number:
        raise HistoryError(f"{asked.file}: no readable event of site {name}")
    task = bar.add_task("telling", total=number)
    for count in tell_file(one.telling, spool.events()):
        bar.advance(task, count)


# --- comparing and writing ----------------------------------------------------------------------


def _told(sites: list[_Site], asked: _Asked, console: Console) -> list[_Site]:
    """The sites of which there is history: one that was silent does not hold up the others."""
    silent = [one.settings.site for one in sites if one.telling.first is None]
    if silent and (asked.sites or len(silent) == len(sites)):
        raise HistoryError(f"site {silent[0]}: the history has no event of it")
    for name in silent:
        console.print(f"{name}: the history has no event of it, it is left as it is")
    return [one for one in sites if one.telling.first is not None]


def _finish(one: _Site, asked: _Asked, coverage: Coverage, console: Console) -> bool:
    """Bring a site to its end; True if something is wrong with it afterwards."""
    zone, name = one.settings.time_zone, one.settings.site
    bounds = find_bounds(one.telling, one.store, one.known, coverage, (asked.since, asked.until))
    console.print(_headline(one, bounds, zone), highlight=False, soft_wrap=True)
    if bounds.since >= bounds.until:
        console.print("nothing of it is closed yet", highlight=False)
        return False
    if asked.dry_run or not asked.yes:
        outcome = _compare(one, bounds, console, write=False)
        _show(name, outcome, asked.dry_run)
        if asked.dry_run or not (outcome.any or outcome.left_to_records):
            return False
        if not outcome.any:
            console.print(f"{outcome.left_to_records} panes where old and new meet differ")
        if not typer.confirm("Write this?", err=True):
            raise typer.Exit(1)
    outcome = _compare(one, bounds, console, write=True)
    if asked.yes:
        _show(name, outcome, dry_run=False)
    if outcome.left_to_records:
        number = outcome.left_to_records
        console.print(f"{number} panes where old and new meet are left to the records")
    return False if one.known is None else _checked(one, bounds, console)


def _compare(one: _Site, bounds: Bounds, console: Console, *, write: bool) -> Outcome:
    spool = one.telling.spool
    comparing = Comparing(spool, one.store, one.settings, bounds, write=write)
    with _bar(console) as bar:
        task = bar.add_task("writing" if write else "comparing", total=None)
        outcome = comparing.run(
            lambda table, at: bar.update(
                task, description=f"{'writing' if write else 'comparing'} {table}"
            )
        )
        if write and bounds.whole:
            one.store.set_progress(one.telling.site.at)
        # A run that was killed may have written all rows and have left this.
        if write or not outcome.any:
            comparing.leave_to_records()
    return outcome


def _checked(one: _Site, bounds: Bounds, console: Console) -> bool:
    comparing = Comparing(one.telling.spool, one.store, one.settings, bounds, write=False)
    wrong = comparing.check()
    if wrong:
        console.print(
            f"{wrong} panes still differ from their records: SELECT * FROM reconciliation shows "
            "them; this is a defect, or somebody else writes to the store",
            style="red",
            highlight=False,
        )
    return bool(wrong)


def _headline(one: _Site, bounds: Bounds, zone: str) -> str:
    begin = "the beginning" if bounds.since == NEVER else iso(bounds.since, zone)
    end = "the end" if bounds.whole else iso(bounds.until, zone)
    told = one.telling
    return f"{one.settings.site}: {told.events} events, {told.late} late; from {begin} to {end}"


def _show(site: str, outcome: Outcome, dry_run: bool) -> None:
    console = Console()
    title = f"{site}: rows that {'would change' if dry_run else 'change'}"
    table = Table(title=title, title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    table.add_column("table")
    for head in ("added", "changed", "removed", "as they are"):
        table.add_column(head, justify="right")
    for name, d in outcome.tables.items():
        table.add_row(name, *map(str, (d.added, d.changed, d.removed, d.same)))
    console.print(table)
    days = outcome.totals.changed_days()
    if days:
        console.print(_days(outcome, days))


def _days(outcome: Outcome, days: list[tuple[str, Counts, Counts]]) -> Table:
    table = Table(
        title="Visits by the day of queueing, before → after",
        title_justify="left",
        box=SIMPLE_HEAD,
        pad_edge=False,
    )
    names = ("offered", "answered", "answered_in", "abandoned")
    for head in ("day", *names, "service level"):
        table.add_column(head, justify="left" if head == "day" else "right")
    level = outcome.totals.level
    for day, before, after in days:
        cells = [_pair(str(before[n]), str(after[n])) for n in names]
        table.add_row(day, *cells, _pair(percent(level(before)), percent(level(after))))
    return table


def _pair(before: str, after: str) -> str:
    return before if before == after else f"{before} → {after}"


@contextmanager
def _bar(console: Console) -> Iterator[Progress]:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        yield bar
