"""`callboard sink`: write the rows of the engine into ClickHouse."""

from __future__ import annotations

import asyncio
import signal

from pipeline.cli.role import configured, ended_by
from pipeline.topics import TopicsError, ensure_topics_patiently
from schemas.access import USERS
from schemas.config import Config
from sinks.clickhouse.sink import Sink, SinkError


def sink() -> None:
    """Write rows from Kafka into ClickHouse until interrupted."""
    config = configured("sink")
    try:
        asyncio.run(_run(config))
    except (SinkError, TopicsError) as error:
        raise ended_by(error) from None


async def _run(config: Config) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)

    async def topics() -> None:
        await ensure_topics_patiently(config.brokers, config.partitions, USERS["sink"].topics)

    await Sink(config, prepare=topics).run(stop)
