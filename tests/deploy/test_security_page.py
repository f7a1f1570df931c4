"""docs/security.md: what it names exists, and every variable of the board's access is explained."""

from __future__ import annotations

import re

from schemas.config import COLLECTOR_SECRETS, Config, file_variable_of, variable_of
from tests.deploy.files import KNOWN, ROOT

PAGE = (ROOT / "docs/security.md").read_text()
TESTS = ROOT / "tests"


def test_every_test_it_names_is_there() -> None:
    """A file without a folder is in the folder last named before it in the same cell."""
    named = 0
    for line in PAGE.splitlines():
        cell = line.rsplit("|", 2)[-2] if line.endswith("|") else ""
        folder = "sinks/board"
        for path in re.findall(r"`([\w/]+(?:\.py|/))`", cell):
            folder = path.rpartition("/")[0] or folder
            found = TESTS / (path if "/" in path else f"{folder}/{path}")
            assert found.exists(), path
            named += 1
    assert named > 30


def test_every_variable_it_names_is_there() -> None:
    files = {file_variable_of(name) for name in COLLECTOR_SECRETS}
    for name in set(re.findall(r"CALLBOARD_[A-Z_]+[A-Z]", PAGE)):
        assert name in KNOWN | files or any(known.startswith(name) for known in KNOWN), name


def test_every_variable_of_the_boards_access_is_explained() -> None:
    settings = (ROOT / "docs/settings.md").read_text()
    for name in Config.model_fields:
        if name.startswith("board_") and name not in ("board_host", "board_port"):
            assert variable_of(name) in settings, name
