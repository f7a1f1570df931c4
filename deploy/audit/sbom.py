"""`make sbom`: what requirements.lock pins, as CycloneDX.

The file is the same for the same lock, is held to CycloneDX's own schema, and has every package of
the lock and no other. It has no JavaScript: the board's page uses no library and loads nothing.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

SCHEMA = "1.6"
_PIN = re.compile(r"^([A-Za-z0-9][A-Za-z0-9._-]*)==([^\s;\\]+)", re.MULTILINE)


def pinned(lock: str) -> set[tuple[str, str]]:
    """Names and versions of a lock."""
    return {(re.sub(r"[-_.]+", "-", name).lower(), version) for name, version in _PIN.findall(lock)}


def listed(sbom: dict[str, Any]) -> set[tuple[str, str]]:
    """Names and versions of a bill of materials."""
    return {
        (re.sub(r"[-_.]+", "-", one["name"]).lower(), one["version"]) for one in sbom["components"]
    }


def differences(sbom: dict[str, Any], lock: str) -> list[str]:
    """In what a bill and a lock differ."""
    there, wanted = listed(sbom), pinned(lock)
    lines = [f"lacks {name} {version}" for name, version in sorted(wanted - there)]
    return lines + [f"has {name} {version} too much" for name, version in sorted(there - wanted)]


def main(arguments: list[str]) -> int:
    """Write the bill of a lock; status 1 if they differ or it does not keep to the schema."""
    pyproject, lock, out = (Path(argument) for argument in arguments)
    out.parent.mkdir(parents=True, exist_ok=True)
    made = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "cyclonedx_py", "requirements", str(lock),
         "--output-reproducible", "--validate", "--of", "JSON", "--sv", SCHEMA,
         "--pyproject", str(pyproject), "--output-file", str(out)],
        check=False,
    )  # fmt: skip
    if made.returncode:
        return made.returncode
    wrong = differences(json.loads(out.read_text()), lock.read_text())
    if wrong:
        print("\n".join(wrong), file=sys.stderr)
        return 1
    print(f"{out}: {len(pinned(lock.read_text()))} packages, CycloneDX {SCHEMA}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
