"""The engine as plain Python passes the same tests as the compiled one."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.engine import COMPILED

HERE = Path(__file__).parent


@pytest.mark.timeout(600)
def test_the_plain_engine_passes_the_engines_tests() -> None:
    given = {**os.environ, "CALLBOARD_ENGINE": "python", "CALLBOARD_EXAMPLES": "0.1"}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, f"--ignore={__file__}", str(HERE)],
        env=given,
        cwd=HERE.parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-4000:]


@pytest.mark.parametrize(("asked", "compiled"), [("python", False), ("", COMPILED)])
def test_a_variable_asks_for_the_plain_engine(asked: str, compiled: bool) -> None:
    code = "from pipeline.engine import COMPILED, Site; print(COMPILED)"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "CALLBOARD_ENGINE": asked},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(compiled)
