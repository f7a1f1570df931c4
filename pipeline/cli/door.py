"""`callboard door`: take events over HTTP."""

from __future__ import annotations

import asyncio
import os

from pipeline.ingest.door import Door
from pipeline.ingest.service import configure_logging, until_signalled
from schemas.config import Config


def door() -> None:
    """Take events at CALLBOARD_DOOR_HOST:CALLBOARD_DOOR_PORT until interrupted."""
    config = Config.from_env(os.environ)
    configure_logging(config)
    asyncio.run(_run(config))


async def _run(config: Config) -> None:
    await Door(config).run(until_signalled())
