"""`callboard door`: take events over HTTP."""

from __future__ import annotations

import asyncio
import os

import typer

from pipeline.ingest.door import Door
from pipeline.ingest.service import configure_logging, until_signalled
from pipeline.topics import TopicsError
from schemas.clock import ClockError
from schemas.config import Config, ConfigError


def door() -> None:
    """Take events at CALLBOARD_DOOR_HOST:CALLBOARD_DOOR_PORT until interrupted."""
    try:
        config = Config.from_env(os.environ)
        configure_logging(config)
        asyncio.run(_run(config))
    except (ConfigError, ClockError, TopicsError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


async def _run(config: Config) -> None:
    await Door(config).run(until_signalled())
