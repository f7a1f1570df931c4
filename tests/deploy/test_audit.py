"""The audit and the bill of materials: what an answer means, and that nothing is left out."""

from __future__ import annotations

import datetime
import runpy
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.files import ROOT

AUDIT = runpy.run_path(str(ROOT / "deploy/audit/audit.py"))
SBOM = runpy.run_path(str(ROOT / "deploy/audit/sbom.py"))
TODAY = datetime.date(2026, 3, 1)
FLAW = {"id": "PYSEC-1", "aliases": ["CVE-2026-1", "GHSA-a"], "fix_versions": ["1.2"]}


def package(*flaws: dict[str, Any], name: str = "thing") -> dict[str, Any]:
    return {"name": name, "version": "1.1", "vulns": list(flaws)}


def ignored(id_: str = "GHSA-a", package: str = "thing", until: str = "2026-03-01") -> Any:
    return AUDIT["Ignored"](id_, package, "not reached", datetime.date.fromisoformat(until))


@pytest.mark.parametrize(
    ("answer", "ignoring", "status", "said"),
    [
        ([package()], [], 0, "no vulnerability is known"),
        ([package(FLAW)], [], 1, "thing 1.1: PYSEC-1, mended in 1.2"),
        ([package(FLAW)], [ignored()], 0, "ignored: thing 1.1: PYSEC-1"),
        ([package(FLAW)], [ignored("CVE-2026-1")], 0, "not reached"),
        ([package(FLAW)], [ignored(until="2026-02-28")], 1, "ignored until 2026-02-28"),
        ([package(FLAW)], [ignored(package="other")], 1, "PYSEC-1"),
        ([package()], [ignored()], 0, "no longer found, take it out: GHSA-a"),
        ([], [], 2, "nothing is known"),
        ([package(), {"name": "x", "skip_reason": "not found: x"}], [], 2, "not found: x"),
        ([package(FLAW), {"name": "x", "skip_reason": "not found: x"}], [], 2, "1 of 2"),
    ],
)
def test_what_an_answer_means(
    answer: list[dict[str, Any]], ignoring: list[Any], status: int, said: str
) -> None:
    verdict = AUDIT["judge"](answer, ignoring, TODAY)
    assert verdict.status == status
    assert said in "\n".join(verdict.lines)


def answering(monkeypatch: pytest.MonkeyPatch, answers: list[Any]) -> Callable[..., Any]:
    audit = AUDIT["audit"]
    monkeypatch.setitem(audit.__globals__, "ask", lambda _lock, _service: answers.pop(0))
    return lambda: audit(ROOT / "requirements.lock", "pypi", TODAY)


@pytest.mark.parametrize(
    "of_known_bad",
    ["no route to host", [], [package()], [{"name": "pyyaml", "skip_reason": "not found"}]],
)
def test_a_source_that_says_nothing_of_what_everybody_knows_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, of_known_bad: Any
) -> None:
    """Some mirrors of the index have no advisories, and pip-audit calls that clean."""
    verdict = answering(monkeypatch, [of_known_bad, [package()]])()
    assert verdict.status == 2
    assert "cannot be asked here" in verdict.lines[0]


def test_a_source_that_can_be_asked_is(monkeypatch: pytest.MonkeyPatch) -> None:
    assert answering(monkeypatch, [[package(FLAW)], [package()]])().status == 0
    assert answering(monkeypatch, [[package(FLAW)], [package(FLAW)]])().status == 1
    assert answering(monkeypatch, [[package(FLAW)], "it broke"])().status == 2


def test_what_is_ignored_has_a_reason_and_a_day(tmp_path: Path) -> None:
    AUDIT["read_ignored"](ROOT / "deploy/audit/ignored.yml")
    good = {"id": "GHSA-a", "package": "thing", "reason": "r", "until": "2026-03-01"}
    path = tmp_path / "ignored.yml"
    path.write_text(yaml.safe_dump([good]).replace("'", ""))
    assert len(AUDIT["read_ignored"](path)) == 1
    for wrong in ({**good, "reason": " "}, {**good, "until": "soon"}, {"id": "GHSA-a"}):
        path.write_text(yaml.safe_dump([wrong]).replace("'", "") + "\n")
        with pytest.raises(TypeError):
            AUDIT["read_ignored"](path)


def test_a_bill_has_what_the_lock_has_and_no_more() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    pinned = SBOM["pinned"](lock)
    assert len(pinned) == sum("==" in line for line in lock.splitlines())
    assert any(name == "aiohttp" for name, _ in pinned)
    bill = {"components": [{"name": name, "version": version} for name, version in pinned]}
    assert SBOM["differences"](bill, lock) == []
    one = bill["components"].pop()
    bill["components"].append({"name": "left-pad", "version": "1.3.0"})
    assert SBOM["differences"](bill, lock) == [
        f"lacks {one['name']} {one['version']}",
        "has left-pad 1.3.0 too much",
    ]


def test_the_page_has_no_library_that_nobody_would_audit() -> None:
    """The bill speaks of Python alone, because there is nothing else."""
    static = ROOT / "sinks/board/static"
    assert not list(ROOT.glob("package*.json"))
    assert {path.name for path in (static / "vendor").iterdir()} == {"inter"}, "a font"
    known = subprocess.run(
        ["git", "ls-files", "*.js", "*.mjs", "*.ts"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert all(path.startswith("sinks/board/static/js/") for path in known), known


def test_the_tools_are_pinned_with_their_digests() -> None:
    lock = (ROOT / "deploy/audit/tools.lock").read_text()
    assert {"pip-audit", "cyclonedx-bom"} <= {name for name, _ in SBOM["pinned"](lock)}
    assert lock.count("--hash=sha256:") >= len(SBOM["pinned"](lock))
