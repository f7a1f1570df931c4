"""`callboard board-token`: who may see the board, where it asks for a token."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlencode

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from schemas.config import Config, ConfigError
from schemas.moments import DAY_MS, iso
from sinks.board.access import ALL, viewers_file
from sinks.board.viewers import (
    Entry,
    ViewersError,
    digest_of,
    new_token,
    read_viewers,
    write_viewers,
)

board_token = typer.Typer(
    no_args_is_help=True, help="Who may see the board, where CALLBOARD_BOARD_ACCESS is token."
)

File = Annotated[
    Path | None,
    typer.Option("--file", help="The file of viewers; default: CALLBOARD_BOARD_VIEWERS."),
]


@board_token.command("add")
def add(
    name: Annotated[str, typer.Argument(help="Whose token it is: a person, a team, a wall.")],
    site: Annotated[
        list[str] | None, typer.Option(help="A site that may be seen; may be repeated.")
    ] = None,
    all_sites: Annotated[
        bool, typer.Option("--all-sites", help="Every site, also later ones.")
    ] = False,
    days: Annotated[
        int | None, typer.Option(min=1, max=3660, help="How long it holds; default: for ever.")
    ] = None,
    wall: Annotated[
        bool, typer.Option("--wall", help="A screen: once logged in it stays so.")
    ] = False,
    file: File = None,
) -> None:
    """Make a token. It is shown once; the file holds only its digest."""
    if bool(site) == all_sites:
        raise typer.BadParameter("give --site once or more, or --all-sites")
    config = _config()
    token = new_token()
    with _changing(_path(config, file)) as entries:
        if any(entry.name == name for entry in entries):
            raise typer.BadParameter(f"{name!r} has a token already: remove it first")
        entries.append(
            Entry(
                name=name,
                sites=ALL if all_sites else list(dict.fromkeys(site or [])),
                sha256=digest_of(token),
                expires=None if days is None else _now_ms() + days * DAY_MS,
                wall=wall,
            )
        )
    typer.echo(token)
    typer.echo(f"log in with it, or by this link:\n{_link(config, token, site, wall)}", err=True)


@board_token.command("list")
def list_(file: File = None) -> None:
    """Show who may log in."""
    path = _path(_config(), file)
    table = Table("name", "sites", "until", "kind", "token", box=None, pad_edge=False)
    for entry in _read(path):
        until = "for ever" if entry.expires is None else iso(entry.expires)
        over = " (over)" if entry.over(_now_ms()) else ""
        sites = "all" if entry.sites == ALL else ", ".join(entry.sites)
        kind = "wall" if entry.wall else "person"
        row = entry.name, sites, f"{until}{over}", kind, f"{entry.sha256[:8]}…"
        table.add_row(*map(escape, row))
    Console().print(table)


@board_token.command("remove")
def remove(
    name: Annotated[str, typer.Argument(help="Whose token it is.")], file: File = None
) -> None:
    """Take a token away. Whoever uses it is logged out within seconds."""
    path = _path(_config(), file)
    with _changing(path) as entries:
        kept = [entry for entry in entries if entry.name != name]
        if len(kept) == len(entries):
            known = ", ".join(entry.name for entry in entries) or "nobody"
            raise typer.BadParameter(f"{name!r} has no token in {path}; there is {known}")
        entries[:] = kept
    typer.echo(f"{name} can no longer log in", err=True)


def _config() -> Config:
    try:
        return Config.from_env(os.environ)
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _path(config: Config, file: Path | None) -> Path:
    return file or viewers_file(config)


def _read(path: Path) -> list[Entry]:
    try:
        return read_viewers(path)
    except (ViewersError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


@contextmanager
def _changing(path: Path) -> Iterator[list[Entry]]:
    """The entries, written back after the block; one command at a time changes them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        entries = _read(path)
        yield entries
        write_viewers(path, entries)
    finally:
        os.close(folder)


def _link(config: Config, token: str, sites: list[str] | None, wall: bool) -> str:
    """An address that logs in; what stands behind its # no server ever sees."""
    asked = {"site": sites[0]} if sites else {}
    to = f"?{urlencode(asked)}{'&' if asked else ''}kiosk#wall" if wall else ""
    onwards = f"&to={quote(to, safe='')}" if to else ""
    return f"{config.board_url.rstrip('/')}/login#token={token}{onwards}"


def _now_ms() -> int:
    return time.time_ns() // 1_000_000
