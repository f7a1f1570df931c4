"""Grafana boards as code: one small function a panel, one module a board.

`python -m dashboards` writes them as classic JSON, which Grafana 11, 12 and 13 load.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dashboards.boards import analyst, oncall, pipeline, quality, supervisor, wallboard
from dashboards.boards.board import as_json

BOARDS = (wallboard, supervisor, oncall, analyst, quality, pipeline)


def boards() -> dict[str, dict[str, Any]]:
    """Every board as JSON values, by its uid."""
    return {module.UID: as_json(module.build()) for module in BOARDS}


def generate(folder: Path) -> list[Path]:
    """Write the boards to `folder/grafana`, one file each; gives what was written."""
    target = folder / "grafana"
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for uid, value in boards().items():
        path = target / f"{uid}.json"
        text = json.dumps(value, indent=2, sort_keys=True, ensure_ascii=False)
        path.write_text(text + "\n", encoding="utf-8")
        written.append(path)
    return written
