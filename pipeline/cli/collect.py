"""`callboard collect`: fetch payloads where a platform keeps them, and hand them to the door."""

from __future__ import annotations

import typer

collect = typer.Typer(
    no_args_is_help=True,
    help="Fetch payloads where a platform keeps them, and hand them to the door.",
)
