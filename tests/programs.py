"""Programs of the system that some tests drive; `.ci/run` installs them."""

import shutil

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
