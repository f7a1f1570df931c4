"""`callboard ingest`: raw events become frames."""

from __future__ import annotations

from pipeline.cli.role import run_role
from pipeline.ingest.worker import Ingest


def ingest() -> None:
    """Validate raw events and frame them, with the site's time, until interrupted."""
    run_role("ingest", Ingest)
