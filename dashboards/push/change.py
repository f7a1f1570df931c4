"""What a push does to one thing, and whether a thing is as it should be."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

REDACTED = "[REDACTED]"
"""What Grafana answers in place of a secret."""


class Action(StrEnum):
    """What became of a thing, or would become of it in a dry run."""

    created = "created"
    updated = "updated"
    unchanged = "unchanged"
    skipped = "skipped"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing of a push; `note` says what a reader should know about it."""

    action: Action
    kind: str
    name: str
    note: str = ""


def same(wanted: Any, found: Any) -> bool:
    """Whether all that is wanted is found; Grafana may add keys, and cannot tell a secret.

    Absent, null and empty are the same: Grafana stores them as it likes.
    """
    if found == REDACTED:
        return True
    if isinstance(wanted, dict):
        keys = found if isinstance(found, dict) else {}
        return all(same(value, keys.get(key)) for key, value in wanted.items())
    if isinstance(wanted, list):
        there = found if isinstance(found, list) else []
        return len(wanted) == len(there) and all(map(same, wanted, there))
    return bool(wanted == found) or (_empty(wanted) and _empty(found))


def has_secrets(found: Any) -> bool:
    """Whether Grafana holds something back in its answer."""
    if isinstance(found, dict):
        return any(map(has_secrets, found.values()))
    return bool(found == REDACTED)


def without(value: dict[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """A copy without some keys."""
    left_out = set(keys)
    return {key: entry for key, entry in value.items() if key not in left_out}


def _empty(value: Any) -> bool:
    return value is None or value == "" or value is False
