"""Programs of the system that some tests drive (`.ci/run` installs them), and their processes."""

import shutil
from pathlib import Path

import pytest

_PACKAGES = {
    "prometheus": "prometheus",
    "promtool": "prometheus",
    "amtool": "prometheus-alertmanager",
    "prometheus-alertmanager": "prometheus-alertmanager",
    "java": "default-jre-headless",
    "mvn": "maven",
    "openssl": "openssl",
}


def program(name: str, *also: str) -> str:
    """Its path; where none of its names is found, the test is skipped and says what is missing."""
    for called in (name, *also):
        if path := shutil.which(called):
            return path
    return str(pytest.skip(f"{name} is not installed (Debian package {_PACKAGES[name]})"))


def children(parent: int) -> list[int]:
    """The processes that a process has started; none where it has ended."""
    try:
        text = Path(f"/proc/{parent}/task/{parent}/children").read_text()
    except OSError:
        return []
    return [int(word) for word in text.split()]
