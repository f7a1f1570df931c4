"""When sites tick: only to a moment up to which everything has been read."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from pipeline.ingest.ticks import Reading, Ticker, partitions_by_stray
from schemas.clock import Clock


@dataclass
class Hands:
    now: int = 1000


@pytest.fixture
def hands(monkeypatch: pytest.MonkeyPatch) -> Hands:
    hands = Hands()
    monkeypatch.setattr(Clock, "now_ms", lambda _: hands.now)
    return hands


def at(position: int, end: int | None, polled: int | None) -> Reading:
    return Reading(position, end, polled)


def test_a_tick_carries_the_clock_from_before_the_end_was_asked_for(hands: Hands) -> None:
    ticker = Ticker(Clock(), 1000)
    assert ticker.advance({0: at(5, 5, 1)}, 0.0) == []
    hands.now = 1100
    assert ticker.advance({0: at(5, 5, 2)}, 0.1) == []
    assert ticker.advance({0: at(5, 5, 3)}, 0.2) == [0]
    assert ticker.moment(0, ()) == 1000


def test_one_answer_is_not_enough_it_may_be_older_than_the_question(hands: Hands) -> None:
    ticker = Ticker(Clock(), 1000)
    ticker.advance({0: at(0, 0, None)}, 0.0)
    assert ticker.advance({0: at(0, 0, 1)}, 0.1) == []
    assert ticker.advance({0: at(0, 0, 1)}, 0.2) == []
    # The answer to the fetch sent after the question shows what had been there all along.
    assert ticker.advance({0: at(0, 900, 2)}, 0.3) == []
    hands.now = 2500
    assert ticker.advance({0: at(899, 900, 3)}, 1.5) == []
    assert ticker.advance({0: at(900, 2000, 4)}, 1.6) == [0]
    assert ticker.moment(0, ()) == 1000


def test_a_partition_that_never_rests_ticks_all_the_same(hands: Hands) -> None:
    ticker = Ticker(Clock(), 1000)
    position, moments = 0, []
    for step in range(50):
        hands.now = 1000 + 100 * step
        reading = at(position, position + 100, step)
        if ticker.advance({0: reading}, step / 10):
            moments.append(ticker.moment(0, ()))
        position += 100
    assert len(moments) >= 4
    assert moments == sorted(moments)


def test_nothing_ticks_before_every_partition_was_read_to_its_end_once(hands: Hands) -> None:
    ticker = Ticker(Clock(), 1000)
    for polled in range(3):
        readings = {0: at(0, 0, polled), 1: at(10, 5000, polled)}
        assert ticker.advance(readings, polled / 10) == []
    hands.now = 9000
    assert ticker.advance({0: at(0, 0, 3), 1: at(5000, 9000, 3)}, 0.4) == [1]
    ticked = []
    for polled in range(4, 8):
        readings = {0: at(0, 0, polled), 1: at(5100, 9000, polled)}
        ticked += ticker.advance(readings, 1.0 + polled / 10)
    assert ticked == [0]
    assert ticker.moment(0, ()) == 9000


def test_a_site_that_comes_over_another_partition_waits_for_it(hands: Hands) -> None:
    ticker = Ticker(Clock(), 100)
    for polled in range(3):
        ticker.advance({0: at(0, 0, polled), 1: at(0, 0, polled)}, 0.0)
    hands.now = 5000
    for polled in range(3, 7):
        ticker.advance({0: at(0, 0, polled), 1: at(0, 90, polled)}, 1.0)
    assert ticker.moment(0, ()) == 5000
    assert ticker.moment(0, [1]) == 1000


def test_a_partition_that_comes_back_is_read_to_its_end_anew(hands: Hands) -> None:
    ticker = Ticker(Clock(), 100)
    for polled in range(3):
        ticker.advance({0: at(0, 0, polled)}, 0.0)
    ticker.forget([0])
    assert ticker.advance({0: at(0, 50, 9)}, 1.0) == []
    assert ticker.moment(0, ()) == -1


def test_strays_are_listed_by_site() -> None:
    found = partitions_by_stray({0: ["a"], 1: [], 2: ["a", "b"]})
    assert found == {"a": [0, 2], "b": [2]}
