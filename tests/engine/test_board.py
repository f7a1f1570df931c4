"""The form of the object of contract section 7: every key is there, and the sums are sums."""

import json
from typing import Any

import pytest

from tests.engine.stories import (
    Event,
    abandoned,
    answered,
    held,
    queued,
    site,
    state,
    wrapped,
)
from tests.engine.subjects import COUNTERS, TIMES, Board, Subject

WINDOWS = {"5m", "15m", "30m", "60m", "today", "total"}
EVENTS: list[Event] = [
    *(state(0, "available", "ann", team="red"), state(0, "busy", "bob", team="blue")),
    *(queued(0, "a"), answered(1_000, "a"), held(2_000, "a"), wrapped(9_000, "a")),
    *(queued(0, "b", "help"), queued(500, "b", "sales"), abandoned(4_000, "b", queue="help")),
    *(queued(0, "d", "help", channel="chat"), answered(30_000, "d", "bob")),
]
AT = 45_678


@pytest.fixture
def seen(subject: Subject) -> Board:
    return subject.replay(EVENTS, AT)


def test_the_object_names_its_site_and_its_time(seen: Board) -> None:
    assert (seen.data["site"], seen.data["at"]) == ("s", AT)
    assert {"queues", "teams", "all", "late", "inconsistent", "dead_lettered"} <= set(seen.data)
    assert (seen.late, seen.inconsistent, seen.dead_lettered) == (0, 0, 0)


def test_every_key_is_there_for_each_queue_and_channel(seen: Board) -> None:
    entries = [entry for queue in seen.data["queues"].values() for entry in queue.values()]
    entries.append(seen.data["all"]["queues"])
    assert len(entries) == 4
    for entry in entries:
        assert {"waiting", "longest_wait_ms", "in_service"} <= set(entry["now"])
        assert set(entry["windows"]) >= WINDOWS
        for window in entry["windows"].values():
            assert {*COUNTERS, "service_level", "abandonment", "asa_ms", "aht_ms"} <= set(window)


def test_every_key_is_there_for_each_team(seen: Board) -> None:
    assert {"red", "blue"} <= set(seen.data["teams"])
    for entry in [*seen.data["teams"].values(), seen.data["all"]]:
        assert set(entry["windows"]) >= WINDOWS
        for window in entry["windows"].values():
            assert {*TIMES, "occupancy"} <= set(window)


def test_counters_and_times_are_integers_and_ratios_doubles_or_null(seen: Board) -> None:
    entries = [entry for queue in seen.data["queues"].values() for entry in queue.values()]
    windows = [w for e in entries for w in e["windows"].values()]
    assert {type(w[name]) for w in windows for name in COUNTERS} == {int}
    assert {type(w[name]) for w in windows for name in ("asa_ms", "abandonment")} <= {
        float,
        type(None),
    }
    times = [w for e in seen.data["teams"].values() for w in e["windows"].values()]
    assert {type(w[name]) for w in times for name in TIMES} == {int}


def test_all_queues_sum_the_counters_over_queues_and_channels(seen: Board) -> None:
    for window in WINDOWS:
        entries = [e["windows"][window] for q in seen.data["queues"].values() for e in q.values()]
        for name in COUNTERS:
            summed = sum(entry[name] for entry in entries)
            assert seen.data["all"]["queues"]["windows"][window][name] == summed
    assert seen.in_all()["offered"] == 4


def test_all_now_sums_and_has_the_greatest_wait(seen: Board) -> None:
    now = seen.data["all"]["queues"]["now"]
    assert (now["waiting"], now["longest_wait_ms"], now["in_service"]) == (1, AT - 500, 1)


def test_all_agents_sum_over_the_teams(seen: Board) -> None:
    assert seen.agents() == {"available": 1, "talk": 1}
    assert seen.agents("red") == {"available": 1}
    assert seen.agents("blue") == {"talk": 1}
    for window in WINDOWS:
        for name in TIMES:
            summed = sum(t["windows"][window][name] for t in seen.data["teams"].values())
            assert seen.data["all"]["windows"][window][name] == summed


def test_ratios_are_the_exact_quotients_of_what_stands_beside_them(seen: Board) -> None:
    window = seen.window("help", "chat")
    assert window["asa_ms"] == 30_000.0
    assert seen.window("sales")["aht_ms"] == 8_000.0
    red = seen.data["teams"]["red"]["windows"]["total"]
    assert red["occupancy"] == 8_000 / AT


def test_the_object_is_json(seen: Board) -> None:
    def back(value: Any) -> Any:
        return json.loads(json.dumps(value, allow_nan=False))

    assert back(seen.data)["all"] == seen.data["all"]


def test_before_the_first_event_everything_is_zero(subject: Subject) -> None:
    seen = subject.replay(EVENTS, -1)
    assert seen.in_all() == {}
    assert seen.time() == {}
    assert seen.agents() == {}
    assert seen.data["all"]["queues"]["now"]["waiting"] == 0
    assert seen.data["all"]["queues"]["now"]["longest_wait_ms"] is None
    assert set(seen.data["all"]["windows"]) >= WINDOWS


def test_the_names_of_the_settings_do_not_change_the_keys(subject: Subject) -> None:
    settings = site(queues={"sales": {"name": "Sales"}}, teams={"red": {"name": "Red"}})
    seen = subject.replay(EVENTS, AT, settings)
    assert "sales" in seen.data["queues"]
    assert "red" in seen.data["teams"]
