"""`callboard board`: serve the wallboard from the live topic."""

from __future__ import annotations

import asyncio

from pipeline.cli.role import configured, ended_by
from schemas.config import ConfigError
from sinks.board.server import run_board


def board() -> None:
    """Serve the wallboard at CALLBOARD_BOARD_HOST:CALLBOARD_BOARD_PORT until interrupted."""
    config = configured("board")
    try:
        asyncio.run(run_board(config))
    except ConfigError as error:
        raise ended_by(error) from None
