"""`callboard board`: serve the wallboard from the live topic."""

from __future__ import annotations

import asyncio
import os

from schemas.config import Config, ConfigError
from schemas.logs import configure
from sinks.board.server import run_board


def board() -> None:
    """Serve the wallboard at CALLBOARD_BOARD_HOST:CALLBOARD_BOARD_PORT until interrupted."""
    try:
        config = Config.from_env(os.environ)
    except ConfigError as error:
        raise SystemExit(str(error)) from None
    configure("board", config)
    try:
        asyncio.run(run_board(config))
    except ConfigError as error:
        raise SystemExit(str(error)) from None
