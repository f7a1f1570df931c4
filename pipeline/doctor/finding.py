"""What a check finds: a state, one line, and what to do where something is to be done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipeline.doctor.around import Around


class State(StrEnum):
    """How it is."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    UNKNOWN = "unknown"
    """It could not be looked at, and it should be."""
    SKIPPED = "skipped"
    """There is nothing here to look at."""


BAD = frozenset({State.FAILED, State.UNKNOWN})
"""With one of these not all is well."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: what was looked at, how it is, and what to do."""

    name: str
    state: State
    told: str
    todo: str = ""


Check = Callable[["Around"], Awaitable[list[Finding]]]
"""A group of checks. May raise `CannotTell`."""


class CannotTell(Exception):
    """What a check needs is away; the message says what."""


def ok(name: str, told: str) -> Finding:
    """All is well."""
    return Finding(name, State.OK, told)


def warning(name: str, told: str, todo: str) -> Finding:
    """It works, and will not for ever, or not as meant."""
    return Finding(name, State.WARNING, told, todo)


def failed(name: str, told: str, todo: str) -> Finding:
    """It does not work."""
    return Finding(name, State.FAILED, told, todo)


def unknown(name: str, told: str, todo: str = "") -> Finding:
    """It should be looked at and cannot be."""
    return Finding(name, State.UNKNOWN, told, todo)


def skipped(name: str, told: str) -> Finding:
    """Nothing to look at."""
    return Finding(name, State.SKIPPED, told)


def seconds(ms: float) -> str:
    """A span of time for people."""
    s = abs(ms) / 1000
    if s < 10:
        return f"{s:.1f} s"
    if s < 120:
        return f"{s:.0f} s"
    return f"{s / 60:.0f} min" if s < 7200 else f"{s / 3600:.1f} h"
