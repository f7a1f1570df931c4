"""`callboard doctor`: looks at everything the deployment stands on, and says what to do."""

from __future__ import annotations

import asyncio
import logging
import os
from collections import Counter
from collections.abc import Collection
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipeline.doctor.around import Around
from pipeline.doctor.finding import BAD, Finding, State
from pipeline.doctor.pages import PageError, named_pages, pages_of
from pipeline.doctor.run import GROUPS, examine
from schemas.config import Config, ConfigError
from service.logs import one_line

_MARKS = {
    State.OK: ("✓", "green"),
    State.WARNING: ("!", "yellow"),
    State.FAILED: ("✗", "red"),
    State.UNKNOWN: ("?", "magenta"),
    State.SKIPPED: ("–", "dim"),  # noqa: RUF001  # a dash, as the tables show for nothing
}

Found = list[tuple[str, list[Finding]]]


def doctor(
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="GROUP", help=f"Only this group; repeat it. {', '.join(GROUPS)}."),
    ] = None,
    page: Annotated[
        list[str] | None,
        typer.Option(metavar="ROLE=URL", help="Where a role's page is, if not on this machine."),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object instead of the table.")
    ] = False,
) -> None:
    """Check everything the deployment stands on; exit with 1 if something is not well.

    Finds an embedded stack by its folder; of a cluster it asks what CALLBOARD_… name. Changes
    nothing.
    """
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    unknown = [name for name in only or () if name not in GROUPS]
    if unknown:
        raise typer.BadParameter(f"--only {unknown[0]}: one of {', '.join(GROUPS)}")
    try:
        config, named = Config.from_env(os.environ), named_pages(page or ())
    except PageError as error:
        raise typer.BadParameter(str(error)) from None
    except ConfigError as error:
        _show_broken(str(error), as_json)
        raise typer.Exit(1) from None
    pages = {**pages_of(config), **named}
    around = Around(config, os.environ, pages, frozenset(named))
    found = asyncio.run(_examine(around, only or (), as_json))
    if any(finding.state in BAD for _, findings in found for finding in findings):
        raise typer.Exit(1)


async def _examine(around: Around, only: Collection[str], as_json: bool) -> Found:
    found: Found = []
    console = Console(highlight=False)
    async with around:
        async for name, findings in examine(around, only):
            found.append((name, findings))
            if not as_json:
                console.print(_table(name, findings))
    if as_json:
        print(_json(found))
    else:
        console.print(_summary(found))
    return found


def _table(group: str, findings: list[Finding]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, expand=True, padding=(0, 1, 0, 0))
    # Fixed, so that all groups stand in one column.
    table.add_column(width=13, no_wrap=True)
    table.add_column(width=1)
    table.add_column(width=14, overflow="fold")
    table.add_column(ratio=1, overflow="fold")
    for number, finding in enumerate(findings):
        mark, style = _MARKS[finding.state]
        told = _safe(finding.told)
        if finding.state is State.SKIPPED:
            told = f"[dim]{told}[/dim]"
        if finding.todo:
            told += f"\n[bold]→ {_safe(finding.todo)}[/bold]"
        name = f"[bold]{group}[/bold]" if number == 0 else ""
        shown = "" if finding.name == group else _safe(finding.name)
        table.add_row(name, f"[{style}]{mark}[/{style}]", shown, told)
    return table


def _safe(text: str) -> str:
    """What others may have written, such as the name of a site, does nothing to the terminal."""
    return escape(one_line(text))


def _summary(found: Found) -> str:
    counts = Counter(finding.state for _, findings in found for finding in findings)
    parts = [
        f"[{_MARKS[state][1]}]{counts[state]} {_counted(state, counts[state])}[/{_MARKS[state][1]}]"
        for state in State
        if counts[state]
    ]
    return "\n" + ", ".join(parts)


def _counted(state: State, count: int) -> str:
    return f"{state}s" if state is State.WARNING and count > 1 else state


def _json(found: Found) -> str:
    counts = Counter(finding.state for _, findings in found for finding in findings)
    checks = [
        {
            "group": group,
            "name": finding.name,
            "state": finding.state,
            "told": finding.told,
            "todo": finding.todo,
        }
        for group, findings in found
        for finding in findings
    ]
    well = not any(counts[state] for state in BAD)
    return orjson.dumps({"well": well, "checks": checks}, option=orjson.OPT_INDENT_2).decode()


def _show_broken(told: str, as_json: bool) -> None:
    """Without a configuration nothing else can be looked at."""
    todo = "correct the variable: no role starts with it"
    found: Found = [("configuration", [Finding("variables", State.FAILED, told, todo)])]
    if as_json:
        print(_json(found))
        return
    console = Console(highlight=False)
    console.print(_table(*found[0]))
    console.print(_summary(found))
