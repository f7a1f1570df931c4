"""State of a site: order of records, explanations, views, and changes that add up."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from schemas.kpis import FORMULA_TEXT, WINDOWS
from schemas.live import live_record
from sinks.board.state import VIEWS, Board, Operation, SiteState, changes, view_of
from tests.sinks.board.centre import NOON, Centre, bank, large

EXPLAINED = ("service_level", "abandonment", "asa_ms", "aht_ms")


def state_of(centre: Centre, at: int = NOON, epoch: int = 1, offset: int = 1) -> SiteState:
    state = SiteState()
    feed(state, centre, at, epoch, offset)
    return state


def feed(state: SiteState, centre: Centre, at: int, epoch: int, offset: int) -> None:
    for record in centre.records(at, epoch, offset):
        state.apply(copy.deepcopy(record))


def follow(board: Board, operations: list[Operation]) -> Board:
    """What the page makes of the operations."""
    board = copy.deepcopy(board)
    for path, *value in operations:
        node: Any = board
        for key in path[:-1]:
            node = node[key]
        if value:
            node[path[-1]] = value[0]
        else:
            del node[path[-1]]
    return board


def test_there_is_no_board_before_the_totals() -> None:
    state = SiteState()
    parts = [r for r in bank().records(NOON) if r["kind"] != "totals"]
    for record in parts:
        assert state.apply(record)
    assert state.board == {}


def test_a_record_older_than_what_is_held_changes_nothing() -> None:
    state = state_of(bank("busy"), epoch=2, offset=9)
    before = copy.deepcopy(state.board)
    for epoch, offset in ((2, 8), (1, 99)):
        for record in bank("breached").records(NOON + 5_000, epoch, offset):
            assert not state.apply(record)
    assert state.board == before


def test_a_new_epoch_replaces_the_old_one_but_not_with_nothing() -> None:
    state = state_of(bank("busy"), epoch=1, offset=500)
    assert set(state.board["queues"]) == {"PS", "NW", "NE", "IN", "PE", "TT"}
    small = Centre("bank", "Bank", bank().queues[:2], [], {})
    *early, totals = sorted(small.records(NOON, 2, 0), key=lambda r: r["kind"] == "totals")
    for record in early:
        state.apply(record)
    assert len(state.board["queues"]) == 6, "without totals of its own the old board stands"
    state.apply(totals)
    assert set(state.board["queues"]) == {"PS", "NW"}
    assert state.board["agents"] == {}


@pytest.mark.parametrize("mood", ["busy", "quiet"])
def test_every_ratio_comes_with_its_numerator_and_denominator(mood: str) -> None:
    board = state_of(bank(mood)).board
    rows = [entry for channels in board["queues"].values() for entry in channels.values()]
    for windows in [row["windows"] for row in rows] + [board["all"]["queues"]["windows"]]:
        assert set(windows) == set(WINDOWS)
        for window in windows.values():
            for kpi in EXPLAINED:
                numerator, denominator = window["parts"][kpi]
                expected = numerator / denominator if denominator else None
                assert window[kpi] == expected
    for team in [board["all"], *board["teams"].values()]:
        for window in team["windows"].values():
            busy, time = window["parts"]["occupancy"]
            assert window["occupancy"] == (busy / time if time else None)
    assert board["formulas"] == FORMULA_TEXT


def test_the_longest_wait_counts_from_one_moment_however_often_it_is_sent() -> None:
    state = state_of(bank())
    first = state.board["queues"]["IN"]["voice"]["now"]["longest_since"]
    feed(state, bank(), NOON + 7_000, 1, 2)
    now = state.board["queues"]["IN"]["voice"]["now"]
    assert now["longest_since"] == first == NOON - 214_000
    assert now["longest_wait_ms"] == 221_000
    assert state.board["all"]["queues"]["now"]["longest_since"] == first
    assert state.board["queues"]["PE"]["voice"]["now"]["longest_since"] is None


def test_figures_that_make_no_sense_are_refused_and_change_nothing() -> None:
    state = state_of(bank())
    before = copy.deepcopy(state.board)
    broken = live_record(
        "bank", (1, 2), NOON + 1_000, "queues", "7", {"PS": {"voice": {"now": {}}}}
    )
    with pytest.raises(KeyError):
        state.apply(broken)
    assert state.board == before


def test_a_view_holds_what_it_shows_and_nothing_else() -> None:
    board = state_of(bank()).board
    wall, queues, agents = (view_of(board, view) for view in ("wall", "queues", "agents"))
    assert view_of(board, "all") is board
    assert "agents" not in wall
    assert "agents" not in queues
    assert set(wall["trend"]) == {"step_ms", "start", "all"}
    assert set(queues["trend"]) == {"step_ms", "start", "queues"}
    assert agents["agents"] == board["agents"]
    assert not {"queues", "trend"} & agents.keys()
    assert wall["all"] == queues["all"] == agents["all"]


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize(
    ("before", "after"),
    [(bank("busy"), bank("breached")), (bank("quiet"), bank("busy")), (large(), bank("calm"))],
)
def test_changes_make_the_old_board_equal_the_new_one(
    view: Any, before: Centre, after: Centre
) -> None:
    old = view_of(state_of(before).board, view)
    new = view_of(state_of(after, NOON + 61_000, 2, 0).board, view)
    untouched = copy.deepcopy(old)
    result = follow(old, changes(old, new))
    assert {**result, "at": new["at"]} == new
    assert old == untouched


def test_nothing_new_is_no_change() -> None:
    centre = bank()
    assert changes(state_of(centre).board, state_of(centre).board) == []


def test_a_second_of_waiting_costs_one_figure() -> None:
    centre = bank()
    state = state_of(centre)
    old = state.board
    feed(state, centre, NOON + 1_000, 1, 2)
    paths = [operation[0] for operation in changes(old, state.board)]
    assert ["queues", "IN", "voice", "now", "longest_wait_ms"] in paths
    assert not [path for path in paths if "windows" in path]
