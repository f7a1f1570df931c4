"""The peers' own environments under build/peers: nothing of them enters callboard's."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build" / "peers"
REQUIREMENTS = HERE / "requirements"
FLINK = HERE / "flink"
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies"


class Unavailable(Exception):
    """A peer cannot be set up here; the message says why."""


def python_of(name: str) -> str:
    """The Python of a peer, its virtual environment made if need be. Raises `Unavailable`."""
    if name == "callboard":
        return sys.executable
    requirements = REQUIREMENTS / f"{name}.txt"
    folder = _made(name, requirements, lambda folder: _install(requirements, folder))
    return str(folder / "bin" / "python")


def flink_command() -> list[str]:
    """The command that runs a Flink job, its jars fetched if need be. Raises `Unavailable`."""
    java, mvn = shutil.which("java"), shutil.which("mvn")
    if java is None or mvn is None:
        raise Unavailable("Flink needs Java 17 and Maven")
    pom = FLINK / "pom.xml"
    fetch = [mvn, "-q", "-B", "-f", str(pom), _COPY, "-DincludeScope=runtime"]
    folder = _made("flink", pom, lambda folder: _call([*fetch, f"-DoutputDirectory={folder}"]))
    # As Flink's own start scripts do for Java 17.
    opens = [f"--add-opens=java.base/java.{name}=ALL-UNNAMED" for name in ("lang", "util")]
    return [java, "-Xmx2g", *opens, "-cp", f"{folder}/*", str(FLINK / "Job.java")]


def _install(requirements: Path, folder: Path) -> None:
    _call([sys.executable, "-m", "venv", str(folder)])
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet"]
    _call([*pip, "--disable-pip-version-check", "--require-hashes", "-r", str(requirements)])


def _made(name: str, source: Path, make: Callable[[Path], None]) -> Path:
    folder = BUILD / f"{name}-{hashlib.sha256(source.read_bytes()).hexdigest()[:12]}"
    ready = folder / ".ready"
    if not ready.exists():
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
        make(folder)
        ready.touch()
    return folder


def _call(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Unavailable((done.stderr or done.stdout).strip()[-400:])
