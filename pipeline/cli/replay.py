"""`callboard replay`: what the board shows at given moments, from a file of events."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Annotated, Any, NoReturn

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pipeline.replay import History, read_history, snapshots
from pipeline.replay.tables import print_snapshot
from pipeline.sources import FORMATS, BadLine, Format
from pipeline.sources.lines import InputError, LineFile
from pipeline.sources.options import load_site
from schemas.kpis import WINDOWS
from schemas.moments import MomentError, parse_moment
from schemas.settings import SettingsError, SiteSettings

SHOWN_LINES = 20
"""Malformed lines reported one by one; the rest are only counted."""


def _one_of(words: Collection[str]) -> Callable[[str], str]:
    def check(word: str) -> str:
        if word not in words:
            raise typer.BadParameter(f"{word!r} is not one of {', '.join(words)}")
        return word

    return check


def replay(
    file: Annotated[str, typer.Argument(help="File of events, plain, gzip or xz; - is stdin.")],
    format_name: Annotated[
        str,
        typer.Option(
            "--format",
            metavar="|".join(FORMATS),
            callback=_one_of(FORMATS),
            help="How the file is written.",
        ),
    ] = "canonical",
    settings_file: Annotated[
        Path | None, typer.Option("--settings", help="Settings file of the site (YAML).")
    ] = None,
    at: Annotated[
        list[str] | None,
        typer.Option(
            help="Moment to show: ISO time with zone, or epoch ms. May be given several times. "
            "Default: the last event.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a moment.")
    ] = False,
    window: Annotated[
        str,
        typer.Option(
            metavar="|".join(WINDOWS),
            callback=_one_of(WINDOWS),
            help="Window of the tables; JSON has them all.",
        ),
    ] = "today",
) -> None:
    """Show the board at any moment of a recorded history.

    Lines that cannot be read are reported and counted, and do not stop the run.
    """
    source = FORMATS[format_name]
    try:
        moments = [parse_moment(text) for text in at or ()]
        given = settings_file or source.settings
        settings = load_site(given) if given else None
        history = _read(file, source, settings, max(moments, default=None))
    except (MomentError, SettingsError, InputError) as error:
        _fail(str(error))
    if history.site is None or history.last is None:
        site = f" of site {settings.site}" if settings else ""
        _fail(f"{file}: no readable event{site}")
    settings = settings or SiteSettings(site=history.site)
    views = _run(history, settings, moments or [history.last])
    for view in views:
        if as_json:
            sys.stdout.buffer.write(orjson.dumps(view) + b"\n")
        else:
            print_snapshot(Console(), view, settings.time_zone, window)
    sys.stdout.flush()


def _fail(message: str) -> NoReturn:
    typer.echo(message, err=True)
    raise typer.Exit(1)


class _BadLines:
    """Reports the first malformed lines and counts the others."""

    def __init__(self, console: Console, name: str) -> None:
        self._console = console
        self._name = name
        self._seen = 0

    def __call__(self, bad: BadLine) -> None:
        self._seen += 1
        if self._seen <= SHOWN_LINES:
            text = f"{self._name}:{bad.line}: {bad.field}: {bad.reason}"
            self._console.print(text, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        if self._seen > SHOWN_LINES:
            rest = self._seen - SHOWN_LINES
            self._console.print(f"{self._name}: {rest} more lines cannot be read", soft_wrap=True)


def _bar(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


def _read(file: str, source: Format, settings: SiteSettings | None, until: int | None) -> History:
    console = Console(stderr=True)
    site = settings.site if settings else None
    with LineFile(file) as lines, _bar(console) as bar:
        report = _BadLines(console, lines.name)
        task = bar.add_task("reading", total=lines.size)

        def told() -> Iterator[bytes]:
            for number, line in enumerate(lines):
                if number % 5000 == 0:
                    bar.update(task, completed=lines.position)
                yield line

        history = read_history(told(), source, site, until, report, settings)
        report.close()
    return history


def _run(history: History, settings: SiteSettings, moments: list[int]) -> list[dict[str, Any]]:
    with _bar(Console(stderr=True)) as bar:
        task = bar.add_task("replaying", total=len(history.events))
        return snapshots(history, settings, moments, lambda n: bar.advance(task, n))
