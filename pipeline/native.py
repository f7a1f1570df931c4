"""Builds the compiled engine: the source of `pipeline.engine`, translated to C by mypyc.

``python -m pipeline.native`` writes it to ``build/native``; `pipeline.engine` uses it from there if
it was made from the very source at hand. Where there is no C compiler nothing is built, and the
engine runs as plain Python, slower and otherwise the same.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from pipeline.engine import NATIVE_DIR, source_digest

ROOT = Path(__file__).resolve().parent.parent
_SETUP = """
from setuptools import setup
from mypyc.build import mypycify
setup(name="callboard-engine", packages=[], ext_modules=mypycify({modules!r}, opt_level="3"))
"""


def main() -> int:
    """Builds into ``build/native``; always ends with 0, since plain Python does as well."""
    if shutil.which("cc") is None and shutil.which("gcc") is None:
        print("no C compiler found: the engine runs as plain Python")
        _finish("")
        return 0
    print("compiling the engine (about a minute) …", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        failure = _build(Path(scratch))
    if failure:
        print(f"the engine could not be compiled and runs as plain Python:\n{failure}")
        _finish("")
    else:
        print("the compiled engine is in use")
    return 0


def _build(scratch: Path) -> str:
    """Compiles a copy of the source; returns what went wrong, empty if nothing did."""
    for package in ("schemas", "pipeline/engine"):
        shutil.copytree(ROOT / package, scratch / package)
    shutil.copy(ROOT / "pipeline" / "__init__.py", scratch / "pipeline")
    modules = [
        str(path.relative_to(scratch))
        for path in sorted((scratch / "pipeline" / "engine").glob("*.py"))
        if path.name != "__init__.py"
    ]
    (scratch / "setup.py").write_text(_SETUP.format(modules=modules))
    done = subprocess.run(
        [sys.executable, "setup.py", "-q", "build_ext", "--inplace"],
        cwd=scratch,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return done.stderr[-2000:]
    _install(scratch)
    return ""


def _install(scratch: Path) -> None:
    shutil.rmtree(NATIVE_DIR, ignore_errors=True)
    (NATIVE_DIR / "engine").mkdir(parents=True)
    for built in scratch.glob("*.so"):
        shutil.copy(built, NATIVE_DIR)
    for built in (scratch / "pipeline" / "engine").glob("*.so"):
        shutil.copy(built, NATIVE_DIR / "engine")
    _finish(source_digest())


def _finish(digest: str) -> None:
    NATIVE_DIR.mkdir(parents=True, exist_ok=True)
    (NATIVE_DIR / ".built").write_text(digest)


if __name__ == "__main__":
    sys.exit(main())
