"""The hub: coalescing, one message for all, viewers that lag, ages, memory."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Iterator
from typing import Any

import orjson
import pytest

from schemas.clock import Clock
from sinks.board.stream import BACKLOG, Hub, Viewer
from tests.sinks.board.centre import NOON, Centre, bank


class FixedClock(Clock):
    """A clock that shows one moment."""

    def now_ms(self) -> int:
        return NOON + 400


class Ticks:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def ticks() -> Ticks:
    return Ticks()


@pytest.fixture
def hub(ticks: Ticks) -> Hub:
    return Hub(FixedClock(), ticks)


def feed(hub: Hub, centre: Centre, at: int = NOON, offset: int = 1, epoch: int = 1) -> None:
    for record in centre.records(at, epoch, offset):
        hub.apply(copy.deepcopy(record))


def waiting(viewer: Viewer) -> Iterator[tuple[str, Any, bytes]]:
    """All that a viewer can read without waiting: event, data, the bytes themselves."""
    while viewer._wake.is_set() and not viewer._closed:
        raw = asyncio.run(anext_of(viewer))
        lines = dict(line.split(b": ", 1) for line in raw.strip().split(b"\n"))
        yield lines[b"event"].decode(), orjson.loads(lines[b"data"]), raw


async def anext_of(viewer: Viewer) -> bytes:
    return await asyncio.wait_for(viewer.__anext__(), 60)


def test_a_viewer_gets_the_whole_board_and_then_changes(hub: Hub) -> None:
    feed(hub, bank("busy"))
    viewer = hub.join("bank", "all")
    [(event, board, _)] = waiting(viewer)
    assert event == "board"
    assert board["queues"].keys() == {"PS", "NW", "NE", "IN", "PE", "TT"}
    assert (board["at"], board["now"], board["age_ms"], board["pace"]) == (NOON, NOON + 400, 400, 1)
    feed(hub, bank("breached"), NOON + 300, 2)
    hub.flush()
    [(event, change, _)] = waiting(viewer)
    assert event == "change"
    assert change["at"] == NOON + 300
    assert [["agents", "Jonas"], bank_agent("Jonas")] in change["ops"]


def bank_agent(name: str) -> dict[str, Any]:
    entry: dict[str, Any] = bank("breached")._agents()[name]
    return entry


def test_many_records_are_one_message_and_no_record_is_none(hub: Hub) -> None:
    feed(hub, bank())
    viewer = hub.join("bank", "wall")
    list(waiting(viewer))
    for offset in range(2, 30):
        feed(hub, bank(), NOON + offset * 10, offset)
    hub.flush()
    hub.flush()
    assert [event for event, _, _ in waiting(viewer)] == ["change"]


def test_a_message_is_made_once_for_all_viewers_of_a_view(hub: Hub) -> None:
    feed(hub, bank())
    viewers = [hub.join("bank", "queues") for _ in range(3)]
    for viewer in viewers:
        list(waiting(viewer))
    feed(hub, bank(), NOON + 1000, 2)
    hub.flush()
    hub.beat()
    received = [[raw for _, _, raw in waiting(viewer)] for viewer in viewers]
    assert len(received[0]) == 2
    for other in received[1:]:
        assert all(a is b for a, b in zip(received[0], other, strict=True))


def test_a_viewer_of_one_view_hears_nothing_of_another(hub: Hub) -> None:
    feed(hub, bank())
    viewer = hub.join("bank", "wall")
    [(_, board, _)] = waiting(viewer)
    assert "agents" not in board
    feed(hub, bank("calm"), NOON + 1000, 2)
    hub.flush()
    [(_, change, _)] = waiting(viewer)
    assert "agents" not in {path[0] for path, *_ in change["ops"]}


def test_a_viewer_that_lags_gets_one_whole_newer_board(hub: Hub) -> None:
    feed(hub, bank())
    slow, quick = hub.join("bank", "wall"), hub.join("bank", "wall")
    for offset in range(2, BACKLOG * 4):
        feed(hub, bank(), NOON + offset * 1000, offset)
        hub.flush()
        list(waiting(quick))
        assert len(slow._messages) <= BACKLOG
    event, board, _ = next(waiting(slow))
    assert event == "board"
    assert board["at"] == NOON + (BACKLOG * 4 - 1) * 1000


def test_a_lagging_viewer_ends_at_the_same_figures(hub: Hub) -> None:
    feed(hub, bank())
    viewer = hub.join("bank", "agents")
    board: dict[str, Any] = {}
    for offset in range(2, BACKLOG * 2 + 5):
        feed(hub, bank("busy" if offset % 2 else "calm"), NOON + offset * 1000, offset)
        hub.flush()
    for event, data, _ in waiting(viewer):
        if event == "board":
            board = data
        for path, *value in data.get("ops", []):
            node = board
            for key in path[:-1]:
                node = node[key]
            node.update({path[-1]: value[0]}) if value else node.pop(path[-1])
    assert board["agents"] == hub.board("bank")["agents"]
    assert board["all"] == orjson.loads(orjson.dumps(hub.board("bank")["all"]))


def test_a_site_may_be_joined_before_it_is_known(hub: Hub) -> None:
    viewer = hub.join("bank", "wall")
    [(event, moment, _)] = waiting(viewer)
    assert event == "beat"
    assert moment["at"] is moment["age_ms"] is None
    assert hub.sites() == []
    feed(hub, bank())
    hub.flush()
    assert [event for event, _, _ in waiting(viewer)] == ["board"]
    assert [site["site"] for site in hub.sites()] == ["bank"]


def test_nothing_is_shown_on_the_way_to_the_present(ticks: Ticks) -> None:
    caught_up = False
    hub = Hub(FixedClock(), ticks, ready=lambda: caught_up)
    viewer = hub.join("bank", "wall")
    feed(hub, bank(), NOON - 60_000, 1)
    hub.flush()
    assert [event for event, _, _ in waiting(viewer)] == ["beat"]
    assert hub.sites() == []
    assert hub.board("bank") == {}
    feed(hub, bank(), NOON, 2)
    caught_up = True
    hub.flush()
    [(event, board, _)] = waiting(viewer)
    assert (event, board["at"]) == ("board", NOON)
    caught_up = False
    feed(hub, bank(), NOON + 1000, 3)
    hub.flush()
    assert [event for event, _, _ in waiting(viewer)] == ["change"], "once ready, ready for good"


def test_the_age_is_that_of_the_clock_or_of_the_silence(hub: Hub, ticks: Ticks) -> None:
    feed(hub, bank(), NOON)
    assert hub.board("bank")["age_ms"] == 400
    ticks.now += 9
    assert hub.board("bank")["age_ms"] == 9_000, "silent for longer than the clock says"
    feed(hub, bank(), NOON - 60_000, 2)
    assert hub.board("bank")["age_ms"] == 60_400, "heard just now, but of long ago"
    feed(hub, bank(), NOON + 30_000, 3)
    assert hub.board("bank")["age_ms"] == 0, "a platform may run ahead of us"


def test_a_paced_clock_gives_ages_in_real_time(ticks: Ticks) -> None:
    class Fast(Clock):
        def now_ms(self) -> int:
            return NOON + 5_000

    hub = Hub(Fast(pace=10.0), ticks)
    feed(hub, bank(), NOON)
    assert hub.board("bank")["age_ms"] == 500


def test_a_record_that_is_ignored_does_not_make_the_board_young(hub: Hub, ticks: Ticks) -> None:
    feed(hub, bank(), NOON, offset=9)
    ticks.now += 30
    feed(hub, bank(), NOON, offset=8)
    assert hub.board("bank")["age_ms"] == 30_000


def test_who_leaves_leaves_nothing_behind(hub: Hub) -> None:
    viewers = [(name, hub.join(name, "wall")) for name in ("a", "b", "c")]
    assert hub.viewers() == 3
    for name, viewer in viewers:
        hub.leave(name, "wall", viewer)
    assert hub.viewers() == 0
    assert hub._sites == {}


def test_a_late_joiner_follows_from_what_it_was_given(hub: Hub) -> None:
    """Records between two flushes must not be half in the whole board, half in the change."""
    feed(hub, bank("busy"))
    hub.join("bank", "agents")
    hub.flush()
    feed(hub, bank("quiet"), NOON + 1000, 2)
    for agent_part in bank("busy").records(NOON + 1500, 1, 3):
        hub.apply(agent_part)
    late = hub.join("bank", "agents")
    hub.flush()
    (event, board, _), *rest = waiting(late)
    assert event == "board"
    known = board["agents"]
    for _, data, _ in rest:
        for path, *value in data.get("ops", []):
            if path[0] == "agents":
                known.update({path[1]: value[0]}) if value else known.pop(path[1])
    assert known == hub.board("bank")["agents"]


async def test_the_loop_beats_each_second_and_survives_a_bad_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hub = Hub(FixedClock())
    feed(hub, bank())
    viewer = hub.join("bank", "wall")
    await anext_of(viewer)
    calls = 0
    flush = hub.flush

    def stumble() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise RuntimeError("boom")
        flush()

    monkeypatch.setattr(hub, "flush", stumble)
    task = asyncio.create_task(hub.run())
    try:
        events = [(await anext_of(viewer)).split(b"\n")[0] for _ in range(3)]
    finally:
        task.cancel()
    assert events.count(b"event: beat") == 2
