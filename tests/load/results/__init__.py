"""Results of runs: one JSON file each, and the end of every program that makes one."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import orjson
import typer
from rich.console import Console

FOLDER = Path(__file__).parent


def finish(console: Console, result: dict[str, Any], name: str) -> NoReturn:
    """Write the result, print its verdicts, and end with 1 if one does not hold."""
    (FOLDER / f"{name}.json").write_bytes(orjson.dumps(result) + b"\n")
    for verdict in result["verdicts"]:
        mark = "[green]holds[/]" if verdict["holds"] else "[bold red]does NOT hold[/]"
        console.print(f"{mark}  {verdict['what']}", highlight=False)
    raise typer.Exit(0 if all(verdict["holds"] for verdict in result["verdicts"]) else 1)
