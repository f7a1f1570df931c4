"""What the board knows of each site, what a view of it holds, and what changed between two moments.

A site is put together from the records of the live topic; older records are ignored. Queue figures
get what the page needs to explain and to count: `parts`, the numerator and denominator of each
ratio by the one definition in `schemas.kpis`, and `longest_since`, the moment from which the
longest wait counts. Changes are lists of `[path, value]`; a path without a value is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal, get_args

from schemas.kpis import (
    FORMULA_TEXT,
    abandonment_parts,
    aht_parts,
    asa_parts,
    occupancy_parts,
    service_level_parts,
)
from schemas.live import QUALITY, QUALITY_WINDOWS, LiveParts, LiveRecord

View = Literal["wall", "queues", "agents", "quality", "all"]
VIEWS: tuple[View, ...] = get_args(View)

Board = dict[str, Any]
Operation = list[Any]
"""`[path, value]` sets, `[path]` removes; a path is a list of keys from the top of the board."""

ATOMIC_DEPTH: dict[str, int] = {
    "queues": 5,
    "teams": 4,
    "all": 4,
    "agents": 2,
    "trend": 3,
    "quality": 3,
}
"""How long a path may grow before its value is sent whole. A wait that grows by a second so costs
one number, `queues/<queue>/<channel>/now/longest_wait_ms`, and not that queue's six windows."""

EVERY_MOMENT = frozenset({"at"})
"""Keys that travel beside the operations of each message, not as one of them."""

_ABSENT = object()


class SiteState:
    """The newest state of one site; `board` is empty before its first totals."""

    def __init__(self) -> None:
        self._parts = LiveParts()
        self._board: Board = {}
        self._dirty = False

    def apply(self, record: LiveRecord) -> bool:
        """Take a record of this site; False if a newer one of its part is held.

        Raises `KeyError`, `TypeError` or `ValueError` for figures that make no sense.
        """
        # First, so that a record whose figures make no sense is refused and changes nothing.
        _explain(record)
        if not self._parts.take(record):
            return False
        self._dirty = True
        return True

    @property
    def board(self) -> Board:
        """The object of the contract with the board's extras; treat it as read-only.

        A new epoch drops all parts before it brings new ones; until its totals are here the board
        stays as it was, and its age says so.
        """
        if self._dirty:
            fresh = self._parts.assemble()
            if fresh:
                self._board = {**fresh, "formulas": FORMULA_TEXT}
            self._dirty = False
        return self._board


def view_of(board: Board, view: View) -> Board:
    """The part of a board that a view shows; `all` is the whole object."""
    if view == "all" or not board:
        return board
    hidden_here = ("queues", "agents", "trend", QUALITY)
    kept = {key: value for key, value in board.items() if key not in hidden_here}
    if view == QUALITY:
        # Without the figures of the moment, which change each second, but with the names.
        kept |= {QUALITY: board[QUALITY]} if QUALITY in board else {}
        kept["queue_names"] = _names(board["queues"])
        kept["team_names"] = {id_: team["name"] for id_, team in kept.pop("teams").items()}
        return kept
    if view == "agents":
        kept["agents"] = board["agents"]
        return kept
    kept["queues"] = board["queues"]
    hidden = "queues" if view == "wall" else "all"
    kept["trend"] = {key: value for key, value in board["trend"].items() if key != hidden}
    return kept


def _names(queues: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {
        queue: next((entry["name"] for entry in channels.values() if entry.get("name")), queue)
        for queue, channels in queues.items()
    }


def changes(old: Board, new: Board) -> list[Operation]:
    """The operations that make `old` equal `new`; the moment itself is left out."""
    return [
        operation for operation in _changes(old, new, []) if operation[0][0] not in EVERY_MOMENT
    ]


def _changes(
    old: Mapping[str, Any], new: Mapping[str, Any], path: list[str]
) -> Iterator[Operation]:
    for key in old:
        if key not in new:
            yield [[*path, key]]
    for key, value in new.items():
        before = old.get(key, _ABSENT)
        if before is value:
            continue
        here = [*path, key]
        inner = len(here) < ATOMIC_DEPTH.get(here[0], 1)
        if inner and isinstance(value, dict) and isinstance(before, dict):
            yield from _changes(before, value, here)
        elif before != value:
            yield [here, value]


def _explain(record: LiveRecord) -> None:
    if record["kind"] == "queues":
        _explain_queues(record)
    elif record["kind"] == "totals":
        _explain_all(record)
    elif record["kind"] == "teams":
        _explain_teams(record["data"])
    elif record["kind"] == QUALITY:
        _check_quality(record["data"])


def _check_quality(windows: dict[str, Any]) -> None:
    """The page must not stumble over what is no window."""
    for name, said in windows.items():
        if name not in QUALITY_WINDOWS:
            raise ValueError(f"quality has no window {name!r}")
        said["queues"].items(), said["teams"].items()


def _explain_queues(record: LiveRecord) -> None:
    for channels in record["data"].values():
        for entry in channels.values():
            _explain_now(entry["now"], record["at"])
            for window in entry["windows"].values():
                window["parts"] = _parts(window, entry["formula"], entry["exclude_short"])


def _explain_all(record: LiveRecord) -> None:
    totals = record["data"]
    queues = totals["all"]["queues"]
    _explain_now(queues["now"], record["at"])
    exclude_short = bool(totals.get("exclude_short", False))
    for window in queues["windows"].values():
        window["parts"] = _parts(window, totals["formula"], exclude_short)
    for window in totals["all"]["windows"].values():
        window["parts"] = {"occupancy": occupancy_parts(window)}


def _explain_teams(teams: dict[str, Any]) -> None:
    for entry in teams.values():
        for window in entry["windows"].values():
            window["parts"] = {"occupancy": occupancy_parts(window)}


def _explain_now(now: dict[str, Any], at: int) -> None:
    longest = now["longest_wait_ms"]
    now["longest_since"] = None if longest is None else at - longest


_SIMPLE: dict[str, Callable[[Mapping[str, int]], tuple[int, int]]] = {
    "abandonment": abandonment_parts,
    "asa_ms": asa_parts,
    "aht_ms": aht_parts,
}


def _parts(
    window: Mapping[str, int], formula: str, exclude_short: bool
) -> dict[str, tuple[int, int]]:
    parts = {name: of(window) for name, of in _SIMPLE.items()}
    parts["service_level"] = service_level_parts(window, formula, exclude_short)
    return parts


def as_view(name: str) -> View | None:
    """The view of that name, None if there is none."""
    return next((view for view in VIEWS if view == name), None)
