"""`callboard agents`: the worker, frames become figures."""

from __future__ import annotations

from agents_stream.app import main
from pipeline.cli.role import configured, ended_by
from pipeline.topics import TopicsError, ensure_topics_patiently
from schemas.access import USERS


def agents() -> None:
    """Apply frames, publish figures and rows, serve metrics at CALLBOARD_WORKER_PORT."""
    config = configured("worker")

    async def topics() -> None:
        # Faust only logs that a topic is missing, and waits for ever.
        await ensure_topics_patiently(config.brokers, config.partitions, USERS["worker"].topics)

    try:
        main(config, prepare=topics)
    except TopicsError as error:
        raise ended_by(error) from None
