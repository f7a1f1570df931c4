"""`callboard sink`: write the rows of the engine into ClickHouse."""

from __future__ import annotations

import asyncio
import os
import signal

import typer

from pipeline.topics import TopicsError, ensure_topics_patiently
from schemas.access import USERS
from schemas.config import Config, ConfigError
from schemas.logs import configure
from sinks.clickhouse.sink import Sink, SinkError


def sink() -> None:
    """Write rows from Kafka into ClickHouse until interrupted."""
    try:
        config = Config.from_env(os.environ)
        configure("sink", config)
        asyncio.run(_run(config))
    except (SinkError, TopicsError, ConfigError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


async def _run(config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    async def topics() -> None:
        await ensure_topics_patiently(config.brokers, config.partitions, USERS["sink"].topics)

    await Sink(config, prepare=topics).run(stop)
