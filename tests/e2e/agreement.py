"""All places show the same figures at one moment of a stack."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.figures import Figures, Json, differences, of_board
from tests.e2e.running import RunningStack, contract, replayed

LONG = ("60m", "today", "total")


def all_agree(stack: RunningStack, site: str, folder: Path) -> Json:
    """Stop time, compare every figure of board, time machine and SQL, and let time go on.

    Returns the board's object. The time machine is told the events the board knows.
    """
    at = stack.freeze(site)
    try:
        board = stack.board(site)
        file = stack.journalled(folder / f"events-{at}.ndjson", site)
        replay = replayed(file, stack.folder / "settings" / f"{site}.yml", at)
        assert board["at"] == at == replay["at"]
        # What came too late makes all figures differ, so it is said first.
        counted = ("late", "inconsistent", "dead_lettered")
        told = {key: (board[key], replay[key]) for key in counted if board[key] != replay[key]}
        assert told == {}
        _same("board and time machine", of_board(board), of_board(replay))
        assert contract(board) == contract(replay)
        # All windows are compared where nothing was killed; each costs a second.
        found = stack.figures_in_sql(site, LONG)
        right = {name: value for name, value in of_board(board).items() if name[1] in LONG}
        _same("SQL and board", found, right)
        rows = stack.sql("SELECT * FROM reconciliation")
        assert rows == [], rows[:5]
    finally:
        stack.thaw()
    return board


def _same(what: str, found: Figures, right: Figures) -> None:
    lines = differences(found, right)
    assert not lines, "\n".join([what, *lines])


def total_of(board: Json, counter: str) -> int:
    """A counter of all queues since the site began here."""
    value: int = board["all"]["queues"]["windows"]["total"][counter]
    return value
