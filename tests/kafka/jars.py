"""The jars of Apache Kafka, fetched by Maven once into the build folder."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.programs import program

POM = Path(__file__).parent / "pom.xml"
BUILD = Path(__file__).resolve().parents[2] / "build" / "kafka"


def class_path() -> str:
    """Kafka's class path; fetches the jars if they are not there. Skips without Java and Maven."""
    program("java")
    version = hashlib.sha256(POM.read_bytes()).hexdigest()[:12]
    folder = BUILD / version
    BUILD.mkdir(parents=True, exist_ok=True)
    with (BUILD / ".lock").open("w") as lock:
        # Tests that run at the same time fetch them once.
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            _fetch(folder)
    return f"{folder}/*"


def _fetch(folder: Path) -> None:
    mvn = program("mvn")
    part = folder.with_suffix(".part")
    shutil.rmtree(part, ignore_errors=True)
    subprocess.run(
        [mvn, "-q", "-B", "-f", POM, "dependency:copy-dependencies", "-DincludeScope=runtime",
         f"-DoutputDirectory={part}"],
        check=True,
    )  # fmt: skip
    part.rename(folder)
