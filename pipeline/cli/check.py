"""`callboard check`: what a capture of a platform says, and what of it cannot be read."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pipeline.check import Findings, check_capture
from pipeline.check.tables import print_findings
from pipeline.sources import FORMATS
from pipeline.sources.lines import InputError, LineFile
from pipeline.sources.options import load_site
from schemas.settings import SettingsError, SiteSettings


def check(
    file: Annotated[str, typer.Argument(help="Capture, plain, gzip or xz; - is stdin.")],
    format_name: Annotated[
        str, typer.Option("--format", metavar="|".join(FORMATS), help="Whose capture it is.")
    ],
    settings_file: Annotated[
        Path | None, typer.Option("--settings", help="Settings file of the site (YAML).")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Read a capture and say what was understood of it and what was not, line by line.

    Ends with 1 if the file cannot be read or nothing in it was understood.
    """
    if format_name not in FORMATS:
        known = ", ".join(FORMATS)
        raise typer.BadParameter(f"{format_name!r} is not one of {known}", param_hint="--format")
    try:
        settings = load_site(settings_file) if settings_file else None
        findings = _read(file, format_name, settings)
    except (SettingsError, InputError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    if as_json:
        sys.stdout.buffer.write(orjson.dumps(findings.as_json()) + b"\n")
    else:
        zone = settings.time_zone if settings else "UTC"
        name = "stdin" if file == "-" else Path(file).name
        print_findings(Console(), findings, name, zone)
    raise typer.Exit(0 if findings.events else 1)


def _read(file: str, format_name: str, settings: SiteSettings | None) -> Findings:
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
    with LineFile(file) as lines, bar:
        task = bar.add_task("reading", total=lines.size)

        def told(number: int) -> None:
            if number % 5000 == 0:
                bar.update(task, completed=lines.position)

        def counted(done: int, events: int) -> None:
            bar.update(task, description="counting", completed=done, total=events)

        return check_capture(lines, format_name, settings, told, counted)
