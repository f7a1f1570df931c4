"""A push into a Grafana that runs: all arrives, a second push changes nothing, nothing is lost."""

from __future__ import annotations

import base64
import copy
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from dashboards.alerts import ALERTS
from pipeline.cli.main import build
from tests.dashboards.push.grafana_api import TOKEN, Grafana, running
from tests.ports import free_port

SLACK = "https://hooks.example.org/T0/secret-of-slack"
PAGER = "key-of-the-pager"
SETTINGS = """\
site: north
time_zone: Europe/Berlin
hours: {mon: ["08:00-18:00"]}
holidays: ["2026-12-25"]
"""


@pytest.fixture
def grafana() -> Iterator[Grafana]:
    with running() as found:
        yield found


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "north.yml").write_text(SETTINGS)
    return tmp_path


class Pushed:
    """What a push printed."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    def of(self, word: str) -> list[str]:
        return [line for line in self.out.splitlines() if line.startswith(f"{word} ")]


def push(grafana: Grafana, *options: str, **variables: str) -> Pushed:
    environment = {
        "CALLBOARD_GRAFANA_URL": grafana.url,
        "CALLBOARD_GRAFANA_TOKEN": TOKEN,
        "CALLBOARD_BOARD_URL": "https://board.example.org",
    }
    result = CliRunner().invoke(
        build(["grafana"]), ["grafana", "push", *options], env=environment | variables
    )
    assert not isinstance(result.exception, Exception) or isinstance(result.exception, SystemExit)
    return Pushed(result.exit_code, result.stdout, result.stderr)


def push_all(grafana: Grafana, folder: Path, *options: str, **variables: str) -> Pushed:
    """A push with alerts, people and a pager."""
    given = {
        "CALLBOARD_ALERTS_BY": "grafana",
        "CALLBOARD_ALERT_SLACK_URL": SLACK,
        "CALLBOARD_ALERT_PAGERDUTY_KEY": PAGER,
    }
    return push(grafana, "--settings", str(folder), *options, **(given | variables))


def test_boards_and_playlist_arrive_in_the_folder(grafana: Grafana) -> None:
    pushed = push(grafana)
    assert pushed.code == 0, pushed.err
    assert grafana.folders == {"callboard": "Callboard"}
    assert sorted(grafana.boards) == [
        "callboard-analyst",
        "callboard-oncall",
        "callboard-pipeline",
        "callboard-quality",
        "callboard-supervisor",
        "callboard-wallboard",
    ]
    assert all(b["meta"]["folderUid"] == "callboard" for b in grafana.boards.values())
    walls = grafana.playlists["callboard-walls"]["spec"]["items"]
    assert [item["value"] for item in walls] == ["callboard-wallboard", "callboard-oncall"]
    assert len(pushed.of("created")) == 8
    assert pushed.out.endswith("8 changed.\n")


def test_links_of_a_pushed_board_lead_to_the_configured_board(grafana: Grafana) -> None:
    push(grafana)
    variables = grafana.boards["callboard-oncall"]["dashboard"]["templating"]["list"]
    (address,) = [entry for entry in variables if entry["name"] == "board_url"]
    assert address["query"] == address["current"]["value"] == "https://board.example.org"


def test_a_second_push_changes_nothing_and_says_so(grafana: Grafana, folder: Path) -> None:
    assert push_all(grafana, folder).code == 0
    before, written = _state(grafana), len(grafana.writes)
    pushed = push_all(grafana, folder)
    assert pushed.code == 0
    assert pushed.out.endswith("Nothing to change.\n")
    assert not pushed.of("created") + pushed.of("updated")
    assert len(grafana.writes) == written
    assert _state(grafana) == before


def test_a_dry_run_writes_nothing_and_names_what_would_change(
    grafana: Grafana, folder: Path
) -> None:
    pushed = push_all(grafana, folder, "--dry-run")
    assert pushed.code == 0, pushed.err
    assert grafana.writes == []
    assert len(pushed.of("would create")) > 10
    assert "nothing was written" in pushed.out
    push_all(grafana, folder)
    grafana.boards["callboard-analyst"]["dashboard"]["title"] = "Edited by hand"
    again = push_all(grafana, folder, "--dry-run")
    assert again.of("would update") == ["would update board Analyst"]
    assert grafana.boards["callboard-analyst"]["dashboard"]["title"] == "Edited by hand"


def test_what_was_edited_by_hand_is_as_it_should_be_after_a_push(
    grafana: Grafana, folder: Path
) -> None:
    push_all(grafana, folder)
    before = _state(grafana)
    grafana.boards["callboard-analyst"]["dashboard"]["panels"].pop()
    grafana.boards["callboard-oncall"]["meta"]["folderUid"] = "elsewhere"
    grafana.playlists["callboard-walls"]["spec"]["interval"] = "5m"
    grafana.timings["closed: north"]["time_intervals"] = []
    grafana.templates["callboard"]["template"] = "old"
    grafana.groups["callboard/callboard"]["rules"][0]["for"] = "9m"
    pushed = push_all(grafana, folder)
    assert len(pushed.of("updated")) == 6
    after = _state(grafana)
    for board in (before["boards"], after["boards"]):
        for stored in board.values():
            stored["dashboard"].pop("version")
    before["timings"]["closed: north"].pop("version")
    after["timings"]["closed: north"].pop("version")
    assert after == before


def test_alerts_of_prometheus_stay_there_and_it_is_said(grafana: Grafana) -> None:
    pushed = push(grafana)
    assert pushed.of("skipped")[0].startswith("skipped      alerts")
    assert "CALLBOARD_ALERTS_BY=grafana" in pushed.out
    assert not grafana.groups
    assert not grafana.points


def test_every_alert_arrives_as_a_rule(grafana: Grafana, folder: Path) -> None:
    pushed = push_all(grafana, folder)
    assert pushed.code == 0, pushed.err
    rules = grafana.groups["callboard/callboard"]["rules"]
    assert {rule["uid"] for rule in rules} == {alert.uid for alert in ALERTS}
    assert all(rule["folderUID"] == "callboard" for rule in rules)
    assert grafana.groups["callboard/callboard"]["interval"] == 10
    assert "$$" not in str([rule["labels"] for rule in rules])


def test_secrets_reach_grafana_and_are_never_printed(grafana: Grafana, folder: Path) -> None:
    pushes = [push_all(grafana, folder), push_all(grafana, folder, "--secrets")]
    settings = {uid: point["settings"] for uid, point in grafana.points.items()}
    assert settings["callboard-slack"]["url"] == SLACK
    assert settings["callboard-pagerduty"]["integrationKey"] == PAGER
    printed = " ".join(pushed.out + pushed.err for pushed in pushes)
    for secret in (SLACK, PAGER, TOKEN):
        assert secret not in printed


def test_a_new_secret_is_sent_when_it_is_asked_for(grafana: Grafana, folder: Path) -> None:
    push_all(grafana, folder)
    new = {"CALLBOARD_ALERT_SLACK_URL": "https://hooks.example.org/new"}
    pushed = push_all(grafana, folder, **new)
    assert "its secrets cannot be compared" in pushed.out
    assert grafana.points["callboard-slack"]["settings"]["url"] == SLACK
    assert push_all(grafana, folder, "--secrets", **new).of("updated")
    assert grafana.points["callboard-slack"]["settings"]["url"].endswith("/new")


def test_routes_of_others_stay_where_they_are(grafana: Grafana, folder: Path) -> None:
    others = copy.deepcopy(grafana.policies)
    push_all(grafana, folder)
    ours, *rest = grafana.policies["routes"]
    assert ours["object_matchers"] == [["grafana_folder", "=", "Callboard"]]
    assert rest == others["routes"]
    assert grafana.policies["receiver"] == others["receiver"]
    assert any(route.get("mute_time_intervals") == ["closed: north"] for route in ours["routes"])


def test_nothing_of_others_is_touched(grafana: Grafana, folder: Path) -> None:
    grafana.folders["hr"] = "HR"
    grafana.boards["payroll"] = {"dashboard": {"uid": "payroll"}, "meta": {"folderUid": "hr"}}
    grafana.points["theirs"] = {"uid": "theirs", "name": "payroll", "type": "email", "settings": {}}
    grafana.timings["nights"] = {"name": "nights", "time_intervals": []}
    before = _state(grafana)
    push_all(grafana, folder)
    after = _state(grafana)
    assert after["folders"]["hr"] == "HR"
    for kind, key in (("boards", "payroll"), ("points", "theirs"), ("timings", "nights")):
        assert after[kind][key] == before[kind][key]
    assert not [write for write in grafana.writes if write.startswith("DELETE")]


def test_a_board_that_is_not_ours_is_left_alone(grafana: Grafana) -> None:
    theirs = {"uid": "callboard-oncall", "title": "On call, ours", "tags": ["ops"]}
    grafana.boards["callboard-oncall"] = {"dashboard": theirs, "meta": {}}
    pushed = push(grafana)
    assert pushed.code == 1
    assert "'On call, ours'" in pushed.err
    assert grafana.boards["callboard-oncall"]["dashboard"] == theirs


def test_a_board_that_grafana_reads_from_a_file_is_skipped(grafana: Grafana) -> None:
    push(grafana)
    grafana.boards["callboard-oncall"]["meta"]["provisioned"] = True
    pushed = push(grafana)
    assert [line for line in pushed.of("skipped") if "board On-call" in line]
    assert pushed.code == 0


def test_a_grafana_without_playlists_of_version_1_gets_the_rest(grafana: Grafana) -> None:
    grafana.has_playlists = False
    pushed = push(grafana)
    assert pushed.code == 0
    assert "Grafana 12" in pushed.out
    assert len(grafana.boards) == 6


def test_a_grafana_below_a_path_is_found() -> None:
    with running("/grafana") as grafana:
        assert push(grafana).code == 0
        assert len(grafana.boards) == 6
        assert "callboard-walls" in grafana.playlists


# --- errors --------------------------------------------------------------------------------------


def test_a_wrong_token_is_told_without_it(grafana: Grafana) -> None:
    pushed = push(grafana, CALLBOARD_GRAFANA_TOKEN="glsa_wrong")
    assert pushed.code == 1
    assert "does not know the token (401)" in pushed.err
    assert "glsa_wrong" not in pushed.out + pushed.err


def test_no_token_is_told_before_anything_is_asked(grafana: Grafana) -> None:
    pushed = push(grafana, CALLBOARD_GRAFANA_TOKEN="")
    assert pushed.code == 1
    assert "CALLBOARD_GRAFANA_TOKEN" in pushed.err


def test_a_token_without_rights_names_what_it_may_not(grafana: Grafana) -> None:
    grafana.refuse["POST /api/folders"] = (403, "You'll need additional permissions")
    pushed = push(grafana)
    assert pushed.code == 1
    assert "making the folder" in pushed.err
    assert "403" in pushed.err
    assert "Editor" in pushed.err


def test_an_address_where_nobody_listens_is_named(grafana: Grafana) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    pushed = push(grafana, "--url", nowhere)
    assert pushed.code == 1
    assert f"{nowhere} cannot be reached" in pushed.err


def test_something_that_is_no_grafana_is_told(grafana: Grafana) -> None:
    grafana.refuse["GET /api/org"] = (404, "no such page")
    assert "is no Grafana" in push(grafana).err
    assert "is no address" in push(grafana, "--url", "grafana:3000").err


def test_a_folder_of_the_same_title_is_a_clear_error(grafana: Grafana) -> None:
    grafana.folders["other"] = "Callboard"
    pushed = push(grafana)
    assert pushed.code == 1
    assert "another one may have that title" in pushed.err
    assert grafana.boards == {}


def test_our_folder_under_another_title_is_a_clear_error(grafana: Grafana) -> None:
    grafana.folders["callboard"] = "Renamed"
    pushed = push(grafana)
    assert pushed.code == 1
    assert "'Renamed'" in pushed.err


def test_rules_without_their_data_source_are_not_pushed(grafana: Grafana, folder: Path) -> None:
    grafana.sources.clear()
    pushed = push_all(grafana, folder)
    assert pushed.code == 1
    assert "callboard-prometheus" in pushed.err
    assert not grafana.points
    assert not grafana.groups


def test_secrets_are_blotted_out_of_what_grafana_answers(grafana: Grafana, folder: Path) -> None:
    grafana.refuse["POST /api/v1/provisioning/contact-points"] = (400, f"cannot use {SLACK}")
    pushed = push_all(grafana, folder)
    assert pushed.code == 1
    assert "cannot use ***" in pushed.err


def test_wrong_settings_and_no_settings_are_told(grafana: Grafana, folder: Path) -> None:
    assert "no folder of settings" in push_all(grafana, folder / "none").err
    (folder / "north.yml").write_text("site: north\nhuors: {}\n")
    assert "hours" in push_all(grafana, folder).err


def test_a_push_needs_no_builder_of_boards() -> None:
    """The SDK that builds boards is no dependency of an installation."""
    script = (
        "import sys; import pipeline.cli.grafana; print('grafana_foundation_sdk' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def _state(grafana: Grafana) -> dict[str, Any]:
    kinds = (
        "folders",
        "boards",
        "playlists",
        "points",
        "timings",
        "templates",
        "policies",
        "groups",
    )
    return {kind: copy.deepcopy(getattr(grafana, kind)) for kind in kinds}


def test_a_user_in_the_address_may_have_any_password(grafana: Grafana) -> None:
    grafana.allowed = "Basic " + base64.b64encode(b"admin:p@s/s").decode()
    address = grafana.url.replace("//", "//admin:p%40s%2Fs@")
    done = push(grafana, CALLBOARD_GRAFANA_URL=address, CALLBOARD_GRAFANA_TOKEN="")
    assert done.code == 0, done.err
    assert "callboard-walls" in grafana.playlists
    grafana.allowed = "Basic of another"
    refused = push(grafana, CALLBOARD_GRAFANA_URL=address, CALLBOARD_GRAFANA_TOKEN="")
    assert refused.code == 1
    assert "p@s/s" not in refused.err
    assert "p%40s" not in refused.err
