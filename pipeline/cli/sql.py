"""`callboard sql`: ask the configured store and print the answer."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

import typer
from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from schemas.config import Config, ConfigError
from sinks.clickhouse.query import Answer, QueryError, Question

WIDE = 200
"""Characters of a table that a wide terminal still shows, where there is none to ask."""

_NUMBERS = ("Int", "UInt", "Float", "Decimal", "Nullable(Int", "Nullable(UInt", "Nullable(Float")


class Form(StrEnum):
    """How the answer is printed."""

    table = "table"
    json = "json"
    csv = "csv"


_CLICKHOUSE_FORMAT = {Form.json: "JSONEachRow", Form.csv: "CSVWithNames"}


def sql(
    query: Annotated[str, typer.Argument(help="A statement in ClickHouse's SQL; - reads stdin.")],
    form: Annotated[
        Form, typer.Option("--format", "-f", help="json prints one object a line.")
    ] = Form.table,
    param: Annotated[
        list[str] | None,
        typer.Option("--param", "-p", help="name=value for {name:Type} in the query."),
    ] = None,
    write: Annotated[
        bool, typer.Option(help="Ask as the writer instead of read-only; for repairs.")
    ] = False,
) -> None:
    """Run a query against the store: read-only, as the analyst where one is configured."""
    text = sys.stdin.read() if query == "-" else query
    try:
        given = dict(_parameter(item) for item in param or ())
        question = Question(Config.from_env(os.environ), write=write)
        try:
            answer = _ask(question, text, form, given)
        finally:
            question.close()
    except (QueryError, ConfigError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    _show(answer)


def _ask(question: Question, text: str, form: Form, given: dict[str, str]) -> Answer | str:
    if form is Form.table:
        return question.table(text, given)
    return question.text(text, _CLICKHOUSE_FORMAT[form], given)


def _parameter(item: str) -> tuple[str, str]:
    name, equals, value = item.partition("=")
    if not equals:
        raise QueryError(f"--param {item}: expected name=value")
    return name, value


def _show(answer: Answer | str) -> None:
    if isinstance(answer, str):
        typer.echo(answer, nl=False)
        return
    if not answer.columns:
        return
    # Into a pipe nothing is folded to the width of a terminal that is not there.
    console = Console(width=None if sys.stdout.isatty() else 100_000, markup=False, highlight=False)
    table = _table(answer)
    room = console.width if sys.stdout.isatty() else WIDE
    if Measurement.get(console, console.options, table).maximum > room:
        _show_upright(answer, console)
    else:
        console.print(table, crop=False)
    rows = len(answer.rows)
    typer.echo(f"{rows} row{'' if rows == 1 else 's'}")


def _table(answer: Answer) -> Table:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name, kind in zip(answer.columns, answer.types, strict=True):
        right = kind.startswith(_NUMBERS)
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for row in answer.rows:
        table.add_row(*[_cell(value) for value in row])
    return table


def _show_upright(answer: Answer, console: Console) -> None:
    """Each row as a list of its columns, for a table would be too wide to be read.

    Where there is no row, the columns that it would have, with their types.
    """
    if not answer.rows:
        console.print(_pairs(zip(answer.columns, answer.types, strict=True)), crop=False)
    for number, row in enumerate(answer.rows, start=1):
        console.print(f"row {number}")
        console.print(_pairs(zip(answer.columns, map(_cell, row), strict=True)), crop=False)
        console.print()


def _pairs(pairs: Iterable[tuple[str, str]]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(overflow="fold")
    table.add_column(overflow="fold")
    for name, text in pairs:
        table.add_row(name, text)
    return table


def _cell(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return f"{value:.6f}".rstrip("0").rstrip(".")
    return str(value)
