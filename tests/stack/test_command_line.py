"""What the command line says before any command does its work."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from pipeline.cli import main as command_line
from pipeline.cli.up import _claim
from pipeline.demo.day import DemoPlan
from pipeline.demo.feeder import PLAN_FILE
from pipeline.demo.settings import write_demo_settings
from pipeline.ingest.journal import Journal, segments_of
from pipeline.ingest.raw import RawRecord
from pipeline.simulate.options import DAY, HOUR
from pipeline.stack.folder import DataFolder, Mode
from pipeline.stack.roles import ROLES
from pipeline.stack.source import Play, prepare
from schemas.clock import Clock
from schemas.settings import load_site_file


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


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--scenario", "burst"], "--scenario: give --simulate as well"),
        (["--agents", "60", "--seed", "2"], "--agents, --seed: give --simulate as well"),
        (["--empty", "--queues", "3"], "--queues: give --simulate as well"),
        (["--empty", "--pace", "60"], "--pace is for what is played"),
        (["--empty", "--simulate"], "give --simulate or --empty, not both"),
    ],
)
def test_options_that_would_do_nothing_are_refused(
    options: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    app = command_line.build(["up"])
    with pytest.raises(SystemExit, match="1"):
        app(["up", "--data", str(data), *options])
    assert why in capsys.readouterr().err
    assert not data.exists()


@pytest.mark.parametrize("command", ["up", "board"])
def test_a_board_for_everybody_is_refused_before_anything_starts(
    command: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("CALLBOARD_BOARD_HOST", "0.0.0.0")
    options = ["--empty", "--data", str(tmp_path / "data")] if command == "up" else []
    with pytest.raises(SystemExit) as ended:
        command_line.build(["up", "board"])([command, *options])
    said = capsys.readouterr().err + str(ended.value)
    assert ended.value.code != 0
    assert "CALLBOARD_BOARD_ACCESS=token" in said.replace("\n", " ")
    assert not (tmp_path / "data" / "journal").exists()


def test_when_the_bank_has_closed_settings_stay_and_it_is_said_what_does_not(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = DataFolder(tmp_path)
    folder.claim(Mode.DEMO)
    secrets = folder.store_secrets()
    week_ago = Clock().now_ms() - 7 * DAY
    DemoPlan.choose(week_ago).save(tmp_path / PLAN_FILE)
    closed = Clock(week_ago, week_ago - 6 * HOUR, 2.0)
    write_demo_settings(folder.settings, "Etc/GMT+3")
    edited = (folder.settings / "bank.yml").read_text().replace("Regular", "Ours")
    (folder.settings / "bank.yml").write_text(f"# mine\n{edited}")
    (tmp_path / "store").mkdir()
    journal = Journal(folder.journal)
    journal.append([RawRecord("bank", b"{}", closed.site_ms)])
    journal.close()
    play = Play(Mode.DEMO, pace=2.0)
    assert _claim(folder, play, fresh=False, console=Console(stderr=True, width=500))
    said = capsys.readouterr().err
    assert "SQL history of the last one are cleared" in said
    assert f"{folder.settings} stays as it was edited" in said
    assert not (tmp_path / "store").exists()
    assert not segments_of(folder.journal)
    assert folder.store_secrets() == secrets
    prepare(folder, play, new=True)
    plan = DemoPlan.load(tmp_path / PLAN_FILE)
    assert plan is not None
    text = (folder.settings / "bank.yml").read_text()
    assert text == f"# mine\n{edited}".replace("Etc/GMT+3", plan.zone)
    assert load_site_file(folder.settings / "bank.yml").time_zone == plan.zone
