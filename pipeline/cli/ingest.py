"""`callboard ingest`: raw events become frames."""

from __future__ import annotations

import asyncio
import os

from pipeline.ingest.service import configure_logging, until_signalled
from pipeline.ingest.worker import Ingest
from schemas.config import Config


def ingest() -> None:
    """Validate raw events and frame them, with the site's time, until interrupted."""
    config = Config.from_env(os.environ)
    configure_logging(config)
    asyncio.run(_run(config))


async def _run(config: Config) -> None:
    await Ingest(config).run(until_signalled())
