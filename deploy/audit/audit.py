"""`make audit`: known vulnerabilities of what requirements.lock pins, by an advisory source.

Not having asked is never told as having found nothing. Ends with

    0  every package was asked about, and nothing is known of any
    1  something is known that `ignored.yml` does not name, or no longer
    2  the source could not be asked, or does not know what everybody knows
"""

from __future__ import annotations

import argparse
import datetime
import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

CLEAN, FOUND, UNASKED = 0, 1, 2
IGNORED = Path(__file__).with_name("ignored.yml")
KNOWN_BAD = "pyyaml==5.3"
"""Known for years to be vulnerable: a source that says nothing of it says nothing at all."""


@dataclass(frozen=True)
class Ignored:
    """A vulnerability that is put up with until a day."""

    id: str
    package: str
    reason: str
    until: datetime.date


@dataclass(frozen=True)
class Verdict:
    """What is to be said and how to end."""

    status: int
    lines: list[str]


def read_ignored(path: Path) -> list[Ignored]:
    """The list; every entry needs all four keys, else a `TypeError`."""
    entries = [Ignored(**entry) for entry in yaml.safe_load(path.read_text()) or []]
    for entry in entries:
        if not str(entry.reason or "").strip() or not isinstance(entry.until, datetime.date):
            raise TypeError(f"{path}: {entry.id}: a reason and a day are needed")
    return entries


def judge(
    dependencies: Iterable[dict[str, Any]], ignored: list[Ignored], today: datetime.date
) -> Verdict:
    """What pip-audit's answer means."""
    asked = list(dependencies)
    skipped = [one["skip_reason"] for one in asked if "skip_reason" in one]
    if skipped or not asked:
        lines = [f"not asked about {len(skipped)} of {len(asked)} packages, so nothing is known:"]
        return Verdict(UNASKED, [*lines, *(f"  {reason}" for reason in skipped[:5])])
    found, lines, used = [], [], set()
    for one in asked:
        for flaw in one["vulns"]:
            names = {flaw["id"], *flaw.get("aliases", ())}
            said = f"{one['name']} {one['version']}: {flaw['id']}, mended in " + (
                ", ".join(flaw.get("fix_versions", ())) or "no version"
            )
            known = next((i for i in ignored if i.id in names and i.package == one["name"]), None)
            if known is not None:
                used.add(known)
            if known is None:
                found.append(said)
            elif known.until < today:
                found.append(f"{said}; ignored until {known.until}: {known.reason}")
            else:
                lines.append(f"ignored: {said}: {known.reason} (until {known.until})")
    idle = (entry for entry in ignored if entry not in used)
    lines += [f"no longer found, take it out: {entry.id} of {entry.package}" for entry in idle]
    if found:
        return Verdict(FOUND, [*lines, f"{len(found)} vulnerabilities are known:", *found])
    return Verdict(CLEAN, [*lines, f"{len(asked)} packages, no vulnerability is known"])


def ask(lock: Path, service: str) -> list[dict[str, Any]] | str:
    """What the source says of each package of a lock, or why it could not be asked."""
    command = [sys.executable, "-m", "pip_audit", "--format", "json", "--progress-spinner", "off",
               "--vulnerability-service", service, "--disable-pip", "--no-deps",
               "--requirement", str(lock)]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        answer: list[dict[str, Any]] = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        return (done.stderr.strip().splitlines() or ["pip-audit said nothing"])[-1]
    return answer


def audit(lock: Path, service: str, today: datetime.date) -> Verdict:
    """Ask about what is known to be bad first, then about the lock."""
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "known-bad.txt"
        probe.write_text(f"{KNOWN_BAD}\n")
        said = ask(probe, service)
    if isinstance(said, str) or not any(one.get("vulns") for one in said):
        why = said if isinstance(said, str) else f"it knows of no vulnerability in {KNOWN_BAD}"
        return Verdict(UNASKED, [f"the advisory source ({service}) cannot be asked here: {why}"])
    answer = ask(lock, service)
    if isinstance(answer, str):
        return Verdict(UNASKED, [f"the advisory source ({service}) gave no answer: {answer}"])
    return judge(answer, read_ignored(IGNORED), today)


def main(arguments: list[str]) -> int:
    """Print the verdict."""
    parser = argparse.ArgumentParser(description="Known vulnerabilities of a lock.")
    parser.add_argument("lock", type=Path)
    parser.add_argument("--service", choices=("pypi", "osv"), default="pypi")
    given = parser.parse_args(arguments)
    verdict = audit(given.lock, given.service, datetime.datetime.now(datetime.UTC).date())
    print("\n".join(verdict.lines))
    if verdict.status == UNASKED:
        print("NOT AUDITED: this is not a clean result")
    return verdict.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
