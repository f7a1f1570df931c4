"""The committed boards are those the code makes, and Grafana's own models read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.boards import BOARDS, boards, generate
from tests.dashboards.boards.grafana import GENERATED, committed

UIDS = [module.UID for module in BOARDS]


def test_the_committed_files_are_what_the_code_makes(tmp_path: Path) -> None:
    generate(tmp_path)
    fresh = {path.name: path.read_bytes() for path in (tmp_path / "grafana").glob("*.json")}
    found = {path.name: path.read_bytes() for path in GENERATED.glob("*.json")}
    assert sorted(found) == sorted(fresh)
    for name, text in fresh.items():
        assert found[name] == text, f"{name} is old: run python -m dashboards"


def test_every_board_has_its_own_uid_and_title() -> None:
    assert UIDS == [
        "callboard-wallboard",
        "callboard-supervisor",
        "callboard-oncall",
        "callboard-analyst",
        "callboard-quality",
        "callboard-pipeline",
    ]
    assert sorted(committed()) == sorted(UIDS)
    assert len({board["title"] for board in committed().values()}) == len(UIDS)


@pytest.mark.parametrize("uid", UIDS)
def test_a_board_read_by_the_models_and_written_again_is_the_same(uid: str) -> None:
    register_default_plugins()
    board = boards()[uid]
    again = json.loads(JSONEncoder().encode(Dashboard.from_json(board)))
    assert _plain(again) == _plain(board)


@pytest.mark.parametrize("uid", UIDS)
def test_a_board_is_classic_and_cannot_be_edited(uid: str) -> None:
    board = committed()[uid]
    assert "spec" not in board
    assert board["schemaVersion"] >= 39
    assert board["editable"] is False
    assert board["tags"] == ["callboard"]


def _plain(value: Any) -> Any:
    """Without what is absent: null and nothing are the same to Grafana."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items() if entry is not None}
    if isinstance(value, list):
        return [_plain(entry) for entry in value]
    return value
