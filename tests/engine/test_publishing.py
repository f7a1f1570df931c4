"""What is published part by part, and made anew only where something changed, is the whole."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine import Site
from pipeline.engine.trend import RunningTrend, trend
from schemas.frames import Frame
from schemas.live import (
    ONLY_PART,
    LiveParts,
    decode_live,
    encode_live,
    live_record,
    part_of,
    pieces,
)
from tests.engine.profile import examples
from tests.engine.stories import DAY, HOUR, MINUTE, SECOND, abandoned, answered, queued, site, state
from tests.engine.strategies import Fed, fed
from tests.engine.subjects import frame, tick

STRETCH = st.sampled_from((1, 1, 7, 60, 400))
"""How much slower a story goes: it is half a minute long, and a trend an hour."""
WHAT = st.sampled_from(("nothing", "look", "look", "look", "look twice", "sweep", "restore"))

pytestmark = pytest.mark.timeout(600)


def stretched(told: Fed, times: int) -> list[Frame]:
    """The frames of a story that goes so many times slower."""

    def later(ts: int) -> int:
        return told.base + (ts - told.base) * times

    return [
        replace(f, now=later(f.now), events=[{**e, "ts": later(e["ts"])} for e in f.events])
        for f in told.frames
    ]


def lives(told: Fed, times: int, data: Any) -> Iterator[tuple[Site, int]]:
    """The site after each frame, swept or restored now and then, and how often to look at it."""
    engine = Site(told.settings)
    for offset, one in enumerate(stretched(told, times)):
        engine.apply(one, offset)
        what = data.draw(WHAT, "what")
        if what == "sweep":
            engine.sweep()
        elif what == "restore":
            engine = Site.restore(engine.all_parts())
        yield engine, {"look": 1, "look twice": 2}.get(what, 0)


@examples(150)
@given(fed(), STRETCH, st.data())
def test_a_running_trend_is_the_trend_at_every_look(told: Fed, times: int, data: Any) -> None:
    running = RunningTrend()
    for engine, looks in lives(told, times, data):
        for _ in range(looks):
            engine.settle()
            assert running.look(engine) == trend(engine)


class Reader:
    """A board that has taken everything that was published."""

    def __init__(self) -> None:
        self.parts = LiveParts()
        self.published = 0

    def take(self, engine: Site, full: bool) -> set[str]:
        """Publish as a worker does; the kinds that came."""
        self.published += 1
        parts = engine.live_parts(full)
        for part in parts:
            for piece in pieces(*part):
                one = live_record("s", (0, self.published), engine.at, *piece)
                self.parts.take(decode_live(encode_live(one)))
        return {kind for kind, _, _ in parts}

    def board(self) -> dict[str, Any]:
        return without(self.parts.assemble(), "epoch", "trend")


def without(board: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in board.items() if name not in names}


@examples(200)
@given(fed(), STRETCH, st.data())
def test_what_changed_put_together_is_the_whole(told: Fed, times: int, data: Any) -> None:
    reader = Reader()
    for engine, looks in lives(told, times, data):
        for n in range(looks):
            kinds = reader.take(engine, n == 1 and data.draw(st.booleans(), "full"))
            if kinds:
                assert reader.board() == without(engine.view(), "trend")
            if "trend" in kinds:
                assert reader.parts.assemble()["trend"] == trend(engine)


def test_on_the_stroke_of_midnight_today_begins_for_those_of_whom_nothing_is_heard() -> None:
    engine, reader = Site(site()), Reader()
    engine.apply(frame([queued(DAY - 9_000, "a"), abandoned(DAY - 8_000, "a")], DAY - 8_000), 0)
    reader.take(engine, full=False)
    engine.apply(tick(DAY), 1)
    assert "queues" in reader.take(engine, full=False)
    assert reader.board() == without(engine.view(), "trend")
    assert reader.board()["queues"]["sales"]["voice"]["windows"]["today"]["offered"] == 0


def of_teams(engine: Site, full: bool) -> dict[str, Any]:
    """The published parts of teams."""
    return {part: data for kind, part, data in engine.live_parts(full) if kind == "teams"}


def test_teams_come_in_parts_and_only_those_whose_time_runs_or_that_changed() -> None:
    engine = Site(site())
    said = [state(1, "busy", f"a{n}", team=f"team {n}") for n in range(200)]
    engine.apply(frame(said, 1), 0)
    parts = of_teams(engine, full=False)
    assert {name: part for part, data in parts.items() for name in data} == {
        f"team {n}": part_of(f"team {n}") for n in range(200)
    }
    gone = [state(2, "offline", f"a{n}") for n in range(1, 200)]
    engine.apply(frame(gone, 2, first=200), 1)
    assert of_teams(engine, full=False).keys() == parts.keys()
    engine.apply(tick(3), 2)
    assert of_teams(engine, full=False).keys() == {part_of("team 0")}
    assert of_teams(engine, full=True).keys() == parts.keys() | {ONLY_PART}


def test_the_record_of_all_teams_that_earlier_releases_sent_does_not_stay() -> None:
    engine, reader = Site(site()), Reader()
    old: dict[str, dict[str, object]] = {"red": {"agents": {}}, "gone": {"agents": {}}}
    reader.parts.take(live_record("s", (0, 0), 0, "teams", ONLY_PART, old))
    engine.apply(frame([queued(0, "a")], 1), 0)
    reader.take(engine, full=False)
    assert reader.board()["teams"] == {}


def test_the_trend_tells_each_minute_of_the_hour() -> None:
    engine, running = Site(site()), RunningTrend()
    told = [
        [queued(0, "a"), answered(30 * SECOND, "a")],
        [queued(5 * MINUTE, "b"), queued(5 * MINUTE, "c", channel="chat")],
        [abandoned(6 * MINUTE + 1, "b")],
    ]
    for n, events in enumerate(told):
        engine.apply(frame(events, events[-1]["ts"], first=2 * n), n)
        said = running.look(engine)
    assert said["start"] == 6 * MINUTE - 59 * MINUTE
    assert said["all"]["offered"][-7:] == [1, 0, 0, 0, 0, 2, 0]
    assert said["all"]["abandoned"][-7:] == [0, 0, 0, 0, 0, 0, 1]
    assert said["all"]["waiting"][-7:] == [0, 0, 0, 0, 0, 2, 1]
    assert said["queues"]["sales"]["offered"] == said["all"]["offered"]


def test_notes_for_a_trend_that_nobody_asks_for_are_forgotten() -> None:
    engine = Site(site())
    books = engine.ledger.books
    for n in range(200):
        at = n * MINUTE
        told = [queued(at, str(n)), abandoned(at + 1, str(n))]
        engine.apply(frame(told, at + 1, first=2 * n), n)
        if n == 0:
            engine.live_parts(True)
    assert 60 <= len(books.minutes) <= 75
    engine.apply(tick(200 * MINUTE), 200)
    [said] = [data for kind, _, data in engine.live_parts(False) if kind == "trend"]
    assert said == trend(engine)
    assert books.minutes == {}


def test_a_trend_that_is_handed_out_stays_as_it_is() -> None:
    engine, running = Site(site()), RunningTrend()
    engine.apply(frame([queued(0, "a")], HOUR), 0)
    first = running.look(engine)
    kept = repr(first)
    engine.apply(frame([abandoned(HOUR + 1, "a")], HOUR + 1, first=1), 1)
    running.look(engine)
    assert repr(first) == kept
