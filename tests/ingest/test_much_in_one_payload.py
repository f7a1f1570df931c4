"""A payload that says much, such as the state of every agent, and events larger than payloads."""

from __future__ import annotations

from typing import Any

import pytest

from pipeline.ingest.framer import MAX_EVENTS
from pipeline.sources import SOURCES
from pipeline.sources.source import Event, Source, Translator
from schemas.events import MAX_ID
from schemas.frames import decode_frame
from schemas.topics import DEAD, FRAMES, TOPICS
from tests.ingest.test_memory import ALL, Broker, Record, opened

NAME = "much"
LIMIT = next(spec.max_message_bytes for spec in TOPICS if spec.name == FRAMES)


class Much(Translator):
    """As many agents with as long names as the payload says."""

    def translate(self, payload: bytes) -> list[Event]:
        count, length = map(int, payload.split())
        if length == MAX_ID:
            name = "\U0001f600" * length
            ids = {"contact": name, "agent": name, "queue": name}
            return [self.context.event("contact.answered", ts, **ids) for ts in range(count)]
        return [
            self.context.event("agent.state", 1_000, agent=f"{n:0>{length}}", state="busy")
            for n in range(count)
        ]


@pytest.fixture(autouse=True)
def much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(SOURCES, NAME, Source(NAME, "Much", Much, lambda payload: "x"))


def framed(*payloads: bytes) -> tuple[list[bytes], list[Any]]:
    """The frames that payloads become, and the dead letters."""
    broker = Broker()
    partition = opened(broker, 0)
    headers = [("format", NAME.encode()), ("received", b"5000")]
    partition.take([Record(n, line, headers=headers) for n, line in enumerate(payloads)], 0.0)
    partition.flush(0.0)
    broker.acknowledge(ALL)
    frames = [record.value for record in broker.acknowledged[FRAMES]]
    return frames, broker.acknowledged.get(DEAD, [])


def test_a_payload_with_the_state_of_two_thousand_agents_is_one_frame() -> None:
    frames, dead = framed(b"1 8", b"2000 36", b"1 8")
    assert not dead
    counts = [len(decode_frame(frame).events) for frame in frames]
    assert counts == [1, 2000, 1]
    assert all(len(frame) < LIMIT for frame in frames)


def test_a_payload_whose_events_fit_no_frame_is_a_dead_letter() -> None:
    frames, dead = framed(b"9000 36", b"1 8")
    assert len(dead) == 1
    assert b"too_large" in dead[0].value
    assert len(decode_frame(frames[-1]).events) == 1


def test_short_payloads_with_long_names_fill_no_frame_beyond_what_the_broker_takes() -> None:
    frames, dead = framed(*[b"1 200"] * (2 * MAX_EVENTS))
    assert not dead
    assert sum(len(decode_frame(frame).events) for frame in frames) == 2 * MAX_EVENTS
    assert all(len(frame) < LIMIT for frame in frames)
