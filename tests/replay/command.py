"""`callboard replay` as a user runs it: a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

PROGRAM = "from pipeline.cli.main import main; main()"


def run(
    *args: object, stdin: bytes = b"", patience_s: float = 180
) -> subprocess.CompletedProcess[bytes]:
    """The finished process, whatever it ended with."""
    given = {k: v for k, v in os.environ.items() if not k.startswith("CALLBOARD_")}
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "replay", *(str(arg) for arg in args)],
        input=stdin,
        capture_output=True,
        timeout=patience_s,
        check=False,
        env={**given, "COLUMNS": "120", "NO_COLOR": "1"},
    )


def boards(*args: object, stdin: bytes = b"", patience_s: float = 180) -> list[dict[str, Any]]:
    """The boards it prints, one for each moment."""
    done = run(*args, "--json", stdin=stdin, patience_s=patience_s)
    assert done.returncode == 0, done.stderr.decode()
    return [json.loads(line) for line in done.stdout.splitlines()]
