"""`python -m dashboards` writes the committed dashboards and alerts anew."""

from __future__ import annotations

from pathlib import Path

from dashboards import alerts, boards

FOLDER = Path(__file__).parent / "generated"

if __name__ == "__main__":
    boards.generate(FOLDER)
    alerts.generate(FOLDER)
