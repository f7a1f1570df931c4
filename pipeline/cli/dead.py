"""`callboard dead`: what could not be used, why, and where it stands."""

from __future__ import annotations

import asyncio
import logging
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from pipeline.ingest.service import until_signalled
from pipeline.letters import Letter, Letters, LettersError
from schemas.brokers import Brokers
from schemas.config import Config, ConfigError
from schemas.moments import iso

PAYLOAD_SHOWN = 160
"""Characters of a payload that the table shows; --json has it as far as it is kept."""


def dead(
    site: Annotated[str | None, typer.Option(help="Only those of this site.")] = None,
    reason: Annotated[
        str | None,
        typer.Option(
            help="Only these: unreadable, unknown_site, future, too_large, late, bad_row, "
            "bad_alert."
        ),
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many of the newest.")] = 50,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one JSON object a line, as on the topic.")
    ] = False,
    follow: Annotated[
        bool, typer.Option("--follow", help="Go on with those that come, until interrupted.")
    ] = False,
) -> None:
    """Show the dead letters: what could not be used, why, and where it stands. Newest last."""
    # What it has to say of a broker that is away is said once, below.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)

    try:
        config = Config.from_env(os.environ)
        with suppress(KeyboardInterrupt):
            asyncio.run(_show(config.brokers, _Asked(site, reason), limit, as_json, follow))
    except (LettersError, ConfigError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


@dataclass(frozen=True, slots=True)
class _Asked:
    """Which letters are asked for; None asks for all."""

    site: str | None
    reason: str | None

    def __call__(self, letter: dict[str, Any]) -> bool:
        return self.site in (None, letter.get("site")) and (
            self.reason in (None, letter.get("reason"))
        )

    def __str__(self) -> str:
        site = f" of site {self.site}" if self.site is not None else ""
        return f"dead letters{site}" + (f", {self.reason}" if self.reason is not None else "")


async def _show(brokers: Brokers, asked: _Asked, limit: int, as_json: bool, follow: bool) -> None:
    show = _lines if as_json else _table
    async with Letters(brokers) as letters:
        found = await letters.newest(limit, asked)
        if not found:
            typer.echo(f"no {asked} at {brokers}", err=True)
        if found or follow:
            show(found, header=True)
        if follow:
            async for letter in letters.coming(asked, until_signalled()):
                show([letter], header=False)


def _lines(letters: Iterable[Letter], header: bool) -> None:
    for letter in letters:
        sys.stdout.buffer.write(orjson.dumps(letter.value) + b"\n")
    sys.stdout.buffer.flush()


def _table(letters: Iterable[Letter], header: bool) -> None:
    table = Table(box=None, pad_edge=False, show_header=header, expand=True)
    # Fixed, so that those that come one by one stand below the others.
    table.add_column("when, where", width=24, overflow="fold")
    table.add_column("site, reason", width=14, overflow="fold")
    table.add_column("what is wrong, and the payload", overflow="fold", ratio=1)
    for letter in letters:
        value = letter.value
        place = "/".join(_said(value, name) for name in ("topic", "partition", "offset"))
        wrong = f"{_said(value, 'field')}: {_said(value, 'detail')}"
        table.add_row(
            Text(f"{iso(letter.at)}\n{place}"),
            Text.assemble(f"{_said(value, 'site')}\n", (_said(value, "reason"), "bold")),
            Text.assemble(f"{wrong}\n", (_start(_said(value, "payload")), "dim")),
        )
    Console().print(table)


def _said(letter: dict[str, Any], name: str) -> str:
    """A field of a letter as text that does nothing to the terminal: anybody may have sent it."""
    text = str(letter.get(name, "–"))  # noqa: RUF001  # what the tables show for no data
    return "".join(char if char.isprintable() else " " for char in text)


def _start(payload: str) -> str:
    text = payload.strip()
    return text if len(text) <= PAYLOAD_SHOWN else f"{text[:PAYLOAD_SHOWN]}…"
