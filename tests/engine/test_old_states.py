"""States that earlier versions have saved go on as if this one had saved them."""

import base64
from pathlib import Path

import orjson

from pipeline.engine import Site
from schemas.frames import Frame
from tests.engine import stories as s
from tests.engine.figures import figures
from tests.engine.subjects import frame, tick

SAVED = Path(__file__).parent / "data" / "state-version-1.json"
"""Of the first four of `frames`; `parts` in base64."""

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


def test_a_state_of_version_1_goes_on() -> None:
    parts = {k: base64.b64decode(v) for k, v in orjson.loads(SAVED.read_bytes()).items()}
    all_of_it = frames()
    old = Site.restore(parts)
    assert figures(old.view()) == figures(fed(Site(SETTINGS), 0, all_of_it[:4]).view())
    ann = old.ledger.agents["ann"]
    assert ann.reports
    assert ann.past_spans()
    new = fed(Site(SETTINGS), 0, all_of_it)
    assert figures(fed(old, 4, all_of_it[4:]).view()) == figures(new.view())
