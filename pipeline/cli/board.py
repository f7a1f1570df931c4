"""`callboard board`: serve the wallboard from the live topic."""

from __future__ import annotations

import asyncio
import logging
import os

from schemas.config import Config, ConfigError
from sinks.board.server import run_board


def board() -> None:
    """Serve the wallboard at CALLBOARD_BOARD_HOST:CALLBOARD_BOARD_PORT until interrupted."""
    try:
        config = Config.from_env(os.environ)
    except ConfigError as error:
        raise SystemExit(str(error)) from None
    logging.basicConfig(
        level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        asyncio.run(run_board(config))
    except ConfigError as error:
        raise SystemExit(str(error)) from None
