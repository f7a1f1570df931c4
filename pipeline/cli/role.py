"""Runs a role in this process: what is wrong with its surroundings is said in one line."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable
from typing import Protocol

import typer

from pipeline.ingest.service import until_signalled
from pipeline.topics import TopicsError
from schemas.clock import ClockError
from schemas.config import Config, ConfigError
from service.logs import configure

log = logging.getLogger(__name__)


class Role(Protocol):
    """What works until it is told to stop."""

    async def run(self, stop: asyncio.Event) -> None:
        """Work until `stop` is set."""


def run_role(name: str, make: Callable[[Config], Role]) -> None:
    """Make a role of the configuration in the environment and run it until interrupted.

    `name` is what its log lines call it.

    Raises `typer.Exit` with status 1 when it cannot be made or cannot go on.
    """
    config = configured(name)
    try:
        asyncio.run(_run(make, config))
    except (ClockError, TopicsError, OSError) as error:
        raise ended_by(error) from None


def configured(name: str) -> Config:
    """The configuration in the environment; from now on this process logs as it says.

    Raises `typer.Exit` with status 1 for one that cannot be used.
    """
    try:
        config = Config.from_env(os.environ)
    except ConfigError as error:
        # Before it is known in which form to log.
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None
    configure(name, config)
    return config


def ended_by(error: Exception) -> typer.Exit:
    """Says in the log what ends the process; returns what to raise."""
    for line in str(error).splitlines() or [type(error).__name__]:
        log.critical("%s", line)
    return typer.Exit(1)


async def _run(make: Callable[[Config], Role], config: Config) -> None:
    await make(config).run(until_signalled())
