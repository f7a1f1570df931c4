"""`callboard door`: take events over HTTP."""

from __future__ import annotations

from pipeline.cli.role import run_role
from pipeline.ingest.door import Door


def door() -> None:
    """Take events at CALLBOARD_DOOR_HOST:CALLBOARD_DOOR_PORT until interrupted."""
    run_role("door", Door)
