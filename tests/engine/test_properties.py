"""Whatever comes in whatever way, the engine's figures are those of the oracle, to the integer."""

from collections.abc import Iterable
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.engine import Site
from schemas.frames import Frame
from tests import oracle
from tests.engine.figures import figures
from tests.engine.profile import examples
from tests.engine.strategies import LOOK, Fed, Told, deliveries, fed, raw_log, told
from tests.engine.subjects import EngineSubject, frame, lay_over, tick

ENGINE = EngineSubject()
HOUR = 3_600_000

# How long a property takes depends on its examples, and on what else the machine does.
pytestmark = pytest.mark.timeout(600)


def numbered(frames: Iterable[Frame]) -> list[tuple[int, Frame]]:
    """The frames with their offsets on the frames topic, which begin anew with each epoch."""
    counters: dict[int, count[int]] = {}
    return [(next(counters.setdefault(f.epoch, count())), f) for f in frames]


def feed(engine: Site, frames: Iterable[tuple[int, Frame]]) -> list[int]:
    """Apply the frames; the raw offsets of the late events."""
    return [raw for offset, f in frames for raw, _ in engine.apply(f, offset).late]


@examples(120)
@given(told(), st.data())
def test_a_replay_shows_what_the_oracle_shows_at_any_moment(story: Told, data: Any) -> None:
    for _ in range(3):
        at = story.base + data.draw(LOOK, "at")
        seen = ENGINE.replay(story.events, at, story.settings)
        assert figures(seen.data) == figures(oracle.snapshot(story.events, story.settings, at))


@examples(250)
@given(fed())
def test_any_frames_in_any_order_give_the_oracles_figures_and_late_set(site: Fed) -> None:
    engine = Site(site.settings)
    late = feed(engine, numbered(site.frames))
    expected, expected_late = oracle.live(site.frames, site.settings)
    assert late == expected_late
    assert figures(engine.view()) == figures(expected)


@examples(100)
@given(fed())
def test_looking_after_every_frame_sees_the_oracle_and_disturbs_nothing(site: Fed) -> None:
    engine = Site(site.settings)
    for n, numbered_frame in enumerate(numbered(site.frames), 1):
        feed(engine, [numbered_frame])
        seen = figures(engine.view())
        if n % 3 == 0 or n == len(site.frames):
            expected, _ = oracle.live(site.frames[:n], site.settings)
            assert seen == figures(expected)


@examples(120)
@given(told(lateness=HOUR), st.data())
def test_within_the_lateness_order_and_duplicates_and_frames_do_not_matter(
    story: Told, data: Any
) -> None:
    """The live figures are those of a snapshot that knows nothing of how the events came."""
    log = data.draw(raw_log(story.events), "log")
    orderly = data.draw(st.booleans(), "orderly")
    frames = data.draw(deliveries([e for e in log if e], story.base, orderly), "frames")
    engine = Site(story.settings)
    assert feed(engine, numbered(frames)) == []
    engine.apply(tick(story.base + data.draw(LOOK, "later")), len(frames))
    expected = oracle.snapshot(story.events, story.settings, engine.at)
    assert figures(engine.view()) == figures(expected)


@examples(80)
@given(fed(), st.data())
def test_ticks_between_the_frames_change_nothing(site: Fed, data: Any) -> None:
    """A tick may say any time up to the next frame's, as often as it likes.

    Not the very moment of new settings: what is told of it after a tick is under the old ones.
    """
    ticked: list[Frame] = []
    time = None
    for f in site.frames:
        last = f.now if f.settings is None else f.now - 1
        if time is not None and time <= last:
            for now in sorted(data.draw(st.lists(st.integers(time, last), max_size=3), "ticks")):
                ticked.append(frame([], now, epoch=f.epoch))
        ticked.append(f)
        time = max([f.now if time is None else time, f.now, *(e["ts"] for e in f.events)])
    plain, with_ticks = Site(site.settings), Site(site.settings)
    late = feed(plain, numbered(site.frames))
    assert feed(with_ticks, numbered(ticked)) == late
    assert figures(with_ticks.view()) == figures(plain.view())


@examples(80)
@given(fed(), st.data())
def test_a_frame_delivered_again_is_skipped(site: Fed, data: Any) -> None:
    frames = numbered(f for f in site.frames if f.epoch == 0)
    again = []
    for n, one in enumerate(frames, 1):
        again.append(one)
        back = data.draw(st.sampled_from((0, 0, 0, 1, 2)), "back")
        again += frames[max(0, n - back) : n]
    once, often = Site(site.settings), Site(site.settings)
    assert feed(often, again) == feed(once, frames)
    assert figures(often.view()) == figures(once.view())


@examples(120)
@given(fed(), st.data())
def test_a_restart_from_all_parts_at_any_frame_is_not_seen(site: Fed, data: Any) -> None:
    """Killed after any frame, restored from an older cut, fed again from before the cut."""
    frames = numbered(site.frames)
    expected, expected_late = oracle.live(site.frames, site.settings)
    engine = Site(site.settings)
    late: set[int] = set()
    done = 0
    for cut in sorted(data.draw(st.lists(st.integers(0, len(frames)), max_size=3), "cuts")):
        late |= set(feed(engine, frames[done:cut]))
        parts = engine.all_parts()
        late |= set(feed(engine, frames[cut : cut + 2]))
        engine = Site.restore(parts)
        done = max(0, cut - 2) if within_one_epoch(frames[max(0, cut - 2) : cut]) else cut
    late |= set(feed(engine, frames[done:]))
    assert late == set(expected_late)
    assert figures(engine.view()) == figures(expected)


def within_one_epoch(frames: list[tuple[int, Frame]]) -> bool:
    return len({f.epoch for _, f in frames}) == 1


class Checkpoints:
    """The state records of a worker: what changed since the last checkpoint replaces the old."""

    def __init__(self) -> None:
        self.parts: dict[str, bytes] = {}

    def write(self, engine: Site) -> None:
        changed = engine.dirty_parts()
        assert all(value is None or len(value) <= 256 * 1024 for value in changed.values())
        lay_over(self.parts, changed)


@examples(150)
@given(fed(), st.data())
def test_a_restart_from_accumulated_dirty_parts_is_not_seen(site: Fed, data: Any) -> None:
    frames = numbered(site.frames)
    expected, expected_late = oracle.live(site.frames, site.settings)
    engine, records = Site(site.settings), Checkpoints()
    late: set[int] = set()
    kept = 0
    records.write(engine)
    for n, one in enumerate(frames):
        late |= set(feed(engine, [one]))
        what = data.draw(st.sampled_from(("go on", "go on", "checkpoint", "crash")), "what")
        if what == "checkpoint":
            records.write(engine)
            kept = n + 1
        elif what == "crash":
            engine = Site.restore(records.parts)
            late |= set(feed(engine, frames[kept : n + 1]))
    assert late == set(expected_late)
    assert figures(engine.view()) == figures(expected)
    records.write(engine)
    assert figures(Site.restore(records.parts).view()) == figures(expected)


@examples(80)
@given(fed(), st.data())
def test_when_memory_is_swept_is_not_seen(site: Fed, data: Any) -> None:
    engine = Site(site.settings)
    late: list[int] = []
    for one in numbered(site.frames):
        late += feed(engine, [one])
        if data.draw(st.booleans(), "sweep"):
            engine.sweep()
    expected, expected_late = oracle.live(site.frames, site.settings)
    assert late == expected_late
    assert figures(engine.view()) == figures(expected)


@examples(60)
@given(fed())
def test_a_checkpoint_of_an_unchanged_site_says_nothing_new(site: Fed) -> None:
    engine, records = Site(site.settings), Checkpoints()
    feed(engine, numbered(site.frames))
    records.write(engine)
    assert figures(Site.restore(records.parts).view()) == figures(engine.view())
    before = dict(records.parts)
    records.write(engine)
    assert figures(Site.restore(records.parts).view()) == figures(Site.restore(before).view())
