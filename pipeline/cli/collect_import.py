"""`callboard collect import`: files of a platform's payloads into the door, resumable."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from pipeline.cli.door_address import To
from pipeline.collect.door_client import DoorClient, DoorRefused
from pipeline.collect.importing import CANONICAL, Done, import_file, payloads_of
from pipeline.collect.importing import Progress as Position
from pipeline.sources.lines import InputError
from schemas.config import Config, ConfigError


def import_files(
    files: Annotated[list[Path], typer.Argument(help="Captures, plain, gzip or xz.")],
    format_name: Annotated[
        str, typer.Option("--format", help="Whose payloads they are, such as feedback-csv.")
    ],
    site: Annotated[str, typer.Option(help="The site they belong to.")],
    to: To = "",
    state: Annotated[
        Path | None,
        typer.Option(help="Where is kept what is done already; default: in the data folder."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="From the start, whatever is kept.")
    ] = False,
) -> None:
    """Post files to the door, payload by payload, and say which lines did not go in.

    Broken off it goes on where it was; a file that is imported twice changes nothing. Events older
    than the site's lateness count as late, feedback never does. Ends with 1 if a file could not be
    read to its end, or if nothing in it could be read.
    """
    try:
        payloads_of(format_name)
    except KeyError:
        from pipeline.sources import SOURCES

        known = ", ".join([CANONICAL, *SOURCES])
        reason = f"{format_name!r} is not one of {known}"
        raise typer.BadParameter(reason, param_hint="--format") from None
    try:
        config = Config.from_env(os.environ)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    name = f"import-{quote(format_name, safe='')}-{quote(site, safe='')}.json"
    kept = state or config.data_dir / "collect" / name
    if again:
        kept.unlink(missing_ok=True)
    address = to or config.door_url
    position = Position(kept, f"{format_name} {site} {address}")
    complete = asyncio.run(_until_stopped(files, format_name, site, address, config, position))
    raise typer.Exit(0 if complete else 1)


async def _until_stopped(
    files: list[Path], name: str, site: str, address: str, config: Config, position: Position
) -> bool:
    task = asyncio.current_task()
    assert task is not None
    for stop in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(stop, task.cancel)
    with suppress(asyncio.CancelledError):
        return await _import(files, name, site, address, config, position)
    typer.echo("stopped; the next run goes on here", err=True)
    return False


async def _import(
    files: list[Path], name: str, site: str, address: str, config: Config, position: Position
) -> bool:
    console, complete = Console(stderr=True), True
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    bar = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)

    def say_retry(reason: str, seconds: float) -> None:
        console.print(f"the door does not take them ({reason}), again in {seconds:.1f} s")

    source = "" if name == CANONICAL else name
    door = DoorClient(address, config.door_token, say_retry, source=source)
    with bar:
        async with door:
            for file in files:
                task = bar.add_task(file.name, total=file.stat().st_size if file.exists() else None)
                try:
                    done = await import_file(
                        file,
                        site,
                        payloads_of(name),
                        door,
                        position,
                        lambda at, task=task: bar.update(task, completed=at),  # type: ignore[misc]
                    )
                    _report(file, done)
                    complete &= bool(done.taken or done.earlier or not done.unreadable)
                except (DoorRefused, InputError, OSError) as error:
                    typer.echo(f"{file}: {_why(error)}", err=True)
                    complete = False
                    if isinstance(error, DoorRefused):
                        break
    return complete


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def _report(file: Path, done: Done) -> None:
    parts = [f"{done.taken} taken", f"{done.refused} refused", f"{done.unreadable} unreadable"]
    if done.earlier:
        parts.append(f"{done.earlier} were in already")
    typer.echo(f"{file}: {', '.join(parts)}")
    for line, reason in done.told:
        typer.echo(f"  line {line}: {reason}")
    rest = done.refused + done.unreadable - len(done.told)
    if rest > 0:
        typer.echo(f"  and {rest} more")
