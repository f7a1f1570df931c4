"""The files of the deployment, read once: compose as the real tool resolves it, and manifests."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from schemas.config import SECRETS, Config, file_variable_of, variable_of

ROOT = Path(__file__).resolve().parents[2]
BIN = Path(sys.executable).parent
OVERLAYS = ("small", "production")
KNOWN = {*map(variable_of, Config.model_fields), *map(file_variable_of, SECRETS)}
PINNED = re.compile(r"[a-z0-9./-]+:[\w.-]+@sha256:[0-9a-f]{64}")


@cache
def compose(*overlays: str, **variables: str) -> dict[str, Any]:
    """docker-compose.yml with every profile, as `docker compose config` resolves it."""
    files = [word for name in ("docker-compose.yml", *overlays) for word in ("--file", name)]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("CALLBOARD_")}
    done = subprocess.run(
        [str(BIN / "docker-compose"), *files, "--profile", "*", "config", "--format", "json"],
        cwd=ROOT,
        env={**kept, **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@cache
def manifests(overlay: str) -> list[dict[str, Any]]:
    """What an overlay builds."""
    done = subprocess.run(
        [
            *(str(BIN / "kubectl"), "kustomize", "--load-restrictor", "LoadRestrictionsNone"),
            f"deploy/kubernetes/overlays/{overlay}",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [found for found in yaml.safe_load_all(done.stdout) if found]


def of_kind(overlay: str, kind: str) -> dict[str, dict[str, Any]]:
    """The manifests of a kind by name."""
    return {m["metadata"]["name"]: m for m in manifests(overlay) if m["kind"] == kind}
