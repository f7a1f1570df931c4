"""Runs a role in this process: what is wrong with its surroundings is said in one line."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Protocol

import typer

from pipeline.ingest.service import until_signalled
from pipeline.topics import TopicsError
from schemas.clock import ClockError
from schemas.config import Config, ConfigError
from schemas.logs import configure


class Role(Protocol):
    """What works until it is told to stop."""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set."""


def run_role(name: str, make: Callable[[Config], Role]) -> None:
    """Make a role of the configuration in the environment and run it until interrupted.

    `name` is what its log lines call it.

    Raises `typer.Exit` with status 1 when it cannot be made or cannot go on.
    """
    try:
        config = Config.from_env(os.environ)
        configure(name, config)
        asyncio.run(_run(make, config))
    except (ConfigError, ClockError, TopicsError, OSError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


async def _run(make: Callable[[Config], Role], config: Config) -> None:
    await make(config).run(until_signalled())
