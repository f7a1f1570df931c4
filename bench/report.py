"""How figures are shown."""

from __future__ import annotations

from rich.table import Table

from bench.stats import Spread


def table(title: str, columns: list[str]) -> Table:
    """A table whose first column is text."""
    made = Table(title=title, title_justify="left")
    for number, column in enumerate(columns):
        made.add_column(column, justify="right" if number else "left")
    return made


def spread_cells(spread: Spread, digits: int = 0) -> str:
    """Least, median and greatest in one cell."""
    values = (spread.least, spread.median, spread.greatest)
    return " / ".join(f"{value:,.{digits}f}" for value in values)
