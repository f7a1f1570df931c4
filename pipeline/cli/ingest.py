"""`callboard ingest`: raw events become frames."""

from __future__ import annotations

import asyncio
import os

import typer

from pipeline.ingest.service import configure_logging, until_signalled
from pipeline.ingest.worker import Ingest
from pipeline.topics import TopicsError
from schemas.clock import ClockError
from schemas.config import Config, ConfigError


def ingest() -> None:
    """Validate raw events and frame them, with the site's time, until interrupted."""
    try:
        config = Config.from_env(os.environ)
        configure_logging(config)
        asyncio.run(_run(config))
    except (ConfigError, ClockError, TopicsError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


async def _run(config: Config) -> None:
    await Ingest(config).run(until_signalled())
