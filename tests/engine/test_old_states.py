"""States that earlier versions have saved go on as if this one had saved them."""

import base64
from pathlib import Path

import orjson
import pytest

from pipeline.engine import Site
from schemas.frames import Frame
from tests.engine import stories as s
from tests.engine.figures import figures
from tests.engine.subjects import frame, lay_over, tick

DATA = Path(__file__).parent / "data"
"""States of the first frames of `frames` or `nested`: parts in base64."""

SETTINGS = s.site(lateness_ms=10_000)


def call(at: int, contact: str, agent: str = "ann") -> list[s.Event]:
    """A whole call of half a minute, with a hold."""
    return [
        s.queued(at, contact, priority=2, customer="c1"),
        s.offered(at + 1_000, contact, agent),
        s.answered(at + 5_000, contact, agent),
        s.held(at + 9_000, contact, agent),
        s.resumed(at + 11_000, contact, agent),
        s.released(at + 20_000, contact, agent),
        s.wrapped(at + 30_000, contact, agent, code="sold"),
    ]


def states(at: int, agent: str = "ann") -> list[s.Event]:
    """What the platform says of an agent, most of it more than once."""
    said = [("available", 0), ("busy", 5_000), ("available", 30_000), ("not_ready", 40_000)]
    return [s.state(at + after, name, agent, team="sales") for name, after in said]


def frames() -> list[Frame]:
    """Contacts over and forgotten, over and remembered, and open; then an hour is corrected."""
    first = sorted(call(1_000, "a") + states(1_000), key=lambda event: event["ts"])
    second = sorted(call(70_000, "b") + states(70_000), key=lambda event: event["ts"])
    third = sorted(call(130_000, "c") + states(130_000, "bob"), key=lambda event: event["ts"])
    late = [s.state(158_000, "offline"), s.held(139_500, "c"), s.state(159_000, "busy", "bob")]
    after = sorted(call(165_000, "d", "bob"), key=lambda event: event["ts"])
    batches = [first, second, third[:8], third[8:], late, after]
    return [
        frame(events, events[0]["ts"], 100 * number) for number, events in enumerate(batches)
    ] + [tick(400_000)]


def fed(engine: Site, offset: int, rest: list[Frame]) -> Site:
    for number, one in enumerate(rest, offset):
        engine.apply(one, number)
    return engine


def saved(name: str) -> dict[str, bytes]:
    parts = orjson.loads((DATA / name).read_bytes())
    return {k: base64.b64decode(v) for k, v in parts.items()}


def restored(name: str) -> Site:
    return Site.restore(saved(name))


def continued(name: str) -> Site:
    """The state of an earlier version over which what changed since was laid."""
    parts = saved(name)
    lay_over(parts, restored(name).dirty_parts())
    return Site.restore(parts)


def assert_same_history(one: Site, other: Site) -> None:
    for name, agent in one.ledger.agents.items():
        again = other.ledger.agents[name]
        assert again.past_spans() == agent.past_spans()
        assert [r.at for r in again.reports] == [r.at for r in agent.reports]


def nested() -> list[Frame]:
    """Two contacts of an agent, forgotten in the order in which they began and not ended."""
    long = [s.queued(1_000, "a"), s.answered(2_000, "a"), s.wrapped(60_000, "a")]
    short = [s.queued(3_000, "b"), s.answered(4_000, "b"), s.wrapped(20_000, "b")]
    later = [s.queued(650_000, "c"), s.answered(651_000, "c"), s.wrapped(655_000, "c")]
    late = [s.state(645_000, "available"), s.released(653_000, "c")]
    batches = [sorted(long + short, key=lambda event: event["ts"]), later, late]
    return [frame(events, 1_000, 100 * n) for n, events in enumerate(batches)] + [tick(700_000)]


def test_a_state_of_version_2_goes_on() -> None:
    """Its ended segments lie in the order in which their contacts were forgotten."""
    all_of_it = nested()
    old = restored("state-version-2.json")
    assert [end for _, _, end in old.ledger.agents["ann"].past_spans()] == [
        *(20_000, 20_000),
        *(60_000, 60_000),
    ]
    fed(old, 2, all_of_it[2:])
    new = fed(Site(SETTINGS), 0, all_of_it)
    assert old.ledger.agents["ann"].intervals == new.ledger.agents["ann"].intervals
    assert figures(old.view()) == figures(new.view())


@pytest.mark.parametrize("version", [1, 3])
def test_a_state_of_an_earlier_version_goes_on(version: int) -> None:
    all_of_it = frames()
    old = restored(f"state-version-{version}.json")
    assert figures(old.view()) == figures(fed(Site(SETTINGS), 0, all_of_it[:4]).view())
    assert_same_history(old, continued(f"state-version-{version}.json"))
    ann = old.ledger.agents["ann"]
    assert ann.reports
    assert ann.past_spans()
    new = fed(Site(SETTINGS), 0, all_of_it)
    assert figures(fed(old, 4, all_of_it[4:]).view()) == figures(new.view())
