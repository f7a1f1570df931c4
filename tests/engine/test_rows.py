"""What the store is told adds up to the same, however the events came and whatever crashed."""

from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine import Site
from pipeline.engine.story import MOST_RETURNS
from schemas.frames import Frame
from sinks.clickhouse.backfill import CONTACTS, IDENTITY
from tests.engine import stories as s
from tests.engine.figures import figures
from tests.engine.profile import examples
from tests.engine.strategies import LOOK, Fed, Told, deliveries, fed, raw_log, told
from tests.engine.subjects import frame, tick
from tests.engine.test_properties import HOUR, Checkpoints, numbered

Row = dict[str, Any]
Kept = dict[tuple[Any, ...], Row]

FACTS = (*CONTACTS, "agent_intervals")
TABLES = (*FACTS, "queue_panes", "team_panes")
BY_ARRIVAL = ("story", "team")
"""A story is named by the event that came first; a leg's row is not made anew for another team."""

pytestmark = pytest.mark.timeout(600)


def keep(store: Kept, engine: Site, frames: Iterable[tuple[int, Frame]]) -> None:
    """Apply frames; of rows with the same key the last one counts, as in the store."""
    for offset, one in frames:
        for table, rows in engine.apply(one, offset).rows.items():
            for row in rows:
                if table in TABLES:
                    store[(table, *(row[name] for name in IDENTITY[table]))] = row


def standing(store: Kept) -> Kept:
    return {key: row for key, row in store.items() if not row["is_deleted"]}


def facts(store: Kept) -> list[list[tuple[str, Any]]]:
    """Rows that tell of contacts and agents, without what may depend on the way they came."""
    found = []
    for (table, *_), row in standing(store).items():
        if table in FACTS:
            left_out = BY_ARRIVAL if table != "agent_intervals" else ()
            found.append([("", table), *((k, v) for k, v in row.items() if k not in left_out)])
    return sorted(found, key=repr)


@examples(120)
@given(fed(), st.data())
def test_a_restart_is_not_seen_in_the_rows(site: Fed, data: Any) -> None:
    frames = numbered(site.frames)
    once: Kept = {}
    keep(once, Site(site.settings), frames)
    restarted: Kept = {}
    engine, done = Site(site.settings), 0
    for cut in sorted(data.draw(st.lists(st.integers(0, len(frames)), max_size=3), "cuts")):
        keep(restarted, engine, frames[done:cut])
        parts = engine.all_parts()
        keep(restarted, engine, frames[cut : cut + 2])
        engine, done = Site.restore(parts), cut
    keep(restarted, engine, frames[done:])
    assert restarted == once


@examples(150)
@given(told(lateness=HOUR), st.data())
def test_order_and_frames_and_duplicates_are_not_seen_in_the_rows(story: Told, data: Any) -> None:
    log = data.draw(raw_log(story.events), "log")
    frames = data.draw(deliveries([e for e in log if e], story.base, False), "frames")
    events = sorted(story.events, key=lambda event: event["ts"])
    end = tick(max(f.now for f in frames) + data.draw(LOOK, "later"))
    orderly: Kept = {}
    keep(orderly, Site(story.settings), numbered([frame(events, story.base), end]))
    as_it_came: Kept = {}
    keep(as_it_came, Site(story.settings), numbered([*frames, end]))
    assert facts(as_it_came) == facts(orderly)


def legs(engine: Site, one: Frame, offset: int) -> list[Row]:
    return engine.apply(one, offset).rows["legs"]


def test_a_leg_is_its_agents_team_when_it_was_answered_also_after_a_restart() -> None:
    engine = Site(s.site())
    begin = [
        s.state(1_000, "available", team="sales"),
        s.queued(2_000, "a"),
        s.answered(5_000, "a"),
    ]
    engine.apply(frame(begin, 1_000), 0)
    engine = Site.restore(engine.all_parts())
    moved = s.state(7_000, "available", team="help")
    end = [moved, s.released(9_000, "a"), s.wrapped(12_000, "a")]
    assert [leg["team"] for leg in legs(engine, frame(end, 1_000, 10), 1)] == ["sales"]


def test_an_event_of_a_contact_that_is_over_takes_back_what_it_changes() -> None:
    """Its visits and legs are told again from its events, and only what differs stands."""
    call = [s.queued(2_000, "a"), s.answered(5_000, "a"), s.released(9_000, "a")]
    store: Kept = {}
    engine = Site(s.site())
    frames = [frame([*call, s.wrapped(12_000, "a")], 1_000), frame([s.answered(4_000, "a")], 0, 10)]
    keep(store, engine, numbered(frames))
    answered = [row["answered_at"] for key, row in standing(store).items() if key[0] == "legs"]
    assert answered == [4_000]
    starts = [start for start, _, _ in engine.ledger.agents["ann"].intervals[1:]]
    assert starts == [4_000, 9_000, 12_000]


def test_an_event_of_a_contact_that_is_over_known_already_tells_nothing() -> None:
    call = [s.queued(2_000, "a"), s.answered(5_000, "a"), s.released(9_000, "a")]
    engine = Site(s.site())
    engine.apply(frame([*call, s.wrapped(12_000, "a")], 1_000), 0)
    again = engine.apply(frame(call, 12_000, 10), 1)
    assert {"visits", "legs", "agent_intervals"}.isdisjoint(again.rows)


def test_a_contact_that_comes_back_again_and_again_is_told_once() -> None:
    """A platform may give all its callers the same name."""
    engine = Site(s.site())
    store: Kept = {}
    for n in range(6):
        at = 2_000 + n * 20_000
        call = [s.queued(at, "a"), s.answered(at + 3_000, "a"), s.wrapped(at + 9_000, "a")]
        keep(store, engine, [(n, frame(call, at, 10 * n))])
    story = engine.stories["a"]
    assert story.returns == MOST_RETURNS
    assert [visit.queued_at for visit in story.visits] == [2_000 + n * 20_000 for n in range(6)]
    assert len([key for key in standing(store) if key[0] == "legs"]) == 6
    assert engine.view()["queues"]["sales"]["voice"]["windows"]["total"]["handled"] == 6


def test_agents_time_is_saved_with_the_contact_that_is_put_away() -> None:
    """A look ends what is stuck between two frames; a checkpoint follows, then it is put away."""
    engine, parts = Site(s.site(stuck_after_ms=20_000)), Checkpoints()
    engine.apply(frame([s.queued(1_000, "a"), s.answered(2_000, "a")], 1_000), 0)
    for n, now in enumerate((22_000, 23_000), 1):
        engine.advance(now)
        engine.view()
        parts.write(engine)
        engine.apply(tick(now), n)
        parts.write(engine)
    assert engine.stories["a"].away
    restored = Site.restore(parts.parts)
    for one in (engine, restored):
        one.apply(frame([s.state(1_500, "not_ready")], 23_000, 10), 3)
    assert figures(restored.view()) == figures(engine.view())
    assert engine.view()["all"]["windows"]["total"]["talk_ms"] == 20_000


def test_how_often_a_contact_came_back_is_not_forgotten_in_a_restart() -> None:
    """It decides how agents' time is booked, and so which rows of zeros there are."""
    calls = [
        [s.queued(at, "a"), s.answered(at + 1_000, "a"), s.wrapped(at + 2_000, "a")]
        for at in range(1_000, 60_000, 10_000)
    ]
    frames = numbered(frame(call, call[0]["ts"], 10 * n) for n, call in enumerate(calls))
    frames += [(6, tick(64_000))]
    again = [s.answered(75_000, "a"), s.wrapped(75_000, "a")]
    frames += [(7, frame(again, 110_000, 100)), (8, tick(140_000))]
    once: Kept = {}
    keep(once, Site(s.site()), frames)
    for cut in range(1, 8):
        restarted: Kept = {}
        engine = Site(s.site())
        keep(restarted, engine, frames[:cut])
        keep(restarted, Site.restore(engine.all_parts()), frames[cut:])
        assert restarted == once, cut
