"""What the command line says before any command does its work."""

from __future__ import annotations

import pytest

from pipeline.cli import main as command_line
from pipeline.stack.roles import ROLES


@pytest.mark.parametrize("command", ["up", "store", *ROLES])
def test_a_misspelt_variable_is_said_by_every_role(
    command: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CALLBOARD_DOR_TOKEN", "secret")
    monkeypatch.setattr("sys.argv", ["callboard", command, "--help"])
    with pytest.raises(SystemExit, match="0"):
        command_line.main()
    said = capsys.readouterr().err
    assert "CALLBOARD_DOR_TOKEN is not a setting; did you mean CALLBOARD_DOOR_TOKEN?" in said
    assert "secret" not in said
