"""What is published part by part, and made anew only where something changed, is the whole."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine import Site
from pipeline.engine.trend import RunningTrend, trend
from schemas.frames import Frame
from tests.engine.profile import examples
from tests.engine.stories import HOUR, MINUTE, SECOND, abandoned, answered, queued, site
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


@examples(150)
@given(fed(), STRETCH, st.data())
def test_a_running_trend_is_the_trend_at_every_look(told: Fed, times: int, data: Any) -> None:
    engine, running = Site(told.settings), RunningTrend()
    for offset, one in enumerate(stretched(told, times)):
        engine.apply(one, offset)
        what = data.draw(WHAT, "what")
        if what == "sweep":
            engine.sweep()
        elif what == "restore":
            engine, running = Site.restore(engine.all_parts()), RunningTrend()
        for _ in range({"look": 1, "look twice": 2}.get(what, 0)):
            engine.settle()
            assert running.look(engine) == trend(engine)


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
