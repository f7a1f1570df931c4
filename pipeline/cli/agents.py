"""`callboard agents`: the worker, frames become figures."""

from __future__ import annotations

import asyncio
import os

from agents_stream.app import main
from pipeline.topics import TopicsError, ensure_topics_patiently
from schemas.access import USERS
from schemas.config import Config, ConfigError
from schemas.logs import configure


def agents() -> None:
    """Apply frames, publish figures and rows, serve metrics at CALLBOARD_WORKER_PORT."""
    # Faust only logs that a topic is missing, and waits for ever.
    topics = USERS["worker"].topics
    try:
        config = Config.from_env(os.environ)
        configure("worker", config)
        asyncio.run(ensure_topics_patiently(config.brokers, config.partitions, topics))
    except (ConfigError, TopicsError) as error:
        raise SystemExit(str(error)) from None
    main(config)
