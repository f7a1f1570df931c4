"""`callboard`: the command line. Each command is imported only when it is called."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

import typer

from schemas.config import misspelt_variables

# Module, function and one line of help of each command, in the order of the help page.
COMMANDS = {
    "up": "pipeline.cli.up",
    "replay": "pipeline.cli.replay",
    "check": "pipeline.cli.check",
    "collect": "pipeline.cli.collect",
    "simulate": "pipeline.cli.simulate",
    "sql": "pipeline.cli.sql",
    "dead": "pipeline.cli.dead",
    "grafana": "pipeline.cli.grafana",
    "door": "pipeline.cli.door",
    "ingest": "pipeline.cli.ingest",
    "agents": "pipeline.cli.agents",
    "sink": "pipeline.cli.sink",
    "board": "pipeline.cli.board",
    "board-token": "pipeline.cli.board_token",
    "store": "pipeline.cli.store",
    "topics": "pipeline.cli.topics",
    "migrate": "pipeline.cli.migrate",
    "backfill": "pipeline.cli.backfill",
    "alerts": "pipeline.cli.alerts",
    "doctor": "pipeline.cli.doctor",
    "log-level": "pipeline.cli.log_level",
}
ASKS_THE_STACK = (
    "sql",
    "dead",
    "simulate",
    "collect",
    "topics",
    "migrate",
    "backfill",
    "board-token",
    "doctor",
    "log-level",
)
"""Commands for people, which find an embedded stack that runs in this folder by themselves."""


def build(names: list[str]) -> typer.Typer:
    """The application with these commands."""
    app = typer.Typer(
        name="callboard",
        help="Real-time KPIs of a contact centre, exact to the call.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )

    @app.callback()
    def callboard() -> None:
        """Real-time KPIs of a contact centre, exact to the call."""

    for name in names:
        command = getattr(import_module(COMMANDS[name]), name.replace("-", "_"))
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name)
        else:
            app.command(name)(command)
    return app


def main() -> None:
    """Runs the command line; only the command that is asked for is imported.

    Variables that are misspelt are said first, whatever the command.
    """
    # One letter amiss in the name of the door's token leaves the door open.
    for warning in misspelt_variables(os.environ):
        print(f"warning: {warning}", file=sys.stderr)
    asked = sys.argv[1] if len(sys.argv) > 1 else ""
    if asked in ASKS_THE_STACK:
        _use_running_stack()
    build([asked] if asked in COMMANDS else list(COMMANDS))()


def _use_running_stack() -> None:
    from pipeline.stack.supervisor import running_stack

    root = Path(os.environ.get("CALLBOARD_DATA_DIR", ".callboard"))
    os.environ.update(running_stack(os.environ, root))


if __name__ == "__main__":
    main()
